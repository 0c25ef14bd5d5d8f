"""What a hostile scaffold finds in its container: nothing. Each probe runs inside a real one."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.models import Labels, Limits, RunOutcome, RunRequest, ScaffoldMount, Status
from worker.sandbox.docker import Engine
from worker.sandbox.docker_sandbox import DockerSandbox

pytestmark = pytest.mark.docker

LABELS = Labels(experiment="tests", job="security", worker=f"security-{os.getpid()}")


@pytest.fixture
def folder(tmp_path: Path, sandbox_image: str) -> Path:
    for each in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        each.chmod(0o755)
    return tmp_path


def run(folder: Path, source: str, request: RunRequest | None = None, **limits: Any) -> RunOutcome:
    (folder / "scaffold.py").write_text(source)
    mount = ScaffoldMount(scaffold_id="0", directory=folder)
    sandbox = DockerSandbox()
    with sandbox.open(mount, Limits.model_validate({"timeout": 20, **limits}), LABELS) as session:
        outcome = session.run(request or RunRequest(input_string=""))
    sandbox.settle()
    return outcome


PROBE = '''
import ctypes, errno, glob, json, os, platform, resource, socket

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"


def call(x86, arm, *arguments):
    """The name of the error that a system call ends with."""
    ctypes.set_errno(0)
    libc.syscall(arm if ARM else x86, *arguments)
    return errno.errorcode.get(ctypes.get_errno(), "OK")


def opened(family):
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
        return "OK"
    except OSError as error:
        return errno.errorcode[error.errno]


def connected(address):
    try:
        socket.create_connection(address, 2).close()
        return "OK"
    except OSError as error:
        return "refused"


def written(path):
    try:
        open(path, "w").close()
        return "OK"
    except OSError as error:
        return errno.errorcode[error.errno]


def executed(path):
    with open(path, "w") as file:
        file.write("#!/bin/sh\\n")
    os.chmod(path, 0o755)
    try:
        return "OK" if os.spawnl(os.P_WAIT, path, path) == 0 else "refused"
    finally:
        os.unlink(path)


def status():
    lines = (line.split(":", 1) for line in open("/proc/self/status"))
    return {name: value.split() for name, value in lines}


def everything(port):
    mine = status()
    return {
        "calls": {
            "io_uring_setup": call(425, 425, 1, 0),
            "unshare user": call(272, 97, 0x10000000),
            "unshare net": call(272, 97, 0x40000000),
            "clone user": call(56, 220, 0x10000000 | 17, 0, 0, 0, 0),
            "clone3": call(435, 435, 0, 0),
            "setns": call(308, 268, 0, 0),
            "mount": call(165, 40, 0, 0, 0, 0, 0),
            "umount2": call(166, 39, b"/proc", 0),
            "fsopen": call(430, 430, b"tmpfs", 0),
            "ptrace": call(101, 117, 0, 0, 0, 0),
            "bpf": call(321, 280, 0, 0, 0),
            "perf_event_open": call(298, 241, 0, 0, -1, -1, 0),
            "keyctl": call(250, 219, 0, 0),
            "userfaultfd": call(323, 282, 0),
            "memfd_create": call(319, 279, b"x", 0),
            "open_by_handle_at": call(304, 265, 0, 0, 0),
            "process_vm_readv": call(310, 270, 1, 0, 0, 0, 0, 0),
            "shmget": call(29, 194, 0, 4096, 0o1600),
            "chroot": call(161, 51, b"/"),
        },
        "sockets": {
            "vsock": opened(40),
            "netlink": opened(16),
            "packet": opened(17),
            "alg": opened(38),
            "unix": opened(socket.AF_UNIX),
            "inet": opened(socket.AF_INET),
            "inet6": opened(socket.AF_INET6),
        },
        "connections": {
            "host's loopback": connected(("127.0.0.1", port)),
            "bridge": connected(("172.17.0.1", port)),
            "metadata service": connected(("169.254.169.254", 80)),
        },
        "interfaces": [name for _, name in socket.if_nameindex()] if opened(16) == "OK" else sorted(
            line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]
        ),
        "routes": open("/proc/net/route").readlines()[1:],
        "writes": {
            path: written(path)
            for path in ("/x", "/etc/x", "/workspace/scaffold/x", "/workspace/scaffold/scaffold.py",
                         "/opt/scaffoldry/x", "/dev/x",
                         "/run/x", "/sys/x", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/tmp/x")
        },
        "executes": {path: executed(path) for path in ("/tmp/run", "/dev/shm/run")},
        "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
        "capabilities": sorted({value for name, (value, *_) in mine.items() if name.startswith("Cap")}),
        "limits": [resource.getrlimit(name) for name in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)],
        "open files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "no new privileges": mine["NoNewPrivs"],
        "seccomp": mine["Seccomp"],
        "environment": dict(os.environ),
        "hostname": socket.gethostname(),
        "sockets of engines": glob.glob("/var/run/*.sock") + glob.glob("/run/*.sock") + glob.glob("/run/*/*.sock"),
        "devices": sorted(os.listdir("/dev")),
        "processes": sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit()),
        "shm": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
    }


def process_input(port):
    return json.dumps(everything(int(port)))
'''


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, sandbox_image: str) -> Iterator[dict[str, Any]]:
    """What the probe says; meanwhile, something listens on the host."""
    folder = tmp_path_factory.mktemp("probe")
    for each in (folder.parent.parent, folder.parent, folder):
        each.chmod(0o755)
    patch = pytest.MonkeyPatch()
    patch.setenv("OPENAI_API_KEY", "sk-of-the-host")
    with socket.create_server(("0.0.0.0", 0)) as server:
        thread = threading.Thread(target=_accept, args=(server,), daemon=True)
        thread.start()
        outcome = run(folder, PROBE, RunRequest(input_string=str(server.getsockname()[1])))
    patch.undo()
    assert outcome.status is Status.OK, outcome.error_message
    yield json.loads(outcome.output or "")


def _accept(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:
        return  # The server was closed.


def test_dangerous_system_calls_are_refused(found: dict[str, Any]) -> None:
    answers = dict(found["calls"])
    assert answers.pop("clone3") == "ENOSYS"
    assert answers == dict.fromkeys(answers, "EPERM")


def test_only_plain_sockets_can_be_made(found: dict[str, Any]) -> None:
    refused = dict.fromkeys(("vsock", "netlink", "packet", "alg"), "EPERM")
    assert found["sockets"] == {**refused, "unix": "OK", "inet": "OK", "inet6": "OK"}


def test_there_is_no_network(found: dict[str, Any]) -> None:
    assert set(found["connections"].values()) == {"refused"}
    assert found["routes"] == []
    assert "eth0" not in found["interfaces"]


def test_only_scratch_space_can_be_written(found: dict[str, Any]) -> None:
    writes = dict(found["writes"])
    assert writes.pop("/tmp/x") == "OK"
    assert "OK" not in writes.values()


def test_scratch_space_runs_nothing(found: dict[str, Any]) -> None:
    assert set(found["executes"].values()) == {"refused"}


def test_shared_memory_holds_semaphores_and_no_more(found: dict[str, Any]) -> None:
    assert found["shm"] <= 1024**2


def test_nobody_with_no_rights(found: dict[str, Any]) -> None:
    assert found["ids"][:3] == [65534] * 3 and set(found["ids"][3]) <= {65534}
    assert found["capabilities"] == ["0000000000000000"]
    assert found["no new privileges"] == ["1"]
    assert found["seccomp"] == ["2"]


def test_files_are_limited_in_size_and_number_and_no_core_is_dumped(found: dict[str, Any]) -> None:
    size = Limits().tmp_size
    assert found["limits"] == [[0, 0], [size, size]]
    assert found["open files"] == [1024, 1024]


def test_nothing_of_the_host_is_in_the_environment(found: dict[str, Any]) -> None:
    text = json.dumps(found["environment"])
    assert "sk-of-the-host" not in text and "SCAFFOLDRY" not in text
    assert set(found["environment"]) & set(os.environ) <= {"PATH", "HOME", "HOSTNAME", "LANG", "PYTHON_VERSION"}
    assert found["hostname"] == "scaffold" != socket.gethostname()


def test_no_engine_and_no_other_process_is_in_sight(found: dict[str, Any]) -> None:
    assert found["sockets of engines"] == []
    assert len(found["processes"]) == 2
    assert not {"mem", "kmem", "kvm", "fuse", "sda", "vda", "loop0", "console"} & set(found["devices"])


def test_the_scaffolds_metadata_is_hidden(folder: Path) -> None:
    (folder / "metadata.json").write_text('{"prompt": "the answer is 42"}')
    (folder / "metadata.json").chmod(0o644)
    source = (
        "import os\n"
        "def process_input(text):\n"
        "    names = sorted(os.listdir('/workspace/scaffold'))\n"
        "    return repr((names, open('/workspace/scaffold/metadata.json').read()))\n"
    )
    assert run(folder, source).output == "(['metadata.json', 'scaffold.py'], '')"
    assert json.loads((folder / "metadata.json").read_text())["prompt"] == "the answer is 42"


def test_a_link_out_of_the_scaffold_leads_nowhere(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent)
    source = "import os\ndef process_input(text): return str(os.path.exists('/workspace/scaffold/link'))\n"
    assert run(folder, source).output == "False"


def test_mounts_are_as_they_should_be(folder: Path) -> None:
    """Seen from inside: read-only, and cut off from the host's own mounts."""
    source = "def process_input(text): return open('/proc/self/mountinfo').read()\n"
    lines = [line.split() for line in (run(folder, source).output or "").splitlines()]
    options = {line[4]: line[5].split(",") for line in lines}
    assert "ro" in options["/workspace/scaffold"] and "ro" in options["/"]
    assert {"nosuid", "nodev", "noexec"} <= set(options["/tmp"])
    (ours,) = [line for line in lines if line[4] == "/workspace/scaffold"]
    assert ours[6] == "-", "the mount is a peer or a slave of one of the host's"


