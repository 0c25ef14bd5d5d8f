"""What every sandbox owes, whatever programs do in it: one suite, run on all that run programs.

The fake runs nothing; that it keeps the contract's form is tested at the end.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount, Status
from worker.sandbox import exchange
from worker.sandbox.base import OnOutput, Sandbox
from worker.sandbox.container_config import WORKER_LABEL
from worker.sandbox.docker import Engine
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.fake import FakeSandbox
from worker.sandbox.process import ProcessSandbox

WORKER = f"contract-{os.getpid()}"
LABELS = Labels(experiment="tests", job="tests/0/0/train_0", worker=WORKER)

Run = Callable[..., RunOutcome]


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    if request.param == "docker":
        request.getfixturevalue("sandbox_image")
        return DockerSandbox()
    return ProcessSandbox()


@pytest.fixture
def run(sandbox: Sandbox, scaffold_folder: Path) -> Iterator[Run]:
    """Runs a scaffold's source once; afterwards nothing is left."""

    def run_once(source: str, text: str = "hello", on_output: OnOutput | None = None, **limits: object) -> RunOutcome:
        (scaffold_folder / "scaffold.py").write_text(source)
        mount = ScaffoldMount(scaffold_id="0", directory=scaffold_folder)
        with sandbox.open(mount, Limits.model_validate({"timeout": 20, **limits}), LABELS) as session:
            return session.run(RunRequest(input_string=text), on_output)

    yield run_once
    assert leftovers(sandbox) == []


@pytest.fixture
def scaffold_folder(tmp_path: Path) -> Path:
    """Readable by the user id that containers run as, as the file manager's folders are."""
    for folder in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        folder.chmod(0o755)
    return tmp_path


def leftovers(sandbox: Sandbox) -> list[str]:
    sandbox.settle()
    if isinstance(sandbox, DockerSandbox):
        return Engine().find(WORKER_LABEL, WORKER)
    return [path.name for path in Path("/tmp").glob(f"scaffoldry-{WORKER}_run_*")] + marked_processes()


def marked_processes() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"scaffoldry-{WORKER}_run_".encode() in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue  # Ended in the meantime.
    return found


def body(*lines: str) -> str:
    """A scaffold whose ``process_input(text)`` has these lines."""
    return "\n    ".join(["import os, sys, time\ndef process_input(text):", *lines]) + "\n"


# What comes back


def test_an_answer(run: Run) -> None:
    outcome = run(body("print('thinking')", "return text.upper()"))
    assert (outcome.status, outcome.output, outcome.exit_code) == (Status.OK, "HELLO", 0)
    assert outcome.stderr == "thinking\n"
    assert outcome.error_message is None
    assert 0 < outcome.execution_time < 20


@pytest.mark.parametrize("text", ["", "naïve €😀", "a\0b", "line\r\nline\n", "\ufeff", "'\"\\$(x)`y`", "\ud800"])
def test_any_text_goes_in_and_out(run: Run, text: str) -> None:
    outcome = run(body("return str(len(text)) + text"), text)
    assert outcome.output == str(len(text)) + text.replace("\ud800", "?")


def test_an_input_of_megabytes_that_stands_on_no_command_line(run: Run) -> None:
    outcome = run(
        body(
            "lines = [open(f'/proc/{pid}/cmdline').read() for pid in (os.getpid(), os.getppid())]",
            "assert not any('needle' in line for line in lines + sys.argv)",
            "assert not any('needle' in value for value in os.environ.values())",
            "return str(len(text))",
        ),
        "needle" * 900_000,
    )
    assert (outcome.output, outcome.error_message) == ("5400000", None)


def test_what_is_printed_comes_in_order(run: Run) -> None:
    source = body(
        "print('1')",
        "print('2', file=sys.stderr)",
        "os.write(1, b'3\\n')",
        "os.system('echo 4')",
        "print('no newline', end='')",
        "return ''",
    )
    assert run(source).stderr == "1\n2\n3\n4\nno newline"


def test_printed_bytes_that_are_no_text(run: Run) -> None:
    outcome = run(body("os.write(2, b'\\xff\\xfe ok\\n')", "print('\\ud800')", "return 'done'"))
    assert outcome.output == "done"
    assert outcome.stderr == "\ufffd\ufffd ok\n\\ud800\n"


def test_output_is_handed_on_while_the_program_runs(run: Run) -> None:
    heard: list[tuple[str, float]] = []
    run(
        body("print('first')", "time.sleep(1)", "print('second')", "return ''"),
        on_output=lambda text: heard.append((text, time.monotonic())),
    )
    assert "".join(text for text, _ in heard) == "first\nsecond\n"
    assert heard[-1][1] - heard[0][1] > 0.5


def test_runs_know_nothing_of_each_other(run: Run) -> None:
    source = body("seen = os.path.exists('mark')", "open('mark', 'w').close()", "return str(seen)")
    assert [run(source).output, run(source).output] == ["False", "False"]


