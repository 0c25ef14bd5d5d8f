"""What is asked for is understood or refused before anything starts."""

import pytest

from coordinator.selftest.calls import Request, chosen, chosen_mutations
from shared.errors import UsageError


def test_rows_are_chosen() -> None:
    assert chosen(None) == list(range(1, 23))
    assert chosen("9, 10-12,9") == [9, 10, 11, 12]


@pytest.mark.parametrize("rows", ["", "x", "1,,2", "23", "0", "1-x", "5-3"])
def test_what_is_no_row_is_refused(rows: str) -> None:
    with pytest.raises(UsageError):
        chosen(rows)


def test_mutations_are_chosen() -> None:
    assert chosen_mutations(None) == []
    assert chosen_mutations("lock") == ["lock"]
    assert len(chosen_mutations("all")) == 5
    with pytest.raises(UsageError, match="they are fence, link"):
        chosen_mutations("locks")


def test_seeds_are_chosen() -> None:
    assert list(Request().all_seeds) == [0, 1, 2]
    assert list(Request(seeds=1, first_seed=2).all_seeds) == [2]
