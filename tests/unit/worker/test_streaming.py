"""A run's log can be read, and followed, while the run goes."""

import threading
import time
from pathlib import Path

from coordinator.cli.logs import follow_log
from shared.models import Job, Status
from tests import looping
from worker.execution import run_job

CODE = """\
import pathlib, time

def process_input(text):
    print("halfway there")
    for _ in range(1200):
        if pathlib.Path({gate!r}).exists():
            print("through the gate")
            return text
        time.sleep(0.05)
    raise TimeoutError("nobody opened the gate")
"""


def test_what_a_run_prints_is_in_its_log_before_it_ends(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    files = looping.experiment(tmp_path, [CODE.format(gate=str(gate))], proposer=None, sandbox="process")
    job = Job(experiment=files.name, iteration=0, scaffold_id="0", run_type="valid_1")
    run = threading.Thread(target=run_job, args=(files, job, 1, "w"), daemon=True)

    def sleep(seconds: float) -> None:
        """The gate is opened once the line is there, and only then."""
        seen = "".join(followed)
        assert run.is_alive() or gate.exists(), seen
        if "halfway there" in seen and not gate.exists():
            assert "\nhalfway there\n" in files.read_log(0, "0", "valid_1")[0]
            assert not files.is_committed(job) and "through the gate" not in seen and "=== finished" not in seen
            gate.touch()
        time.sleep(seconds)

    followed: list[str] = []
    run.start()
    for piece in follow_log(files, 0, "0", "valid_1", sleep):
        followed.append(piece)
    run.join(30)
    result = files.load_result(job)
    assert result is not None and result.status is Status.OK, result
    whole = files.read_log(0, "0", "valid_1")[0]
    assert "".join(followed) == whole
    assert [line for line in whole.splitlines() if "there" in line or "gate" in line] == [
        "halfway there",
        "through the gate",
    ]
    assert whole.index("through the gate") < whole.index("=== finished: ok")
