"""``cancel``: stop an experiment wherever it runs."""

from coordinator.cli.guard import say
from coordinator.cli.options import BrokerUrl, Directory, broker_url_or_set


def cancel(directory: Directory, broker_url: BrokerUrl = None) -> int:
    """Stop an experiment on all workers.

    Waiting jobs are dropped, runs under way are killed, finished runs are kept. `resume` takes it up again.
    """
    from coordinator.report.words import command, plural
    from coordinator.session import cancel as cancel_everywhere
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    killed = cancel_everywhere(files, broker_url_or_set(broker_url))
    say(f"Cancelled {files}: {plural(killed, 'run')} under way killed. Finished runs are kept.")
    say(f"To go on with it: {command('resume', str(files))}")
    return 0
