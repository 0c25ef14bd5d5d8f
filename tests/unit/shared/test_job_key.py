"""What a key depends on, and what it does not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.job_key import JobKeys, code_digest, job_key, repeat_seed
from shared.models import Example, ExperimentMetadata, ExperimentSpec, ImageInfo

CODE = "def process_input(text):\n    return text  # ü\n"
EXAMPLE = Example(id="a", input="2+2", fields={"answer": "4", "more": {"b": [1, None], "a": 0.1}})
SPEC: dict[str, Any] = {
    "name": "demo",
    "data": {"valid": {"path": "v.jsonl"}},
    "scorer": {"name": "exact", "field": "answer"},
    "scaffolds": ["a"],
    "executor": {"model": "mine"},
    "models": {"mine": {"model": "sim/arithmetic:0.3"}},
}


def metadata(image: str | None = "sha256:1", **spec: Any) -> ExperimentMetadata:
    return ExperimentMetadata(
        experiment="demo_1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        spec=ExperimentSpec.model_validate({**SPEC, **spec}),
        image=ImageInfo(reference="image", digest=image),
    )


KEY = job_key(metadata(), CODE, EXAMPLE, "valid_0")


def test_the_key_is_what_it_was() -> None:
    """A change of this makes every experiment that there is look damaged."""
    assert KEY == "sha256:f1cdc421a5b7af3676c398cc60fa4a06f5259c1eeece220431a655ba87a10e17"


@pytest.mark.parametrize(
    "other",
    [
        job_key(metadata("sha256:2"), CODE, EXAMPLE, "valid_0"),
        job_key(metadata(None), CODE, EXAMPLE, "valid_0"),
        job_key(metadata(), CODE + "\n", EXAMPLE, "valid_0"),
        job_key(metadata(), CODE, EXAMPLE.model_copy(update={"repeat": 1}), "valid_0"),
        job_key(metadata(), CODE, EXAMPLE.model_copy(update={"input": "2+3"}), "valid_0"),
        job_key(metadata(), CODE, EXAMPLE.model_copy(update={"fields": {"answer": "5"}}), "valid_0"),
        job_key(metadata(), CODE, EXAMPLE, "preflight_0"),
        job_key(metadata(loop={"model_seed": 1}), CODE, EXAMPLE, "valid_0"),
        job_key(metadata(models={"mine": {"model": "sim/arithmetic:0.2"}}), CODE, EXAMPLE, "valid_0"),
        job_key(metadata(executor={"model": "mine", "timeout": 7}), CODE, EXAMPLE, "valid_0"),
    ],
)
def test_what_decides_the_result_decides_the_key(other: str) -> None:
    assert other != KEY


def test_the_answers_of_a_scripted_model_decide_its_results_and_no_others() -> None:
    scripted = metadata(models={"mine": {"model": "sim/script:words.yaml"}})
    digests = [{}, {"words.yaml": code_digest("a")}, {"words.yaml": code_digest("b")}]
    experiments = [scripted.model_copy(update={"script_digests": one}) for one in digests]
    assert len({job_key(one, CODE, EXAMPLE, "valid_0") for one in experiments}) == 3
    assert len({job_key(one, CODE, EXAMPLE, "preflight_0") for one in experiments}) == 1, "trials ask another model"
    other = metadata().model_copy(update={"script_digests": digests[1]})
    assert job_key(other, CODE, EXAMPLE, "valid_0") == KEY


def test_what_is_the_same_has_the_same_key() -> None:
    fields = {"more": {"a": 0.1, "b": [1, None]}, "answer": "4"}
    assert job_key(metadata(), CODE.encode(), EXAMPLE.model_copy(update={"fields": fields}), "train_7") == KEY
    assert JobKeys(metadata()).of(code_digest(CODE), EXAMPLE, "valid_0") == KEY
    renamed = metadata().model_copy(update={"experiment": "demo_2", "versions": {"python": "4"}})
    assert job_key(renamed, CODE, EXAMPLE, "valid_0") == KEY


def test_a_read_record_has_the_key_of_the_written_one() -> None:
    read = ExperimentMetadata.model_validate_json(metadata().model_dump_json())
    example = Example.model_validate_json(EXAMPLE.model_dump_json())
    assert job_key(read, CODE, example, "valid_0") == KEY


def test_code_that_is_no_text_has_a_digest() -> None:
    assert code_digest("\udcff") == code_digest(b"\xed\xb3\xbf") != code_digest("?")


def test_repeats_ask_with_seeds_of_their_own() -> None:
    assert repeat_seed(5, 0) == 5
    assert len({repeat_seed(seed, repeat) for seed in range(20) for repeat in range(20)}) == 400
