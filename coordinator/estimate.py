"""What an experiment may come to, before it is run: upper bounds of its runs, rules of thumb for the rest. Pure."""

from collections.abc import Mapping, Sequence

from coordinator.plan import ATTEMPTS
from coordinator.report.words import dollars, plural
from shared.call_bounds import LONGEST_ANSWER, cost
from shared.model_names import ModelRef, parse_model
from shared.models.base import Frozen
from shared.models.example import Example
from shared.models.spec import BudgetSpec, ExperimentSpec

CHARACTERS_PER_TOKEN = 4
"""Of English text, roughly."""
PROPOSAL_PROMPT = 3_000
"""Tokens of the prompt for one scaffold: the task, some examples, a parent's code and what became of it; a guess."""

Data = Mapping[str, Sequence[Example]]


class PhaseEstimate(Frozen):
    """The most runs of one kind that the whole experiment may have."""

    phase: str
    runs: int
    calls_models: bool = True


class ModelEstimate(Frozen):
    """What one of the two models may be asked."""

    role: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    usd: float | None
    """None: its price is not known."""


class ExperimentEstimate(Frozen):
    """An upper bound of the runs; calls, tokens and cost by rule of thumb."""

    phases: tuple[PhaseEstimate, ...]
    models: tuple[ModelEstimate, ...]
    calls_per_run: int
    budget: BudgetSpec
    exact: bool = False
    """Whether the runs are not a bound but the number: where nothing is proposed."""

    @property
    def runs(self) -> int:
        """All runs."""
        return sum(phase.runs for phase in self.phases)

    @property
    def calls(self) -> int:
        """All model calls."""
        return sum(model.calls for model in self.models)

    @property
    def tokens(self) -> int:
        """All input and output tokens."""
        return sum(model.input_tokens + model.output_tokens for model in self.models)

    @property
    def usd(self) -> float | None:
        """US dollars; None where a price is not known."""
        known = [model.usd for model in self.models if model.usd is not None]
        return sum(known) if len(known) == len(self.models) else None


def estimate(spec: ExperimentSpec, data: Data) -> ExperimentEstimate:
    """The estimate of an experiment with these examples.

    Each run is taken to make one call (none where ``max_calls`` is 0), with the example's input as its prompt, and each
    proposal to need one draft. Answers are taken to be ``max_tokens`` long, or as long as ``LONGEST_ANSWER`` says.
    """
    phases = _phases(spec, data)
    calls_per_run = 1 if spec.executor.max_calls is None else min(1, spec.executor.max_calls)
    scored = sum(phase.runs for phase in phases if phase.calls_models)
    models = [_executor(spec, data, scored * calls_per_run)]
    scaffolder = _scaffolder(spec)
    if scaffolder is not None:
        models.append(scaffolder)
    return ExperimentEstimate(
        phases=phases,
        models=tuple(models),
        calls_per_run=calls_per_run,
        budget=spec.budget,
        exact=spec.proposer is None,
    )


def _phases(spec: ExperimentSpec, data: Data) -> tuple[PhaseEstimate, ...]:
    loop = spec.loop
    valid = (loop.valid_examples or len(data.get("valid", ()))) * loop.repeats
    first = spec.first_generation + spec.has_baseline
    # Without a proposer nobody is selected: the given scaffolds are what is run on training examples, and no winner
    # is run on the test split.
    trained = sum(_trained(spec)) if spec.proposer else first
    again = sum(_parents(spec)) if loop.resample_validation else 0
    tested = len(data.get("test", ())) * loop.repeats if spec.proposer else 0
    found = (
        PhaseEstimate(phase="the first generation", runs=first * valid),
        PhaseEstimate(phase="training", runs=trained * loop.train_per_scaffold),
        PhaseEstimate(phase="validating parents again", runs=again * valid),
        PhaseEstimate(phase="their children", runs=sum(_children(spec)) * valid),
        PhaseEstimate(phase="the winner's test", runs=tested),
        PhaseEstimate(phase="trials with a mock model", runs=_most_proposed(spec) * ATTEMPTS, calls_models=False),
    )
    return tuple(phase for phase in found if phase.runs)


