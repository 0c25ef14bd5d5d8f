"""One line of ``doctor``."""

from shared.models.base import Frozen


class Finding(Frozen):
    """One check. ``ok`` is None where something may be wrong, or is not needed by everybody."""

    check: str
    ok: bool | None
    detail: str
    fix: str | None = None
    """What to do."""
