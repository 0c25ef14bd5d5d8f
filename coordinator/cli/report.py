"""``report``: an experiment as a page of Markdown."""

import typer

from coordinator.cli.options import Directory


def report(directory: Directory) -> int:
    """Print an experiment's results as Markdown."""
    from coordinator.aggregate import current_details
    from coordinator.cli.reading import scaffold_names
    from coordinator.report.page import experiment_page
    from shared.file_manager import ExperimentFileManager

    files = ExperimentFileManager.open(directory)
    details = current_details(files)
    typer.echo(experiment_page(files.load_metadata(), details, scaffold_names(files), str(files)), nl=False)
    return 0
