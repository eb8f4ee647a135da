"""Session (see `espf.eventlog.operating`) on an SQLite file: every change begins IMMEDIATE."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson

from espf.database_url import EngineName
from espf.eventlog.operating.session import END_WAIT_S, Rows
from espf.eventlog.sqlite.connection import connect, storage_error, transaction, translated
from espf.eventlog.statements import adapted, statements
from espf.eventlog.vitals import OpenTransaction


class SqliteSession:
    """One connection. Raises StorageError if the file is missing or of another version."""

    dialect: EngineName = "sqlite"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sql = statements("sqlite")
        self.connection = connect(path)
        self.connection.text_factory = lambda text: text.decode("utf-8", "replace")

    def run(self, name: str, bound: Mapping[str, object] | None = None) -> Rows:
        """Run the statement of that name."""
        return self._execute(self._sql[name], bound or {})

    def query(self, text: str, bound: Mapping[str, object]) -> Rows:
        """Run SQL with parameters `:name`."""
        return self._execute(adapted(text, "sqlite"), bound)

    def _execute(self, text: str, bound: Mapping[str, object]) -> Rows:
        try:
            return self.connection.execute(text, _carried(bound))
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One snapshot for all reads inside."""
        with translated(self._path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("COMMIT")

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One immediate transaction."""
        with translated(self._path), transaction(self.connection):
            yield

    def end_of_log(self, wait_s: float = END_WAIT_S) -> int:  # noqa: ARG002 - nothing to wait for
        """The last event: SQLite commits in the order of `i_event`."""
        return self.last_number()

    def last_number(self) -> int:
        """The last event."""
        return int(self.run("horizon").fetchone()[0])

    def oldest_writer(self) -> OpenTransaction | None:
        """None: writers wait in line, and hold no reader back."""
        return None

    def close(self) -> None:
        """Give up the connection."""
        self.connection.close()


def _carried(bound: Mapping[str, object]) -> dict[str, object]:
    """The parameters; a list travels as a JSON text."""
    return {
        name: orjson.dumps(value).decode() if isinstance(value, list) else value
        for name, value in bound.items()
    }
