"""Celery's consumer, which lets go of a lost connection without letting go of the runs under way.

Celery closes such a connection, and its Redis transport then tries to hand back the messages of all runs under way,
over the very connection that was lost; and when one of them ends, it is answered over that connection too. Where that
fails in the wrong place the whole worker ends with it; where it succeeds, every run is delivered a second time. Ours go
on, and are answered over the connection that there is by then.
"""

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer as CelerysConsumer


class Consumer(CelerysConsumer):
    """The one that our workers use."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Called in Celery's loop before it connects anew."""
        keep_messages(self)
        super().on_connection_error_after_connected(exc)


def keep_messages(consumer: Any) -> None:
    """Have a lost connection's channels put nothing back, and have what they delivered answered over the next one."""
    for channel in getattr(consumer.connection.transport, "channels", None) or ():
        channel.do_restore = False
        channel.basic_ack = partial(_acknowledge, consumer)
        channel.basic_reject = partial(_reject, consumer)


def _acknowledge(consumer: Any, tag: str, multiple: bool = False) -> None:
    qos = _qos(consumer)
    if qos is not None:
        qos.ack(tag)


def _reject(consumer: Any, tag: str, requeue: bool = False) -> None:
    qos = _qos(consumer)
    if qos is not None:
        qos.reject(tag, requeue=requeue)


def _qos(consumer: Any) -> Any:
    """Where messages are answered at present; None where nowhere: then they come again, and are found to be done."""
    channel = getattr(consumer.task_consumer, "channel", None)
    return None if channel is None or channel.closed else channel.qos
