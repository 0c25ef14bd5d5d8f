"""``mutate``: other values for the parameters that a scaffold declares. Needs no model."""

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

from coordinator.proposers.base import Draft, NoOptions, Order, Proposer, Setting, Tools
from coordinator.proposers.parameters import (
    Parameter,
    ParametersError,
    Value,
    read_parameters,
    same,
    write_values,
)
from shared.errors import SpecError

_ANOTHER = 0.3
"""The chance that one more parameter changes with the first."""
_DRAWS = 50
_COUNTED = 10_000
"""Combinations up to which those that are left are counted out once drawing finds no new one."""
_STEPS = 1000
"""A fraction is drawn in steps of about this part of its range, so that it is written with few digits."""

Values = dict[str, Value]


class MutateProposer(Proposer):
    """A child is its parent's text with other values in ``PARAMETERS``; for the first generation, a given scaffold's.

    Which values follows from the seed, the parent and the scaffold's place among the parent's children, and nothing
    else. Each differs from the parent and, as long as there are other combinations, from its siblings.
    """

    Options = NoOptions

    def __init__(self, options: NoOptions, tools: Tools) -> None:
        super().__init__(options, tools)
        self._given = tools.task.given

    @classmethod
    def check(cls, options: NoOptions, setting: Setting) -> dict[str, str]:
        if not setting.given:
            raise SpecError("The proposer 'mutate' varies scaffolds that are there: give some in scaffolds.")
        for number, scaffold in enumerate(setting.given):
            try:
                read_parameters(scaffold.code)
            except ParametersError as error:
                source = scaffold.metadata.source or f"scaffolds.{number}"
                raise SpecError(f"The proposer 'mutate' cannot vary the scaffold {source}: {error}.") from None
        return {}

    def propose(self, order: Order) -> Draft:
        if order.parent is not None:
            name, code, place = order.parent.scaffold_id, order.parent.scaffold.code, _place(order)
        else:
            given = order.index % len(self._given)
            name, code, place = f"given {given}", self._given[given].code, order.index // len(self._given)
        try:
            parameters = read_parameters(code)
        except ParametersError as error:
            return Draft(code=None, problem=f"The parent's values cannot be varied: {error}.")
        values = variant(parameters, place, f"{order.seed}:{order.kind}:{name}")
        return Draft(code=write_values(code, parameters, values), notes={"changed": values})


def _place(order: Order) -> int:
    """The scaffold's place among all children that its parent ever had: the number that its id ends in."""
    last = order.scaffold_id.rpartition("-")[2]
    return int(last) if last.isdecimal() and len(last) < 5 else order.index


def variant(parameters: Sequence[Parameter], place: int, seed: str) -> Values:
    """What changes in variant number ``place`` of these parameters: a fixed series for each seed."""
    rng = random.Random(seed)
    here = {parameter.name: parameter.value for parameter in parameters}
    seen = {_key(here)}
    changed: Values = {}
    for _ in range(place + 1):
        changed = _new(parameters, rng, seen)
        seen.add(_key({**here, **changed}))
    return changed


def _new(parameters: Sequence[Parameter], rng: random.Random, seen: set[Any]) -> Values:
    """Changes that lead to none of ``seen``; where all are, changes that were made before."""
    here = {parameter.name: parameter.value for parameter in parameters}
    changed: Values = {}
    for _ in range(_DRAWS):
        changed = _draw(parameters, rng)
        if _key({**here, **changed}) not in seen:
            return changed
    if math.prod(parameter.size for parameter in parameters) > _COUNTED:
        return changed
    left = [values for values in _all(parameters) if _key(values) not in seen]
    if not left:
        return changed
    chosen = rng.choice(left)
    return {name: value for name, value in chosen.items() if same(value) != same(here[name])}


def _draw(parameters: Sequence[Parameter], rng: random.Random) -> Values:
    variable = [parameter for parameter in parameters if parameter.size > 1]
    rng.shuffle(variable)
    chosen = variable[:1] + [parameter for parameter in variable[1:] if rng.random() < _ANOTHER]
    return {parameter.name: _other_value(parameter, rng) for parameter in chosen}


def _other_value(parameter: Parameter, rng: random.Random) -> Any:
    """Another value; of a range, as often one nearby as one from anywhere."""
    if parameter.choices:
        return rng.choice([choice for choice in parameter.choices if same(choice) != same(parameter.value)])
    assert parameter.low is not None and parameter.high is not None
    low, high, value = parameter.low, parameter.high, parameter.value
    while value == parameter.value:
        nearby = rng.random() < 0.5
        if parameter.whole:
            reach = max(1, (high - low) // 8) if nearby else high - low
            value = rng.randint(max(low, parameter.value - reach), min(high, parameter.value + reach))
        else:
            drawn = rng.gauss(parameter.value, (high - low) / 8) if nearby else rng.uniform(low, high)
            value = _rounded(drawn, float(low), float(high))
    return value


def _rounded(value: float, low: float, high: float) -> float:
    step = (high - low) / _STEPS
    digits = math.ceil(-math.log10(step)) if step else 400
    return min(max(round(value, digits), low), high) + 0.0  # no -0.0


def _all(parameters: Sequence[Parameter]) -> list[Values]:
    """Every combination of values; only for ranges of whole numbers and choices."""
    names = [parameter.name for parameter in parameters]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*map(_values, parameters))]


def _values(parameter: Parameter) -> Sequence[Value]:
    if parameter.choices:
        return parameter.choices
    assert parameter.low is not None and parameter.high is not None
    if not parameter.whole:
        return [parameter.value]
    return range(int(parameter.low), int(parameter.high) + 1)


def _key(values: Values) -> Any:
    return tuple(sorted((name, same(value)) for name, value in values.items()))
