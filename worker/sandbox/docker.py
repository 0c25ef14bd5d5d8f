"""The Docker engine, as far as Scaffoldry needs it. The only module that talks to it.

Calls go to the engine's API one by one, without the SDK's objects: a run costs six short requests. Every failure is an
InfraError that says what was asked; nothing a program does in its container makes these calls fail.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any, ParamSpec, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.transport import UnixHTTPAdapter
from docker.utils import kwargs_from_env
from requests.exceptions import ConnectionError, ReadTimeout, RequestException

from shared.errors import InfraError

P = ParamSpec("P")
T = TypeVar("T")

REQUEST_TIMEOUT = 120
"""Seconds for one request; a busy machine takes long to start a container."""

_GONE = 404
_CONFLICT = 409


class _OnePoolAdapter(UnixHTTPAdapter):
    """Keeps connections for all requests; the SDK's keeps one for each address, and every container has its own."""

    def get_connection(self, url: str | bytes, proxies: object = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


class Engine:
    """One engine, found as the docker command finds it (DOCKER_HOST, or the local socket).

    Thread-safe; connections are made when first needed and anew in a forked process, so one may be made before a fork.
    """

    def __init__(self, timeout: int = REQUEST_TIMEOUT) -> None:
        self._timeout = timeout
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
        with _asked(f"answer at {where.get('base_url') or 'its usual socket'}"):
            client = docker.APIClient(version="auto", timeout=self._timeout, max_pool_size=64, **where)
        client.trust_env = False  # No look at proxies and netrc files for each request.
        adapter = client.get_adapter(client.base_url)
        if isinstance(adapter, UnixHTTPAdapter):
            client.mount("http+docker://", _OnePoolAdapter(adapter.socket_path, self._timeout, max_pool_size=64))
        return client

    def later(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Make a call in another thread, where no signal interrupts it."""
        _ = self._client
        return self._threads.submit(call, *args, **kwargs)

    @property
    def is_local(self) -> bool:
        """Whether it listens on a Unix socket: only then does it see this host's directories."""
        return bool(self._client.base_url.startswith("http+docker://") and "ssh" not in self._client.base_url)

    def version(self) -> dict[str, Any]:
        """``GET /version``."""
        with _asked("say its version"):
            return dict(self._client.version())

    def info(self) -> dict[str, Any]:
        """``GET /info``."""
        with _asked("describe itself"):
            return dict(self._client.info())

    # Containers

    def create(self, name: str, config: Mapping[str, Any]) -> None:
        """Make a container of that name."""
        with _asked("create a container"):
            self._client.create_container_from_config(config, name)  # type: ignore[no-untyped-call]

    @contextmanager
    def attach(self, name: str) -> Iterator[int]:
        """The descriptor of a stream: written bytes go to stdin; what is read is the multiplexed stdout and stderr."""
        with _asked("attach to a container"):
            stream = self._client.attach_socket(name, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        try:
            yield stream.fileno()
        finally:
            stream._response.close()  # Closes the connection too, which can't be used for anything else.

    def start(self, name: str) -> None:
        """Start a container."""
        with _asked("start a container"):
            self._client.start(name)

    def wait(self, name: str, timeout: float) -> int | None:
        """The exit code of a container; None where it still runs after ``timeout`` seconds."""
        with _asked("wait for a container"):
            try:
                return int(self._client.wait(name, timeout=max(timeout, 0.01))["StatusCode"])  # type: ignore[arg-type]
            except (ReadTimeout, ConnectionError) as error:
                if "timed out" in str(error):
                    return None
                raise

    def oom_killed(self, name: str) -> bool:
        """Whether a process of a container was killed for its memory."""
        with _asked("inspect a container"):
            return bool(self._client.inspect_container(name)["State"]["OOMKilled"])

    def kill(self, name: str) -> None:
        """Kill all processes of a container; one that has ended already is fine."""
        with _asked("kill a container", fine=(_GONE, _CONFLICT)):
            self._client.kill(name)

    def remove(self, name: str) -> None:
        """Kill and remove a container; one that is gone, or about to be, is fine."""
        with _asked("remove a container", fine=(_GONE, _CONFLICT)):
            self._client.remove_container(name, v=True, force=True)

    def find(self, label: str, value: str) -> list[str]:
        """The ids of all containers, running or not, that carry the label with that value."""
        with _asked("list containers"):
            found = self._client.containers(all=True, filters={"label": f"{label}={value}"})
        return [container["Id"] for container in found]

    # Images

    def image(self, reference: str) -> dict[str, Any] | None:
        """``GET /images/NAME/json``; None where there is no such image."""
        with _asked("inspect an image"):
            try:
                return dict(self._client.inspect_image(reference))  # type: ignore[no-untyped-call]
            except NotFound:
                return None

    def is_offered(self, reference: str) -> bool:
        """Whether a registry answers and has that image."""
        try:
            self._client.inspect_distribution(reference)  # type: ignore[no-untyped-call]
        except (APIError, RequestException):
            return False
        return True

    def pull(self, reference: str) -> None:
        """Pull an image from its registry."""
        with _asked(f"pull {reference}"):
            for event in self._client.pull(reference, stream=True, decode=True):
                _raise_failure(event)

    def import_tree(self, tar: IO[bytes], repository: str, tag: str) -> None:
        """Make an image of a tar archive of a file system."""
        with _asked(f"import {repository}:{tag}"):
            self._client.import_image_from_stream(tar, repository=repository, tag=tag)

    def build(self, context: IO[bytes], tag: str, arguments: Mapping[str, str]) -> None:
        """Build an image from an archive of its context, without network and with the engine's own builder."""
        with _asked(f"build {tag}"):
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
def _asked(what: str, fine: tuple[int, ...] = ()) -> Iterator[None]:
    """Turn the SDK's errors into an InfraError that says what the engine was asked to do.

    Answers with an HTTP status of ``fine`` are no errors.
    """
    try:
        yield
    except APIError as error:
        if error.status_code not in fine:
            raise InfraError(f"The Docker engine could not {what}: {error.explanation or error}") from error
    except (DockerException, RequestException, OSError) as error:
        raise InfraError(f"The Docker engine could not {what}: {error}") from error


def _raise_failure(event: Mapping[str, Any]) -> None:
    """A stream of progress reports failures as events."""
    if "error" in event:
        raise DockerException(str(event["error"]).strip())
