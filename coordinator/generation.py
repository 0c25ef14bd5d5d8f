"""A generation of scaffolds: ordered from the proposer, tried out, repaired, and skipped where nothing helps."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coordinator.plan import ATTEMPTS
from coordinator.proposers.base import Draft, Order, Proposer
from coordinator.report import words
from coordinator.scaffolds import code_problem
from shared.errors import Exhausted, OutOfBudget, Unavailable
from shared.file_manager import ExperimentFileManager
from shared.models import RunResult, ScaffoldMetadata, ScaffoldResult, Status

TryOut = Callable[[Sequence[str], int], Mapping[str, RunResult]]
"""Runs each of the scaffolds once with a mock model, as that attempt; the results there are, by scaffold id."""


@dataclass(frozen=True)
class Generation:
    """Brings the orders of one iteration to scaffolds that start and answer.

    All that was drafted is kept with the scaffold, and every trial is a committed run, so that growing the same orders
    again asks for nothing that was answered before.
    """

    files: ExperimentFileManager
    iteration: int
    proposer: Proposer
    proposer_name: str
    try_out: TryOut
    say: Callable[[str], None]
    no_more: Callable[[], str | None] = lambda: None
    """Why nothing more may be asked of the proposer (the budget is used up); None while it may."""

    def grow(self, orders: Sequence[Order]) -> list[str]:
        """The ids of the scaffolds that passed their trial, in the order they were ordered.

        The others are skipped for good, but for those that our own machinery could not try: growing the same orders
        again tries them again.
        """
        passed: set[str] = set()
        waiting = {order.scaffold_id: order for order in orders if not self._is_skipped(order.scaffold_id)}
        problems: dict[str, str | None] = dict.fromkeys(waiting)
        for attempt in range(ATTEMPTS):
            drafted = self._draft_all(list(waiting.values()), attempt, problems)
            waiting = {id: order for id, order in waiting.items() if id in drafted}
            problems = self._problems(drafted, attempt)
            passed |= {id for id, problem in problems.items() if problem is None}
            waiting = {id: order for id, order in waiting.items() if problems.get(id) is not None}
            if not waiting:
                break
        return [order.scaffold_id for order in orders if order.scaffold_id in passed]

    def exhausted(self, orders: Sequence[Order]) -> bool:
        """Whether the proposer had nothing for any of the orders."""
        return all(self._load(order.scaffold_id) is None for order in orders)

    def _draft_all(
        self, orders: Sequence[Order], attempt: int, problems: Mapping[str, str | None]
    ) -> dict[str, ScaffoldResult]:
        """Each order's draft, as a scaffold on the volume; orders that nothing more can be done for are left out."""

        def draft(order: Order) -> ScaffoldResult | None:
            return self._drafted(order, attempt, problems[order.scaffold_id])

        with ThreadPoolExecutor(max(1, self.proposer.at_once)) as threads:
            try:
                found = list(zip(orders, threads.map(draft, orders), strict=True))
            except OutOfBudget:
                threads.shutdown(cancel_futures=True)  # what is under way is paid for, and is kept
                raise
            except BaseException:
                self.proposer.close()  # nobody waits for the answers that are under way
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        return {order.scaffold_id: scaffold for order, scaffold in found if scaffold is not None}

    def _drafted(self, order: Order, attempt: int, problem: str | None) -> ScaffoldResult | None:
        earlier = self._load(order.scaffold_id)
        if earlier is not None and len(attempts_of(earlier.metadata)) > attempt:
            return earlier
        reason = self.no_more()
        if reason is not None:
            raise OutOfBudget(reason)
        try:
            draft = self._asked(order, earlier, problem)
        except Exhausted as error:
            if earlier is None:
                self.say(f"Scaffold {order.scaffold_id} was not written: {error}")
            draft = None
        except (OutOfBudget, Unavailable):
            raise
        except (Exception, SystemExit) as error:  # a plug-in may do anything
            draft = Draft(code=None, problem=f"The proposer failed with {type(error).__name__}: {error}")
        if draft is None:
            if earlier is not None:
                self._skip(order.scaffold_id, earlier, problem or "")
            return None
        return self._save(order, earlier, draft)

    def _asked(self, order: Order, earlier: ScaffoldResult | None, problem: str | None) -> Draft | None:
        """What the proposer answers, as it can be kept; None where it repairs nothing."""
        if earlier is None:
            draft: Draft | None = self.proposer.propose(order)
        else:
            again = order.model_copy(update={"attempt": len(attempts_of(earlier.metadata))})
            draft = self.proposer.repair(again, last_draft(earlier), problem or "")
            if draft is None:
                return None
        if not isinstance(draft, Draft):
            raise TypeError(f"it returned no Draft, but {words.one_line(repr(draft), 80)}")
        return Draft.model_validate_json(draft.model_dump_json())

    def _save(self, order: Order, earlier: ScaffoldResult | None, draft: Draft) -> ScaffoldResult:
        attempts = [*(attempts_of(earlier.metadata) if earlier else ()), draft.model_dump(mode="json")]
        metadata = ScaffoldMetadata(
            created_at=earlier.metadata.created_at if earlier else datetime.now(UTC),
            model=draft.model,
            parent_scaffold_id=order.parent.scaffold_id if order.parent else None,
            iteration=self.iteration,
            notes={"proposer": self.proposer_name, "attempts": attempts},
        )
        kept = draft.code if draft.code is not None else earlier.code if earlier else ""
        scaffold = ScaffoldResult(code=kept, metadata=metadata)
        self.files.save_scaffold(order.scaffold_id, scaffold)
        return scaffold

    def _problems(self, drafted: Mapping[str, ScaffoldResult], attempt: int) -> dict[str, str | None]:
        """What is wrong with each drafted scaffold; None where it passed. The last attempt's failures are skipped.

        Those that could not be tried are left out.
        """
        problems = {id: _static_problem(scaffold, attempt) for id, scaffold in drafted.items()}
        to_try = [id for id, problem in problems.items() if problem is None]
        results = self.try_out(to_try, attempt) if to_try else {}
        for scaffold_id in to_try:
            result = results.get(scaffold_id)
            if result is None:
                del problems[scaffold_id]
                self.say(
                    f"Scaffold {scaffold_id} could not be tried out, for our machinery failed; a resume tries again."
                )
            else:
                problems[scaffold_id] = trial_problem(result)
        if attempt == ATTEMPTS - 1:
            for scaffold_id, problem in problems.items():
                if problem is not None:
                    self._skip(scaffold_id, drafted[scaffold_id], problem)
        return problems

    def _skip(self, scaffold_id: str, scaffold: ScaffoldResult, problem: str) -> None:
        if "skipped" in scaffold.metadata.notes:
            return
        notes = {**scaffold.metadata.notes, "skipped": problem}
        metadata = scaffold.metadata.model_copy(update={"notes": notes})
        self.files.save_scaffold(scaffold_id, scaffold.model_copy(update={"metadata": metadata}))
        tries = words.plural(len(attempts_of(metadata)), "attempt")
        self.say(f"Scaffold {scaffold_id} was skipped after {tries}: {in_short(problem)}")

    def _load(self, scaffold_id: str) -> ScaffoldResult | None:
        """The scaffold as its last attempt left it.

        A session may have been killed between writing what was drafted, which is what counts, and the code of it.
        """
        try:
            metadata = self.files.load_scaffold_metadata(scaffold_id)
        except FileNotFoundError:
            return None
        codes = [attempt["code"] for attempt in attempts_of(metadata) if attempt["code"] is not None]
        drafted = ScaffoldResult(code=codes[-1] if codes else "", metadata=metadata)
        try:
            whole = self.files.load_scaffold(scaffold_id).code == drafted.code
        except FileNotFoundError:
            whole = False
        if not whole:
            self.files.save_scaffold(scaffold_id, drafted)
        return drafted

    def _is_skipped(self, scaffold_id: str) -> bool:
        scaffold = self._load(scaffold_id)
        return scaffold is not None and "skipped" in scaffold.metadata.notes


def attempts_of(metadata: ScaffoldMetadata) -> list[dict[str, Any]]:
    """What was drafted for a scaffold, attempt by attempt; empty for one that nobody proposed."""
    return list(metadata.notes.get("attempts", ()))


def last_draft(scaffold: ScaffoldResult) -> Draft:
    """The newest draft of a proposed scaffold."""
    return Draft.model_validate(attempts_of(scaffold.metadata)[-1])


def trial_problem(result: RunResult) -> str | None:
    """Why a trial was not passed, for whoever repairs the scaffold; None where it was."""
    if result.status is Status.OK:
        return None
    return f"In its trial it {words.STATUS_WORDS[result.status]}. {result.error_message or ''}".strip()


def _static_problem(scaffold: ScaffoldResult, attempt: int) -> str | None:
    draft = Draft.model_validate(attempts_of(scaffold.metadata)[attempt])
    if draft.code is None:
        return draft.problem or "There is no code in the answer."
    return code_problem(draft.code)


def in_short(problem: str) -> str:
    """The first and the last line of a problem: what happened, and the end of its traceback."""
    lines = [line for line in problem.splitlines() if line.strip()]
    return words.one_line(f"{lines[0]} {lines[-1]}" if len(lines) > 1 else problem, 200)
