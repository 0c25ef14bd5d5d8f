"""The best scaffolds beside the winner, and how far they can be told from it."""

from collections.abc import Mapping, Sequence

from coordinator.report import words
from coordinator.report.table import empty_columns, table_without
from shared.models import Details, Leader, SplitDetails

HEADERS = ("scaffold", "name", "n", "mean", "difference", "95% interval", "P(best)", "verdict")
RIGHT = frozenset({"n", "mean", "difference", "P(best)"})
NOT_SEPARABLE = "not separable from the winner"


def leaders_table(details: Sequence[Details], names: Mapping[str, str], markdown: bool = False) -> str:
    """The leaders of the latest iteration with the difference to the winner; empty where there is only one."""
    leaders = details[-1].leaders if details else ()
    if len(leaders) < 2:
        return ""
    rows = [
        (
            one.scaffold_id,
            names.get(one.scaffold_id, ""),
            f"{one.n:,}",
            words.number(one.mean),
            words.signed(one.difference),
            words.bounds(one.ci95),
            probability(one.p_best),
            verdict(one, leaders[0]) + ("" if one.complete else ", incomplete"),
        )
        for one in leaders
    ]
    return table_without(empty_columns(HEADERS, rows) & {"name"}, HEADERS, rows, RIGHT, markdown)


def verdict(leader: Leader, winner: Leader) -> str:
    """What may be said of a leader, in words."""
    if leader.scaffold_id == winner.scaffold_id:
        return "the winner"
    if leader.ci95 is None:
        return f"{words.plural(leader.examples, 'shared example')}: too few to tell"
    return "separable from the winner" if leader.separable else NOT_SEPARABLE


def probability(value: float | None) -> str:
    """``0.62``; never 0 or 1 by rounding alone."""
    if value is None:
        return "-"
    return "<0.01" if 0 < value < 0.01 else ">0.99" if 0.99 < value < 1 else f"{value:.2f}"


def outcome(details: Sequence[Details]) -> list[str]:
    """Who won, who cannot be told from it, and what the test split says, in sentences."""
    if not details or details[-1].winner is None:
        return []
    lines, leaders = [], details[-1].leaders
    if len(leaders) > 1:
        lines.append(_best(leaders[0], latest_part(details, leaders[0].scaffold_id)))
        lines += _rivals(leaders)
    return lines + _test(details)


def latest_part(details: Sequence[Details], scaffold_id: str, split: str = "valid") -> SplitDetails | None:
    """The latest of a scaffold's scores on a split; one without a mean only where there is no other."""
    parts = [one.splits.get(split, {}).get(scaffold_id) for one in reversed(details)]
    found = [part for part in parts if part is not None]
    return next((part for part in found if part.mean is not None), found[0] if found else None)


def _best(winner: Leader, part: SplitDetails | None) -> str:
    interval = f", 95% {words.interval(part)}" if part and part.ci95 else ""
    best = "" if winner.p_best is None else f"; the best of the leaders with probability {probability(winner.p_best)}"
    mean = f"validation mean {words.number(winner.mean)}{interval}"
    who = "The winner is" if winner.complete else "The best so far, with runs still missing, is"
    return f"{who} scaffold {winner.scaffold_id}: {mean}{best}."


def _rivals(leaders: Sequence[Leader]) -> list[str]:
    equal = [one.scaffold_id for one in leaders[1:] if one.ci95 is not None and not one.separable]
    unknown = [one.scaffold_id for one in leaders[1:] if one.ci95 is None]
    lines = [f"{_scaffolds(equal)} {NOT_SEPARABLE}."] if equal else []
    if unknown:
        whose = _scaffolds(unknown, "has", "have")
        lines.append(f"{whose} too few examples in common with the winner to be told from it.")
    return lines or ["It is separable from every other leader."]


def _scaffolds(ids: Sequence[str], singular: str = "is", plural: str = "are") -> str:
    one = len(ids) == 1
    return f"{'Scaffold' if one else 'Scaffolds'} {words.listed(ids)} {singular if one else plural}"


def _test(details: Sequence[Details]) -> list[str]:
    winner = details[-1].winner
    if winner is None or winner.test_mean is None:
        return []
    part = latest_part(details, winner.scaffold_id, "test")
    interval = f" (95% {words.interval(part)}, {words.plural(part.n, 'run')})" if part and part.ci95 else ""
    test, valid = words.number(winner.test_mean), words.number(winner.valid_mean)
    lead = f"On the test split scaffold {winner.scaffold_id} has {test}{interval}, on validation {valid}"
    return [f"{lead}: a gap of {words.signed(winner.gap)}."]
