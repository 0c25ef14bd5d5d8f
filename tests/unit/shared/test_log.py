"""A process that is forked while another thread speaks can speak itself."""

import subprocess
import sys

from tests.conftest import ROOT, command_environment

FORKS = """
import os, sys, threading, time
from shared.log import log

begun = threading.Event()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "structlog":
            begun.set()
            time.sleep(1)

sys.meta_path.insert(0, Slow())
speaker = threading.Thread(target=log.warning, args=("the parent's first word",))
speaker.start()
begun.wait()
child = os.fork()
log.warning("the child's" if child == 0 else "the parent's second")
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
speaker.join()
"""


def test_it_is_not_forked_in_the_middle_of_a_word() -> None:
    command = [sys.executable, "-c", FORKS]
    # Its group is killed if it hangs: the child would outlive it.
    done = subprocess.run(
        ["timeout", "--signal=KILL", "30", *command],
        cwd=ROOT,
        env=command_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for word in ("the child's", "the parent's first word", "the parent's second"):
        assert done.stdout.count(word) == 1, done.stdout
