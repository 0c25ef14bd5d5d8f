"""The proposer of a session: made with what it may know of the experiment, and closed again."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.experiment import given_ids
from coordinator.proposers import KeptTexts, Proposer, Surroundings, Task, build_proposer, scorer_text
from coordinator.scaffolder import WorkerClient
from coordinator.surroundings import find_surroundings
from shared.file_manager import ExperimentFileManager
from shared.log import log
from shared.models import ExperimentSpec

MOST_EXAMPLES = 100
"""Training examples that a proposer is given, at most."""


@contextmanager
def proposing(files: ExperimentFileManager, data_dir: Path, broker_url: str | None) -> Iterator[Proposer | None]:
    """The experiment's proposer for as long as the context lasts; None where it has none.

    Raises Unavailable where nobody can be asked what scaffolds find where they run.
    """
    spec = files.load_metadata().spec
    if spec.proposer is None:
        yield None
        return
    surroundings = find_surroundings(spec.sandbox, spec.executor, data_dir=data_dir, broker_url=broker_url)
    proposer = build_proposer(
        spec.proposer,
        make_task(files, spec, surroundings),
        KeptTexts(files),
        lambda model: WorkerClient(model, spec.models, str(files)),
    )
    try:
        yield proposer
    finally:
        try:
            proposer.close()
        except Exception as error:  # a plug-in's mistake at the end must not spoil what was done
            log.warning("the proposer could not be closed", action="proposer_close_failed", error=str(error))


def make_task(files: ExperimentFileManager, spec: ExperimentSpec, surroundings: Surroundings) -> Task:
    """All that a proposer may know of the experiment: of its examples, a sample of those for training alone."""
    train = files.load_data().get("train", ())
    drawn = random.Random(f"{spec.loop.seeds['sampling']}:task").sample(train, min(len(train), MOST_EXAMPLES))
    module, colon, _ = spec.scorer.name.partition(":")
    return Task(
        task=spec.task,
        examples=tuple(drawn),
        surroundings=surroundings,
        scorer=spec.scorer.name,
        scorer_source=scorer_text(spec.scorer, files.load_scorer(module) if colon else None),
        given=tuple(files.load_scaffold(scaffold_id) for scaffold_id in given_ids(spec)),
    )
