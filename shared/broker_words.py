"""Why a broker did not serve us, in a sentence."""

import ssl
from urllib.parse import urlsplit

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    ResponseError,
)

from shared.broker_url import TLS
from shared.error_words import causes

ACL = "`python -m shared.broker_acl` makes the users that Scaffoldry needs (docs/broker.md)"


def broker_sentence(error: BaseException, where: str, url: str) -> str:
    """What is wrong with the broker at ``where``, and what to do, by the error that a first PING ended with.

    ``url`` is the broker's; of its password the sentence says at most that there is none.
    """
    chain = list(causes(error))
    said = str(error).strip().rstrip(".") or type(error).__name__
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return (
                f"The certificate of the broker at {where} is not accepted: {one.verify_message.rstrip('.')}. Set "
                "SCAFFOLDRY_BROKER_CA to the certificate of the authority that signed it, and name the host as it does."
            )
        if isinstance(one, ssl.SSLError):
            return f"The broker at {where} does not speak TLS there ({said}): give its TLS port, or a redis:// URL."
    if "syntax error" in said:  # we spell our commands right: it knows an older form of one
        return f"The broker at {where} is too old for leases on jobs ({said}): it must be Redis 7.0 or later."
    for kinds, sentence in _SENTENCES:
        if any(isinstance(one, kinds) for one in chain):
            return sentence.format(where=where, said=said, who=_who(url), acl=ACL)
    if any(isinstance(one, ConnectionResetError | EOFError) for one in chain) or "closed by server" in said:
        return f"The broker at {where} hung up ({said}): it may be no Redis, or one that wants TLS (rediss://)."
    if urlsplit(url).scheme == TLS and any(isinstance(one, TimeoutError) for one in chain):
        return f"The broker at {where} does not answer ({said}): start it, and see that it speaks TLS there."
    return (
        f"The broker at {where} does not answer: {said}. Start Redis there, or leave the broker URL out to run "
        "without a server."
    )


_SENTENCES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((BusyLoadingError,), "The broker at {where} is still reading its data: try again in a moment."),
    (
        (NoPermissionError,),
        "The broker at {where} does not let {who} do what it must: each role has a user of its own, and {acl}.",
    ),
    (
        (AuthenticationError, AuthorizationError),
        "The broker at {where} refuses {who} ({said}): write the right ones into the URL, as in "
        "redis://USER:PASSWORD@HOST:6379/0.",
    ),
    ((InvalidResponse,), "What answers at {where} is no Redis, or one that wants TLS (rediss://): {said}."),
    ((ResponseError,), "The broker at {where} refuses: {said}."),
)


def _who(url: str) -> str:
    parts = urlsplit(url)
    if not parts.password:
        return "whoever gives no password"
    return f"the user {parts.username!r} or its password" if parts.username else "the password"
