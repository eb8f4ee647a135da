"""Session (see `espf.eventlog.operating`) on PostgreSQL."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from espf.database_url import EngineName, PostgresUrl
from espf.eventlog.operating.session import END_WAIT_S, Rows
from espf.eventlog.operating.vitals import open_transaction
from espf.eventlog.postgres.connection import connect, storage_error, translated
from espf.eventlog.statements import adapted, statements
from espf.eventlog.vitals import OpenTransaction

_END_POLL_S = 0.01


class PostgresSession:
    """One connection. Raises StorageError if the server is away or of another version."""

    dialect: EngineName = "postgres"

    def __init__(self, url: PostgresUrl) -> None:
        self._url = url
        self._sql = statements("postgres")
        self.connection = connect(url, "espf command")

    def run(self, name: str, bound: Mapping[str, object] | None = None) -> Rows:
        """Run the statement of that name."""
        return self._execute(self._sql[name], bound or {})

    def query(self, text: str, bound: Mapping[str, object]) -> Rows:
        """Run SQL with parameters `:name`."""
        return self._execute(adapted(text, "postgres"), bound)

    def _execute(self, text: str, bound: Mapping[str, object]) -> Rows:
        try:
            return self.connection.execute(text, bound)
        except psycopg.Error as error:
            raise storage_error(error, self._url) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One snapshot for all reads inside."""
        with translated(self._url), self.connection.transaction():
            self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One transaction."""
        with translated(self._url), self.connection.transaction():
            yield

    def end_of_log(self, wait_s: float = END_WAIT_S) -> int:
        """The last number drawn, once all that drew one before are through; see the horizon.

        A transaction that stays open longer than `wait_s` is not waited for: then the furthest
        cursor serves, which never passes what may still appear.
        """
        last = self.last_number()
        mark = int(self.run("draw_mark").fetchone()[0])
        ends = time.monotonic() + wait_s
        while int(self.run("oldest_open").fetchone()[0]) < mark:
            if time.monotonic() > ends:
                return int(self.run("furthest_cursor").fetchone()[0])
            time.sleep(_END_POLL_S)
        return last

    def last_number(self) -> int:
        """The last number drawn."""
        return int(self.run("last_drawn").fetchone()[0])

    def oldest_writer(self) -> OpenTransaction | None:
        """The lowest transaction id that is not over: no horizon passes it."""
        return open_transaction(self.run("oldest_writer").fetchone())

    def close(self) -> None:
        """Give up the connection."""
        self.connection.close()
