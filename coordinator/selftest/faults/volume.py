"""Faults of the shared volume."""

import errno
import os
import random
import subprocess
import time
from pathlib import Path
from typing import ClassVar

from coordinator.selftest.faults.base import Fault, moments
from coordinator.selftest.faults.evidence import refusal
from coordinator.selftest.results import Bound
from coordinator.selftest.witness import Ledger, committed, starts, torn_files
from coordinator.selftest.world import World
from shared.errors import Unavailable

_SIZE = "48m"
_CHUNK = bytes(1 << 16)
_TRIES = 3
"""A worker may let go of a file, and so of a page, just when the disk was full."""
_LAST_COMMITS = 2.0
"""Seconds in which a commit may be seen that was made before the trouble began."""
_PAUSED = "takes no job until runs can be started here"
"""What a worker says that has noticed."""


def mount(*arguments: str) -> None:
    """The ``mount`` command; raises Unavailable with what it said."""
    _call("mount", *arguments)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")


class SmallVolume(Fault):
    """A fault of a volume that is a file system of its own."""

    needs = ("root",)
    error: ClassVar[str]
    """The name of the error with which it refuses to be written."""

    def set_up(self, world: World) -> None:
        self._torn: set[str] = set()
        world.data_dir.mkdir(parents=True)
        mount("-t", "tmpfs", "-o", f"size={_SIZE},mode=755", "selftest", str(world.data_dir))
        world.stack.callback(subprocess.run, ["umount", "--lazy", str(world.data_dir)], capture_output=True)

    def endure(self, world: World) -> None:
        """Let the trouble last, and look for torn files all the while, and whether it is still there."""
        self._refused: list[bool] = []
        self._since = time.monotonic()
        for _ in range(world.workload.share(30, least=8)):
            world.pause(1.0)
            self._refused.append(any(self._refuses(world) for _ in range(_TRIES)))
            self._torn.update(torn_files(world.experiment))
        self._until = time.monotonic()

    def _refuses(self, world: World) -> bool:
        self.keep_up(world)
        return refusal(world.data_dir) == self.error

    def keep_up(self, world: World) -> None:
        """See to it that the trouble is still there: most lasts by itself."""

    def bound(self, world: World, found: Ledger) -> Bound:
        again = sum(attempt > 1 for attempt in found.attempts.values())
        paused = sum(worker.said().count(_PAUSED) for worker in world.workers)
        moments = world.watch.appeared.values()
        during = sum(self._since + _LAST_COMMITS < moment < self._until for moment in moments)
        after = sum(moment > self._until for moment in moments)
        figure = (
            f"{sum(self._refused)} s {self.error}; {during} commits meanwhile, {after} after; {again} runs again, "
            f"{paused} pauses of workers; {len(self._torn)} torn files"
        )
        felt = again > 0 or paused > 0
        return Bound(holds=all(self._refused) and felt and after > 0 and not self._torn, figure=figure)


class FullDisk(SmallVolume):
    number = 13
    name = "disk full for 30 s (a small file system)"
    also = "no torn file; goes on"
    error = "ENOSPC"

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(dice.randrange(world.workload.jobs // 8, world.workload.jobs // 2))
        try:
            self.keep_up(world)
            self.endure(world)
        finally:
            self._ballast(world).unlink(missing_ok=True)

    def keep_up(self, world: World) -> None:
        fill(self._ballast(world))

    def _ballast(self, world: World) -> Path:
        return world.data_dir / ".ballast"


def fill(path: Path) -> None:
    """Add to a file until nothing more fits beside it."""
    with path.open("ab", buffering=0) as file:
        for chunk in (_CHUNK, b"\0"):
            try:
                while True:
                    file.write(chunk)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


class ReadOnlyVolume(SmallVolume):
    number = 17
    name = "volume read-only for 30 s"
    also = "goes on"
    error = "EROFS"

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(dice.randrange(world.workload.jobs // 8, world.workload.jobs // 2))
        # Laid over it: a file system with files that are being written cannot be made read-only itself.
        path = str(world.data_dir)
        mount("--bind", path, path)
        try:
            mount("-o", "remount,bind,ro", path)
            self.endure(world)
        finally:
            _call("umount", "--lazy", path)


class DamagedResults(Fault):
    number = 19
    name = "a result truncated, one with a flipped bit"
    also = "found, run again"

    def harm(self, world: World, dice: random.Random) -> None:
        world.reach(moments(dice, world.workload.jobs, 1)[0] + 2)
        world.coordinator.kill()
        results = committed(world.experiment)
        cut, flipped = dice.sample(sorted(results), 2)
        self._damaged = {run: len(starts(world.experiment, run)) for run in (cut, flipped)}
        """Run -> how often it had been started by then."""
        for run in self._damaged:
            world.watch.forgive(run)
        truncate(results[cut], dice)
        flip_a_bit(results[flipped], dice)
        verify = world.scaffoldry("verify", str(world.experiment))
        world.wait_for(lambda: verify.exit_code is not None, 60)
        said = verify.said()
        self._found = [run for run in self._damaged if verify.exit_code and f"{run}.json" in said]
        world.run_coordinator()

    def bound(self, world: World, found: Ledger) -> Bound:
        """Both were found by ``verify``, and started once more than they had been."""
        more = [run for run, before in self._damaged.items() if len(starts(world.experiment, run)) > before]
        again = [run for run in more if run in found.results]
        figure = f"{len(self._found)} of 2 found by verify, {len(again)} run again"
        return Bound(holds=len(self._found) == len(again) == 2, figure=figure)


def truncate(path: Path, dice: random.Random) -> None:
    """Cut a file short."""
    os.truncate(path, dice.randrange(1, path.stat().st_size - 1))


def flip_a_bit(path: Path, dice: random.Random) -> None:
    """Turn one bit of a file round: one of a digit, so that it may still parse."""
    data = bytearray(path.read_bytes())
    place = dice.choice([index for index, byte in enumerate(data) if chr(byte).isdigit()])
    data[place] ^= 1
    with path.open("r+b") as file:
        file.write(data)
