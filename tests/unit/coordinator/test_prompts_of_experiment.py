"""No prompt of a whole experiment holds anything of a validation or a test example."""

from pathlib import Path

import pytest

from coordinator.generation import attempts_of
from coordinator.proposers import KeptTexts, Surroundings, build_proposer, check_proposer
from coordinator.proposing import make_task
from shared.file_manager import ExperimentFileManager
from shared.models import Example
from shared.models.ask import Answer, AskRequest
from tests.looping import RAISING, Session, experiment, install
from tests.proposing import FakeClient

HIDDEN = ("valid", "test")
"""The splits that a proposer must see nothing of."""


def examples(split: str, count: int) -> tuple[Example, ...]:
    """Examples whose every part is marked with their split."""
    return tuple(
        Example(
            id=f"{split}-id-{n}-mark",
            input=f"{split}-input-{n}-mark",
            fields={"answer": f"{split}-answer-{n}-mark", "why": f"{split}-other-{n}-mark"},
        )
        for n in range(count)
    )


DATA = {"train": examples("train", 4), "valid": examples("valid", 5), "test": examples("test", 5)}
ECHO = "def process_input(text):\n    print('saw', text)\n    return text.replace('input', 'answer')\n"
BREAKS_LATER = "def process_input(text):\n    if 'train' not in text:\n        raise KeyError(text)\n    return text\n"


class Scaffolder(FakeClient):
    """Writes good ones and bad ones in turn, whatever it is asked."""

    at_once = 1

    def __init__(self) -> None:
        super().__init__(self._next)
        self.answers = ["no code", ECHO, RAISING, BREAKS_LATER, "def process_input(:", ECHO + "\n# another\n"]

    def _next(self, request: AskRequest) -> str | Answer | Exception:
        code = self.answers[len(self.asked) % len(self.answers)]
        return code if code == "no code" else f"Here:\n```python\n{code}```\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExperimentFileManager:
    install(monkeypatch)
    loop = {"iterations": 4, "initial": 4, "top_k": 2, "children": 2, "train_per_scaffold": 3}
    options = {"name": "llm", "model": "sim/echo", "show_scorer": True, "examples": 4, "runs": 5}
    return experiment(tmp_path, [ECHO], DATA, proposer=options, loop=loop)


def test_no_prompt_holds_a_validation_or_a_test_example(files: ExperimentFileManager, tmp_path: Path) -> None:
    spec = files.load_metadata().spec
    assert spec.proposer is not None
    for name, text in check_proposer(spec.proposer, (), tmp_path, spec.models).items():
        files.save_proposer_file(name, text)
    surroundings = Surroundings(python="3.11", timeout=1, memory=1, cpus=1, output_limit=1)
    client = Scaffolder()
    task = make_task(files, spec, surroundings)
    session = Session(files, build_proposer(spec.proposer, task, KeptTexts(files), lambda model: client))
    found = session.run()
    assert found[-1].winner is not None and found[-1].winner.test_mean is not None, "both splits were run on"

    metadata = [files.load_scaffold(id).metadata for id in files.scaffold_ids()]
    attempts = [attempt for one in metadata for attempt in attempts_of(one)]
    told = [attempt["prompt"] for attempt in attempts]
    told += [f"{request.system}\n{request.prompt}" for request in client.asked]
    told += files.load_proposer_files().values()
    assert len(client.asked) == len(attempts) + 1, "one question was for ideas"
    assert any("skipped" in one.notes for one in metadata), "some were repaired in vain"
    for text in told:
        leaked = [
            split for split in HIDDEN for part in ("id", "input", "answer", "other") if f"{split}-{part}-" in text
        ]
        assert not leaked, text
    for seen in ("train-input-0-mark", "train-answer-0-mark", "saw train-input"):
        assert any(seen in text for text in told), f"{seen} was to be told, or this test would prove nothing"
