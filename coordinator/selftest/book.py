"""What was found over several calls, so that rows that were run on different days, or side by side, make one page."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from coordinator.selftest.results import RowResult
from shared import atomic
from shared.errors import CorruptFile
from shared.models.base import Frozen


class MutationResult(Frozen):
    """A mechanism switched off, and the rows that were run without it."""

    name: str
    code: str
    rows: tuple[RowResult, ...] = ()
    not_run: str | None = None


class Book(Frozen):
    """The latest of each row and of each mutation."""

    rows: dict[int, RowResult] = Field(default_factory=dict)
    mutations: dict[str, MutationResult] = Field(default_factory=dict)
    machine: str = ""

    def with_row(self, row: RowResult) -> "Book":
        """With a row in the place of the earlier one of its number, whose other seeds stay where nothing changed."""
        earlier = self.rows.get(row.number)
        whole = row if earlier is None else row.joined(earlier)
        return self.model_copy(update={"rows": {**self.rows, row.number: whole}})

    def with_mutation(self, found: MutationResult) -> "Book":
        """With a mutation in the place of the earlier one of its name."""
        return self.model_copy(update={"mutations": {**self.mutations, found.name: found}})


def book_path(page: Path) -> Path:
    """Where the figures of a page are kept: beside it."""
    return page.with_suffix(".json")


def load_book(page: Path) -> Book:
    """What was found for a page so far; raises CorruptFile where that is no book."""
    path = book_path(page)
    try:
        return Book.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Book()
    except ValidationError as error:
        raise CorruptFile(f"{path} holds no rows of a selftest ({error.errors()[0]['msg']}); remove it.") from None


def change_book(page: Path, change: Callable[[Book], Book], render: Callable[[Book], str]) -> None:
    """Put ``change`` of what was found so far in its place, and the page with it; one call's at a time."""
    with _alone_in(page.absolute().parent):
        book = change(load_book(page))
        atomic.write_file(book_path(page), atomic.canonical_json(book.model_dump(mode="json")))
        atomic.write_file(page, render(book).encode())


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The folder itself is locked, so that no file of a lock's is left in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
