"""Several hosts on one machine, each with a network, a Docker engine, a name and a path to the volume of its own.

A host is a process that does nothing but hold namespaces (network, mounts, host name); whatever runs on the host has
entered them. When that process ends and nothing else is in them, the kernel takes them away, cables and all.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENGINE_SECONDS = 60.0
GROUPS = Path("/sys/fs/cgroup")
PERIOD = 20_000
"""Microseconds in which a host that is held to a share of a processor gets its share; short beside a container's start,
so that a host is slow rather than stopped for a while."""
GROUPS_SECONDS = 20.0
HELD_RUNTIME = """#!/bin/sh
for word in "$@"; do
    [ "$before" = --bundle ] && sed -i 's/"quota":[0-9][0-9]*/"quota":-1/' "$word/config.json"
    before=$word
done
exec runc "$@"
"""
"""The engine's runtime on a host that is held: a container may use all that its host has. Control groups of version 1
refuse it a limit of its own that is above its host's."""


def call(*command: str, **options: object) -> str:
    """Run a command to its end; what it printed. Fails with what it said where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return str(done.stdout)


@dataclass
class Host:
    """One host. ``volume`` is the shared folder by the path it has there and nowhere else."""

    name: str
    folder: Path
    volume: Path
    holder: "subprocess.Popen[bytes]"
    cable: str
    """The end of its network cable that is in the machine's own network."""
    group: Path | None = None
    """The control group of all that runs there, where it is held to a share of the machine's processors."""
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def engine(self) -> str:
        """The URL of its Docker engine."""
        return f"unix://{self.folder}/docker.sock"

    @property
    def log(self) -> Path:
        """What everything that was started there had to say."""
        return self.folder / "log"

    def inside(self, *command: str) -> list[str]:
        """The command line that runs ``command`` on this host."""
        enter = ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", "--uts", "--", *command]
        if self.group is None:
            return enter
        return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.group), *enter]

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a process on this host; it ends with the lab."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.inside(*command),
                env={**os.environ, "DOCKER_HOST": self.engine, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def docker(self, *arguments: str) -> str:
        """A command of the host's own engine."""
        return call("docker", "-H", self.engine, *arguments)

    def said(self, container: str) -> str:
        """What a container has printed, to both streams."""
        return call("sh", "-c", 'exec "$@" 2>&1', "sh", "docker", "-H", self.engine, "logs", container)

    def cut(self) -> None:
        """Pull its network cable."""
        call("ip", "link", "set", self.cable, "down")

    def mend(self) -> None:
        """Put the cable back."""
        call("ip", "link", "set", self.cable, "up")

    def kill(self) -> None:
        """End everything that runs there at once, as a power cut does."""
        caught: set[int] = set()
        while more := self._inhabitants() - caught:  # an engine may just be starting another
            _signal(more, signal.SIGSTOP)
            caught |= more
        _signal(caught, signal.SIGKILL)
        self.holder.wait(10)
        for process in self.started:
            process.wait(10)

    def _inhabitants(self) -> set[int]:
        """Processes in this host's mount namespace, or children of those: shims and what runs in containers."""
        home = os.readlink(f"/proc/{self.holder.pid}/ns/mnt")
        parents = dict(_processes())
        found = {pid for pid in parents if _namespace(pid) == home}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _processes() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                yield int(entry.name), int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _namespace(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/mnt")
    return ""


@dataclass(frozen=True)
class Lab:
    """The hosts, the machine's address as they know it, and the shared folder by the machine's own path."""

    hosts: tuple[Host, ...]
    address: str
    volume: Path

    def host(self, name: str) -> Host:
        """The host of that name."""
        return next(host for host in self.hosts if host.name == name)


def can_be_held() -> bool:
    """Whether hosts can be held to a share of the processors here: by control groups of version 1."""
    return (GROUPS / "cpu" / "cgroup.procs").exists()


@contextmanager
def lab(*names: str, processors: float | None = None) -> Iterator[Lab]:
    """A lab of hosts with those names, each with a running engine without images; nothing is left of it afterwards.

    Each host has ``processors`` processors and no more, where that is given. Needs root.
    """
    if os.geteuid() != 0:
        raise AssertionError("Hosts are made of namespaces, which only root may make: run this as root.")
    number = os.getpid() % 250
    with ExitStack() as stack:
        # A short path: a Unix socket's has at most 108 bytes.
        folder = Path(tempfile.mkdtemp(prefix="lab-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        volume = folder / "volume"
        volume.mkdir()
        bridge = f"lab{os.getpid()}"
        call("ip", "link", "add", bridge, "type", "bridge")
        stack.callback(call, "ip", "link", "delete", bridge)
        call("ip", "address", "add", f"10.213.{number}.1/24", "dev", bridge)
        call("ip", "link", "set", bridge, "up")
        groups: dict[str, Path] = {}
        for name in names if processors is not None else ():
            stack.callback(_remove_groups, f"{bridge}-{name}")
            groups[name] = _group(f"{bridge}-{name}", processors)
        hosts: list[Host] = []
        stack.callback(_shut_down, hosts)
        for index, name in enumerate(names):
            host = _host(folder, volume, name, f"v{index}-{bridge}")
            host.group = groups.get(name)
            hosts.append(host)
            _connect(host, bridge, f"10.213.{number}.{index + 2}/24")
        for host in hosts:
            _start_engine(host)
        for host in hosts:
            _wait_for_engine(host)
        yield Lab(tuple(hosts), f"10.213.{number}.1", volume)


def _shut_down(hosts: Sequence[Host]) -> None:
    """End what was started, on all hosts at once and the engines last, and then whatever is left."""
    for kind in (lambda host: host.started[1:], lambda host: host.started[:1]):
        processes = [process for host in hosts for process in kind(host) if process.poll() is None]
        for process in processes:
            process.terminate()
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
    for host in hosts:
        if host.holder.poll() is None:
            host.kill()


def _host(folder: Path, volume: Path, name: str, cable: str) -> Host:
    own = folder / name
    mounted = own / f"mnt-{name}" / "scaffoldry"
    for directory in (mounted, own / "engine"):
        directory.mkdir(parents=True)
    # The volume at a path of the host's own; what it is called elsewhere is an empty folder here. The engine's images
    # are in memory, and gone with it.
    script = (
        f"hostname {name} && mount --bind {volume} {mounted} && mount -t tmpfs none {volume}"
        f" && mount -t tmpfs none {own}/engine && echo ready && exec sleep infinity"
    )
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "--uts", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"ready\n"
    return Host(name, own, mounted, holder, cable)


def _group(name: str, processors: float) -> Path:
    group = GROUPS / "cpu" / name
    group.mkdir()
    (group / "cpu.cfs_period_us").write_text(str(PERIOD))
    (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD * processors)))
    return group


def _remove_groups(name: str) -> None:
    """Also those that the host's engine made of the same name, of processors and everything else.

    A group is busy until the last of its processes is gone, so what is still there is tried again for some seconds.
    """
    deadline = time.monotonic() + GROUPS_SECONDS
    while left := [group for top in GROUPS.glob(f"*/{name}") for group in _removed_all_but(top)]:
        assert time.monotonic() < deadline, f"Control groups that are still busy: {', '.join(map(str, left))}"
        time.sleep(0.2)


def _removed_all_but(top: Path) -> list[Path]:
    """Remove a group and all below it; those that would not go."""
    left = []
    for group in (*sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True), top):
        try:
            group.rmdir()
        except OSError:
            left.append(group)
    return left


def _connect(host: Host, bridge: str, address: str) -> None:
    pid = str(host.holder.pid)
    call("ip", "link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", pid)
    call("ip", "link", "set", host.cable, "master", bridge, "up")
    for command in (f"address add {address} dev eth0", "link set eth0 up", "link set lo up"):
        call(*host.inside("ip", *command.split()))


def _start_engine(host: Host) -> None:
    options: dict[str, object] = {
        "data-root": host.folder / "engine",
        "exec-root": host.folder / "exec",
        "pidfile": host.folder / "pid",
        "host": host.engine,
        "bridge": "none",
        "iptables": "false",
        "ip6tables": "false",
    }
    if host.group is not None:
        runtime = host.folder / "held-runc"
        runtime.write_text(HELD_RUNTIME)
        runtime.chmod(0o755)
        options |= {
            "cgroup-parent": f"/{host.group.name}",
            "add-runtime": f"held={runtime}",
            "default-runtime": "held",
        }
    host.start("dockerd", *(f"--{name}={value}" for name, value in options.items()))


def start_engine(host: Host) -> None:
    """Start the engine of a host on which none runs any more; it answers when this returns."""
    _start_engine(host)
    _wait_for_engine(host)


def _wait_for_engine(host: Host) -> None:
    deadline = time.monotonic() + ENGINE_SECONDS
    while subprocess.run(["docker", "-H", host.engine, "version"], capture_output=True).returncode:
        assert time.monotonic() < deadline, f"No engine on {host.name}: {host.log.read_text()[-2000:]}"
        time.sleep(0.2)


def copy_images(hosts: Sequence[Host], *references: str) -> None:
    """Carry images from the machine's engine to those of hosts, all at once."""
    with tempfile.TemporaryDirectory(prefix="images-") as folder:
        archive = f"{folder}/images.tar"
        call("docker", "save", "--output", archive, *references)
        loading = [
            subprocess.Popen(["docker", "-H", host.engine, "load", "-q", "-i", archive], stdout=subprocess.DEVNULL)
            for host in hosts
        ]
        assert [process.wait() for process in loading] == [0] * len(hosts)


def python(*arguments: str) -> list[str]:
    """The command line of this checkout's Python."""
    return [sys.executable, *arguments]


def bare_worker(host: Host, broker_url: str, slots: int, sandbox: str = "docker") -> None:
    """Start a worker beside the host's engine."""
    host.start(
        *python("-m", "coordinator", "worker"),
        PYTHONPATH=str(ROOT),
        XDG_CACHE_HOME=str(host.folder / "cache"),
        SCAFFOLDRY_BROKER_URL=broker_url,
        SCAFFOLDRY_DATA_DIR=str(host.volume),
        SCAFFOLDRY_CONCURRENCY=str(slots),
        SCAFFOLDRY_SANDBOX=sandbox,
    )
