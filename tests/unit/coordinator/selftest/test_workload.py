"""The workload is the same for the same seed, and can be run."""

import json
import runpy
from pathlib import Path

import pytest

from coordinator.selftest.faults.soak import Soak
from coordinator.selftest.scripted import completion
from coordinator.selftest.workload import Workload
from coordinator.selftest.world import SLOTS, WORKERS
from coordinator.spec import load_spec

SMALL = Workload(jobs=40, long=4, seconds=0.0, sandbox="process", seed=3)


def test_it_has_the_jobs_and_the_long_ones_it_is_to_have() -> None:
    whole = Workload()
    assert len(whole.run_types) == 300
    assert sum(whole.is_long(index) for index in range(300)) == 30
    assert sum(SMALL.is_long(index) for index in range(40)) == 4
    assert not any(SMALL.model_copy(update={"long": 0}).is_long(index) for index in range(40))


def test_the_spec_is_one(tmp_path: Path) -> None:
    loaded = load_spec(SMALL.write(tmp_path))
    assert (loaded.spec.sandbox, loaded.spec.loop.seed, loaded.spec.executor.timeout) == ("process", 3, 60.0)


def test_the_spec_with_a_provider_and_a_budget_is_one(tmp_path: Path) -> None:
    changed = SMALL.model_copy(update={"provider": "http://127.0.0.1:1/v1", "max_calls": 80, "sandbox": "docker"})
    spec = load_spec(changed.write(tmp_path)).spec
    assert spec.models["scripted"].base_url == "http://127.0.0.1:1/v1"
    assert (spec.executor.model, spec.budget.llm_calls) == ("scripted", 80)


def test_the_same_seed_writes_the_same(tmp_path: Path) -> None:
    texts = []
    for name, workload in (("a", SMALL), ("b", SMALL), ("c", SMALL.model_copy(update={"seed": 4}))):
        workload.write(tmp_path / name)
        texts.append((tmp_path / name / "sums.jsonl").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_some_answers_are_right_and_some_wrong(tmp_path: Path) -> None:
    SMALL.write(tmp_path)
    program = runpy.run_path(str(tmp_path / "sums" / "scaffold.py"))
    lines = [json.loads(line) for line in (tmp_path / "sums.jsonl").read_text().splitlines()]
    right = sum(program["process_input"](line["input"]) == line["answer"] for line in lines)
    assert 0 < right < len(lines)


@pytest.mark.parametrize(("of", "least", "share"), [(20, 2, 3), (1, 1, 1), (60, 8, 8)])
def test_a_small_workload_takes_a_share_of_the_harm(of: int, least: int, share: int) -> None:
    assert SMALL.share(of, least) == share
    assert Workload().share(of, 1) == of


def test_the_scripted_provider_answers_the_same_again() -> None:
    requests = [{"messages": [{"role": "user", "content": f"{left} + 5"}]} for left in range(30)]
    answers = [completion(request)["choices"][0]["message"]["content"] for request in requests]
    assert answers == [completion(request)["choices"][0]["message"]["content"] for request in requests]
    assert 0 < sum(answer == str(left + 5) for left, answer in enumerate(answers)) < 30


def test_the_soak_lasts_as_long_as_it_is_to_whatever_is_done_to_it() -> None:
    for jobs, minutes in ((300, 30.0), (300, 2.0), (40, 2.0), (20, 0.5)):
        soak = Soak()
        soak.minutes = minutes
        workload = soak.adapt(Workload(jobs=jobs))
        asleep = workload.seconds * sum(workload.is_long(index) for index in range(workload.jobs))
        assert asleep / (WORKERS * SLOTS) > minutes * 60
    assert Soak().adapt(Workload()).jobs == 2000
