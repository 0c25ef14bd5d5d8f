"""A bare Celery task, with Celery's own defaults: what the queue alone can do. The broker is named by its variables."""

from celery import Celery

app = Celery("noop")


@app.task
def noop(number: int) -> int:
    """Nothing."""
    return number