def test_a_fork_bomb_hits_its_limit_and_ends(folder: Path) -> None:
    source = (
        "import os\ndef process_input(text):\n    while True:\n        try: os.fork()\n        except OSError: pass\n"
    )
    outcome = run(folder, source, timeout=1, pids=30)
    assert outcome.status in (Status.TIMEOUT, Status.SCAFFOLD_ERROR, Status.OOM)


def test_a_full_scratch_space_is_the_programs_own(folder: Path) -> None:
    source = (
        "def process_input(text):\n"
        "    with open('/tmp/big', 'wb') as file:\n"
        "        while True: file.write(b'x' * 2**20)\n"
    )
    outcome = run(folder, source, tmp_size="4m")
    assert outcome.status is Status.SCAFFOLD_ERROR
    assert "File too large" in (outcome.error_message or "") or "No space left" in (outcome.error_message or "")


def test_a_child_killed_for_memory_is_the_programs_to_notice(folder: Path) -> None:
    source = (
        "import subprocess, sys\n"
        "def process_input(text):\n"
        "    child = subprocess.run([sys.executable, '-c', \"x = b'x' * 10**9\"])\n"
        "    return str(child.returncode)\n"
    )
    outcome = run(folder, source, memory="100m")
    assert (outcome.status, outcome.output) == (Status.OK, "-9")


