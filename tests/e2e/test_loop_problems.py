"""What goes wrong where scaffolds are proposed: a sentence before anything is made, or a skipped scaffold."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, scaffoldry
from tests.e2e.conftest import only_experiment, refused, result_files, write_experiment

ECHO = "def process_input(input_string):\n    return input_string\n"
VARIED = 'PARAMETERS = {{"votes": {{"value": 1, "range": {range}}}}}\n\n' + ECHO
EXAMPLES: list[dict[str, object]] = [{"input": f"number {n}", "answer": f"number {n}"} for n in range(8)]
DATA = {
    "train": {"path": "data.jsonl", "limit": 2},
    "valid": {"path": "data.jsonl", "offset": 2, "limit": 4},
    "test": {"path": "data.jsonl", "offset": 6},
}


def evolving(folder: Path, proposer: Mapping[str, Any] | None, **spec: Any) -> Path:
    """The spec of a small experiment with that proposer, and all that a proposer's options can name beside it."""
    scaffolds = {
        "fine": VARIED.format(range="[1, 9]"),
        "empty": VARIED.format(range="[9, 1]"),
        "fixed": ECHO,
    }
    path = write_experiment(folder, scaffolds, EXAMPLES, data=DATA, proposer=proposer, sandbox="process")
    path.write_text(json.dumps({**json.loads(path.read_text()), "scaffolds": ["fine"], **spec}))
    (folder / "nothing").mkdir()
    (folder / "nothing" / "notes.txt").write_text("No scaffold.")
    (folder / "misspelt").mkdir()
    (folder / "misspelt" / "first.j2").write_text("Write {{ tsak }}.")
    return path


def run(spec: Path, data_dir: Path, *options: str, **environment: str) -> Any:
    return scaffoldry("run", str(spec), "--data-dir", str(data_dir), *options, cwd=spec.parent, **environment)


MUTATE = {"name": "mutate"}
LLM = {"name": "llm", "model": "sim/echo"}
LOOP = {"iterations": 2, "top_k": 1}