def test_the_input_is_no_more_to_be_read(run: Run) -> None:
    assert run(body("return repr(sys.stdin.read())")).output == "''"


# What goes wrong


def test_an_exception_brings_its_traceback(run: Run) -> None:
    outcome = run(body("helper = lambda: 1 / 0", "return helper()"))
    assert (outcome.status, outcome.output, outcome.exit_code) == (Status.SCAFFOLD_ERROR, None, 1)
    message = outcome.error_message or ""
    assert message.endswith("ZeroDivisionError: division by zero")
    assert message.count("File ") == 2 and "runner.py" not in message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def process_input(text:", "SyntaxError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("x = 1", "does not define process_input"),
        ("process_input = 7", "TypeError"),
        ("def process_input(): return ''", "TypeError"),
        ("def process_input(text): return process_input(text)", "RecursionError"),
        ("import sys\ndef process_input(text): sys.exit(0)", "SystemExit"),
        ("def process_input(text): raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def process_input(text): raise Exception('x' * 10**7)", "characters left out"),
        ("import os\ndef process_input(text): os._exit(0)", "without an answer"),
        ("import os\ndef process_input(text): os._exit(124)", "exit code 124"),
        ("import os\ndef process_input(text): os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import os\ndef process_input(text): os.abort()", "SIGABRT"),
        ("import ctypes\ndef process_input(text): ctypes.string_at(0)", "SIGSEGV"),
        ("import os\ndef process_input(text): os.closerange(0, 100); return ''", "without an answer"),
        ("import os\nos._exit(3)", "exit code 3"),
    ],
)
def test_a_broken_program_is_the_programs_doing(run: Run, source: str, message: str) -> None:
    outcome = run(source)
    assert outcome.status is Status.SCAFFOLD_ERROR
    assert message in (outcome.error_message or "")
    assert outcome.output is None


@pytest.mark.parametrize("value", ["None", "7", "b'x'", "['x']", "(x for x in 'x')"])
def test_what_is_no_text_is_no_answer(run: Run, value: str) -> None:
    assert run(body(f"return {value}")).status is Status.INVALID_OUTPUT


def test_out_of_time_says_where(run: Run) -> None:
    outcome = run(body("print('before')", "time.sleep(60)  # too long"), timeout=0.5)
    assert (outcome.status, outcome.exit_code, outcome.stderr) == (Status.TIMEOUT, 124, "before\n")
    assert "too long" in (outcome.error_message or "")
    assert outcome.execution_time < 15


@pytest.mark.parametrize(
    "lines",
    [
        ("import re", "re.match('(a+)+$', 'a' * 60 + 'b')"),
        (
            "import signal",
            "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
            "int('9' * 4000) ** 10**7",
        ),
        ("os.closerange(0, 100)", "time.sleep(60)"),
        ("os.write(3, b'ok 2\\nhi')", "os.kill(os.getpid(), 19)"),
    ],
    ids=["regex", "arithmetic", "closed streams", "stopped"],
)
def test_a_program_that_the_inner_deadline_does_not_reach(
    run: Run, monkeypatch: pytest.MonkeyPatch, lines: tuple[str, ...]
) -> None:
    monkeypatch.setattr(exchange, "GRACE", 0.5)
    outcome = run(body(*lines, "return ''"), timeout=0.5)
    # Where its streams are closed, the runner still keeps the deadline, and can't say so.
    assert outcome.status in (Status.TIMEOUT, Status.SCAFFOLD_ERROR)
    assert outcome.status is Status.TIMEOUT or "closerange" in lines[0]
    assert outcome.execution_time < 15


def test_too_long_an_answer(run: Run) -> None:
    assert run(body("return 'x' * 2048"), output_limit=2048).status is Status.OK
    assert run(body("return 'x' * 2047 + 'é'"), output_limit=2048).status is Status.OUTPUT_LIMIT


@pytest.mark.parametrize(
    "flood",
    [
        "while True: print('x' * 1000)",
        "while True: os.write(2, b'x' * 1000)",
        "while True: [os.write(fd, b'x' * 1000) for fd in range(3, 20) if os.path.exists(f'/proc/self/fd/{fd}')]",
        "os.system('yes')",
    ],
    ids=["stdout", "stderr", "answer", "child"],
)
def test_a_flood_is_stopped_and_cut(run: Run, flood: str) -> None:
    heard: list[str] = []
    outcome = run(body(flood), on_output=heard.append, output_limit=10_000)
    assert outcome.status is Status.OUTPUT_LIMIT
    assert len(outcome.stderr.encode()) <= 10_000
    assert "".join(heard) == outcome.stderr


def test_too_much_memory(run: Run) -> None:
    assert run(body("hog = b'x' * 10**9", "return ''"), memory="100m").status is Status.OOM


