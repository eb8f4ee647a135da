"""Port of a connection that operators' commands run on: named statements, short transactions.

SQLite and PostgreSQL implement it. Everything above it is the same for both.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from espf.database_url import EngineName

_Result = TypeVar("_Result")


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows changed."""

    def fetchone(self) -> Any:
        """The next row, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]:
        """Row by row."""


class Session(Protocol):
    """One connection. Used from one thread at a time. Everything raises StorageError only."""

    dialect: EngineName

    def run(self, name: str, bound: Mapping[str, object] | None = None) -> Rows:
        """Run the statement of that name."""

    def query(self, text: str, bound: Mapping[str, object]) -> Rows:
        """Run SQL that was put together from our own words; parameters are `:name`."""

    def one_of(self, column: str, name: str, values: list[Any]) -> tuple[str, object]:
        """A condition that `column` is one of `values`, and what to bind to `name` for it."""

    def reading(self) -> AbstractContextManager[None]:
        """One snapshot for all reads inside."""

    def changing(self) -> AbstractContextManager[None]:
        """One transaction: all of it is stored, or nothing."""

    def end_of_log(self) -> int:
        """A number at or above which every event is still to come, or is yet to be committed."""

    def close(self) -> None:
        """Give up the connection."""


Work = Callable[[Session], _Result]
