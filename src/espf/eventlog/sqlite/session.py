"""Session (see `espf.eventlog.operating`) on an SQLite file: every change begins IMMEDIATE."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from espf.database_url import EngineName
from espf.eventlog.operating.session import Rows
from espf.eventlog.sqlite.connection import connect, storage_error, transaction, translated
from espf.eventlog.statements import statements


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
        return self.query(self._sql[name], bound or {})

    def query(self, text: str, bound: Mapping[str, object]) -> Rows:
        """Run SQL with parameters `:name`."""
        try:
            return self.connection.execute(text, dict(bound))
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error

    def one_of(self, column: str, name: str, values: list[Any]) -> tuple[str, object]:
        """A list travels as a JSON text."""
        condition = f"{column} IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 - our own words
        return condition, orjson.dumps(values).decode()

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

    def end_of_log(self) -> int:
        """The last event: SQLite commits in the order of `i_event`."""
        return int(self.run("horizon").fetchone()[0])

    def close(self) -> None:
        """Give up the connection."""
        self.connection.close()
