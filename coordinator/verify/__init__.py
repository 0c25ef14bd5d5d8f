"""Whether an experiment's directory is whole: what is checked of it, and what ``resume`` makes of what is found."""

from coordinator.verify.admission import admit, set_aside
from coordinator.verify.check import Check
from coordinator.verify.flaw import Flaw

__all__ = ["Check", "Flaw", "admit", "set_aside"]
