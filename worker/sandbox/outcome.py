"""From what was captured of a run to its RunOutcome; the same for every sandbox that runs real programs."""

from shared.errors import InfraError
from shared.models import Limits, RunOutcome, Status
from worker.sandbox.exchange import End
from worker.sandbox.failure import Observation, classify
from worker.sandbox.stream import Capture


def conclude(capture: Capture, end: End, exit_code: int | None, oom_killed: bool, limits: Limits) -> RunOutcome:
    """The outcome of a run that is over; raises InfraError where the program never began."""
    capture.finish()
    verdict = classify(
        Observation(
            answer=capture.answer,
            exit_code=exit_code,
            oom_killed=oom_killed,
            deadline_passed=end is End.DEADLINE,
            answer_flooded=capture.answer_flooded,
            text_flooded=capture.text_flooded,
        ),
        limits,
    )
    if verdict.status is Status.INFRA_ERROR:
        said = capture.text.strip()[-500:]
        raise InfraError(f"{verdict.error_message}{f' It said: {said}' if said else ''}")
    return RunOutcome(
        status=verdict.status,
        output=verdict.output,
        stderr=capture.text,
        exit_code=exit_code,
        execution_time=capture.seconds,
        error_message=verdict.error_message,
    )
