"""An experiment from its plan to its scores. Reads like the way through the house."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from coordinator import orders
from coordinator.aggregate import aggregate, current_details, standings
from coordinator.baseline import BASELINE
from coordinator.datasets import data_digest
from coordinator.dispatch import Dispatch, release
from coordinator.experiment import given_ids, plan_for
from coordinator.generation import Generation
from coordinator.job_queue import JobQueue
from coordinator.plan import first_assigned, plan_iteration
from coordinator.proposers import Proposer
from coordinator.report import words
from coordinator.report.base import Reporter
from coordinator.selection import Standing, rank
from shared.errors import CorruptFile
from shared.file_manager import ExperimentFileManager
from shared.models import Details, Example, ExperimentSpec, Plan, RunResult
from shared.models.ids import PREFLIGHT

SPARE = "spare"
"""Where a plan keeps which of the scaffolds in ``train`` stand in for parents whose children came to nothing."""
RECEIPT_GRACE = 60.0
"""Seconds beyond a run's deadline after which its receipt is taken for lost."""

LONGEST_PARENT = 58
"""Characters of an id whose children's ids, a number longer each, are still scaffold ids: some thirty generations."""


@dataclass
class Loop:
    """One experiment's way: propose, try out, evaluate, select, evolve.

    Everything decided is on the volume before anything is done about it, and everything done is there before the next
    is decided, so that a loop that was stopped anywhere goes on as if it had not been.
    """

    files: ExperimentFileManager
    queue: JobQueue
    reporter: Reporter
    proposer: Proposer | None = None
    no_more: Callable[[], str | None] = lambda: None
    """Says why no further run may start (the budget is used up); None while one may."""
    session: int = 1
    """The number that this session's attempts are sent under."""
    _known: dict[int, dict[str, Standing]] = field(default_factory=dict)
    _exhausted: bool = False
    """Whether the proposer had nothing for any order of the last generation."""

    @cached_property
    def spec(self) -> ExperimentSpec:
        """The experiment's spec."""
        return self.files.load_metadata().spec

    @cached_property
    def data(self) -> dict[str, tuple[Example, ...]]:
        """The experiment's examples; raises CorruptFile where they are no more those it was begun with."""
        data = self.files.load_data()
        for split, digest in self.files.load_metadata().data_digests.items():
            if data_digest(data.get(split, ())) != digest:
                raise CorruptFile(f"The {split} examples in {self.files}/data are not those the experiment began with.")
        return data

    def run(self) -> list[Details]:
        """Bring every iteration to its scoring files, and the winner to the test split.

        What is committed already is not run again. The details of all iterations. Raises OutOfBudget with what was done
        until then aggregated.
        """
        last = 0
        for iteration in range(self.spec.loop.iterations):
            if iteration and not self._parents(iteration):
                self.reporter.say("No scaffold but the baseline has a validation score, so there is nothing to evolve.")
                break
            last = iteration
            if not self._iterate(iteration):
                self.reporter.say("The proposer has no more scaffolds, so the loop ends here.")
                break
        self._test_winner(last)
        return current_details(self.files)

    def _iterate(self, iteration: int) -> bool:
        """Evaluate the iteration's scaffolds; whether the proposer has more of them."""
        plan = self._planned(iteration)
        try:
            if self.proposer is not None:
                plan = self._first_generation(plan) if iteration == 0 else self._next_generation(plan)
            self._evaluate(plan.only("valid"))
            if self.proposer is None:
                self._evaluate(plan.only("train"))
        finally:
            aggregate(self.files, iteration)
        return not self._exhausted

    def _planned(self, iteration: int) -> Plan:
        """The iteration's plan as it was written, or a new one."""
        if iteration in self.files.plan_iterations():
            return plan_for(self.files, iteration)
        if iteration == 0:
            assigned: dict[str, Sequence[str]] = first_assigned(self.spec, given_ids(self.spec))
        else:
            assigned = {"train": self._parents(iteration), PREFLIGHT: (), "valid": ()}
        return self._save(plan_iteration(self.files.name, iteration, self.spec.loop, self.data, assigned))

    def _save(self, plan: Plan) -> Plan:
        self.files.save_plan(plan)
        return plan

    def _ranked(self, iteration: int) -> list[str]:
        """All scaffolds that were validated before the iteration and may be evolved, the best first."""
        ranked = rank(self._standings(iteration))
        return [id for id in ranked if id != BASELINE and len(id) <= LONGEST_PARENT]

    def _standings(self, before: int) -> dict[str, Standing]:
        """The standings before an iteration, read once: those of finished iterations do not change any more."""
        if before not in self._known:
            self._known = {before: standings(self.files, before=before)}
        return self._known[before]

    def _parents(self, iteration: int) -> list[str]:
        return self._ranked(iteration)[: self.spec.loop.top_k]

    # ------------------------------------------------------------------ new scaffolds

    def _first_generation(self, plan: Plan) -> Plan:
        wanted = orders.first_orders(self.spec)
        born = self._grow(plan, wanted)
        also = (BASELINE,) if self.spec.has_baseline else ()
        return self._save(plan.assign("valid", (*born, *also)))

    def _next_generation(self, plan: Plan) -> Plan:
        """Children of the parents; in the place of each that came to nothing, one of the next-best scaffold."""
        decided = plan.assigned.get(SPARE)
        parents = tuple(id for id in plan.assigned["train"] if id not in (decided or ()))
        self._train(plan, parents)
        wanted = self._child_orders(plan, parents, self.spec.loop.children)
        born = self._grow(plan, wanted)
        if decided is None:
            rest = [id for id in self._ranked(plan.iteration) if id not in parents]
            decided = () if self._exhausted else tuple(rest[: len(wanted) - len(born)])
            plan = self._save(plan.assign(SPARE, decided).assign("train", decided))
        if decided:
            self._train(plan, decided)
            born += self._grow(plan, self._child_orders(plan, decided, 1))
        again = parents if self.spec.loop.resample_validation else ()
        return self._save(plan.assign("valid", (*again, *born)))

    def _child_orders(self, plan: Plan, parents: Sequence[str], children: int) -> list[orders.Order]:
        known = self._standings(plan.iteration)
        means = {id: known[id].mean for id in parents}
        return orders.child_orders(self.files, plan, means, children, self.spec.loop.seeds["proposing"])

    def _train(self, plan: Plan, parents: Sequence[str]) -> None:
        part = plan.only("train")
        self._evaluate(part.model_copy(update={"assigned": {"train": tuple(parents)}}))

    def _grow(self, plan: Plan, wanted: Sequence[orders.Order]) -> list[str]:
        if not wanted or self.proposer is None or self.spec.proposer is None:
            return []
        self.reporter.say(f"Iteration {plan.iteration}: proposing {words.plural(len(wanted), 'scaffold')}.")

        def try_out(scaffold_ids: Sequence[str], attempt: int) -> Mapping[str, RunResult]:
            return self._try_out(plan, scaffold_ids, attempt)

        generation = Generation(
            files=self.files,
            iteration=plan.iteration,
            proposer=self.proposer,
            proposer_name=self.spec.proposer.name,
            try_out=try_out,
            say=self.reporter.say,
            no_more=self.no_more,
        )
        born = generation.grow(wanted)
        self._exhausted = generation.exhausted(wanted)
        return born

    def _try_out(self, plan: Plan, scaffold_ids: Sequence[str], attempt: int) -> dict[str, RunResult]:
        run_type = f"{PREFLIGHT}_{attempt}"
        trial = {"runs": {run_type: plan.runs[run_type]}, "assigned": {PREFLIGHT: tuple(scaffold_ids)}}
        part = plan.model_copy(update=trial)
        self._evaluate(part)
        found = ((job.scaffold_id, self.files.load_result(job)) for job in part.jobs())
        return {scaffold_id: result for scaffold_id, result in found if result is not None}

    # ------------------------------------------------------------------ running

    def _evaluate(self, part: Plan) -> None:
        """Run the jobs of a plan, or of a part of one, that have no committed result."""
        if not len(part):
            return
        self.reporter.iteration_started(part)
        committed = {id: set(self.files.committed_run_types(part.iteration, id)) for id in part.scaffolds}
        quarantined = {id: self.files.quarantined_run_types(part.iteration, id) for id in part.scaffolds}
        for job in (job for job in part.jobs() if job.run_type in committed[job.scaffold_id]):
            result = self.files.load_result(job)
            if result is not None:
                self.reporter.run_restored(result)
            if job.run_type in quarantined[job.scaffold_id]:
                release(self.files, job)  # its result came late, from an attempt that was given up
        try:
            self._dispatch(part).run(job for job in part.jobs() if job.run_type not in committed[job.scaffold_id])
        finally:
            self.files.make_results_durable(part.iteration, part.scaffolds)

    def _dispatch(self, part: Plan) -> Dispatch:
        return Dispatch(
            files=self.files,
            plan=part,
            queue=self.queue,
            reporter=self.reporter,
            stall_after=2 * self.spec.executor.timeout + RECEIPT_GRACE,
            on_complaint=self.reporter.say,
            no_more=self.no_more,
            begun=lambda job, attempt: self.files.was_begun(job, attempt, self.session),
            session=self.session,
        )

    def _test_winner(self, iteration: int) -> None:
        """Run the best scaffold of all once on the test split, which nothing was decided by."""
        if self.spec.proposer is None or not self.data.get("test"):
            return
        plan = plan_for(self.files, iteration)
        best = rank(standings(self.files, before=iteration + 1))[:1]
        # A session that made up for failed runs may have another winner than the one before it.
        if not set(best) <= set(plan.assigned.get("test", ())):
            tested = plan_iteration(self.files.name, iteration, self.spec.loop, self.data, {"test": best})
            plan = self._save(
                plan.model_copy(update={"runs": {**plan.runs, **tested.runs}}).assign("test", tuple(best))
            )
        try:
            self._evaluate(plan.only("test"))
        finally:
            aggregate(self.files, iteration)
