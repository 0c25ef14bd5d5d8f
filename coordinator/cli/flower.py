"""``flower``: the page that shows which job runs where."""

from pathlib import Path
from typing import Annotated

import typer

from coordinator.cli.options import BrokerUrl, broker_url_or_set


def flower(
    broker_url: BrokerUrl = None,
    address: Annotated[
        str, typer.Option(envvar="SCAFFOLDRY_FLOWER_ADDRESS", metavar="HOST", help="The address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="SCAFFOLDRY_FLOWER_PORT", min=1, max=65535, metavar="N", help="The port.")
    ] = 5555,
    state: Annotated[
        Path | None,
        typer.Option(
            envvar="SCAFFOLDRY_FLOWER_STATE",
            metavar="FILE",
            help="Where it keeps what it has seen.  [default: in the cache folder]",
            show_default=False,
        ),
    ] = None,
    no_login: Annotated[
        bool,
        typer.Option(
            "--no-login",
            envvar="SCAFFOLDRY_FLOWER_NO_LOGIN",
            help="Let everyone see the page who reaches it.",
            show_default=False,
        ),
    ] = False,
) -> int:
    """Serve Flower, a web page that shows which job runs where.

    The user is SCAFFOLDRY_FLOWER_USER (scaffoldry), the password SCAFFOLDRY_FLOWER_LOGIN.
    """
    from coordinator.monitoring.flower import serve_flower
    from shared.errors import UsageError
    from shared.settings import get_settings

    url = broker_url_or_set(broker_url)
    if url is None:
        raise UsageError(
            "Flower needs a broker to listen to: set SCAFFOLDRY_BROKER_URL or give --broker-url redis://HOST:6379/0."
        )
    login = not (no_login or get_settings().flower_no_login)
    serve_flower(url, address, port, state, login)
