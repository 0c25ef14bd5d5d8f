"""From a spec's ``proposer`` to a proposer that can be used, or to a sentence that says why not."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coordinator.proposers.base import Proposer, Setting, Task, Tools
from coordinator.proposers.options import parse_options
from coordinator.scaffolder import ModelClient
from shared.errors import ScaffoldryError, SpecError
from shared.models.base import Frozen
from shared.models.scaffold import ScaffoldResult
from shared.models.spec import ModelSpec, ProposerSpec
from shared.registry import Registry

PROPOSERS = Registry(
    "proposer",
    {
        "library": "coordinator.proposers.library:LibraryProposer",
        "llm": "coordinator.proposers.llm:LlmProposer",
        "mutate": "coordinator.proposers.mutate:MutateProposer",
    },
)


def check_proposer(
    spec: ProposerSpec,
    given: Sequence[ScaffoldResult],
    folder: Path,
    models: Mapping[str, ModelSpec] | None = None,
) -> dict[str, str]:
    """The texts (file name -> text) that an experiment with this proposer must keep.

    ``given``: the scaffolds that the spec gives; ``folder``: the spec's, from which paths count; ``models``: the
    spec's. Nothing is written, and no model is asked. Raises UnknownName for a name nobody registered and for an
    unknown model, SpecError for options the proposer does not know or cannot use, ModelConfigError.
    """
    proposer, options = _proposer(spec)
    with _plug_in(spec.name):
        texts: dict[str, str] = proposer.check(options, Setting(folder, tuple(given), models))
    return texts


def proposer_models(spec: ProposerSpec) -> tuple[str, ...]:
    """The names of the models that this proposer asks."""
    proposer, options = _proposer(spec)
    return tuple(proposer.models(options))


def build_proposer(
    spec: ProposerSpec, task: Task, kept: MutableMapping[str, str], connect: Callable[[str], ModelClient]
) -> Proposer:
    """The proposer that ``spec`` asks for.

    ``kept``: what ``check_proposer`` returned, and what the proposer has put in since (``KeptTexts``); ``connect``:
    from a model's name to its client. Raises what ``check_proposer`` raises, and CorruptFile where something kept is
    gone.
    """
    proposer, options = _proposer(spec)
    with _plug_in(spec.name):
        return proposer(options, Tools(task, kept, connect))


@contextmanager
def _plug_in(name: str) -> Iterator[None]:
    """What a plug-in does wrong is told as its own mistake."""
    try:
        yield
    except ScaffoldryError:
        raise
    except Exception as error:
        raise SpecError(
            f"The proposer {name!r} cannot be used: it failed with {type(error).__name__}: {error}."
        ) from error


def _proposer(spec: ProposerSpec) -> tuple[type[Proposer], Frozen]:
    proposer: Any = PROPOSERS.get(spec.name)
    if not (isinstance(proposer, type) and issubclass(proposer, Proposer)):
        raise SpecError(f"The plug-in {spec.name!r} of {PROPOSERS.group} is not a subclass of Proposer.")
    return proposer, parse_options(spec.name, proposer.Options, spec.options)
