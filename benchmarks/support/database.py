"""A database of either engine for a benchmark: its address, connections, and what it costs."""

import contextlib
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from support.processes import tree_cpu_s

SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB", "max_connections": "60"}
"""What anybody gives a PostgreSQL server for work; all that makes it durable stays as it comes."""
ENGINES = ("sqlite", "postgres")
_POSTGRES = "There is no PostgreSQL here: {reason}"


class Shell:
    """One connection that commits each statement by itself, with the same calls on both engines."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @property
    def driver(self) -> Any:
        """The driver's own connection."""
        return self._connection

    def run(self, statement: str) -> int:
        """Run a statement; the number of rows that it changed."""
        count: int = self._connection.execute(statement).rowcount
        return count

    def value(self, query: str) -> Any:
        """The first column of the first row."""
        return self._connection.execute(query).fetchone()[0]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """All rows."""
        found: list[tuple[Any, ...]] = self._connection.execute(query).fetchall()
        return found

    def close(self) -> None:
        self._connection.close()


class Database(Protocol):
    """Where an installation keeps everything."""

    engine: str
    url: str

    def connect(self) -> Shell: ...

    def server_cpu_s(self) -> float:
        """CPU seconds of the database's own processes; 0 where there are none."""
        ...

    def numbers(self, first: int, last: int) -> tuple[str, str]:
        """SQL that stands before INSERT, and after FROM, for rows with i from first to last."""
        ...


class SqliteDatabase:
    """A file, `synchronous=FULL` as the engine has it."""

    engine = "sqlite"

    def __init__(self, folder: Path, name: str = "espf") -> None:
        self.path = folder / f"{name}.db"
        self.url = f"sqlite:///{self.path}"

    def connect(self) -> Shell:
        connection = sqlite3.connect(
            self.path, timeout=60, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA synchronous=FULL")
        return Shell(connection)

    def server_cpu_s(self) -> float:
        return 0.0

    def numbers(self, first: int, last: int) -> tuple[str, str]:
        more = f"SELECT i + 1 FROM n WHERE i < {last}"
        return f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL {more}) ", "n"


class PostgresDatabase:
    """A database on a server of our own, durable."""

    engine = "postgres"

    def __init__(self, server: Any, name: str = "espf") -> None:
        self.url = server.make_database(name)
        self._server = server

    def connect(self) -> Shell:
        import psycopg  # noqa: PLC0415 - not needed for SQLite

        return Shell(psycopg.connect(self.url, autocommit=True))

    def server_cpu_s(self) -> float:
        return tree_cpu_s(self._server.pid)

    def numbers(self, first: int, last: int) -> tuple[str, str]:
        return "", f"generate_series(CAST({first} AS bigint), {last}) AS n(i)"


class Databases:
    """Makes fresh databases of one engine."""

    def __init__(self, engine: str, folder: Path, server: Any) -> None:
        self.engine = engine
        self.server = server
        self._folder = folder

    def make(self, name: str = "espf") -> Database:
        if self.engine == "sqlite":
            return SqliteDatabase(self._folder, name)
        return PostgresDatabase(self.server, name)


@contextlib.contextmanager
def databases(engine: str, folder: Path) -> Iterator[Databases]:
    """Databases of an engine, with a server while the block lasts if it needs one."""
    if engine == "sqlite":
        yield Databases(engine, folder, None)
        return
    with durable_server() as server:
        yield Databases(engine, folder, server)


@contextlib.contextmanager
def durable_server() -> Iterator[Any]:
    """A PostgreSQL server whose commits are on disk when they return."""
    from espf.demo.postgres import TemporaryPostgres  # noqa: PLC0415
    from espf.errors import ConfigError  # noqa: PLC0415

    try:
        server = TemporaryPostgres(durable=True, **SETTINGS)
    except ConfigError as error:
        sys.exit(_POSTGRES.format(reason=error))
    with server:
        yield server
