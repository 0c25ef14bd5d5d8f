"""How a scaffold came to be: what its proposer tried, at what cost, and what became of each try."""

from collections.abc import Mapping, Sequence
from typing import Any

from coordinator.report import words
from shared.models.ids import run_type_key
from shared.models.result import Usage


def proposal_lines(notes: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about a scaffold's ``notes``; ``trials`` are its runs with a mock model. Empty for one that was given.

    Prompts and answers are left out: they are long, and in the notes.
    """
    lines = []
    attempts = notes.get("attempts") or ()
    if notes.get("proposer"):
        tries = f", {words.plural(len(attempts), 'attempt')}" if attempts else ""
        lines.append(f"  proposed by: {words.one_line(str(notes['proposer']))}{tries}")
    tried = {run_type_key(str(trial["run_type"]))[1]: trial for trial in trials}
    lines += [f"    attempt {index}: {_attempt(one, tried.get(index))}" for index, one in enumerate(attempts)]
    if notes.get("skipped") is not None:
        lines.append(f"  skipped: {words.one_line(str(notes['skipped']))}")
    return lines


def _attempt(attempt: Mapping[str, Any], trial: Mapping[str, Any] | None) -> str:
    parts = [*_cost(attempt), _fate(attempt, trial)]
    return "; ".join(part for part in parts if part)


def _cost(attempt: Mapping[str, Any]) -> list[str]:
    usage = Usage.model_validate(attempt.get("usage") or {})
    tokens = usage.input_tokens + usage.output_tokens
    spent = [words.plural(usage.calls, "call"), words.plural(tokens, "token"), words.dollars(usage.usd)]
    model = words.one_line(str(attempt.get("model") or ""), 100)
    return [model, ", ".join(part for part in spent if part) if usage.calls else ""]


def _fate(attempt: Mapping[str, Any], trial: Mapping[str, Any] | None) -> str:
    if attempt.get("problem"):
        return words.one_line(str(attempt["problem"]))
    if trial is None:
        return "not tried out"
    error = f": {trial['error']}" if trial["error"] else ""
    return "passed its trial" if trial["status"] == "ok" else f"failed its trial with {trial['status']}{error}"
