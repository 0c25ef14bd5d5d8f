"""The Docker engine, as far as Scaffoldry needs it. The only module that talks to it, by way of `docker_client.py`.

Calls go to the engine's API one by one, without the SDK's objects: a run costs six short requests. Every failure is an
InfraError that says what was asked; nothing a program does in its container makes these calls fail.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, ParamSpec, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env
from requests.exceptions import ConnectionError, ReadTimeout, RequestException
from urllib3.exceptions import HTTPError, ReadTimeoutError

from shared.errors import HostTrouble, InfraError
from worker.sandbox.docker_client import Client, OnePoolAdapter, bounds

P = ParamSpec("P")
T = TypeVar("T")

ANSWER_TIMEOUT = 20.0
"""Seconds for one request that has no limit of its own: an engine that takes longer is taken for hung."""
LOOK_TIMEOUT = 5.0
"""Seconds for the question whether there is an engine at all."""
IMAGE_TIMEOUT = 120.0
"""Seconds of silence while an image is made."""

_EVENTS_KEPT = 256
_GONE = 404
_CONFLICT = 409


class NoAnswer(HostTrouble):
    """The engine is away, or took too long: it may yet do what it was asked."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """A few lines that no signal's handler interrupts: it runs after them."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Engine:
    """One engine, found as the docker command finds it (DOCKER_HOST, or the local socket).

    Thread-safe; connections are made when first needed and anew in a forked process, so one may be made before a fork.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = 0
        self._connection: docker.APIClient
        self._threads: ThreadPoolExecutor

    @property
    def _client(self) -> docker.APIClient:
        with self._lock:
            if self._process != os.getpid():
                self._connection = self._connect()
                self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="engine")
                self._process = os.getpid()
            return self._connection

    def _connect(self) -> docker.APIClient:
        where = kwargs_from_env()
        with _asked(f"answer at {where.get('base_url') or 'its usual socket'}", seconds=None):
            client = Client(version="auto", max_pool_size=64, **where)
        client.trust_env = False  # No look at proxies and netrc files for each request.
        adapter = client.get_adapter(client.base_url)
        if isinstance(adapter, UnixHTTPAdapter):
            client.mount("http+docker://", OnePoolAdapter(adapter.socket_path, max_pool_size=64))
        return client

    def connect(self) -> None:
        """Connect, unless this process has; what is not connected does so by itself, and it may take seconds."""
        _ = self._client

    def later(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Make a call in another thread, where no signal interrupts it.

        Nor is the start of that thread interrupted: one that nobody knows of would keep the process from ending.
        """
        self.connect()
        with undisturbed():
            return self._threads.submit(call, *args, **kwargs)

    @property
    def is_local(self) -> bool:
        """Whether it listens on a Unix socket: only then does it see this host's directories."""
        return bool(self._client.base_url.startswith("http+docker://") and "ssh" not in self._client.base_url)

    def version(self) -> dict[str, Any]:
        """``GET /version``."""
        with _asked("say its version", LOOK_TIMEOUT):
            return dict(self._client.version())

    def info(self) -> dict[str, Any]:
        """``GET /info``."""
        with _asked("describe itself"):
            return dict(self._client.info())

    # Containers

    def create(self, name: str, config: Mapping[str, Any], seconds: float = ANSWER_TIMEOUT) -> None:
        """Make a container of that name."""
        with _asked("create a container", seconds):
            self._client.create_container_from_config(config, name)  # type: ignore[no-untyped-call]

    @contextmanager
    def attach(self, name: str, seconds: float = ANSWER_TIMEOUT) -> Iterator[int]:
        """The descriptor of a stream: written bytes go to stdin; what is read is the multiplexed stdout and stderr."""
        with _asked("attach to a container", seconds, missing=HostTrouble):
            stream = self._client.attach_socket(name, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        try:
            yield stream.fileno()
        finally:
            stream._response.close()  # Closes the connection too, which can't be used for anything else.

    def start(self, name: str, seconds: float = ANSWER_TIMEOUT) -> None:
        """Start a container."""
        with _asked("start a container", seconds):
            self._client.start(name)

    def wait(self, name: str, timeout: float) -> int | None:
        """The exit code of a container; None where it still runs after ``timeout`` seconds."""
        with _asked("wait for a container", timeout, missing=HostTrouble):
            try:
                return int(self._client.wait(name)["StatusCode"])
            except (ReadTimeout, ReadTimeoutError, ConnectionError) as error:
                if "timed out" in str(error):
                    return None
                raise

    def oom_killed(self, name: str, seconds: float = ANSWER_TIMEOUT) -> bool:
        """Whether a process of a container was killed for its memory."""
        with _asked("inspect a container", seconds, missing=HostTrouble):
            return bool(self._client.inspect_container(name)["State"]["OOMKilled"])

    def killed_from_outside(self, name: str, seconds: float = 3 * ANSWER_TIMEOUT) -> bool:
        """Whether somebody had the engine signal a container that has ended: no program can, whatever its exit code.

        To be asked at once: engines keep their last 256 events. The end itself is one, and no signal comes after it;
        so this waits for no clock. Where programs' events have displaced it, nobody is taken to have signalled: else
        a program could choose that its run does not count. ``seconds``: a third for each of three questions.
        """
        wanted = {"type": ["container"], "container": [name], "event": ["kill", "die"]}
        with _asked("say how a container ended", seconds / 3):
            events = self._client.events(since=0, filters=wanted, decode=True)
            try:
                for event in events:
                    return bool(event["Action"] == "kill")
            except ReadTimeoutError:
                if self._has_forgotten_the_end_of(name):
                    return False
                raise
            finally:
                events.close()
            raise DockerException("it went away")

    def _has_forgotten_the_end_of(self, name: str) -> bool:
        """Whether its events are full, and all younger than a container's end. One that was restarted has few."""
        ended = datetime.fromisoformat(self._client.inspect_container(name)["State"]["FinishedAt"])
        kept = list(self._client.events(since=0, until=int(time.time()) + 1, decode=True))
        return len(kept) >= _EVENTS_KEPT and kept[0]["timeNano"] / 1e9 > ended.timestamp()

    def kill(self, name: str, seconds: float = ANSWER_TIMEOUT) -> None:
        """Kill all processes of a container; one that has ended already is fine."""
        with _asked("kill a container", seconds, fine=(_GONE, _CONFLICT)):
            self._client.kill(name)

    def remove(self, name: str, seconds: float = ANSWER_TIMEOUT) -> None:
        """Kill and remove a container; one that is gone, or about to be, is fine."""
        with _asked("remove a container", seconds, fine=(_GONE, _CONFLICT)):
            self._client.remove_container(name, v=True, force=True)

    def find(self, label: str, value: str) -> list[str]:
        """The ids of all containers, running or not, that carry the label with that value."""
        return list(self.labels(label, value))

    def labels(self, label: str, value: str) -> dict[str, dict[str, str]]:
        """The same, with all labels of each."""
        with _asked("list containers"):
            found = self._client.containers(all=True, filters={"label": f"{label}={value}"})
        return {container["Id"]: dict(container["Labels"]) for container in found}

    def mounts(self, name: str) -> list[dict[str, Any]] | None:
        """The ``Mounts`` of a container; None where there is no such container."""
        with _asked("inspect a container"):
            try:
                return list(self._client.inspect_container(name)["Mounts"])
            except NotFound:
                return None

    # Images

    def image(self, reference: str) -> dict[str, Any] | None:
        """``GET /images/NAME/json``; None where there is no such image."""
        with _asked("inspect an image"):
            try:
                return dict(self._client.inspect_image(reference))  # type: ignore[no-untyped-call]
            except NotFound:
                return None

    def is_offered(self, reference: str, seconds: float = IMAGE_TIMEOUT) -> bool:
        """Whether a registry answers in that time and has that image."""
        try:
            with _asked("ask a registry", seconds):
                self._client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
        except InfraError:
            return False
        return True

    def pull(self, reference: str) -> None:
        """Pull an image from its registry."""
        with _asked(f"pull {reference}", IMAGE_TIMEOUT):
            for event in self._client.pull(reference, stream=True, decode=True):
                _raise_failure(event)

    def import_tree(self, tar: IO[bytes], repository: str, tag: str) -> None:
        """Make an image of a tar archive of a file system."""
        with _asked(f"import {repository}:{tag}", IMAGE_TIMEOUT):
            self._client.import_image_from_stream(tar, repository=repository, tag=tag)

    def build(self, context: IO[bytes], tag: str, arguments: Mapping[str, str]) -> None:
        """Build an image from an archive of its context, without network and with the engine's own builder."""
        with _asked(f"build {tag}", IMAGE_TIMEOUT):
            events = self._client.build(
                fileobj=context,
                custom_context=True,
                tag=tag,
                buildargs=dict(arguments),
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
            )
            for event in events:
                _raise_failure(event)

    def remove_image(self, reference: str) -> None:
        """Remove an image's name, and the image where it has no other."""
        with _asked(f"remove {reference}", fine=(_GONE,)):
            self._client.remove_image(reference)


@contextmanager
def _asked(
    what: str,
    seconds: float | None = ANSWER_TIMEOUT,
    fine: tuple[int, ...] = (),
    missing: type[InfraError] = InfraError,
) -> Iterator[None]:
    """Turn the SDK's errors into an InfraError that says what the engine was asked to do.

    It is NoAnswer where there was none, and of the kind ``missing`` where there is no such thing as it was
    asked about. ``seconds`` is the time for each answer; None: what whoever asks for this has set. Answers with an
    HTTP status of ``fine`` are no errors.
    """
    before = getattr(bounds, "seconds", ANSWER_TIMEOUT)
    bounds.seconds = before if seconds is None else max(seconds, 0.01)
    try:
        yield
    except APIError as error:
        if error.status_code not in fine:
            kind = missing if error.status_code == _GONE else InfraError
            raise kind(f"The Docker engine could not {what}: {error.explanation or error}") from error
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise NoAnswer(f"The Docker engine could not {what}: {error}") from error
    finally:
        bounds.seconds = before


def _raise_failure(event: Mapping[str, Any]) -> None:
    """A stream of progress reports failures as events."""
    if "error" in event:
        raise DockerException(str(event["error"]).strip())
