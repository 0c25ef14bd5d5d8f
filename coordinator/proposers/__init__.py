"""Where scaffolds come from, one module per proposer. ``docs/proposers.md`` describes each."""

from coordinator.proposers.base import Draft, Order, Parent, Proposer, Surroundings, Task, TrainRun
from coordinator.proposers.build import PROPOSERS, build_proposer, check_proposer, proposer_models
from coordinator.proposers.keeping import KeptTexts
from coordinator.proposers.scorer_text import scorer_text

__all__ = [
    "PROPOSERS",
    "Draft",
    "KeptTexts",
    "Order",
    "Parent",
    "Proposer",
    "Surroundings",
    "Task",
    "TrainRun",
    "build_proposer",
    "check_proposer",
    "proposer_models",
    "scorer_text",
]
