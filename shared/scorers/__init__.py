"""Scorers: what turns an output into a number. ``docs/scorers.md`` describes each."""

from shared.scorers.base import ProgramRunner, Score, Scorer
from shared.scorers.build import SCORERS, build_scorer, check_scorer, is_builtin

__all__ = ["SCORERS", "ProgramRunner", "Score", "Scorer", "build_scorer", "check_scorer", "is_builtin"]
