"""Compiles `references/*.toml` to SQLite triggers: plain SQL that a bare shell runs."""
# ruff: noqa: S608 - SQL is what this makes, from our own file

from collections.abc import Iterator

from espf.capture.compiler import Trigger
from espf.capture.references import (
    Reference,
    Table,
    Tables,
    fixed_columns,
    never_change,
    trigger_name,
)


class SqliteReferences:
    """See the port in `references`."""

    def compile(self, tables: Tables) -> list[Trigger]:
        """One or more for each reference and each table.

        Of several on one change the one made last runs first: by name, as on PostgreSQL.
        """
        found = [trigger for one in tables.references for trigger in _reference(one)]
        for name, of in tables.whole.items():
            found += _table(name, of)
        return sorted(found, key=lambda trigger: trigger.name, reverse=True)


def _reference(one: Reference) -> Iterator[Trigger]:
    column, table = one.refers.column, one.refers.table
    given = f"NEW.{column} IS NOT NULL"
    same = " AND i_env = NEW.i_env" if one.same_environment else ""
    exists = f"SELECT 1 FROM {one.refers.to} WHERE {one.target_key} = NEW.{column}{same}"
    said = f"{_refused(one.missing)} WHERE NOT EXISTS ({exists})"
    yield _trigger(table, f"{column}_given", f"INSERT ON {table}", given, said)
    if not one.fixed:
        moved = f"{given} AND OLD.{column} IS NOT NEW.{column}"
        yield _trigger(table, f"{column}_changed", f"UPDATE OF {column} ON {table}", moved, said)
    yield _trigger(table, f"{column}_gone", f"DELETE ON {one.refers.to}", "", _gone(one))


def _gone(one: Reference) -> str:
    mine = f"{one.refers.column} = OLD.{one.target_key}"
    if one.refers.remove:
        return f"DELETE FROM {one.refers.table} WHERE {mine}"
    if one.refers.set:
        return f"UPDATE {one.refers.table} SET {one.refers.set} WHERE {mine}"
    said = _refused(one.refers.refuse or "")
    return f"{said} WHERE EXISTS (SELECT 1 FROM {one.refers.table} WHERE {mine})"


def _table(name: str, of: Table) -> Iterator[Trigger]:
    columns = fixed_columns(of)
    moved = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
    event = f"UPDATE OF {', '.join(columns)} ON {name}"
    yield _trigger(name, "fixed", event, moved, _refused(never_change(columns)))
    # A REPLACE would remove the row in its way, unheard.
    taken = [_taken(name, columns) for columns in ((of.key,), *of.unique)]
    yield _trigger(name, "unique", f"INSERT ON {name}", "", *taken)
    for column in of.digits:
        digits = f"NEW.{column} GLOB '*[^0-9]*' OR length(NEW.{column}) NOT BETWEEN 3 AND 18"
        said = _refused(f"{column} must have 3 to 18 digits.")
        yield _trigger(name, f"{column}_digits", f"INSERT ON {name}", digits, said)


def _taken(name: str, columns: tuple[str, ...]) -> str:
    alike = " AND ".join(f"{column} = NEW.{column}" for column in columns)
    named = " and ".join(column for column in columns if column != "i_env")
    said = _refused(
        f"There is another record with this {named}; choose another, or update that one."
    )
    return f"{said} WHERE EXISTS (SELECT 1 FROM {name} WHERE {alike})"


def _trigger(table: str, what: str, event: str, when: str, *body: str) -> Trigger:
    name = trigger_name(table, what)
    condition = f" WHEN {when}" if when else ""
    statements = "".join(f"  {statement};\n" for statement in body)
    return Trigger(name, f"CREATE TRIGGER {name} BEFORE {event}{condition} BEGIN\n{statements}END")


def _refused(message: str) -> str:
    return f"SELECT RAISE(ABORT, '{message}')"
