"""A bare Celery task, with Celery's own defaults: what the queue alone can do."""

import os

from celery import Celery

URL = os.environ.get("BENCHMARK_BROKER_URL", "redis://127.0.0.1:6379/0")
app = Celery("noop", broker=URL, backend=URL)


@app.task
def noop(number: int) -> int:
    """Nothing."""
    return number
