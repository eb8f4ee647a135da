"""Port of a connection that operators' commands run on: named statements, short transactions.

SQLite and PostgreSQL implement it. Everything above it is the same for both.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from espf.database_url import EngineName
from espf.eventlog.vitals import OpenTransaction

_Result = TypeVar("_Result")
END_WAIT_S = 2.0


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
        """Run SQL that was put together from our own words.

        Parameters are `:name`, a list is `IN (:name[])`, as in the statements' files.
        """

    def reading(self) -> AbstractContextManager[None]:
        """One snapshot for all reads inside."""

    def changing(self) -> AbstractContextManager[None]:
        """One transaction: all of it is stored, or nothing."""

    def end_of_log(self, wait_s: float = END_WAIT_S) -> int:
        """A number at or above which every event is still to come, or is yet to be committed.

        For transactions that stay open longer than `wait_s` it does not wait.
        """

    def last_number(self) -> int:
        """The last number that any event was given."""

    def oldest_writer(self) -> OpenTransaction | None:
        """The open transaction that holds readers back the most, on whatever database it works."""

    def close(self) -> None:
        """Give up the connection."""


Work = Callable[[Session], _Result]
