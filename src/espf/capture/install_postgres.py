"""The triggers of a PostgreSQL database.

The catalogue keeps a trigger's definition in its own words, which change with the release, so each
trigger has the digest of its text in its comment. Its function's text is kept as it was, and is
compared; so is whether somebody disabled the trigger.
"""

import hashlib
import re
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from espf.capture.compiler import INTEGRITY_PREFIX, PREFIX, Trigger, integrity_scripts
from espf.capture.postgres import PostgresCompiler, trigger
from espf.capture.references import tables
from espf.capture.references_postgres import PostgresReferences
from espf.capture.rules import RuleSet
from espf.errors import CaptureError

_PART = re.compile(r"(?ms)^CREATE TRIGGER (\w+) (.*?)\n((?:DECLARE|BEGIN)\n.*?^END);$")
_OURS = f"'^({PREFIX}|{INTEGRITY_PREFIX})'"
_SCHEMA = "(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('accounts'))"
# The functions look for tables where the registry is, and in no schema of the writer's.
_PATH = "quote_ident(n.nspname) || ', pg_temp'"
_TRIGGERS = f"""
SELECT t.tgname, t.tgenabled = 'O' AND p.prosecdef
  AND 'search_path=' || {_PATH} = ANY (coalesce(p.proconfig, CAST('{{}}' AS text[]))),
  coalesce(obj_description(t.oid, 'pg_trigger'), ''), p.prosrc,
  CAST(CAST(t.tgrelid AS regclass) AS text)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.oid = {_SCHEMA} AND t.tgname ~ {_OURS}
"""  # noqa: S608 - our own names
_FUNCTIONS = f"""
SELECT CAST(CAST(oid AS regprocedure) AS text) FROM pg_proc
WHERE pronamespace = {_SCHEMA} AND proname ~ {_OURS}
"""  # noqa: S608 - our own names
_SEARCH_PATH = f"""
SELECT set_config('search_path', {_PATH}, true) FROM pg_namespace AS n WHERE n.oid = {_SCHEMA}
"""  # noqa: S608 - our own names


def postgres_triggers(rules: RuleSet) -> list[Trigger]:
    """All triggers. On one change they run in the order of their names: capture's are first."""
    integrity = [trigger(*part) for part in _PART.findall(integrity_scripts("postgres"))]
    references = PostgresReferences().compile(tables())
    return [*PostgresCompiler().compile(rules), *integrity, *references]


class _Found(NamedTuple):
    name: str
    in_force: bool
    comment: str
    function: str
    table: str


class PostgresTriggers:
    """Installed triggers of one database (see the port in `install`)."""

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def are(self, wanted: list[Trigger]) -> bool:
        """Whether they are exactly these, and in force."""
        found = {one.name: one for one in self._found()}
        return found.keys() == {one.name for one in wanted} and all(
            found[name].in_force
            and found[name].comment == _digest(sql)
            and f"$espf${found[name].function}$espf$" in sql
            for name, sql in wanted
        )

    def replace(self, wanted: list[Trigger]) -> None:
        """Drop ours and make these."""
        with self._connection.transaction():
            self._drop()
            self._run(_SEARCH_PATH)
            for one in wanted:
                self._make(one)

    def drop(self) -> None:
        """Drop ours."""
        with self._connection.transaction():
            self._drop()

    def _found(self) -> list[_Found]:
        return [_Found(*row) for row in self._run(_TRIGGERS)]

    def _drop(self) -> None:
        for one in self._found():
            self._run(f'DROP TRIGGER "{one.name}" ON {one.table}')
        for (function,) in self._run(_FUNCTIONS):
            self._run(f"DROP FUNCTION {function}")

    def _make(self, wanted: Trigger) -> None:
        name, table = wanted.name, _table(wanted)
        try:
            self._run(wanted.sql)
            self._run(f"COMMENT ON TRIGGER {name} ON {table} IS '{_digest(wanted.sql)}'")
        except errors.InsufficientPrivilege:
            raise
        except (psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
            said = error.diag.message_primary
            raise CaptureError(f"Trigger {name} cannot be made: {said}.") from error

    def _run(self, sql: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def _table(wanted: Trigger) -> str:
    return str(re.findall(rf"CREATE TRIGGER {wanted.name} .*? ON (\w+)", wanted.sql)[-1])


def _digest(sql: str) -> str:
    return f"espf {hashlib.sha256(sql.encode()).hexdigest()}"
