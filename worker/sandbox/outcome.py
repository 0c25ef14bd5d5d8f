"""From what was captured of a run to its RunOutcome; the same for every sandbox that runs real programs."""

from shared.errors import HostTrouble, InfraError
from shared.models import Limits, RunOutcome, Status
from worker.sandbox.exchange import End
from worker.sandbox.failure import Observation, classify
from worker.sandbox.stream import Capture


def conclude(
    capture: Capture,
    end: End,
    exit_code: int | None,
    limits: Limits,
    oom_killed: bool,
    killed_from_outside: bool = False,
) -> RunOutcome:
    """The outcome of a run that is over; raises InfraError where the program never began, HostTrouble where it had not
    begun in time, or others ended it.
    """
    capture.finish()
    verdict = classify(
        Observation(
            answer=capture.answer,
            exit_code=exit_code,
            oom_killed=oom_killed,
            deadline_passed=end is End.DEADLINE,
            killed_from_outside=killed_from_outside,
            answer_flooded=capture.answer_flooded,
            text_flooded=capture.text_flooded,
        ),
        limits,
    )
    if verdict.status is Status.INFRA_ERROR:
        said = capture.text.strip()[-500:]
        # A runner that had no time to start was made late: by a host with too much to do, and by no program.
        kind = HostTrouble if killed_from_outside or end is End.DEADLINE else InfraError
        raise kind(f"{verdict.error_message}{f' It said: {said}' if said else ''}")
    return RunOutcome(
        status=verdict.status,
        output=verdict.output,
        stderr=capture.text,
        exit_code=exit_code,
        execution_time=capture.seconds,
        error_message=verdict.error_message,
    )
