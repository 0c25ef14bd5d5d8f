"""Told to end, a command cleans up undisturbed."""

import os
import signal

import pytest

from coordinator.cli.signals import interruptible_once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_interrupts_and_a_second_does_not_disturb(number: signal.Signals) -> None:
    before, told, cleaned = signal.getsignal(number), [], False
    with pytest.raises(KeyboardInterrupt), interruptible_once(lambda: told.append(1)):
        try:
            os.kill(os.getpid(), number)
            pytest.fail("not interrupted")
        finally:
            os.kill(os.getpid(), number)
            cleaned = True
    assert (told, cleaned) == ([1], True)
    assert signal.getsignal(number) is before


def test_an_ignored_interrupt_is_heard_and_an_ignored_hang_up_is_not() -> None:
    old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        with pytest.raises(KeyboardInterrupt), interruptible_once(lambda: None):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
