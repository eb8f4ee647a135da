"""A registry on a real SQLite file, written by the services or by the plain `sqlite3` shell."""

import atexit
import json
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

from django.db import connections

from espf.capture.rules import rules
from espf.database_url import SqliteUrl
from espf.schema.migrate import migrate
from espf.site.start import start

# The models can be imported only once Django is up: tests import this module first.
_FOLDER = Path(mkdtemp(prefix="espf-template-"))
start(SqliteUrl(_FOLDER / "espf.db"))

# A machine without the sqlite3 command does with as bare a shell; CI installs the real one.
SHELL = (
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
    """One database file, with all of capture's types subscribed unless told otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._taken = 0

    def shell(self, sql: str) -> str:
        """Run SQL in the bare sqlite3 shell, a process of its own. Returns its errors."""
        done = subprocess.run(
            [*SHELL, str(self.path)], input=sql, capture_output=True, text=True, check=False
        )
        return done.stderr

    def sql(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # tests lose no power
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

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
        return [Seen(*row[:3], json.loads(row[3]), *row[4:7]) for row in found]

    def types(self) -> list[str]:
        return [event.event_type for event in self.events()]


@cache
def _template() -> Path:
    path = _FOLDER / "espf.db"
    atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
    migrate(f"sqlite:///{path}")
    connections.close_all()
    return path


@contextmanager
def registry(folder: Path) -> Iterator[Rig]:
    """A fresh, migrated database in this folder; Django is on it."""
    path = folder / "espf.db"
    shutil.copy(_template(), path)
    start(SqliteUrl(path))
    rig = Rig(path)
    rig.subscribe()
    try:
        yield rig
    finally:
        connections.close_all()


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
    connection = sqlite3.connect(rig.path)
    connection.executescript(f"PRAGMA synchronous = OFF; BEGIN; {POPULATION} COMMIT;")
    connection.close()
    rig.events()
