"""A Redis broker's URL: what may stand in it, and how a connection to it is kept private."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from shared.errors import UsageError

TLS = "rediss"
SCHEMES = ("redis", TLS)
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CHECKS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_UNREADABLE = "its host or port cannot be read (write / as %2F, ? as %3F, # as %23 and @ as %40 in a password)"
_EXAMPLE = "redis://USER:PASSWORD@HOST:6379/0"


def check_url(url: str) -> None:
    """Raise UsageError, which shows no password, unless a connection can be tried with that Redis URL."""
    try:
        parts = urlsplit(url)
        problem = _problem(parts, parts.port)
        if problem and "@" in f"{parts.path}{parts.query}{parts.fragment}":
            problem = _UNREADABLE  # what seems to follow the host is a password's end, so nothing of it is shown
    except ValueError:
        problem = _UNREADABLE
    if problem:
        raise UsageError(f"The broker's URL cannot be used: {problem}. It has the form {_EXAMPLE}.")


def _problem(parts: SplitResult, port: int | None) -> str | None:
    if not parts.hostname or port == 0:
        return "it names no host or no port"
    if parts.fragment:
        return "what follows # means nothing there"
    if parts.path.strip("/") and not parts.path.strip("/").isdecimal():
        return f"{parts.path!r} is no number of a database"
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if parts.scheme != TLS or name not in (*_FILES, "ssl_cert_reqs", "ssl_check_hostname"):
            return f"the parameter {name!r} means nothing there"
        if name == "ssl_cert_reqs" and value.lower().removeprefix("cert_") not in _CHECKS:
            return "ssl_cert_reqs is none, optional or required"
        if name in _FILES and not Path(value).is_file():
            return f"{name} names the file {value}, which does not exist"
    return None


def without_query(url: str) -> str:
    """The URL without its parameters, which ``tls_options`` has read."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def tls_options(url: str, ca: Path | None) -> dict[str, Any] | None:
    """What redis-py is to be told of TLS, or None where the URL asks for none.

    The certificate must be signed by ``ca`` (None: an authority of this system) and be the host's. What the URL says
    for itself wins. Raises UsageError where ``ca`` is no file.
    """
    if urlsplit(url).scheme != TLS:
        return None
    if ca is not None and not ca.is_file():
        raise UsageError(f"SCAFFOLDRY_BROKER_CA names {ca}, which is no file: give the authority's certificate.")
    options: dict[str, Any] = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    if ca is not None:
        options["ssl_ca_certs"] = str(ca)
    for name, value in parse_qsl(urlsplit(url).query):
        options[name] = value
        if name == "ssl_cert_reqs":
            options[name] = _CHECKS[value.lower().removeprefix("cert_")]
        if name == "ssl_check_hostname":
            options[name] = value.lower() not in ("false", "0", "no")
    return options
