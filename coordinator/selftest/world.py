"""A world: a volume, a Redis, workers and a coordinator as real processes, in a folder of its own."""

import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from coordinator.selftest.engine import Container, DockerCommand
from coordinator.selftest.launch import command
from coordinator.selftest.left import Attendance, all_files, idle_containers, orphaned_files, programs, unused_files
from coordinator.selftest.processes import Process, children_of, local_ports, open_files, until
from coordinator.selftest.redis_server import RedisServer
from coordinator.selftest.watch import Watch
from coordinator.selftest.witness import committed, find_experiments, run_of_path
from coordinator.selftest.workload import Workload
from shared.errors import ScaffoldryError, Unavailable
from shared.queue import job_queue
from shared.volume import volume_id

WORKERS = 2
SLOTS = 2
_READY_SECONDS = 60.0
_TICK = 0.1


class Overdue(ScaffoldryError):
    """The row has taken longer than it may."""


class EndedEarly(ScaffoldryError):
    """The experiment ended before all that was to be done to it was done."""


class World:
    """Everything of one row and seed. Faults change it before it starts, and break it while it runs."""

    def __init__(self, folder: Path, name: str, workload: Workload, limit: float) -> None:
        self.folder = folder
        self.name = name
        self.workload = workload
        self.data_dir = folder / "volume"
        self.engine = DockerCommand()
        self.environment: dict[str, str] = {}
        """More variables for workers and coordinators."""
        self.redis_environment: dict[str, str] = {}
        """More variables for Redis."""
        self.changes: tuple[str, ...] = ()
        """What the launcher is to change in workers and coordinator."""
        self.coordinator_changes: tuple[str, ...] = ()
        self.interrupted: Counter[str] = Counter()
        """How often a run was interrupted: the third time it would rightly be given up."""
        self.deaths: list[str] = []
        """Processes that ended without having been told to."""
        self.leaving: list[Process] = []
        """Workers that a fault ends and starts again itself: nobody else does."""
        self.workers: list[Process] = []
        self.coordinators: list[Process] = []
        self.stack = ExitStack()
        self.watch = Watch(self.data_dir)
        self.attendance = Attendance(self.idle)
        self._deadline = time.monotonic() + limit
        self._on_tick: list[Callable[[], None]] = []
        self._known: Path | None = None

    # ------------------------------------------------------------------ starting and ending

    def start(self) -> None:
        """Start Redis, the workers and the coordinator."""
        for folder in (self.data_dir, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        self.redis = RedisServer(self.folder / "redis", self.redis_environment)
        self.spec = self.workload.write(self.folder / "spec")
        self.workers = [self._worker(index) for index in range(WORKERS)]
        self.watch.start()
        self.attendance.start()
        if not until(lambda: len(self.answering()) >= WORKERS, _READY_SECONDS):
            raise Unavailable(f"The workers do not answer: {self._last_words(self.workers)}")
        self.run_coordinator()

    @property
    def variables(self) -> dict[str, str]:
        """The environment of workers and coordinator, beside what they inherit."""
        return {
            "SCAFFOLDRY_BROKER_URL": self.redis.url,
            "SCAFFOLDRY_DATA_DIR": str(self.data_dir),
            "SCAFFOLDRY_CACHE_DIR": str(self.folder / "cache"),
            "SCAFFOLDRY_SELFTEST_KEY": "none",
            "TMPDIR": str(self.temporary),
            "PYTHONUNBUFFERED": "1",
            **({"DOCKER_HOST": self.engine.url} if self.engine.url else {}),
            **self.environment,
        }

    def _worker(self, index: int) -> Process:
        name = f"{self.name}-w{index}"
        arguments = ["run", "--name", name, "--concurrency", str(SLOTS), "--sandbox", self.workload.sandbox]
        return self._process(name, command(self.changes, "worker", *arguments))

    def restart_worker(self, index: int) -> None:
        """Start the worker of that place anew, whatever became of the old one."""
        self.workers[index] = self._worker(index)

    def run_coordinator(self, *changes: str) -> Process:
        """``scaffoldry run``, or ``resume`` where the experiment has begun."""
        known = self.known_experiment()
        words = ["run", str(self.spec), "--name", self.name] if known is None else ["resume", str(known)]
        changed = (*self.changes, *self.coordinator_changes, *changes)
        process = self._process(f"coordinator-{len(self.coordinators)}", command(changed, "coordinator", *words))
        self.coordinators.append(process)
        return process

    def scaffoldry(self, *arguments: str) -> Process:
        """Another command beside it."""
        name = f"{arguments[0]}-{time.monotonic_ns()}"
        return self._process(name, command((), "coordinator", *arguments))

    def _process(self, name: str, words: list[str]) -> Process:
        process = Process(name, words, self.folder / "logs" / f"{name}.log", self.variables)
        self.stack.callback(process.end_by_force)
        return process

    def end(self) -> None:
        """End everything, and remove every container of the experiment."""
        self._on_tick.clear()
        for process in (*self.coordinators, *self.workers):
            process.signal_all(signal.SIGCONT)
        if self.watch.is_alive():
            self.watch.end()
        self.stop_workers()
        self.attendance.end()
        with suppress(OSError, ScaffoldryError):
            self.engine.remove([one.id for one in self._containers()])
        if hasattr(self, "redis"):
            self.redis.stop()
        self.stack.close()

    def stop_workers(self) -> None:
        """Ask the workers to end, as a rolling restart does, and wait for them for half a minute each."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        for worker in self.workers:
            with suppress(Unavailable):
                worker.wait(30)

    # ------------------------------------------------------------------ what there is to see

    @property
    def temporary(self) -> Path:
        """The folder for temporary files of all its processes."""
        return self.folder / "tmp"

    @property
    def coordinator(self) -> Process:
        """The coordinator that was started last."""
        return self.coordinators[-1]

    def known_experiment(self) -> Path | None:
        """The experiment's directory; None before it has begun."""
        if self._known is None:
            self._known = next(iter(find_experiments(self.data_dir)), None)
        return self._known

    @property
    def experiment(self) -> Path:
        """The experiment's directory; raises FileNotFoundError before it has begun."""
        found = self.known_experiment()
        if found is None:
            raise FileNotFoundError(f"There is no experiment in {self.data_dir}.")
        return found

    def done(self) -> int:
        """How many runs are committed."""
        return 0 if self.known_experiment() is None else len(committed(self.experiment))

    def in_hand(self, worker: Process) -> dict[int, str]:
        """Pool child -> the run that it has in hand, by the files that it holds open."""
        found = {}
        for pid in children_of(worker.pid):
            for path in open_files(pid):
                run = run_of_path(path, self.data_dir)
                if run is not None:
                    found[pid] = run
        return found

    def all_in_hand(self) -> dict[int, str]:
        """The same of all workers."""
        return {pid: run for worker in self.workers for pid, run in self.in_hand(worker).items()}

    def waiting(self) -> set[str]:
        """The runs whose messages nobody has taken."""
        queue = job_queue(volume_id(self.data_dir), self.workload.sandbox)
        return {run for message in self.redis.waiting(queue) for run in [run_of_message(message)] if run}

    def hears(self, worker: Process) -> bool:
        """Whether a worker waits for messages just now, by what Redis says of its connections."""
        return bool(self.redis.listening_ports() & local_ports(worker.pid))

    def answering(self) -> set[str]:
        """The workers that answer on the broker."""
        from shared.queue import make_app

        app = make_app(self.redis.url)
        try:
            return {name for reply in app.control.ping(timeout=1.0) or () for name in reply}
        except Exception:  # a broker that is being broken fails in many ways
            return set()
        finally:
            app.close()

    def strays(self) -> list[str]:
        """The jobs of containers, and of programs, that are still there. Raises SandboxUnavailable."""
        found = [one.job for one in self._containers()]
        return found + [f"process {pid}" for pid in programs(self.temporary)]

    def idle(self) -> list[str]:
        """The containers and the temporary files that nobody is at work on just now. Raises SandboxUnavailable."""
        return [*idle_containers(self._containers()), *orphaned_files(self.temporary)]

    def leftovers(self) -> list[str]:
        """The temporary files that must be gone once no attempt is under way, or no worker is there at all."""
        ended = all(worker.exit_code is not None for worker in self.workers)
        return all_files(self.temporary) if ended else unused_files(self.temporary)

    def _containers(self) -> list[Container]:
        """All that its workers have made, also for no experiment."""
        return self.engine.of_workers(f"{self.name}-w") if self.workload.sandbox == "docker" else []

    # ------------------------------------------------------------------ time

    def on_tick(self, call: Callable[[], None]) -> None:
        """Have something called several times a second from now on."""
        self._on_tick.append(call)

    def pause(self, seconds: float = _TICK) -> None:
        """Let time pass; raises Overdue where there is none left."""
        end = time.monotonic() + seconds
        while True:
            if time.monotonic() > self._deadline:
                raise Overdue("The row took longer than it may.")
            for call in self._on_tick:
                call()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _TICK))

    def wait_for(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Whether it held within so many seconds (None: as long as the row may take)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not condition():
            if deadline is not None and time.monotonic() > deadline:
                return False
            self.pause()
        return True

    def reach(self, done: int) -> None:
        """Wait until so many runs are committed; raises EndedEarly where the coordinator ends before."""

        def there() -> bool:
            if self.done() >= done:
                return True
            if self.coordinator.exit_code is not None:
                raise EndedEarly(f"The coordinator ended ({self.coordinator.exit_code}) at {self.done()} results.")
            return False

        self.wait_for(there)

    def supervise(self) -> None:
        """Start again, as an init system does, a worker that has ended."""
        for index, worker in enumerate(self.workers):
            if worker.exit_code is not None and worker not in self.leaving:
                self.deaths.append(f"{worker.name} ({worker.exit_code})")
                self.restart_worker(index)

    def interrupt(self, runs: Iterator[str] | list[str]) -> None:
        """Note that runs were interrupted."""
        self.interrupted.update(runs)

    def may_interrupt(self, runs: list[str]) -> bool:
        """Whether none of the runs would be given up for it."""
        return all(self.interrupted[run] < 2 for run in runs)

    def _last_words(self, processes: list[Process]) -> str:
        return " / ".join(process.said()[-300:].strip() for process in processes)


def run_of_message(message: bytes) -> str | None:
    """The run type that a message on the queue is about."""
    import json

    try:
        return str(json.loads(message)["headers"]["id"]).split(".it000.0.")[1].split(".")[0]
    except (ValueError, KeyError, IndexError):
        return None


@contextmanager
def a_world(folder: Path, name: str, workload: Workload, limit: float) -> Iterator[World]:
    """A world that is not started yet; nothing of it is left afterwards but its folder."""
    world = World(folder, name, workload, limit)
    try:
        yield world
    finally:
        try:
            world.end()
        except KeyboardInterrupt:  # in the middle of it: the rest of it, and then what was asked for
            world.end()
            raise


def this_host() -> str:
    """This host's name."""
    return socket.gethostname()


def is_root() -> bool:
    """Whether file systems can be mounted here."""
    return os.geteuid() == 0
