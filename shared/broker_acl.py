"""Who may do what on the broker: a Redis user for each role, as the lines of an ACL file (Redis 7.0 or later).

``python -m shared.broker_acl`` prints the file for the passwords of the settings. A role is given its commands one by
one, each for the keys and channels that Celery needs them for; ``default``, the user of whoever gives no name, is off.
No role may do what Redis calls dangerous, and none needs to.
"""

import hashlib
import sys
from collections.abc import Mapping
from typing import NamedTuple

from shared.error_words import describe, say
from shared.errors import ScaffoldryError, UsageError
from shared.settings import secret


class Grant(NamedTuple):
    """Commands that may be used on those keys and channels, as Redis spells both."""

    commands: str
    where: str


SHARED = "+@connection +multi +exec +discard +unwatch +time +script|load +script|exists -@admin -@dangerous"
"""What every role may do: connect, and what names no key. The commands of a script are looked at one by one."""

JOBS = "~scaffoldry ~scaffoldry[^-]*"
"""The queues of jobs, with Kombu's suffixes for their priorities. A lease's key goes on with a hyphen."""
LEASES = "~scaffoldry-lease:*"
RESULTS = "celery-task-meta-*"
CONTROL, EVENTS = "celery.pidbox", "celeryev"
"""The exchanges of commands to the workers, and of what Flower hears of them: published, and kept nowhere."""
INBOX = "reply.celery.pidbox"
"""The exchange of the workers' answers. Each role's inboxes begin with its name (``shared.queue``)."""

BINDINGS = "_kombu.binding.{0} _kombu.binding_permanent.{0}"
SWEEP = (
    # Whoever listens for a while removes what others, long gone, said of where they listened.
    Grant("+del", "%W~_kombu.binding.*"),
    Grant("+exists", "%R~_kombu.binding_permanent.*"),
)


def _listens(exchange: str, queues: str) -> tuple[Grant, ...]:
    """Say where one listens for an exchange's messages, keep saying so, and take it back."""
    tables = f"~_kombu.binding.{exchange} ~_kombu.binding_permanent.{exchange} ~_kombu.binding_deadlines"
    said = Grant("+sadd +srem +zadd +zrem +zrangebyscore +evalsha", tables)
    return (said, Grant("+exists +llen +del +pexpire", f"~{queues}"), *SWEEP)


def _asks(role: str) -> tuple[Grant, ...]:
    """Send commands to the workers, and read the answers from inboxes of one's own."""
    return (
        Grant("+publish", f"&/0.{CONTROL}"),
        *_listens(INBOX, f"{role}.*.{INBOX}*"),
        Grant("+brpop", f"~{role}.*.{INBOX}*"),
        # Whoever takes messages looks whether some were taken too long ago; but it is a worker that puts them back.
        Grant("+set +get +del +evalsha", "~unacked_mutex"),
        Grant("+zrange", "%R~unacked_index"),
    )


ROLES: Mapping[str, tuple[Grant, ...]] = {
    "coordinator": (
        Grant("+lpush +llen +lrange +exists +del", JOBS),
        Grant("+get +mget +del", f"~{RESULTS}"),
        Grant("+subscribe +unsubscribe", f"&{RESULTS}"),
        Grant("+mget", f"%R{LEASES}"),
        *_asks("coordinator"),
    ),
    "worker": (
        Grant("+brpop +lpush +rpush +llen +exists", JOBS),
        Grant("+hget +hset +hdel +zadd +zrem +zrange +set +get +del +watch +evalsha", "~unacked*"),
        Grant("+get +set +setex", f"~{RESULTS}"),
        Grant("+publish", f"&{RESULTS}"),
        Grant("+set", LEASES),  # it is told the value that it replaces
        *_listens(CONTROL, f"worker@*.{CONTROL}*"),
        Grant("+psubscribe +punsubscribe", f"&/0.{CONTROL}"),
        Grant("+smembers", f"%R~_kombu.binding.{INBOX}"),
        Grant("+lpush +pexpire", f"%W~*.{INBOX}*"),
        Grant("+publish", f"&/0.{EVENTS}/*"),
        *_asks("worker"),
    ),
    "flower": (
        *_listens(EVENTS, f"{EVENTS}.*"),
        Grant("+psubscribe +punsubscribe", f"&/0.{EVENTS}/*"),
        Grant("+llen", f"%R{JOBS.replace(' ', ' %R')}"),
        *_asks("flower"),
    ),
}


def acl_lines(passwords: Mapping[str, str]) -> list[str]:
    """The lines of the ACL file for each role's password, which it holds as a hash alone."""
    return ["user default off resetchannels -@all", *(_line(role, passwords[role]) for role in ROLES)]


def _line(role: str, password: str) -> str:
    hashed = hashlib.sha256(password.encode()).hexdigest()
    grants = " ".join(f"({grant.commands} {grant.where})" for grant in dict.fromkeys(ROLES[role]))
    return f"user {role} on #{hashed} resetchannels -@all {SHARED} {grants}"


def variable(role: str) -> str:
    """The setting that holds a role's password."""
    return f"SCAFFOLDRY_{role.upper()}_PASSWORD"


def passwords_set() -> dict[str, str]:
    """The passwords of the settings by role; raises UsageError where one is missing."""
    found = {role: secret(variable(role)) for role in ROLES}
    missing = [variable(role) for role, value in found.items() if value is None]
    if missing:
        raise UsageError(f"No password for the broker in {', '.join(missing)}: set one for each role, then try again.")
    return {role: value.get_secret_value() for role, value in found.items() if value is not None}


def main() -> int:
    """Print the ACL file."""
    try:
        print("\n".join(acl_lines(passwords_set())))
    except ScaffoldryError as error:
        sentence, code = describe(error)
        say(sentence)
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
