"""Flower with our configuration, on our broker."""

import os
import signal
import socket
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery

from shared.error_words import say
from shared.errors import UsageError
from shared.queue import check_broker, make_app, without_password
from shared.settings import Settings, get_settings, override_settings


def serve_flower(broker_url: str, address: str, port: int, state: Path | None, login: bool) -> NoReturn:
    """Serve Flower until SIGTERM or Ctrl-C, keep what it has seen in ``state``, and end this process.

    Without ``login`` whoever reaches the page may read it; Flower's API stays closed. Raises UsageError without a
    password, for a port or a place that cannot be had; BrokerUnavailable.
    """
    user = get_settings().flower_user
    credentials(get_settings().model_copy(update={"flower_no_login": not login}))
    kept = state_file(state)
    app = make_app(broker_url)
    check_broker(app, without_password(broker_url))
    _check_port(address, port)
    override_settings(flower_no_login=not login)  # for the configuration, which Flower reads in this process
    page = _page(app, db=str(kept), address=address, port=port)
    page.start_http_server()
    say(f"Flower is at http://{address}:{port}" + (f"; log in as {user}." if login else "."))
    for number in (signal.SIGTERM, signal.SIGINT):
        page.io_loop.asyncio_loop.add_signal_handler(number, page.stop)
    page.start()
    # It has stopped and saved its state. A thread of it may still wait for a broker that is gone, and that for ever.
    os._exit(0)


def _page(app: Celery, **options: object) -> Any:
    """Flower's web application as our configuration has it, with these options set besides."""
    from flower.app import Flower
    from flower.options import default_options
    from flower.urls import settings
    from tornado.log import enable_pretty_logging

    default_options.parse_config_file(str(Path(__file__).with_name("flowerconfig.py")), final=False)
    for name, value in options.items():
        setattr(default_options, name, value)
    enable_pretty_logging(default_options)
    return Flower(capp=app, options=default_options, **settings)


def credentials(settings: Settings) -> list[str]:
    """Who may log in, as Flower wants it; empty where a page without a login was asked for by name."""
    if settings.flower_no_login:
        return []
    password = settings.flower_login.get_secret_value() if settings.flower_login else ""
    if not password:
        raise UsageError(
            "Flower has no password: set SCAFFOLDRY_FLOWER_LOGIN in the environment or in .env. "
            "(To let everyone see the page who reaches it, say --no-login.)"
        )
    login = f"{settings.flower_user}:{password}"
    if not login.isascii():
        raise UsageError("SCAFFOLDRY_FLOWER_USER and SCAFFOLDRY_FLOWER_LOGIN must be ASCII: Flower takes nothing else.")
    return [login]


def state_file(given: Path | None) -> Path:
    """Where Flower keeps what it knows: as given, else in the cache folder; its folder is made."""
    path = (given or get_settings().cache_dir / "flower" / "state").expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"Flower cannot keep its state in {path}: choose another file with --state.")
    return path


def _check_port(address: str, port: int) -> None:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        raise UsageError(
            f"Flower cannot listen on {address}:{port}: {error.strerror}. Choose another --port or --address."
        ) from None
