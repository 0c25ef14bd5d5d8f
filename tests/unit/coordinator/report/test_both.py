"""Two reporters in one."""

from typing import Any

from coordinator.report.base import Reporter
from coordinator.report.both import Both

METHODS = sorted(name for name, value in vars(Reporter).items() if callable(value) and not name.startswith("_"))


class Heard:
    """Stands for a reporter: notes what it is told."""

    def __init__(self, log: list[Any], name: str) -> None:
        self._log = log
        self._name = name

    def __getattr__(self, method: str) -> Any:
        return lambda *arguments: self._log.append((self._name, method, *arguments))


def test_both_are_told_everything_in_order() -> None:
    log: list[Any] = []
    both = Both(Heard(log, "first"), Heard(log, "second"))  # type: ignore[arg-type]
    arguments = {"tick": 0, "close": 0, "run_finished": 2, "run_retried": 2, "run_quarantined": 2}
    for method in METHODS:
        getattr(both, method)(*range(arguments.get(method, 1)))
    told = [(method, *range(arguments.get(method, 1))) for method in METHODS]
    assert len(METHODS) == 12
    assert log == [(name, *call) for call in told for name in ("first", "second")]
