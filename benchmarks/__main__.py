"""``python -m benchmarks``: measure everything side by side and write ``docs/benchmarks.md``.

``python -m benchmarks NAME ...`` measures those sections alone; the page keeps what it says of the others. The figures
of each section are kept in ``figures.json`` as they come, so what fails takes nothing else with it.
"""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import containers, fairness, hosts, jobs, loop, memory, scaling
from benchmarks.page import ROUNDS, machine, render

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
FIGURES = Path(__file__).parent / "figures.json"


ON_THE_PAGE: Mapping[str, Callable[[Path], Any]] = {
    "containers": lambda folder: containers.measure(folder, ROUNDS),
    "jobs": lambda folder: jobs.measure(folder, ROUNDS),
    "hosts": lambda folder: hosts.measure(folder, hosts.ROUNDS),
    "fairness": lambda folder: fairness.measure(folder, ROUNDS),
    "memory": memory.measure,
    "loop": loop.measure,
}
SECTIONS: Mapping[str, Callable[[Path], Any]] = {**ON_THE_PAGE, "scaling": scaling.measure}
"""The figures of ``scaling`` are those of ``docs/scaling.md``."""


def main(names: Sequence[str]) -> None:
    """Measure, keep the figures, and write the page; every figure is also printed as it comes."""
    wanted = names or list(ON_THE_PAGE)
    unknown = [name for name in wanted if name not in SECTIONS]
    if unknown:
        raise SystemExit(f"There is no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}.")
    if "hosts" in wanted and os.geteuid() != 0:
        raise SystemExit("The section hosts makes hosts of namespaces, which only root may: run this as root.")
    failed = []
    with tempfile.TemporaryDirectory(prefix="scaffoldry-bench-") as folder:
        for name in wanted:
            (Path(folder) / name).mkdir()
            try:
                found = SECTIONS[name](Path(folder) / name)
            except (Exception, SystemExit):
                traceback.print_exc()
                failed.append(name)
                continue
            if name in ON_THE_PAGE:
                keep(name, found)
    if failed:
        raise SystemExit(f"Not measured: {', '.join(failed)}; the reasons are above. The page keeps its older figures.")


def keep(name: str, found: Any) -> None:
    """Put a section's figures beside the others', and write the page once there are some of every section."""
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures[name] = {"machine": machine(), "found": found}
    FIGURES.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n")
    missing = [section for section in ON_THE_PAGE if section not in figures]
    if missing:
        print(f"The page is not written yet: there are no figures of {', '.join(missing)}.", flush=True)
    else:
        PAGE.write_text(render(figures))
        print(f"Written: {PAGE}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
