"""Flower on a real broker, with a real worker: what it shows, whom it shows it to, and that it remembers."""

import base64
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.conftest import ROOT, command_environment, free_port, scaffoldry
from tests.e2e.conftest import WORKER, wait_until, worker, write_experiment

pytestmark = pytest.mark.redis

PASSWORD = "open, sesame:1"
ECHO = "def process_input(input_string):\n    return input_string\n"


class Page:
    """Flower as a browser or a script sees it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def status(self, path: str, password: str | None = None, data: bytes | None = None) -> int:
        try:
            with urllib.request.urlopen(self._request(path, password, data), timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def read(self, path: str) -> str:
        with urllib.request.urlopen(self._request(path, PASSWORD), timeout=10) as answer:
            return str(answer.read().decode())

    def up(self) -> bool:
        try:
            return self.status("/healthcheck") == 200
        except OSError:
            return False

    def rows(self, search: str) -> list[dict[str, Any]]:
        """The rows of the page of tasks, asked for as its script does."""
        columns = {"columns[0][data]": "received", "order[0][column]": 0, "order[0][dir]": "desc"}
        query = {"draw": 1, "start": 0, "length": 15, "search[value]": search, **columns}
        found: list[dict[str, Any]] = json.loads(self.read(f"/tasks/datatable?{urlencode(query)}"))["data"]
        return found

    def _request(self, path: str, password: str | None, data: bytes | None = None) -> urllib.request.Request:
        request = urllib.request.Request(self.url + path, data=data)
        if password is not None:
            login = base64.b64encode(f"scaffoldry:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        return request


@contextmanager
def flower(broker_url: str, port: int, cache: Path) -> Iterator[Page]:
    """``scaffoldry flower`` until the context ends; it must end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator", "flower", "--broker-url", broker_url, "--port", str(port)],
        env=command_environment(SCAFFOLDRY_FLOWER_LOGIN=PASSWORD, SCAFFOLDRY_CACHE_DIR=str(cache)),
        stdin=subprocess.DEVNULL,
    )
    page = Page(f"http://127.0.0.1:{port}")
    try:
        wait_until(lambda: page.up() or process.poll() is not None, 30, "Flower answers")
        assert process.poll() is None, process.returncode
        yield page
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def test_flower_shows_which_job_ran_where_to_whom_logs_in_and_remembers(tmp_path: Path, redis_url: str) -> None:
    port, data_dir = free_port(), tmp_path / "experiments"
    examples: list[dict[str, object]] = [{"input": "1", "answer": "1"}, {"input": "2", "answer": "3"}]
    spec = write_experiment(tmp_path / "spec", {"echo": ECHO}, examples, sandbox="process")
    data_dir.mkdir()
    with flower(redis_url, port, tmp_path) as page:
        # Started after Flower, which has it send events some seconds later.
        with worker(redis_url, data_dir, "--sandbox", "process", "--concurrency", "1"):
            link = shown_experiment(page, spec, data_dir, redis_url)
            wait_until(lambda: all(row["state"] == "SUCCESS" for row in page.rows(link)), 10, "both jobs have ended")
        experiment = link.rpartition(" ")[2].removesuffix(".it")
        rows = {row["uuid"]: row for row in page.rows(link)}
        assert set(rows) == {f"{experiment}.it000.0.valid_{index}" for index in range(2)}
        for index, score in enumerate(("1.000", "0.000")):
            row = rows[f"{experiment}.it000.0.valid_{index}"]
            assert row["result"].startswith(f"ok, score {score}, 0."), row["result"]
            assert row["worker"] == f"worker@{WORKER}" and row["state"] == "SUCCESS"
            assert row["name"] == "scaffoldry.run_job"
            assert row["args"] == f"scaffold 0 on valid_{index} (iteration 0 of {experiment})"
        task = f"{experiment}.it000.0.valid_0"
        refuses_strangers(page, task)
        exposes_what_is_documented(page)
    with flower(redis_url, port, tmp_path) as page:
        assert page.rows(link) == list(rows.values()), "it has forgotten"
        assert "ok, score 1.000, 0." in page.read(f"/task/{task}")


def shown_experiment(page: Page, spec: Path, data_dir: Path, redis_url: str) -> str:
    """The search of the link to an experiment of which Flower saw everything; it may take a few of them."""
    broker = ("--broker-url", redis_url, "--data-dir", str(data_dir))
    for _ in range(10):
        done = scaffoldry("run", str(spec), *broker, cwd=data_dir.parent, SCAFFOLDRY_FLOWER_URL=page.url)
        assert done.returncode == 0, done.stderr
        (link,) = [line.removeprefix("Flower: ") for line in done.stderr.splitlines() if line.startswith("Flower: ")]
        assert link.startswith(f"{page.url}/tasks?name=")
        search = "name:" + parse_qs(urlsplit(link).query)["name"][0]
        if [row["args"] is not None for row in page.rows(search)] == [True, True]:
            return search
    pytest.fail("Flower was told of nothing")


def exposes_what_is_documented(page: Page) -> None:
    """The metrics that the page about watching names, by worker."""
    sentence = (ROOT / "docs/monitoring.md").read_text().partition("Flower's `/metrics` has")[2]
    named = re.findall(r"`(flower_\w+)`", sentence)
    assert len(named) >= 4
    found = page.read("/metrics")
    for name in named:
        assert re.search(rf'^{name}(_count)?{{[^}}]*worker="worker@{WORKER}"', found, re.M), name


def refuses_strangers(page: Page, task: str) -> None:
    """Nothing but health and Flower's own metrics is open, and nobody may act."""
    closed = ("/", "/workers", "/tasks", f"/task/{task}", "/tasks/datatable", "/broker", "/api/tasks", "/api/workers")
    for path in (*closed, f"/api/task/info/{task}"):
        assert page.status(path) == page.status(path, "wrong") == 401, path
    assert page.status("/api/tasks", PASSWORD) == page.status(f"/api/task/info/{task}", PASSWORD) == 200
    for path in (f"/api/worker/shutdown/worker@{WORKER}", f"/api/task/revoke/{task}", "/api/task/send-task/x"):
        assert (page.status(path, data=b"{}"), page.status(path, PASSWORD, b"{}")) == (401, 403), path
    assert page.status("/metrics") == page.status("/healthcheck") == 200
