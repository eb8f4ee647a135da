"""Compiles capture rules to PostgreSQL triggers: plain plpgsql, so that any writer is captured.

One trigger for each table and operation, once for each statement, over its transition tables: an
event for each of 100,000 updated rows costs a third of what row-level triggers cost (see the
decision on their shape). A statement that changes few rows goes through them in a loop, because
planning would take longer than that; one that changes many writes all its events in one INSERT,
planned for just these rows.

A type that nobody subscribed to costs no event: `capture_gate` is asked once for each statement.
"""
# ruff: noqa: S608 - SQL is what this makes, from our own rules

import re
from itertools import groupby

from espf.capture.compiler import PREFIX, Trigger
from espf.capture.postgres_event import EventSql, changed
from espf.capture.rules import Operation, Rule, RuleSet

FEW = 16
"""Up to so many rows the loop is quicker."""

_TABLES: dict[Operation, str] = {
    "insert": "NEW TABLE AS espf_new",
    "update": "OLD TABLE AS espf_old NEW TABLE AS espf_new",
    "delete": "OLD TABLE AS espf_old",
}
_COLUMNS = ("i_env", "event_type", "entity", "entity_id", "lane", "variables", "has_sim")
_NOW = "to_char(timezone('UTC', clock_timestamp()), 'YYYY-MM-DD HH24:MI:SS')"
_COLUMN_OF_ROW = re.compile(r"\b(OLD|NEW)\.(\w+)")


class PostgresCompiler:
    """Triggers for PostgreSQL 15 and newer."""

    def compile(self, rules: RuleSet) -> list[Trigger]:
        """One trigger for each table and operation, named so, in the order of the rules."""
        groups: dict[tuple[str, Operation], list[Rule]] = {}
        for rule in rules.rule:
            groups.setdefault((rules.entity[rule.entity].table, rule.on), []).append(rule)
        return [
            _Group(rules, group).trigger(f"{PREFIX}{table}_{on}")
            for (table, on), group in groups.items()
        ]


def trigger(name: str, when: str, body: str) -> Trigger:
    """A trigger and its function, which has the owner's rights and finds the owner's tables.

    So a writer needs no right on the event log, and its `search_path` does not matter. Plans are
    estimated too high for what a statement changes: compiling them would take longer than they do.
    """
    return Trigger(
        name,
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER\n"
        f"SET search_path FROM CURRENT SET jit = off AS $espf$\n{body}\n$espf$;\n"
        f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC;\n"
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()",
    )


