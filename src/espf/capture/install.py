"""Puts the triggers into a database of either engine, and tells whether they are there.

A table that is made anew loses its triggers, so this runs after each migration. What is installed
is compared with what this program would install; where they differ, all are replaced.
"""

import sqlite3
from typing import Any, Protocol

from espf.capture.compiler import Trigger
from espf.capture.rules import RuleSet, rules
from espf.database_url import EngineName

Connection = Any
"""Of sqlite3 or psycopg, in autocommit mode or inside a transaction."""


class Installed(Protocol):
    """The triggers of one database."""

    def are(self, wanted: list[Trigger]) -> bool:
        """Whether they are exactly these, made in this order, and enabled."""

    def replace(self, wanted: list[Trigger]) -> None:
        """Drop ours and make these, in one transaction.

        Raises CaptureError if they cannot be made, and leaves the old ones in place then. Other
        errors of the driver pass through.
        """

    def drop(self) -> None:
        """Drop ours and nobody else's, in one transaction."""


def triggers(engine: EngineName, rule_set: RuleSet | None = None) -> list[Trigger]:
    """All triggers of this program, in the order in which they must be made."""
    found = rule_set or rules()
    if engine == "sqlite":
        from espf.capture.install_sqlite import sqlite_triggers  # noqa: PLC0415

        return sqlite_triggers(found)
    from espf.capture.install_postgres import postgres_triggers  # noqa: PLC0415

    return postgres_triggers(found)


def is_current(connection: Connection, rule_set: RuleSet | None = None) -> bool:
    """Whether the database has exactly the triggers of this program."""
    return _installed(connection).are(triggers(_engine(connection), rule_set))


def install(connection: Connection, rule_set: RuleSet | None = None) -> list[str]:
    """Make the triggers what they must be, in one transaction; returns what was done.

    Does nothing to a database that has them. Raises CaptureError if they cannot be made, and leaves
    the old ones in place then. Other errors of the driver pass through.
    """
    wanted = triggers(_engine(connection), rule_set)
    installed = _installed(connection)
    if installed.are(wanted):
        return []
    installed.replace(wanted)
    return [f"installed {len(wanted)} triggers"]


def remove(connection: Connection) -> None:
    """Drop our triggers: before tables are changed, which fails while a trigger names them."""
    _installed(connection).drop()


def _engine(connection: Connection) -> EngineName:
    return "sqlite" if isinstance(connection, sqlite3.Connection) else "postgres"


def _installed(connection: Connection) -> Installed:
    if _engine(connection) == "sqlite":
        from espf.capture.install_sqlite import SqliteTriggers  # noqa: PLC0415

        return SqliteTriggers(connection)
    from espf.capture.install_postgres import PostgresTriggers  # noqa: PLC0415

    return PostgresTriggers(connection)