def _parents(spec: ExperimentSpec) -> list[int]:
    """The most parents of each iteration after the first."""
    counts: list[int] = []
    for _ in range(spec.loop.iterations - 1):
        counts.append(min(spec.loop.top_k, spec.first_generation + sum(counts) * spec.loop.children))
    return counts


def _children(spec: ExperimentSpec) -> list[int]:
    """The most children of each iteration after the first."""
    return [parents * spec.loop.children for parents in _parents(spec)]


def _trained(spec: ExperimentSpec) -> list[int]:
    """The most scaffolds that each iteration after the first trains: its parents, and one for each child that fails."""
    children = _children(spec)
    history = [spec.first_generation + sum(children[:number]) for number in range(len(children))]
    return [
        min(parents * (1 + spec.loop.children), known) for parents, known in zip(_parents(spec), history, strict=True)
    ]


def _proposed(spec: ExperimentSpec) -> int:
    """The scaffolds that are proposed where none fails."""
    return spec.first_generation - len(spec.scaffolds) + sum(_children(spec)) if spec.proposer else 0


def _most_proposed(spec: ExperimentSpec) -> int:
    """As many, and another in the place of each child that fails."""
    return _proposed(spec) + sum(_children(spec)) if spec.proposer else 0


def _executor(spec: ExperimentSpec, data: Data, calls: int) -> ModelEstimate:
    inputs = [example.input for split in ("valid", "train", "test") for example in data.get(split, ())]
    prompt = -(-sum(map(len, inputs)) // (CHARACTERS_PER_TOKEN * len(inputs))) if inputs else 0
    model = parse_model(spec.executor.model, spec.models)
    return _asked("executor", model, calls, prompt, spec.executor.max_tokens)


def _scaffolder(spec: ExperimentSpec) -> ModelEstimate | None:
    """The model of a proposer that has one; None for the others."""
    options = spec.proposer.options if spec.proposer else {}
    name, limit = options.get("model"), options.get("max_tokens")
    if not isinstance(name, str):
        return None
    calls = _proposed(spec) + 1  # one for the ideas of the first generation
    model = parse_model(name, spec.models)
    return _asked("scaffolder", model, calls, PROPOSAL_PROMPT, limit if isinstance(limit, int) else None)


def _asked(role: str, model: ModelRef, calls: int, prompt: int, max_tokens: int | None) -> ModelEstimate:
    answer = LONGEST_ANSWER.get(model.provider, prompt) if max_tokens is None else max_tokens
    tokens_in, tokens_out = calls * prompt, calls * answer
    usd = cost(model.price, tokens_in, tokens_out)
    return ModelEstimate(
        role=role, model=model.alias, calls=calls, input_tokens=tokens_in, output_tokens=tokens_out, usd=usd
    )


def sentences(found: ExperimentEstimate) -> list[str]:
    """The estimate in plain sentences, one a line."""
    parts = ", ".join(f"{phase.runs:,} for {phase.phase}" for phase in found.phases)
    lines = [f"{'' if found.exact else 'At most '}{plural(found.runs, 'run')}: {parts}."]
    if found.calls_per_run:
        lines.append("If each run makes one model call, with its input as the prompt and an answer of full length:")
    lines += [f"  {_model_sentence(model)}" for model in found.models if model.calls]
    if len(found.models) > 1:
        total = "cost not known" if found.usd is None else f"about {dollars(found.usd)}"
        lines.append(f"Together {plural(found.calls, 'model call')}, {plural(found.tokens, 'token')}, {total}.")
    return lines + [f"The budget may end it before: {bound}." for bound in _bounds_below(found)]


def _model_sentence(model: ModelEstimate) -> str:
    total = "cost not known (its price is not given)" if model.usd is None else f"about {dollars(model.usd)}"
    return (
        f"{model.role} {model.model}: {plural(model.calls, 'call')}, {plural(model.input_tokens, 'token')} in, "
        f"{model.output_tokens:,} out, {total}."
    )


def _bounds_below(found: ExperimentEstimate) -> list[str]:
    budget = found.budget
    bounds = [
        (budget.llm_calls, found.calls, f"{budget.llm_calls or 0:,} model calls"),
        (budget.tokens, found.tokens, f"{budget.tokens or 0:,} tokens"),
        (budget.usd, found.usd, dollars(budget.usd)),
    ]
    return [words for bound, expected, words in bounds if bound is not None and (expected or 0) > bound]