def test_more_processors_than_there_are_may_be_given(folder: Path) -> None:
    assert run(folder, "def process_input(text): return 'x'\n", cpus=500).status is Status.OK


def test_ordinary_programs_work(folder: Path) -> None:
    """Threads, processes and their semaphores, children, event loops and databases pass the profile."""
    source = """
import asyncio, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def square(number):
    return number * number


async def echoed():
    server = await asyncio.start_unix_server(answer, "/tmp/echo")
    reader, writer = await asyncio.open_unix_connection("/tmp/echo")
    writer.write(b"hi\\\\n")
    line = await reader.readline()
    writer.close()
    server.close()
    child = await asyncio.create_subprocess_exec("cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = await child.communicate(line)
    return out


async def answer(reader, writer):
    writer.write(await reader.readline())
    writer.close()


def process_input(text):
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, [1, 2]) == [1, 4]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(square, [3])) == [9]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(square, range(4))) == [0, 1, 4, 9]
    queue = multiprocessing.Queue()
    queue.put("x")
    assert queue.get() == "x"
    assert asyncio.run(echoed()) == b"hi\\\\n"
    database = sqlite3.connect("/tmp/db.sqlite")
    database.execute("pragma journal_mode=wal")
    database.execute("create table t(x)")
    database.commit()
    assert subprocess.run("echo $((6 * 7))", shell=True, capture_output=True, text=True).stdout == "42\\\\n"
    with tempfile.NamedTemporaryFile() as file:
        assert os.path.exists(file.name)
    one, other = socket.socketpair()
    parent, child = os.openpty()
    assert os.isatty(child)
    return "all"
""".replace("\\\\\\\\", "\\\\").replace("\\\\n", "\\n")
    outcome = run(folder, source)
    assert (outcome.output, outcome.error_message) == ("all", None)


def test_the_gateways_socket_is_the_only_way_out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    gateway = tmp_path_factory.mktemp("gw")
    for each in (gateway.parent.parent, gateway.parent, gateway):
        each.chmod(0o755)
    source = (
        "import os, socket\n"
        "def process_input(text):\n"
        "    client = socket.socket(socket.AF_UNIX)\n"
        "    client.connect(os.environ['SCAFFOLDRY_SOCKET'])\n"
        "    try: os.unlink(os.environ['SCAFFOLDRY_SOCKET'])\n"
        "    except OSError: return client.recv(99).decode() + os.environ['SCAFFOLDRY_MODEL']\n"
    )
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(gateway / "gateway.sock"))
        (gateway / "gateway.sock").chmod(0o777)
        server.listen()
        thread = threading.Thread(target=lambda: server.accept()[0].sendall(b"model "))
        thread.start()
        outcome = run(folder, source, RunRequest(input_string="", model="sim/echo", gateway_dir=gateway))
        thread.join(10)
    assert (outcome.output, outcome.error_message) == ("model sim/echo", None)


def test_nothing_is_left(sandbox_image: str) -> None:
    assert Engine().find("scaffoldry.worker", LABELS.worker) == []
