"""Every error Scaffoldry raises on purpose. Each message is a sentence: what happened, where, what to do."""


class ScaffoldryError(Exception):
    """Scaffoldry cannot go on."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(ScaffoldryError):
    """Something that was asked for cannot be done as asked."""

    exit_code = 2


class InvalidId(UsageError, ValueError):
    """A name is not a valid id."""


class SpecError(UsageError):
    """The experiment's spec cannot be used."""


class SpecChanged(UsageError):
    """The spec is not the one the experiment was started with."""


class DatasetError(UsageError):
    """A dataset cannot be used."""


class UnknownName(UsageError):
    """No plug-in or model has that name."""


class ModelConfigError(UsageError):
    """A model cannot be used as configured."""


class CorruptFile(UsageError):
    """A file of the experiment does not parse, or is not what was written."""


class DamagedFile(CorruptFile):
    """A file of the experiment is not what was written."""


class ForeignFile(CorruptFile):
    """A file of the experiment was not put there by Scaffoldry."""


class NewerFile(CorruptFile):
    """A file of the experiment was written by a newer version of Scaffoldry."""


class NotAnExperiment(UsageError):
    """The directory holds no experiment."""


class NotWhole(UsageError):
    """The experiment cannot be gone on with as its directory is."""


class AlreadyConducted(UsageError):
    """Another coordinator conducts the experiment."""


class Unavailable(ScaffoldryError):
    """Something that Scaffoldry needs does not answer."""

    exit_code = 3


class BrokerUnavailable(Unavailable):
    """The broker does not answer."""


class NoWorker(Unavailable):
    """No worker is listening."""


class SandboxUnavailable(Unavailable):
    """The sandbox cannot be used on this machine."""


class VolumeUnavailable(Unavailable):
    """The shared volume cannot be used on this host."""


class ModelUnavailable(Unavailable):
    """A model cannot be reached."""


class InfraError(ScaffoldryError):
    """Our own machinery failed while a job ran; the job is tried again."""


class HostTrouble(InfraError):
    """A run was lost to something that happened to its host, whatever it was: it says nothing of the job."""


class ScorerError(ScaffoldryError):
    """A scorer gave no usable score; the run's status becomes ``scorer_error``."""


class Cancelled(ScaffoldryError):
    """The experiment was cancelled."""

    exit_code = 130


class Superseded(ScaffoldryError):
    """The attempt was given up, and the run made again: what it comes to does not count."""


class OutOfBudget(ScaffoldryError):
    """The experiment's budget is used up."""

    exit_code = 0


class CallTooLarge(ScaffoldryError):
    """One model call could use more than the experiment's whole budget."""


class Exhausted(ScaffoldryError):
    """The proposer has no more scaffolds."""
