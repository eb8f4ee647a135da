"""A registry on either engine, written by the services or by the engine's own plain shell.

@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig: ...
"""

import atexit
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

import psycopg
from django.db import connections

import postgres_rig
from espf.capture.rules import rules
from espf.database_url import DatabaseUrl, EngineName, PostgresUrl, SqliteUrl
from espf.demo.postgres import programs
from espf.schema.migrate import migrate
from espf.site.start import start

_STRING = re.compile(r'"(\\.|[^"\\])*"')
ENGINES: tuple[EngineName, ...] = ("sqlite", "postgres")

# The models can be imported only once Django is up: tests import this module first.
_FOLDER = Path(mkdtemp(prefix="espf-template-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
start(SqliteUrl(_FOLDER / "espf.db"))

# A machine without the sqlite3 command does with as bare a shell; CI installs the real one.
SQLITE_SHELL = (
    [command]
    if (command := shutil.which("sqlite3"))
    else [sys.executable, str(Path(__file__).with_name("bare_shell.py"))]
)


class Seen(NamedTuple):
    """An event as tests look at it."""

    event_type: str
    entity: str
    entity_id: int
    variables: dict[str, Any]
    has_sim: int
    lane: int
    i_env: int


class Rig:
    """One database, with all of capture's types subscribed unless told otherwise."""

    engine: EngineName
    url: DatabaseUrl
    shell_words: list[str]

    def __init__(self) -> None:
        self._taken = 0

    def connect(self) -> Any:
        """A connection of one's own, in autocommit mode."""
        raise NotImplementedError

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns."""
        raise NotImplementedError

    def stored(self) -> bytes:
        """Everything that is stored, as it lies on the disk or in a dump."""
        raise NotImplementedError

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement; `?` for parameters."""
        raise NotImplementedError

    def script(self, sql: str) -> None:
        """Run several statements as one transaction."""
        raise NotImplementedError

    def shell(self, sql: str) -> str:
        """Run SQL in the engine's bare shell, a process of its own. Returns its errors."""
        done = subprocess.run(
            self.shell_words, input=sql, capture_output=True, text=True, check=False
        )
        return done.stderr

    def subscribe(self, *types: str) -> None:
        wanted = types or tuple(sorted(rules().event_types))
        marks = ", ".join(["(?)"] * len(wanted))
        self.sql("DELETE FROM capture_gate")
        self.sql(f"INSERT INTO capture_gate VALUES {marks}", *wanted)

    def events(self) -> list[Seen]:
        """Events since the last call."""
        found = self.sql(
            "SELECT event_type, entity, entity_id, variables, has_sim, lane, i_env, i_event "
            "FROM event WHERE i_event > ? ORDER BY i_event",
            self._taken,
        )
        self._taken = max([row[-1] for row in found], default=self._taken)
        assert not any(re.search(r"\s", _STRING.sub("", row[3])) for row in found)  # it is spliced
        return [Seen(*row[:3], json.loads(row[3]), *row[4:7]) for row in found]

    def tried(self, statements: list[str]) -> dict[tuple[str, int], list[Any]]:
        """What the statements raise for each entity; nothing of them stays."""
        connection = self.connect()
        connection.execute("BEGIN")
        for statement in statements:
            connection.execute(statement)
        found: dict[tuple[str, int], list[Any]] = {}
        for kind, entity, key, *rest in connection.execute(
            "SELECT event_type, entity, entity_id, variables, has_sim, lane FROM event"
            f" WHERE i_event > {self._taken} ORDER BY i_event"
        ).fetchall():
            found.setdefault((entity, key), []).append((kind, *rest))
        connection.execute("ROLLBACK")
        connection.close()
        return found

    def types(self) -> list[str]:
        return [event.event_type for event in self.events()]


class SqliteRig(Rig):
    """A file, and the sqlite3 shell."""

    engine: EngineName = "sqlite"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.url = SqliteUrl(path)
        self.shell_words = [*SQLITE_SHELL, str(path)]

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("PRAGMA synchronous = OFF")  # tests lose no power
        return connection

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.sql(f"PRAGMA table_info({table})")]

    def stored(self) -> bytes:
        return self.path.read_bytes() + self.path.with_name(f"{self.path.name}-wal").read_bytes()

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def script(self, sql: str) -> None:
        connection = self.connect()
        connection.executescript(f"BEGIN; {sql}; COMMIT;")
        connection.close()


class PostgresRig(Rig):
    """A database of its own on the run's server, and psql."""

    engine: EngineName = "postgres"

    def __init__(self, url: PostgresUrl) -> None:
        super().__init__()
        self.url = url
        self.shell_words = [str(programs() / "psql"), "--no-psqlrc", "--quiet", url.conninfo]
        self._connection = self.connect()

    def connect(self) -> "psycopg.Connection[Any]":
        assert isinstance(self.url, PostgresUrl)
        return psycopg.connect(self.url.conninfo, autocommit=True)

    def columns(self, table: str) -> list[str]:
        question = "SELECT column_name FROM information_schema.columns WHERE table_name = ?"
        return [name for (name,) in self.sql(question, table)]

    def stored(self) -> bytes:
        dump = [str(programs() / "pg_dump"), f"--dbname={self.url}"]
        return subprocess.run(dump, capture_output=True, check=True).stdout

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        text = sql.replace("?", "%s") if parameters else sql
        cursor = self._connection.execute(text, parameters or None)
        return cursor.fetchall() if cursor.description else []

    def script(self, sql: str) -> None:
        self._connection.execute(sql)

    def close(self) -> None:
        self._connection.close()


@cache
def _template() -> Path:
    path = _FOLDER / "espf.db"
    migrate(f"sqlite:///{path}")
    connections.close_all()
    return path


@contextmanager
def registry(folder: Path, engine: EngineName = "sqlite") -> Iterator[Rig]:
    """A fresh, migrated database (SQLite's in this folder); Django is on it."""
    with _sqlite(folder) if engine == "sqlite" else _postgres() as rig:
        start(rig.url)
        rig.subscribe()
        try:
            yield rig
        finally:
            connections.close_all()


@contextmanager
def _sqlite(folder: Path) -> Iterator[Rig]:
    path = folder / "espf.db"
    shutil.copy(_template(), path)
    yield SqliteRig(path)


@contextmanager
def _postgres() -> Iterator[Rig]:
    with postgres_rig.clone() as url:
        rig = PostgresRig(url)
        try:
            yield rig
        finally:
            rig.close()


POPULATION = """
INSERT INTO customers (name, credit_limit) VALUES ('Ann', 100), ('Bob', NULL);
INSERT INTO products (name) VALUES ('LTE'), ('LTE XL');
INSERT INTO sim_cards (imsi) VALUES ('001010000000001'), ('001010000000002'), ('001010000000003');
INSERT INTO accounts (i_customer, id, i_product, role) VALUES (1, '100', 1, 'mobile');
INSERT INTO accounts (i_customer, id, i_product, billing_model, balance, balance_control)
  VALUES (1, '200', 1, -1, 5, 'individual');
INSERT INTO accounts (i_customer, id, i_product, i_sim_card, balance_control, credit_limit)
  VALUES (2, '300', 1, 3, 'individual', 10);
"""
"""Account 1 subordinate credit, 2 debit with 5, 3 credit with a limit of 10 and SIM card 3."""


def populate(rig: Rig) -> None:
    """A few records, and their events taken."""
    rig.script(POPULATION)
    rig.events()
