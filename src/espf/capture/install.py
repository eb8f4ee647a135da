"""Puts the triggers into an SQLite database, and tells whether they are there.

A rebuilt table loses its triggers, so this runs after each migration. What is installed is compared
by its text: the database keeps the text of each trigger, which is the best fingerprint there is.
"""

import sqlite3
from importlib import resources

from espf.capture.compiler import PREFIX, Trigger
from espf.capture.rules import RuleSet, rules
from espf.capture.sqlite import SqliteCompiler
from espf.errors import CaptureError

INTEGRITY_PREFIX = "espf_registry_"
_INSTALLED = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid"


def triggers(rule_set: RuleSet | None = None) -> list[Trigger]:
    """All triggers, in the order in which they must be made.

    Of several triggers on one change SQLite runs the one made last first. Made in this order, the
    events of a change come in the order of the rules, a card's status after its account's events.
    """
    captured = SqliteCompiler().compile(rule_set or rules())
    return [*integrity_triggers(), *reversed(captured)]


def integrity_triggers() -> list[Trigger]:
    """Triggers that hold the registry together for every writer."""
    script = resources.files("espf.capture").joinpath("integrity_sqlite.sql").read_text("utf-8")
    parts = [part[part.index("CREATE TRIGGER") :] for part in script.split("END;\n")[:-1]]
    return [Trigger(part.split()[2], f"{part}END") for part in parts]


def is_current(connection: sqlite3.Connection, rule_set: RuleSet | None = None) -> bool:
    """Whether the database has exactly the triggers of this program, made in the right order."""
    if not isinstance(connection, sqlite3.Connection):
        return True
    return _installed(connection) == triggers(rule_set)


def install(connection: sqlite3.Connection, rule_set: RuleSet | None = None) -> list[str]:
    """Make the triggers what they must be, in one transaction; returns what was done.

    Does nothing to a database that has them. Raises CaptureError if they cannot be made, and leaves
    the old ones in place then. Other errors of sqlite3 pass through.
    """
    if not isinstance(connection, sqlite3.Connection):
        return []
    if is_current(connection, rule_set):
        return []
    wanted = triggers(rule_set)
    connection.execute("BEGIN IMMEDIATE")
    try:
        _drop(connection)
        _make(connection, wanted)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return [f"installed {len(wanted)} triggers"]


def remove(connection: sqlite3.Connection) -> None:
    """Drop our triggers: before tables are rebuilt, which fails while a trigger names them."""
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    _drop(connection)
    connection.execute("COMMIT")


def _installed(connection: sqlite3.Connection) -> list[Trigger]:
    rows = connection.execute(_INSTALLED).fetchall()
    return [Trigger(*row) for row in rows if row[0].startswith((PREFIX, INTEGRITY_PREFIX))]


def _drop(connection: sqlite3.Connection) -> None:
    for trigger in _installed(connection):
        connection.execute(f'DROP TRIGGER "{trigger.name}"')


def _make(connection: sqlite3.Connection, wanted: list[Trigger]) -> None:
    for trigger in wanted:
        try:
            connection.execute(trigger.sql)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                raise
            raise CaptureError(f"Trigger {trigger.name} cannot be made: {error}.") from error
