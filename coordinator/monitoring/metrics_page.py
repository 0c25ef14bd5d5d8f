"""The page that Prometheus reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.error_words import say
from shared.errors import UsageError
from shared.settings import get_settings

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


@contextmanager
def metrics_page(port: int | None) -> "Iterator[CollectorRegistry | None]":
    """A page that shows what is in the registry, for as long as the context lasts; none where there is no port.

    With port 0 the system chooses one; where the page is, is said. Raises UsageError where it cannot be served there.
    """
    if port is None:
        yield None
        return
    from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

    address = get_settings().metrics_address
    registry = CollectorRegistry()
    disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter was made, which nobody asks for
    try:
        server, thread = start_http_server(port, address, registry)
    except OSError as error:
        raise UsageError(
            f"The metrics cannot be served at {address}:{port}: {error.strerror}. Choose another --metrics-port, or "
            "another SCAFFOLDRY_METRICS_ADDRESS."
        ) from None
    say(f"Metrics: http://{address}:{server.server_port}/metrics")
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
