"""Addresses of Flower's pages about an experiment."""

from urllib.parse import quote, urlsplit

from shared.errors import UsageError
from shared.models import Job
from shared.settings import get_settings


def flower_url() -> str | None:
    """Where users find Flower, as set; None where it is not. Raises UsageError for what is no web address."""
    url = get_settings().flower_url
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"SCAFFOLDRY_FLOWER_URL is {url!r}, which is no web address. Give it as http://HOST:5555.")
    return url.rstrip("/")


def experiment_link(flower: str, experiment: str) -> str:
    """The page that shows the jobs of that experiment and no others."""
    return _search(flower, f"{experiment}.it")


def job_link(flower: str, job: Job) -> str:
    """The page that shows the attempts of a job, whichever session made them; Flower has it once a worker took it."""
    return _search(flower, job.task_id)


def _search(flower: str, task_id: str) -> str:
    """The tasks whose ids hold that text.

    Flower's page searches for ``name:`` and whatever its ``name`` parameter holds. A search is words that must all be
    found, so a second word may stand there.
    """
    return f"{flower}/tasks?name={quote(f'scaffoldry {task_id}', safe='')}"
