"""What every proposer promises, on all the built-in ones; ``llm`` with a fake client and through a real process."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coordinator.proposers import PROPOSERS, Draft, Order, Proposer, build_proposer, check_proposer, proposer_models
from coordinator.scaffolder import ModelClient, WorkerClient
from coordinator.scaffolds import code_problem
from shared.errors import Exhausted, SpecError, UnknownName
from shared.models.spec import ProposerSpec
from tests.proposing import ANSWER, FakeClient, child, first, scaffold, task

SIZE = 12
"""Candidates of the library."""


@dataclass
class Case:
    """A proposer of a spec, in a folder where what it names lies."""

    options: dict[str, Any]
    folder: Path
    connect: Callable[[str], ModelClient]
    made: list[Proposer] = field(default_factory=list)

    @property
    def spec(self) -> ProposerSpec:
        return ProposerSpec.model_validate(self.options)

    def check(self) -> dict[str, str]:
        return check_proposer(self.spec, [scaffold()], self.folder)

    def build(self, kept: dict[str, str]) -> Proposer:
        self.made.append(build_proposer(self.spec, task(), kept, self.connect))
        return self.made[-1]


def _library(folder: Path) -> dict[str, Any]:
    (folder / "candidates").mkdir()
    for number in range(SIZE):
        code = f"def process_input(input_string):\n    return {str(number)!r}\n"
        (folder / "candidates" / f"v{number}.py").write_text(code)
    return {"name": "library", "path": "candidates"}


def _script(folder: Path) -> str:
    rules = [{"match": "numbered list", "answer": "1. One."}, {"match": "", "answer": ANSWER}]
    (folder / "script.yaml").write_text(json.dumps(rules))
    return f"sim/script:{folder / 'script.yaml'}"


@pytest.fixture(params=["library", "mutate", "llm", "llm-process"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    def connect(model: str) -> ModelClient:
        return WorkerClient(model, {}) if request.param == "llm-process" else FakeClient()

    options = {
        "library": lambda: _library(tmp_path),
        "mutate": lambda: {"name": "mutate"},
        "llm": lambda: {"name": "llm", "model": "sim/echo"},
        "llm-process": lambda: {"name": "llm", "model": _script(tmp_path)},
    }[request.param]()
    case = Case(options, tmp_path, connect)
    yield case
    for proposer in case.made:
        proposer.close()


def drafts(proposer: Proposer, orders: list[Order]) -> list[Draft]:
    return [proposer.propose(order) for order in orders]


ORDERS = [first(0), first(1), child(0), child(1)]


def test_every_builtin_proposer_is_under_this_contract() -> None:
    assert PROPOSERS.names() == ["library", "llm", "mutate"]


def test_it_writes_scaffolds_for_a_first_generation_and_for_parents(case: Case) -> None:
    proposer = case.build(case.check())
    for draft in drafts(proposer, ORDERS):
        assert draft.problem is None
        assert draft.code is not None
        assert code_problem(draft.code) is None
        assert Draft.model_validate_json(draft.model_dump_json()) == draft


def test_the_same_order_gets_the_same_scaffold_in_another_session_and_place(case: Case, tmp_path: Path) -> None:
    kept = case.check()
    before = drafts(case.build(kept), ORDERS)
    for path in sorted(tmp_path.rglob("v*.py")):
        path.write_text("changed = True\n")  # what the experiment keeps is what counts
    after = drafts(case.build(dict(kept)), list(reversed(ORDERS)))
    assert [draft.code for draft in before] == [draft.code for draft in reversed(after)]


def test_what_it_keeps_is_text_under_plain_names(case: Case) -> None:
    kept = case.check()
    drafts(case.build(kept), ORDERS)
    assert all(Path(name).name == name and isinstance(text, str) for name, text in kept.items())


def test_it_may_be_asked_from_several_threads(case: Case) -> None:
    kept = case.check()
    proposer = case.build(kept)
    assert proposer.at_once >= 1
    with ThreadPoolExecutor(4) as threads:
        together = [draft.code for draft in threads.map(proposer.propose, ORDERS)]
    assert together == [draft.code for draft in drafts(case.build(kept), ORDERS)]


def test_a_repair_is_a_draft_or_not_its_trade(case: Case) -> None:
    proposer = case.build(case.check())
    for draft in (proposer.propose(first()), Draft(code=None, problem="No.", response="x"), Draft(code=None)):
        repaired = proposer.repair(first(), draft, "Traceback: NameError")
        assert repaired is None or repaired.code is not None


def test_when_it_has_no_more_it_says_so(case: Case) -> None:
    proposer = case.build(case.check())
    order = first().model_copy(update={"number": SIZE})
    if case.options["name"] == "library":
        with pytest.raises(Exhausted, match="holds 12 scaffolds"):
            proposer.propose(order)
    else:
        assert proposer.propose(order).code is not None


def test_an_unknown_option_is_told_before_anything_is_made(case: Case) -> None:
    case.options["seedd"] = 1
    with pytest.raises(SpecError, match="has no option 'seedd'"):
        case.check()


def test_a_value_of_another_kind_is_told(case: Case) -> None:
    for option in [name for name in case.options if name != "name"]:
        case.options[option] = 7
        with pytest.raises(SpecError, match=rf"proposer\.{option} of .* cannot be 7"):
            case.check()


def test_it_may_be_closed_twice_and_before_it_was_used(case: Case) -> None:
    proposer = case.build(case.check())
    proposer.close()
    proposer.close()


def test_a_missing_option_is_told() -> None:
    for name, option in (("library", "path"), ("llm", "model")):
        with pytest.raises(SpecError, match=rf"The proposer '{name}' needs proposer\.{option}; it is not given"):
            check_proposer(ProposerSpec(name=name), [], Path())


def test_an_unknown_proposer_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="no proposer named 'mutata'; did you mean 'mutate'"):
        check_proposer(ProposerSpec(name="mutata"), [], Path())


def test_which_models_a_proposer_asks() -> None:
    assert proposer_models(ProposerSpec.model_validate({"name": "llm", "model": "mine"})) == ("mine",)
    assert proposer_models(ProposerSpec(name="mutate")) == ()