class _Group:
    """Rules of one table and operation."""

    def __init__(self, rules: RuleSet, group: list[Rule]) -> None:
        entity = rules.entity[group[0].entity]
        self._on = group[0].on
        self._table, self._key = entity.table, entity.key
        self._row = "OLD" if self._on == "delete" else "NEW"
        self._rows = f"espf_{self._row.lower()}"
        self._events = [EventSql(rules, rule) for rule in group]

    def trigger(self, name: str) -> Trigger:
        when = f"AFTER {self._on.upper()} ON {self._table} REFERENCING {_TABLES[self._on]}"
        return trigger(name, f"{when} FOR EACH STATEMENT", "\n".join(self._body()))

    def _body(self) -> list[str]:
        types = ", ".join(dict.fromkeys(event.type for event in self._events))
        few = f"(SELECT count(*) FROM (SELECT 1 FROM {self._rows} LIMIT {FEW + 1}) AS f) <= {FEW}"
        return [
            "DECLARE",
            "  wanted text[];",
            f"  old {self._table}%ROWTYPE;",
            f"  new {self._table}%ROWTYPE;",
            "  tests text := '';",
            "  types text := '';",
            "  bodies text := '';",
            "BEGIN",
            "  SELECT array_agg(event_type) INTO wanted FROM capture_gate",
            f"    WHERE event_type IN ({types});",
            "  IF wanted IS NULL THEN RETURN NULL; END IF;",
            f"  IF {few} THEN",
            *(f"    {line}" for line in self._loop()),
            "  ELSE",
            *(f"    {line}" for line in self._at_once()),
            "  END IF;",
            "  RETURN NULL;",
            "END",
        ]

    def _loop(self) -> list[str]:
        """Row by row: each rule whose type is wanted and whose condition holds writes its event."""
        lines = [f"FOR {self._row} IN SELECT * FROM {self._rows} LOOP"]
        if self._on == "update":
            old = f"SELECT * INTO OLD FROM espf_old AS o WHERE o.{self._key} = NEW.{self._key};"
            lines.append(f"  {old}")
        for watch, events in groupby(self._events, key=lambda event: event.watch):
            inserts = [f"  {self._insert(event)}" for event in events]
            lines += [f"  IF {changed(watch)} THEN", *inserts, "  END IF;"] if watch else inserts
        return [*lines, "END LOOP;"]

    def _insert(self, event: EventSql) -> str:
        """Tests are nested, not joined by AND: one with a subquery costs ten times as much."""
        values = {**event.columns(), "event_type": event.type, "variables": event.variables()}
        listed = ", ".join(values[name] for name in _COLUMNS)
        insert = f"INSERT INTO event ({', '.join(_COLUMNS)}) VALUES ({listed});"
        if event.when is not None:
            insert = f"IF {event.when} THEN {insert} END IF;"
        return f"IF {event.type} = ANY (wanted) THEN {insert} END IF;"

    def _at_once(self) -> list[str]:
        """One INSERT over all rows, of the wanted types alone; row by row, as in the loop.

        It is put together and planned each time: a plan kept from a statement with few rows would
        compare each row before with each one after. `rule` says which rules hold for a row.
        """
        lines = []
        for number, event in enumerate(self._events, 1):
            lines += [
                f"IF {event.type} = ANY (wanted) THEN",
                f"  tests := tests || $$, CASE WHEN {_test(event)} THEN {number} END$$;",
                f"  types := types || $$ WHEN {number} THEN {event.type}$$;",
                f"  bodies := bodies || $$ WHEN {number} THEN {_of_pair(event.variables())}$$;",
                "END IF;",
            ]
        case = "CASE pair.rule $$ || {} || $$ END"
        values = {
            **{name: _of_pair(value) for name, value in self._shared_values().items()},
            "event_type": case.format("types"),
            "variables": case.format("bodies"),
        }
        listed = ", ".join(values[name] for name in _COLUMNS)
        insert = f"INSERT INTO event ({', '.join(_COLUMNS)}, event_time) SELECT {listed}, $1"
        holding = "unnest(array_remove(ARRAY[$$ || substr(tests, 3) || $$], NULL)) AS rule"
        source = f"(SELECT {self._pair_columns()}, {holding} FROM {self._pairs()}) AS pair"
        return [*lines, f"EXECUTE $${insert} FROM {source}$$ USING {_NOW};"]

    def _shared_values(self) -> dict[str, str]:
        """Expressions of the other columns, which tell rules apart only where they must."""
        found = {}
        all_columns = [event.columns() for event in self._events]
        for name in all_columns[0]:
            numbers: dict[str, list[int]] = {}
            for number, columns in enumerate(all_columns, 1):
                numbers.setdefault(columns[name], []).append(number)
            usual, *others = sorted(numbers, key=lambda value: -len(numbers[value]))
            cases = "".join(
                f" WHEN pair.rule IN ({', '.join(map(str, numbers[value]))}) THEN {value}"
                for value in others
            )
            found[name] = f"CASE{cases} ELSE {usual} END" if cases else usual
        return found

    def _pair_columns(self) -> str:
        """Columns of the rows that some event is made from."""
        used = [
            text
            for event in self._events
            for text in (event.variables(), *event.columns().values())
        ]
        columns = sorted(set(_COLUMN_OF_ROW.findall(" ".join(used))))
        return ", ".join(f"{row}.{name} AS {row.lower()}_{name}" for row, name in columns)

    def _pairs(self) -> str:
        if self._on == "update":
            return f"espf_new AS new JOIN espf_old AS old ON OLD.{self._key} = NEW.{self._key}"
        return f"{self._rows} AS {self._row.lower()}"


def _test(event: EventSql) -> str:
    tests = [*([changed(event.watch)] if event.watch else []), *filter(None, [event.when])]
    return " AND ".join(f"({test})" for test in tests) or "true"


def _of_pair(expression: str) -> str:
    """The same over the columns that a pair of rows has."""
    return _COLUMN_OF_ROW.sub(lambda match: f"pair.{match[1].lower()}_{match[2]}", expression)
