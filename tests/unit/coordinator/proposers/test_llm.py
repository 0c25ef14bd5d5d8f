"""The proposer that asks a model: what it asks, and what it makes of the answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.proposers import Draft, KeptTexts, Proposer, build_proposer, check_proposer
from coordinator.proposers.prompts import worst
from shared.errors import ModelUnavailable, UnknownName
from shared.file_manager import ExperimentFileManager
from shared.models import Usage
from shared.models.ask import Answer, AskRequest
from shared.models.spec import ModelSpec, ProposerSpec
from tests.proposing import ANSWER, PLAIN, FakeClient, child, first, parent, task

LIST = "1. Ask once.\n2. Take a vote.\n"


def spec(**options: Any) -> ProposerSpec:
    return ProposerSpec.model_validate({"name": "llm", "model": "sim/echo", **options})


def build(client: FakeClient, kept: dict[str, str] | None = None, **options: Any) -> Proposer:
    made = spec(**options)
    given = check_proposer(made, [], Path()) if kept is None else kept
    return build_proposer(made, task(), given, lambda model: client)


def scripted(request: AskRequest) -> str:
    return LIST if "numbered list" in request.prompt else ANSWER


def test_ideas_are_asked_for_once_and_each_is_written() -> None:
    client = FakeClient(scripted)
    proposer = build(client)
    drafts = [proposer.propose(first(index)) for index in range(4)]
    assert [("numbered list" in asked.prompt) for asked in client.asked] == [True, False, False, False, False]
    assert [draft.notes.get("idea") for draft in drafts] == ["Ask once.", "Take a vote.", None, None]
    assert "Take a vote." in client.asked[2].prompt
    assert "go about it in a way of its own" in client.asked[3].prompt
    assert [asked.call for asked in client.asked] == [0, 0, 1, 2, 3]
    assert drafts[0].notes["ideas"]["response"] == LIST
    assert drafts[0].notes["ideas"]["usage"]["usd"] == 0.25
    assert "numbered list" in drafts[0].notes["ideas"]["prompt"]
    assert "ideas" not in drafts[1].notes


def test_another_session_does_not_ask_for_them_again() -> None:
    kept = check_proposer(spec(), [], Path())
    build(FakeClient(scripted), kept).propose(first(0))
    client = FakeClient(scripted)
    draft = build(client, kept).propose(first(1))
    assert draft.notes["idea"] == "Take a vote."
    assert len(client.asked) == 1
    assert json.loads(kept["ideas.json"])["ideas"] == ["Ask once.", "Take a vote."]


def test_one_scaffold_needs_no_ideas_and_they_can_be_left_out() -> None:
    client = FakeClient(scripted)
    build(client).propose(first(0, count=1))
    build(client, ideas=False).propose(first(0))
    assert len(client.asked) == 2


def test_a_refusal_of_ideas_leaves_none_and_is_kept() -> None:
    client = FakeClient(lambda request: Answer(text=None, problem="No.") if "list" in request.prompt else ANSWER)
    draft = build(client).propose(first(0))
    assert draft.code == PLAIN
    assert draft.notes["ideas"]["problem"] == "No."


def test_a_model_out_of_reach_is_no_draft_and_leaves_no_trace() -> None:
    kept = check_proposer(spec(), [], Path())
    client = FakeClient(lambda request: ModelUnavailable("Away."))
    with pytest.raises(ModelUnavailable, match="Away"):
        build(client, kept).propose(first(0))
    assert "ideas.json" not in kept


def test_a_refusal_is_a_draft_with_a_problem() -> None:
    usage = Usage(calls=1)
    client = FakeClient(lambda request: Answer(text=None, problem="Too long.", usage=usage))
    draft = build(client).propose(child())
    assert (draft.code, draft.problem, draft.response, draft.usage) == (None, "Too long.", None, usage)


def test_a_draft_keeps_what_was_said_and_what_it_cost() -> None:
    client = FakeClient()
    draft = build(client, temperature=0.5, max_tokens=900).propose(child(2, seed=7))
    asked = client.asked[0]
    assert (asked.temperature, asked.max_tokens, asked.seed, asked.call) == (0.5, 900, 7, 12)
    assert draft.prompt == f"{asked.system}\n\n{asked.prompt}"
    assert (draft.code, draft.response, draft.model) == (PLAIN, ANSWER, "sim/echo")
    assert draft.usage == Usage(calls=1, input_tokens=100, output_tokens=10, usd=0.25)


def test_an_answer_that_was_cut_off_is_noted() -> None:
    client = FakeClient(lambda request: Answer(text="```python\nx = 1", finish_reason="length"))
    draft = build(client).propose(child())
    assert "is not closed" in (draft.problem or "")
    assert draft.notes == {"finish_reason": "length"}


def test_code_that_cannot_work_is_kept_with_its_problem() -> None:
    draft = build(FakeClient(lambda request: "```\ndef process_input(:\n```")).propose(child())
    assert draft.code == "def process_input(:\n"
    assert "Line 1" in (draft.problem or "")


def test_a_first_prompt_shows_the_task_and_examples_but_no_more_than_asked() -> None:
    client = FakeClient()
    build(client, examples=2).propose(first(0, count=1))
    prompt = client.asked[0].prompt
    for words in ("Add the numbers.", "10 + 1", "answer: 11", "11 + 1"):
        assert words in prompt
    assert "12 + 1" not in prompt


def test_a_childs_prompt_shows_the_parent_and_what_it_did() -> None:
    client = FakeClient()
    build(client).propose(child(1))
    prompt = client.asked[0].prompt
    shown = ("THE INPUT", "THE EXPECTED", "THE OUTPUT", "0.25", "THE FEEDBACK", "THE LOG", PLAIN, "0.625", "number 2")
    for words in shown:
        assert words in prompt


def test_the_scorer_is_shown_only_where_that_is_wanted() -> None:
    for wanted in (False, True):
        client = FakeClient()
        proposer = build(client, show_scorer=wanted)
        draft = proposer.propose(child())
        assert ("THE SCORER" in (draft.prompt or "")) is wanted


def test_a_repair_tells_what_went_wrong() -> None:
    client = FakeClient()
    proposer = build(client)
    broken = Draft(code="import nothing\n", response="...")
    repaired = proposer.repair(first(3), broken, "ModuleNotFoundError: nothing")
    assert repaired is not None and repaired.code == PLAIN
    assert "import nothing\n" in client.asked[0].prompt
    assert "ModuleNotFoundError: nothing" in client.asked[0].prompt
    assert client.asked[0].call == 3
    proposer.repair(first(3), Draft(code=None, response="I would rather not."), "There is no code block.")
    assert "I would rather not." in client.asked[1].prompt


def test_the_runs_with_the_lowest_scores_are_shown() -> None:
    run = parent().runs[0]
    runs = [run.model_copy(update={"score": score}) for score in (0.5, 0.0, 1.0, None, 0.0)]
    assert [one.score for one in worst(runs, 3)] == [0.0, None, 0.0]
    assert worst(runs, 9) == runs


def test_an_unknown_model_is_told_before_anything_is_made() -> None:
    with pytest.raises(UnknownName, match="did you mean 'sim/echo'"):
        check_proposer(spec(model="sim/ecko"), [], Path())
    check_proposer(spec(model="mine"), [], Path(), {"mine": ModelSpec(model="sim/echo")})


def test_it_closes_its_client() -> None:
    client = FakeClient()
    build(client).close()
    assert client.closed


def test_how_many_at_once() -> None:
    assert build(FakeClient()).at_once == 4
    assert build(FakeClient(), at_once=9).at_once == 9


def test_what_it_keeps_with_the_experiment_is_found_again(tmp_path: Path) -> None:
    files = ExperimentFileManager(tmp_path / "e")
    for name, text in check_proposer(spec(), [], Path()).items():
        files.save_proposer_file(name, text)
    first_session = build_proposer(spec(), task(), KeptTexts(files), lambda model: FakeClient(scripted))
    first_session.propose(first(0))
    client = FakeClient(scripted)
    build_proposer(spec(), task(), KeptTexts(files), lambda model: client).propose(first(1))
    assert len(client.asked) == 1
    with pytest.raises(TypeError):
        del KeptTexts(files)["ideas.json"]
    assert set(KeptTexts(files)) == {*check_proposer(spec(), [], Path()), "ideas.json"}
