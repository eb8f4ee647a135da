"""Compiles `references/*.toml` to PostgreSQL triggers.

What a row refers to is locked until the transaction ends, so nobody takes it away meanwhile.
"""
# ruff: noqa: S608 - SQL is what this makes, from our own file

from collections.abc import Iterator

from espf.capture.compiler import Trigger
from espf.capture.postgres import trigger
from espf.capture.references import (
    Reference,
    Table,
    Tables,
    fixed_columns,
    never_change,
    trigger_name,
)


class PostgresReferences:
    """See the port in `references`."""

    def compile(self, tables: Tables) -> list[Trigger]:
        """One or more for each reference and each table."""
        found = [trigger for one in tables.references for trigger in _reference(one)]
        for name, of in tables.whole.items():
            found += _table(name, of)
        return found


def _reference(one: Reference) -> Iterator[Trigger]:
    column, table = one.refers.column, one.refers.table
    given = f"NEW.{column} IS NOT NULL"
    same = " AND i_env = NEW.i_env" if one.same_environment else ""
    there = f"{one.target_key} = NEW.{column}{same}"
    body = [
        f"PERFORM 1 FROM {one.refers.to} WHERE {there} FOR KEY SHARE;",
        f"IF NOT FOUND THEN {_refused(one.missing)} END IF;",
        "RETURN NEW;",
    ]
    yield _trigger(table, f"{column}_given", f"INSERT ON {table}", given, body)
    if not one.fixed:
        moved = f"{given} AND OLD.{column} IS DISTINCT FROM NEW.{column}"
        yield _trigger(table, f"{column}_changed", f"UPDATE OF {column} ON {table}", moved, body)
    yield _trigger(table, f"{column}_gone", f"DELETE ON {one.refers.to}", "", _gone(one))


def _gone(one: Reference) -> list[str]:
    """Only where there is one: a statement that changes no row still has capture look at it."""
    mine = f"{one.refers.column} = OLD.{one.target_key}"
    if one.refers.remove:
        then = f"DELETE FROM {one.refers.table} WHERE {mine};"
    elif one.refers.set:
        then = f"UPDATE {one.refers.table} SET {one.refers.set} WHERE {mine};"
    else:
        then = _refused(one.refers.refuse or "")
    exists = f"EXISTS (SELECT 1 FROM {one.refers.table} WHERE {mine})"
    return [f"IF {exists} THEN {then} END IF;", "RETURN OLD;"]


def _table(name: str, of: Table) -> Iterator[Trigger]:
    columns = fixed_columns(of)
    moved = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
    event = f"UPDATE OF {', '.join(columns)} ON {name}"
    yield _trigger(name, "fixed", event, moved, [_refused(never_change(columns))])
    for column in of.digits:
        digits = f"NEW.{column} !~ '^[0-9]{{3,18}}$'"
        said = _refused(f"{column} must have 3 to 18 digits.")
        yield _trigger(name, f"{column}_digits", f"INSERT ON {name}", digits, [said])
    # No row trigger sees it.
    told = trigger_name(name, "truncate")
    said = _refused("TRUNCATE raises no events: use DELETE.")
    yield trigger(told, f"BEFORE TRUNCATE ON {name} FOR EACH STATEMENT", f"BEGIN\n  {said}\nEND")


def _trigger(table: str, what: str, event: str, when: str, body: list[str]) -> Trigger:
    condition = f" WHEN ({when})" if when else ""
    lines = "".join(f"  {line}\n" for line in body)
    return trigger(
        trigger_name(table, what),
        f"BEFORE {event} FOR EACH ROW{condition}",
        f"BEGIN\n{lines}END",
    )


def _refused(message: str) -> str:
    return f"RAISE integrity_constraint_violation USING MESSAGE = '{message}';"
