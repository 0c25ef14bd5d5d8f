"""Being told to end, by whatever signal, and ending in good order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interruptible_once(tell: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP raises KeyboardInterrupt; those that follow are not heard.

    ``tell`` is called before: cleaning up takes its time, and a second Ctrl-C must not leave half of it undone. SIGINT
    is listened to even where a shell has started us with it ignored; an ignored SIGHUP (nohup) stays ignored.
    """
    heard = False

    def end(number: int, frame: object) -> None:
        nonlocal heard
        if not heard:
            heard = True
            tell()
            raise KeyboardInterrupt

    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    old = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