REFUSED: dict[str, tuple[dict[str, Any] | None, dict[str, Any], tuple[str, ...]]] = {
    "top_k": (MUTATE, {"loop": {"iterations": 2, "top_k": 3, "initial": 2}}, ("loop.top_k is 3", "has 2 scaffolds")),
    "valid_examples": (
        MUTATE,
        {"loop": {**LOOP, "valid_examples": 5}},
        ("loop.valid_examples is 5", "data.valid has 4 examples"),
    ),
    "train_per_scaffold": (
        MUTATE,
        {"loop": {**LOOP, "train_per_scaffold": 3}},
        ("loop.train_per_scaffold is 3", "data.train has 2 examples"),
    ),
    "empty range": (MUTATE, {"scaffolds": ["fine", "empty"]}, ("empty", "its range is empty: 9 is more than 1")),
    "no PARAMETERS": (MUTATE, {"scaffolds": ["fixed"]}, ("fixed", "PARAMETERS")),
    "unknown variable": (
        {**LLM, "templates": "misspelt"},
        {},
        ("first.j2, line 1", "no variable 'tsak'", "did you mean 'task'"),
    ),
    "no template folder": ({**LLM, "templates": "gone"}, {}, ("gone' cannot be read: No such file",)),
    "unknown proposer": ({"name": "mutat"}, {}, ("no proposer named 'mutat'", "did you mean 'mutate'")),
    "unknown option": ({**LLM, "show_scorrer": True}, {}, ("no option 'show_scorrer'", "did you mean 'show_scorer'")),
    "missing option": ({"name": "llm"}, {}, ("needs proposer.model",)),
    "unknown model": ({**LLM, "model": "sim/ecko"}, {}, ("no model named 'sim/ecko'", "did you mean 'sim/echo'")),
    "missing library": ({"name": "library", "path": "gone"}, {}, ("gone' cannot be read: No such file",)),
    "empty library": ({"name": "library", "path": "nothing"}, {}, ("neither a *.py file nor a folder",)),
    "no price": (
        LLM,
        {"executor": {"model": "openai/gpt-x"}, "budget": {"usd": 1.0}},
        ("budget.usd is set, but the price of 'openai/gpt-x' (executor.model) is not known",),
    ),
    "no price of the scaffolder": (
        {**LLM, "model": "openai/gpt-x"},
        {"budget": {"usd": 1.0}},
        ("the price of 'openai/gpt-x' (proposer.model) is not known",),
    ),
    "empty budget": (MUTATE, {"budget": {"llm_calls": 0}}, ("budget.llm_calls must be at least 1, not the number 0",)),
    "nobody to evolve": (None, {"loop": LOOP}, ("loop.iterations is more than 1", "no proposer")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_begun(tmp_path: Path, case: str) -> None:
    proposer, spec, words = REFUSED[case]
    path = evolving(tmp_path / "spec", proposer, **spec)
    refused(run(path, tmp_path / "experiments"), 2, *words)
    assert not (tmp_path / "experiments").exists()


# ---------------------------------------------------------------------- skipped, and said


def skipped_in(experiment: Path) -> dict[str, str]:
    """Scaffold id -> why it was skipped."""
    notes = {
        path.parent.name: json.loads(path.read_text())["notes"] for path in experiment.glob("scaffolds/*/metadata.json")
    }
    return {id: one["skipped"] for id, one in sorted(notes.items()) if "skipped" in one}


def evaluated_in(experiment: Path) -> set[str]:
    """The scaffolds with validation results."""
    return {path.parent.name for path in result_files(experiment) if path.name.startswith("valid_")}


def finished(spec: Path, data_dir: Path, **environment: str) -> tuple[Path, str]:
    """Run a spec to its end, which is a good one; the experiment, and what was said."""
    done = run(spec, data_dir, **environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "bug in Scaffoldry" not in done.stderr
    assert "Complete after" in done.stderr
    return only_experiment(data_dir), done.stderr


ANSWERS = {
    "0": ("I would rather not.", "no code block"),
    "1": (f"```python\n{ECHO}```\nor\n```python\n{ECHO}```", "2 code blocks"),
    "2": ("```python\ndef process_input(input_string)\n    return 1\n```", "is not valid Python"),
    "3": (f"This one:\n```python\n{ECHO}```", None),
}


def test_answers_that_are_no_scaffolds(tmp_path: Path) -> None:
    llm = {"name": "llm", "model": "sim/script:answers.yaml", "ideas": False}
    loop = {"iterations": 2, "top_k": 1, "initial": 4, "train_per_scaffold": 1}
    spec = evolving(tmp_path / "spec", llm, scaffolds=[], loop=loop)
    (tmp_path / "spec/answers.yaml").write_text(json.dumps([answer for answer, _ in ANSWERS.values()]))
    experiment, talk = finished(spec, tmp_path / "experiments")

    reasons = skipped_in(experiment)
    assert set(reasons) == {"0", "1", "2", "3-0"}  # the child's answer is the first one again
    for scaffold_id, (answer, reason) in {**ANSWERS, "3-0": ANSWERS["0"]}.items():
        metadata = json.loads((experiment / "scaffolds" / scaffold_id / "metadata.json").read_text())
        drafts = metadata["notes"]["attempts"]
        assert [draft["response"] for draft in drafts] == [answer] * (1 if reason is None else 3)
        assert "number" in drafts[0]["prompt"]  # a training example
        assert all((reason or "no problem") in draft["prompt"] for draft in drafts[1:])
        if reason is not None:
            assert reason in reasons[scaffold_id]
            assert f"Scaffold {scaffold_id} was skipped after 3 attempts: " in talk
    assert evaluated_in(experiment) == {"3", "baseline"}
    assert "The winner is scaffold 3" in talk
    assert set(json.loads((experiment / "scoring/scores_0.json").read_text())["valid"]) == {"3", "baseline"}
    look_at_skipped(experiment, reasons, winner="3")


def look_at_skipped(experiment: Path, reasons: dict[str, str], winner: str) -> None:
    """What the commands say of an experiment with skipped scaffolds."""
    for command, *arguments in (("ls",), ("tree",), ("report",), ("diff", winner, "0"), ("show", "0")):
        done = scaffoldry(command, str(experiment), *arguments, cwd=experiment)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        if command in ("ls", "tree"):
            assert done.stdout.count("skipped: ") == len(reasons)
        if command in ("ls", "tree", "report"):
            assert "winner" in done.stdout + done.stderr
    assert "no code block" in done.stdout  # the last is `show`
    done = scaffoldry("ls", str(experiment), "--json", cwd=experiment)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["scaffold_id"]: one["reason"] for one in records if one["status"] == "skipped"} == reasons


def test_nothing_but_rubbish_ends_by_itself(tmp_path: Path) -> None:
    """The model has an answer to nothing; the baseline is scored all the same."""
    llm = {"name": "llm", "model": "sim/script:answers.yaml"}
    spec = evolving(tmp_path / "spec", llm, scaffolds=[], loop={"iterations": 3, "initial": 3})
    (tmp_path / "spec/answers.yaml").write_text(json.dumps([{"match": "^never$", "answer": "1"}]))
    experiment, talk = finished(spec, tmp_path / "experiments")
    reasons = skipped_in(experiment)
    assert set(reasons) == {"0", "1", "2"}
    assert all("no answer to this message" in reason for reason in reasons.values())
    assert "nothing to evolve" in talk
    assert evaluated_in(experiment) == {"baseline"}
    assert sorted(path.name for path in (experiment / "scoring").iterdir()) == ["details_0.json", "scores_0.json"]


def test_a_template_that_fails_with_what_there_is(tmp_path: Path) -> None:
    """Its variables are known, but there are fewer training runs than it takes for granted."""
    llm = {"name": "llm", "model": "sim/echo", "templates": "mine"}
    spec = evolving(tmp_path / "spec", llm, loop={"iterations": 2, "top_k": 1, "train_per_scaffold": 1})
    (tmp_path / "spec/mine").mkdir()
    (tmp_path / "spec/mine/evolve.j2").write_text("Mend this:\n{{ runs[2].input }}")
    experiment, talk = finished(spec, tmp_path / "experiments")
    assert set(skipped_in(experiment)) == {"0-0"}
    assert "Scaffold 0-0 was skipped after 3 attempts" in talk
    metadata = json.loads((experiment / "scaffolds/0-0/metadata.json").read_text())
    first, *repairs = metadata["notes"]["attempts"]
    assert "failed with SpecError: The template evolve.j2, line 2" in first["problem"]
    assert all("evolve.j2, line 2" in repair["prompt"] for repair in repairs[:1])
    assert evaluated_in(experiment) == {"0", "baseline"}


PLUGIN = '''
import sys

from coordinator.proposers import Draft, Proposer

GOOD = "def process_input(input_string):\\n    return input_string\\n"


class Moody(Proposer):
    """Every kind of proposer that does not keep its word."""

    def propose(self, order):
        if order.index == 0:
            raise RuntimeError("not in the\\nmood")
        if order.index == 1:
            return None
        if order.index == 2:
            return "def process_input(): ..."
        if order.index == 3:
            sys.exit("I give up")
        return Draft(code=GOOD if order.index == 5 else "1 / 0\\n" + GOOD)

    def repair(self, order, draft, problem):
        if order.index == 4:
            assert "ZeroDivisionError" in problem, problem
            raise KeyError("beyond repair")
        return None
'''


def test_a_proposer_that_raises(tmp_path: Path) -> None:
    """An installed plug-in, which raises, returns what is no draft, and fails at repairs."""
    package = tmp_path / "site" / "moody-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: moody\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[scaffoldry.proposers]\nmoody = moody:Moody\n")
    (tmp_path / "site" / "moody.py").write_text(PLUGIN)
    spec = evolving(tmp_path / "spec", {"name": "moody"}, scaffolds=[], loop={"initial": 6})
    experiment, talk = finished(spec, tmp_path / "experiments", PYTHONPATH=f"{ROOT}:{package.parent}")
    reasons = skipped_in(experiment)
    words = {
        "0": "RuntimeError: not in the\nmood",
        "1": "no Draft",
        "2": "no Draft",
        "3": "SystemExit",
        "4": "KeyError",
    }
    assert set(reasons) == set(words)
    for scaffold_id, word in words.items():
        assert word in reasons[scaffold_id]
        assert f"Scaffold {scaffold_id} was skipped" in talk
    assert evaluated_in(experiment) == {"5", "baseline"}
