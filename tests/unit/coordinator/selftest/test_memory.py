"""Growth is that of the process that grew most, and what was not measured is no zero."""

import pytest

from coordinator.selftest import memory
from coordinator.selftest.memory import Memory


class Machine:
    """Processes and their memory in MiB."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mib: dict[int, float] = {}
        self.children: list[int] = []
        monkeypatch.setattr(memory, "children_of", lambda pid: self.children)
        self.memory = Memory(lambda pid: self.mib.get(pid, 0.0))

    def look(self, coordinator: int = 1, times: int = 1) -> None:
        for _ in range(times):
            self.memory.look({"coordinator": coordinator}, {"w0": 2})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(monkeypatch)
    found.mib = {1: 100.0, 2: 50.0, 3: 30.0, 4: 30.0}
    found.children = [3, 4]
    return found


def test_the_largest_growth_counts(machine: Machine) -> None:
    machine.look(times=3)
    machine.mib[2] = 60.0
    machine.look(times=3)
    assert machine.memory.growth(3) == pytest.approx(0.2)


def test_a_pool_is_one_thing(machine: Machine) -> None:
    machine.look(times=4)
    machine.mib.update({3: 45.0, 4: 45.0})
    machine.look(times=3)
    assert machine.memory.growth(3) == pytest.approx(0.5)


def test_nothing_measured_is_no_growth_of_nothing(machine: Machine) -> None:
    assert machine.memory.growth(1) is None
    machine.look(times=3)
    assert machine.memory.growth(3) is None, "the pool was looked at, settled, but twice"
    machine.look()
    assert machine.memory.growth(3) == 0.0
    assert machine.memory.growth(4) is None


def test_a_process_that_was_replaced_counts_from_its_own_beginning(machine: Machine) -> None:
    machine.look(times=6)
    machine.mib[9] = 200.0
    machine.look(coordinator=9, times=2)
    assert machine.memory.growth(3) is None
    machine.look(coordinator=9)
    assert machine.memory.growth(3) == 0.0


def test_a_pool_that_misses_a_child_is_not_measured(machine: Machine) -> None:
    machine.children = [3]
    machine.look(times=6)
    assert machine.memory.growth(3) is None
    assert machine.memory.growth(2) == 0.0


def test_a_child_that_is_new_is_looked_at_once_it_is_no_longer(machine: Machine) -> None:
    machine.look(times=4)
    machine.children, machine.mib[5] = [3, 5], 5.0
    machine.look()
    machine.mib[5] = 30.0
    machine.look(times=3)
    assert machine.memory.growth(3) == 0.0
