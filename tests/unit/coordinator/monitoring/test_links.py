"""Links into Flower, held against Flower's own search and its page's script."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import flower
import pytest
from flower.utils.search import TaskSearchEngine

from coordinator.monitoring.links import experiment_link, flower_url, job_link
from shared.errors import UsageError
from shared.models import Job
from shared.queue import RUN_JOB
from shared.settings import get_settings

LAB = "http://lab1:5555"


@pytest.fixture(autouse=True)
def fresh_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def job(experiment: str, scaffold_id: str = "2-0-1", run_type: str = "valid_12") -> Job:
    return Job(experiment=experiment, iteration=3, scaffold_id=scaffold_id, run_type=run_type)


def found_by(link: str, jobs: list[Job]) -> set[str]:
    """The tasks that Flower's page shows for a link, as its script and its search engine have it."""
    engine = TaskSearchEngine()
    tasks = {
        one.task_id: SimpleNamespace(
            uuid=one.task_id, name=RUN_JOB, state="SUCCESS", worker="worker@lab2", args=str(one), timestamp=1.0
        )
        for one in jobs
    }
    engine.rebuild(tasks.items())
    (name,) = parse_qs(urlsplit(link).query)["name"]
    return set(engine.search(tasks, f"name:{name}").task_ids)


def test_the_experiments_link_shows_its_jobs_and_no_others() -> None:
    ours = [job("gsm8k_20260101-120000"), job("gsm8k_20260101-120000", "0", "train_0")]
    others = [job("gsm8k_20260101-120001"), job("gsm8k_20260101-120000-2"), job("gsm8k")]
    link = experiment_link(LAB, "gsm8k_20260101-120000")
    assert found_by(link, ours + others) == {one.task_id for one in ours}
    assert link == "http://lab1:5555/tasks?name=scaffoldry%20gsm8k_20260101-120000.it"


def test_flowers_page_still_searches_for_what_its_name_parameter_holds() -> None:
    script = (Path(flower.__file__).parent / "static/js/flower.js").read_text()
    (search,) = [line for line in script.splitlines() if "initialSearch =" in line]
    assert "'name'" in search and "return value ? key + ':' + value : ''" in script


def test_a_jobs_link_shows_all_its_attempts() -> None:
    ours, other = job("x_1"), job("x_1", "2-0-2")
    engine_knows = [ours, other, job("x_1", run_type="train_12")]
    assert found_by(job_link(LAB, ours), engine_knows) == {ours.task_id}
    assert job_link(LAB, ours) == "http://lab1:5555/tasks?name=scaffoldry%20x_1.it003.2-0-1.valid_12"
    assert ours.attempt_id(2, session=3) == f"{ours.task_id}.session3.attempt2"


@pytest.mark.parametrize(
    ("set_to", "found"),
    [(None, None), ("", None), (LAB, LAB), (f"{LAB}/", LAB), ("https://lab/flower/", "https://lab/flower")],
)
def test_where_flower_is(monkeypatch: pytest.MonkeyPatch, set_to: str | None, found: str | None) -> None:
    if set_to is not None:
        monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", set_to)
    assert flower_url() == found


@pytest.mark.parametrize("url", ["lab1:5555", "lab1", "ftp://lab1", "http://", "javascript:alert(1)"])
def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SCAFFOLDRY_FLOWER_URL", url)
    with pytest.raises(UsageError, match=r"SCAFFOLDRY_FLOWER_URL .* http://HOST:5555"):
        flower_url()
