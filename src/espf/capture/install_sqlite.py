"""The triggers of an SQLite database, compared by their text, which the database keeps."""

import sqlite3

from espf.capture.compiler import INTEGRITY_PREFIX, PREFIX, Trigger, integrity_scripts
from espf.capture.references import tables
from espf.capture.references_sqlite import SqliteReferences
from espf.capture.rules import RuleSet
from espf.capture.sqlite import SqliteCompiler
from espf.errors import CaptureError

_INSTALLED = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid"


def sqlite_triggers(rules: RuleSet) -> list[Trigger]:
    """All triggers, in the order in which they must be made.

    Of several triggers on one change SQLite runs the one made last first. Made in this order, the
    events of a change come in the order of the rules, a card's status after its account's events.
    """
    references = SqliteReferences().compile(tables())
    return [*_integrity_triggers(), *references, *reversed(SqliteCompiler().compile(rules))]


def _integrity_triggers() -> list[Trigger]:
    """Triggers that hold the registry together for every writer."""
    script = integrity_scripts("sqlite")
    parts = [part[part.index("CREATE TRIGGER") :] for part in script.split("END;\n")[:-1]]
    return [Trigger(part.split()[2], f"{part}END") for part in parts]


class SqliteTriggers:
    """Installed triggers of one database (see the port in `install`)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def are(self, wanted: list[Trigger]) -> bool:
        """Whether they are exactly these, made in this order."""
        return self._found() == wanted

    def replace(self, wanted: list[Trigger]) -> None:
        """Drop ours and make these."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._drop()
            self._make(wanted)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def drop(self) -> None:
        """Drop ours."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._drop()
        self._connection.execute("COMMIT")

    def _found(self) -> list[Trigger]:
        rows = self._connection.execute(_INSTALLED).fetchall()
        return [Trigger(*row) for row in rows if row[0].startswith((PREFIX, INTEGRITY_PREFIX))]

    def _drop(self) -> None:
        for trigger in self._found():
            self._connection.execute(f'DROP TRIGGER "{trigger.name}"')

    def _make(self, wanted: list[Trigger]) -> None:
        for trigger in wanted:
            try:
                self._connection.execute(trigger.sql)
            except sqlite3.OperationalError as error:
                if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
                    raise
                raise CaptureError(f"Trigger {trigger.name} cannot be made: {error}.") from error
