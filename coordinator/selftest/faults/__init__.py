"""The rows of the matrix, by their numbers."""

from coordinator.selftest.faults.base import Fault
from coordinator.selftest.faults.broker import ClosedConnections, Flushed, FrozenRedis, KilledRedis
from coordinator.selftest.faults.clock import MovedClock
from coordinator.selftest.faults.coordinators import KilledCoordinator, TwoCoordinators
from coordinator.selftest.faults.delivery import Poison, ShortVisibility, ThriceDelivered
from coordinator.selftest.faults.engines import HangingEngine, KilledContainers, RestartedEngine
from coordinator.selftest.faults.provider import BadProvider
from coordinator.selftest.faults.soak import Soak
from coordinator.selftest.faults.volume import DamagedResults, FullDisk, ReadOnlyVolume
from coordinator.selftest.faults.workers import KilledChildren, KilledWorkers, RollingRestart, StoppedWorker

FAULTS: dict[int, type[Fault]] = {
    fault.number: fault
    for fault in (
        KilledWorkers,
        KilledChildren,
        StoppedWorker,
        KilledRedis,
        Flushed,
        ClosedConnections,
        FrozenRedis,
        KilledCoordinator,
        TwoCoordinators,
        ThriceDelivered,
        ShortVisibility,
        Poison,
        FullDisk,
        RestartedEngine,
        KilledContainers,
        HangingEngine,
        ReadOnlyVolume,
        MovedClock,
        DamagedResults,
        BadProvider,
        RollingRestart,
        Soak,
    )
}
"""Row number -> fault."""
