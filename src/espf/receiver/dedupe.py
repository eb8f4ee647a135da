"""Know an event again by its `i_event`: delivery is at least once, so repeats do come."""

import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from espf.errors import StorageError


class Seen(Protocol):
    """The numbers of events that were acted upon."""

    def __contains__(self, i_event: int) -> bool:
        """Whether the number is remembered. Raises StorageError."""

    def add(self, i_event: int) -> None:
        """Remember a number. Raises StorageError."""

    def close(self) -> None:
        """Release what is held."""


class SeenInMemory:
    """The latest numbers only, so that a receiver may run for a month."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._numbers: OrderedDict[int, None] = OrderedDict()

    def __contains__(self, i_event: int) -> bool:
        """Whether the number is among the latest."""
        return i_event in self._numbers

    def add(self, i_event: int) -> None:
        """Remember a number, and forget the oldest when there are too many."""
        self._numbers[i_event] = None
        self._numbers.move_to_end(i_event)
        if len(self._numbers) > self._limit:
            self._numbers.popitem(last=False)

    def close(self) -> None:
        """Nothing is held."""


class SeenInFile:
    """Every number, in a SQLite file: a repeat is known again after a restart of the receiver."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS seen (i_event INTEGER PRIMARY KEY)"
            )
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def __contains__(self, i_event: int) -> bool:
        """Whether the number is in the file. Raises StorageError."""
        found = self._execute("SELECT 1 FROM seen WHERE i_event = ?", i_event)
        return found.fetchone() is not None

    def add(self, i_event: int) -> None:
        """Write the number down. Raises StorageError."""
        self._execute("INSERT OR IGNORE INTO seen VALUES (?)", i_event)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _execute(self, statement: str, i_event: int) -> sqlite3.Cursor:
        # On the event loop: tens of microseconds, and a receiver has nothing else to do meanwhile.
        try:
            return self._connection.execute(statement, (i_event,))
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"The receiver cannot remember event numbers in {self._path}: {error}. "
            "Name another file with --record, or remove this one."
        )
