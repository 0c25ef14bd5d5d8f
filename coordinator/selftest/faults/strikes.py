"""What the soak does to its world, one thing at a time. Each says whether it was done: there may be nothing to hit."""

import random
import signal
from collections.abc import Callable

from coordinator.selftest.faults.base import LEASE_SECONDS
from coordinator.selftest.faults.volume import flip_a_bit, truncate
from coordinator.selftest.faults.workers import LEAVE_SECONDS
from coordinator.selftest.processes import kill_pid
from coordinator.selftest.witness import committed
from coordinator.selftest.world import WORKERS, World
from shared.errors import ScaffoldryError

Strike = Callable[[World, random.Random], bool]
_REFUSAL_SECONDS = 45.0


def kill_child(world: World, dice: random.Random) -> bool:
    """SIGKILL of a pool child with a run in hand."""
    found = [(pid, run) for pid, run in sorted(world.all_in_hand().items()) if world.may_interrupt([run])]
    if not found:
        return False
    pid, run = dice.choice(found)
    world.interrupt([run])
    return kill_pid(pid)


def kill_redis(world: World, dice: random.Random) -> bool:
    """SIGKILL of Redis, and its restart."""
    world.redis.kill()
    world.redis.start()
    return True


def flush(world: World, dice: random.Random) -> bool:
    """FLUSHALL."""
    return bool(world.redis.client().flushall())


def close_connections(world: World, dice: random.Random) -> bool:
    """CLIENT KILL of all connections."""
    client = world.redis.client()
    kinds = ("normal", "pubsub")
    return sum(int(client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")) for kind in kinds) > 0


def freeze_redis(world: World, dice: random.Random) -> bool:
    """SIGSTOP of Redis for some seconds."""
    world.redis.hang(True)
    try:
        world.pause(dice.uniform(1.0, 6.0))
    finally:
        world.redis.hang(False)
    return True


def kill_container(world: World, dice: random.Random) -> bool:
    """Kill a container from outside."""
    if world.workload.sandbox != "docker":
        return False
    running = [one for one in world.engine.containers(world.experiment.name) if one.running]
    running = [one for one in running if world.may_interrupt([one.run_type])]
    if not running:
        return False
    victim = dice.choice(running)
    world.interrupt([victim.run_type])
    return world.engine.kill(victim.id)


def stop_worker(world: World, dice: random.Random) -> bool:
    """SIGSTOP of a worker past its lease, then CONT."""
    victim = _busy_worker(world, dice)
    if victim is None:
        return False
    world.workers[victim].signal_all(signal.SIGSTOP)
    try:
        world.pause(LEASE_SECONDS + 5)
    finally:
        world.workers[victim].signal_all(signal.SIGCONT)
    return True


def second_coordinator(world: World, dice: random.Random) -> bool:
    """A second coordinator on the experiment; raises ScaffoldryError where it is not refused."""
    second = world.scaffoldry("resume", str(world.experiment))
    world.wait_for(lambda: second.exit_code is not None, _REFUSAL_SECONDS)
    if world.coordinator.exit_code is not None:
        return False  # the first had ended: nothing to be refused for
    if not second.exit_code or str(world.coordinator.pid) not in second.said():
        second.end_by_force()
        raise ScaffoldryError("A second coordinator was not refused.")
    return True


def kill_worker(world: World, dice: random.Random) -> bool:
    """SIGKILL of a worker's main process."""
    victim = _busy_worker(world, dice)
    if victim is None:
        return False
    world.workers[victim].kill()
    world.restart_worker(victim)
    return True


def restart_worker(world: World, dice: random.Random) -> bool:
    """SIGTERM of a worker, and another in its place."""
    index = dice.randrange(WORKERS)
    leaving = world.workers[index]
    world.leaving.append(leaving)
    leaving.signal(signal.SIGTERM)
    if not world.wait_for(lambda: leaving.exit_code is not None, LEAVE_SECONDS):
        raise ScaffoldryError(f"{leaving.name} had not ended {LEAVE_SECONDS:.0f} s after SIGTERM.")
    leaving.end_by_force()
    world.restart_worker(index)
    return True


def kill_coordinator(world: World, dice: random.Random) -> bool:
    """SIGKILL of the coordinator, and a resume."""
    world.coordinator.kill()
    world.run_coordinator()
    return True


def damage_result(world: World, dice: random.Random) -> bool:
    """A result truncated, or one with a flipped bit, while no coordinator is there. The next one must find it."""
    results = {run: path for run, path in committed(world.experiment).items() if not world.interrupted[run]}
    if not results:
        return False
    run = dice.choice(sorted(results))
    world.coordinator.kill()
    world.watch.forgive(run)
    dice.choice([truncate, flip_a_bit])(results[run], dice)
    world.run_coordinator()
    return True


def _busy_worker(world: World, dice: random.Random) -> int | None:
    """The place of a worker whose runs may all be interrupted; that is noted of them. None where there is none."""
    for index in dice.sample(range(WORKERS), WORKERS):
        runs = list(world.in_hand(world.workers[index]).values())
        if runs and world.may_interrupt(runs):
            world.interrupt(runs)
            return index
    return None


QUICK: tuple[Strike, ...] = (kill_child, kill_redis, flush, close_connections, freeze_redis, kill_container)
SLOW: tuple[Strike, ...] = (stop_worker, second_coordinator)
DEADLY: tuple[Strike, ...] = (kill_worker, kill_coordinator, damage_result, restart_worker)
"""They end a process whose memory is to be watched."""