@pytest.mark.parametrize(
    "lines",
    [
        ("os.write(channel, b'ok 5\\nfirst')", "return 'second'"),
        ("os.write(channel, b'ok 99\\nx')", "os._exit(0)"),
        ("os.write(channel, b'infra_error 4\\noops')", "os._exit(0)"),
        ("os.write(channel, b'\\xff\\0garbage')", "return 'x'"),
        ("os.write(channel, b'ready\\nready\\n')", "return 'x'"),
        ("os.write(channel, b'ok 5\\nfirst')", "os._exit(3)"),
    ],
)
def test_made_up_answers_do_not_stand(run: Run, lines: tuple[str, ...]) -> None:
    """The channel can be found, and then written to: it does the program no good."""
    find = "channel = next(fd for fd in range(3, 20) if 'pipe' in os.readlink(f'/proc/self/fd/{fd}'))"
    outcome = run(body(find, *lines))
    assert outcome.status is Status.SCAFFOLD_ERROR
    assert outcome.output is None


# What stays behind


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.Popen(['sleep', '300'])",
        "subprocess.Popen(['sleep', '300'], start_new_session=True)",
        "os.system('setsid sh -c \"sleep 300 & sleep 300\" &')",
        "threading.Thread(target=time.sleep, args=(300,)).start()",
    ],
)
def test_what_a_program_leaves_running_dies_with_it(run: Run, start: str) -> None:
    outcome = run("import subprocess, threading\n" + body(start, "return 'answered'"))
    assert (outcome.status, outcome.output) == (Status.OK, "answered")


def test_a_forked_copy_that_returns_does_not_answer(run: Run) -> None:
    outcome = run(body("child = os.fork()", "if child: os.waitpid(child, 0)", "return 'parent' if child else 'child'"))
    assert (outcome.status, outcome.output) == (Status.OK, "parent")


def test_killing_its_parent_does_not_free_it(run: Run, sandbox: Sandbox) -> None:
    if isinstance(sandbox, ProcessSandbox):
        source = body("if os.fork() == 0:", "    os.kill(os.getppid(), 9); time.sleep(300)", "time.sleep(300)")
    else:
        source = body("os.kill(os.getppid(), 9)", "os.kill(-1, 9)", "time.sleep(300)")
    outcome = run(source, timeout=1)
    assert outcome.status in (Status.SCAFFOLD_ERROR, Status.TIMEOUT)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored, and so may have started these tests."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_kills_the_program_and_goes_on(run: Run) -> None:
    """As a Ctrl-C or a SIGTERM's SystemExit does, in the main thread and in the middle of a run."""
    main = threading.main_thread().ident
    assert main is not None
    with pytest.raises(KeyboardInterrupt):
        run(
            body("print('up')", "time.sleep(300)"),
            on_output=lambda text: threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start(),
        )


def test_an_error_of_whoever_listens_goes_on_too(run: Run) -> None:
    def full(text: str) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(body("print('up')", "time.sleep(300)"), on_output=full)


def test_a_session_serves_several_runs_and_closes_twice(sandbox: Sandbox, scaffold_folder: Path) -> None:
    (scaffold_folder / "scaffold.py").write_text(body("return text"))
    session = sandbox.open(ScaffoldMount(scaffold_id="0", directory=scaffold_folder), Limits(timeout=20), LABELS)
    assert [session.run(RunRequest(input_string=text)).output for text in "abc"] == ["a", "b", "c"]
    session.close()
    session.close()
    assert leftovers(sandbox) == []


def test_runs_at_once_do_not_mix(sandbox: Sandbox, scaffold_folder: Path) -> None:
    (scaffold_folder / "scaffold.py").write_text(body("print(text)", "return text * 1000"))
    mount = ScaffoldMount(scaffold_id="0", directory=scaffold_folder)
    outcomes: dict[str, RunOutcome] = {}

    def one(text: str) -> None:
        with sandbox.open(mount, Limits(timeout=30), LABELS) as session:
            outcomes[text] = session.run(RunRequest(input_string=text))

    threads = [threading.Thread(target=one, args=(str(number),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {text: (outcome.output, outcome.stderr) for text, outcome in outcomes.items()} == {
        str(number): (str(number) * 1000, f"{number}\n") for number in range(4)
    }


# What every sandbox has, the fake included


@pytest.mark.parametrize("kind", [FakeSandbox, ProcessSandbox, pytest.param(DockerSandbox, marks=pytest.mark.docker)])
def test_the_form_of_the_contract(kind: type[Sandbox], request: pytest.FixtureRequest, scaffold_folder: Path) -> None:
    if kind is DockerSandbox:
        request.getfixturevalue("sandbox_image")
    (scaffold_folder / "scaffold.py").write_text(body("return text"))
    sandbox = kind()
    sandbox.check()
    with sandbox.open(ScaffoldMount(scaffold_id="0", directory=scaffold_folder), Limits(), LABELS) as session:
        outcome = session.run(RunRequest(input_string="same"))
    assert (outcome.status, outcome.output) == (Status.OK, "same")
    sandbox.settle()
    assert sandbox.reap(WORKER) == 0
