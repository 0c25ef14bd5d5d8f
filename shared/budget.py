"""An experiment's budget: one count for everything that asks models, in whatever process and on whatever host.

What a call may use is taken from the budget before the call is made (``reserve``), and corrected to what it used when
it is over (``settle``). So no moment exists in which a call is with a provider and not counted. A process that is
killed between the two leaves its reservation counted: the budget may end a little early, never late.
"""

from typing import Self

from shared.call_bounds import answer_bound, cost, prompt_bound
from shared.errors import CallTooLarge, OutOfBudget, SpecError
from shared.file_manager import ExperimentFileManager
from shared.model_names import ModelRef, parse_model
from shared.models.base import Frozen
from shared.models.result import Usage
from shared.models.spec import BudgetSpec, ExperimentSpec
from shared.models.spending import Spending

_SHORT_PROMPT = prompt_bound(["x" * 200])


class Reservation(Frozen):
    """What one call may use; counted until it is settled."""

    tokens: int
    usd: float


class Budget:
    """The budget of one experiment. Safe over threads, processes and hosts that share its directory.

    Whatever changes the count raises OSError where the volume cannot be written or its lock not be had, and CorruptFile
    where the count does not parse.
    """

    def __init__(self, files: ExperimentFileManager, spec: BudgetSpec) -> None:
        self._files = files
        self.spec = spec

    @classmethod
    def of(cls, files: ExperimentFileManager, spec: BudgetSpec) -> Self | None:
        """The budget; None where nothing is bounded, so that nothing is counted either."""
        return None if spec == BudgetSpec() else cls(files, spec)

    @property
    def counts_calls(self) -> bool:
        """Whether model calls are counted: not where only the hours are bounded."""
        return any(bound is not None for bound in (self.spec.llm_calls, self.spec.tokens, self.spec.usd))

    def reserve(self, tokens: int, usd: float | None = None) -> Reservation:
        """Count a call that may use so much; ``usd`` is None where the model's price is not known.

        Raises OutOfBudget where there is no room for it, and CallTooLarge where there never was; then it is not
        counted.
        """
        wanted = Reservation(tokens=tokens, usd=usd or 0.0)

        def taken(spent: Spending) -> Spending:
            bound = spent.bounds or self.spec
            _check_size(bound, wanted)
            reason = _no_room(bound, spent, wanted)
            if reason is not None:
                raise OutOfBudget(reason)
            return spent.plus(calls=1, tokens=wanted.tokens, usd=wanted.usd)

        self._files.update_spending(taken)
        return wanted

    def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Count what the call really used in place of what was reserved, once. That there was a call stays counted."""
        tokens = usage.input_tokens + usage.output_tokens - reservation.tokens
        usd = (usage.usd or 0.0) - reservation.usd
        self._files.update_spending(lambda spent: spent.plus(tokens=tokens, usd=usd))

    def spent(self) -> Spending:
        """What is used so far, reservations included."""
        return self._files.load_spending()

    def add_time(self, seconds: float) -> Spending:
        """Count time that a session has run; the sum survives a power cut, and so do the calls counted before it."""
        return self._files.update_spending(lambda spent: spent.plus(seconds=seconds), durable=True)

    def reached(self, hours_used: float | None = None) -> str | None:
        """Why no further run may start, as a sentence; None while one may.

        ``hours_used``: None for what the sessions have noted so far.
        """
        spent = self.spent()
        bound = spent.bounds or self.spec
        if bound.llm_calls is not None and spent.calls >= bound.llm_calls:
            return _calls_used_up(bound.llm_calls)
        if bound.tokens is not None and spent.tokens >= bound.tokens:
            return f"The budget of {bound.tokens:,} tokens (budget.tokens) is used up."
        if bound.usd is not None and spent.usd >= bound.usd:
            return f"The budget of {_dollars(bound.usd)} (budget.usd) is used up."
        used = spent.seconds / 3600 if hours_used is None else hours_used
        if bound.hours is not None and used >= bound.hours:
            unit = "hour" if bound.hours == 1 else "hours"
            return f"The budget of {bound.hours:g} {unit} (budget.hours) is used up."
        return None

    def change(self, bounds: BudgetSpec) -> None:
        """Put other bounds in the place of those the experiment began with, for all workers at once.

        Raises SpecError where something is bounded that was not, or no longer: what was not counted from the beginning
        cannot be bounded.
        """
        old, new = (bounds_set(one) for one in (self.spec, bounds))
        if old != new:
            raise SpecError(
                f"The budget bounded {', '.join(old) or 'nothing'} from the beginning; it can be changed in that."
            )
        self._files.update_spending(lambda spent: spent.model_copy(update={"bounds": bounds}), durable=True)


def bounds_set(budget: BudgetSpec) -> list[str]:
    """What a budget bounds."""
    return [name for name, value in budget if value is not None]


def check_budget(spec: ExperimentSpec) -> None:
    """Raise SpecError where the budget cannot be kept (a price is not known) or has no room for one model call."""
    for field, name, max_tokens in _models(spec):
        model = parse_model(name, spec.models)
        if spec.budget.usd is not None and model.price is None:
            raise SpecError(
                f"budget.usd is set, but the price of {name!r} ({field}) is not known; name the model under `models` "
                "and give it `price: {input: ..., output: ...}`, in US dollars per million tokens."
            )
        _check_room(spec.budget, field, model, max_tokens)


def _check_size(bound: BudgetSpec, wanted: Reservation) -> None:
    """A call larger than the whole budget must not be what ends the experiment: any program can make one."""
    if bound.tokens is not None and wanted.tokens > bound.tokens:
        raise CallTooLarge(
            f"The call may use {wanted.tokens:,} tokens, more than the whole budget of {bound.tokens:,}; "
            "shorten its prompt or set a lower max_tokens."
        )
    if bound.usd is not None and wanted.usd > bound.usd:
        raise CallTooLarge(
            f"The call may cost {_dollars(wanted.usd)}, more than the whole budget of {_dollars(bound.usd)}; "
            "shorten its prompt or set a lower max_tokens."
        )


def _no_room(bound: BudgetSpec, spent: Spending, wanted: Reservation) -> str | None:
    if bound.llm_calls is not None and spent.calls >= bound.llm_calls:
        return _calls_used_up(bound.llm_calls)
    if bound.tokens is not None and spent.tokens + wanted.tokens > bound.tokens:
        return (
            f"The budget of {bound.tokens:,} tokens (budget.tokens) is used up: {spent.tokens:,} are used or in "
            f"flight, and the next call may use {wanted.tokens:,}."
        )
    if bound.usd is not None and spent.plus(usd=wanted.usd).usd > bound.usd:
        return (
            f"The budget of {_dollars(bound.usd)} (budget.usd) is used up: {_dollars(spent.usd)} are used or in "
            f"flight, and the next call may cost {_dollars(wanted.usd)}."
        )
    return None


def _check_room(budget: BudgetSpec, field: str, model: ModelRef, max_tokens: int | None) -> None:
    answer = answer_bound(model, max_tokens, _SHORT_PROMPT)
    dollars = cost(model.price, _SHORT_PROMPT, answer) or 0.0
    needed = f"one call to {model.alias!r} ({field}) with a short prompt may use"
    if budget.tokens is not None and budget.tokens < _SHORT_PROMPT + answer:
        raise SpecError(
            f"budget.tokens is {budget.tokens:,}, but {needed} {_SHORT_PROMPT + answer:,}; raise it, or lower "
            "max_tokens."
        )
    if budget.usd is not None and budget.usd < dollars:
        raise SpecError(
            f"budget.usd is {budget.usd:g}, but {needed} {_dollars(dollars)}; raise it, or lower max_tokens."
        )


def _models(spec: ExperimentSpec) -> list[tuple[str, str, int | None]]:
    """The models that an experiment asks: the field that names each, its name, and the limit of its answers."""
    found: list[tuple[str, str, int | None]] = [("executor.model", spec.executor.model, spec.executor.max_tokens)]
    options = spec.proposer.options if spec.proposer else {}
    if isinstance(options.get("model"), str):
        limit = options.get("max_tokens")
        found.append(("proposer.model", options["model"], limit if isinstance(limit, int) else None))
    return found


def _calls_used_up(bound: int) -> str:
    return f"The budget of {bound:,} model call{'' if bound == 1 else 's'} (budget.llm_calls) is used up."


def _dollars(usd: float) -> str:
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.4g}"
