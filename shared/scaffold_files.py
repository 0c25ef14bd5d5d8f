"""The form of what lies beside a scaffold's code: its metadata, which carry their own digest and the runtime files'."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared import atomic
from shared.errors import DamagedFile, ForeignFile
from shared.job_key import code_digest
from shared.models.scaffold import ScaffoldMetadata
from shared.records import validated

RESTORE = "Restore it from a copy."
_DIGEST = "digest"
_RUNTIME = "runtime_digests"


def metadata_bytes(metadata: ScaffoldMetadata, runtime: Mapping[str, str]) -> bytes:
    """A scaffold's metadata as the bytes of their file; ``runtime``: the texts by name of what is saved beside it."""
    record = metadata.model_dump(mode="json")
    record[_RUNTIME] = {name: code_digest(text) for name, text in runtime.items()}
    # Digested as it will be read: half a surrogate pair, which a model may answer with, does not survive the writing.
    return atomic.seal(json.loads(atomic.canonical_json(record)))


def read_metadata(data: bytes, path: Path) -> tuple[ScaffoldMetadata, dict[str, str]]:
    """A scaffold's metadata, and the digests of the runtime files that were saved beside it, by name.

    Earlier versions kept no digests: such metadata are read as they are, and have none. Raises DamagedFile, which names
    ``path``, where they are not what was written, and CorruptFile where they are none of this version.
    """
    record = atomic.parse_object(data, path, RESTORE)
    if _DIGEST in record or _RUNTIME in record:
        record = _unsealed(data, path)
    digests = record.pop(_RUNTIME, {})
    return validated(ScaffoldMetadata, record, path), digests


def _unsealed(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return atomic.unseal(data, path, advice=RESTORE)
    except ForeignFile:
        raise DamagedFile(f"{path} has lost its digest: it is not what was written. {RESTORE}") from None
