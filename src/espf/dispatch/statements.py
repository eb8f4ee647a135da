"""The statements of one portion of a fan-out, for either engine. Parameters are :name."""

from typing import NamedTuple

import orjson

from espf.database_url import EngineName
from espf.dispatch.choice import Choice, choice
from espf.dispatch.derivation import Derivation
from espf.events.catalogue import Catalogue

PORTION = 5_000
"""Most candidates looked at in one transaction: 20 ms of it or so."""
BULK_ABOVE = 64
"""A fan-out to more than that many is bulk: it must not stand before other accounts' events."""
DEEPEST = 8
"""How often events may be derived from derived ones. The tables go to 2; a cycle ends here."""

QUOTED = {
    "sqlite": "json_quote({})",
    "postgres": "CAST(to_json(CAST({} AS text)) AS text)",
}
STANDING = """
SELECT e.depth, EXISTS (SELECT 1 FROM capture_gate AS g WHERE g.event_type = :output),
    f.after_key, f.bulk, f.derived, f.done
FROM event AS e LEFT JOIN fanout AS f ON f.i_event = e.i_event AND f.output = :output
WHERE e.i_event = :i_event
"""
"""How far a fan-out is; no row if its cause is gone."""
BEGIN = """
INSERT INTO fanout (i_event, output, after_key, bulk, derived, done)
VALUES (:i_event, :output, 0, :bulk, 0, 0) ON CONFLICT (i_event, output) DO NOTHING
"""
ADVANCE = """
UPDATE fanout SET after_key = :last, derived = derived + :derived, done = :done
WHERE i_event = :i_event AND output = :output AND after_key = :after AND done = 0
"""
"""Whoever moves it has derived the portion: the other's transaction is undone."""


class Portion(NamedTuple):
    """What one portion asks and writes."""

    candidates: str
    """Last key and number of the next candidates."""
    insert: str
    bound: dict[str, object]


def portion(derivation: Derivation, dialect: EngineName, now: str) -> Portion:
    """The statements of a derivation's portions. `now` as dates are stored."""
    who = choice(derivation)
    bound: dict[str, object] = {
        **who.bound,
        "now": now,
        "limit": PORTION,
        "i_event": derivation.cause.i_event,
        "output": derivation.output,
    }
    counted = f"SELECT max({who.key}), count(*) FROM ({who.candidates}) AS c"
    return Portion(counted, _insert(derivation, who, dialect, bound), bound)


def _insert(
    derivation: Derivation, who: Choice, dialect: EngineName, bound: dict[str, object]
) -> str:
    has_sim = "0"
    if who.entity == "account":
        has_sim = "CASE WHEN a.i_sim_card IS NULL THEN 0 ELSE 1 END"
    variables = _variables(derivation, who, dialect, bound)
    return (
        "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables, has_sim,"
        " caused_by, bulk, depth)"
        f" SELECT a.i_env, :output, '{who.entity}', a.{who.key}, a.{who.key} % 64, {variables},"
        f" {has_sim}, :i_event, :bulk, :depth FROM {who.table} AS a"
        f" WHERE a.{who.key} > :after AND a.{who.key} <= :last AND {who.condition}"
        f" ORDER BY a.{who.key}"
    )


def _variables(
    derivation: Derivation, who: Choice, dialect: EngineName, bound: dict[str, object]
) -> str:
    """The JSON text of the variables: keys from the row, the rest as the cause has it."""
    parts, copied = [], {}
    for name in Catalogue.load().types[derivation.output].own_variables:
        if name in _COLUMNS[who.entity]:
            column = f"a.{name}"
            value = QUOTED[dialect].format(column) if name in _TEXTS else f"CAST({column} AS text)"
            parts.append(f"'\"{name}\":' || {value}")
        elif name in derivation.given:
            copied[name] = derivation.given[name]
    text = " || ',' || ".join(parts)
    if copied:
        bound["copied"] = "," + orjson.dumps(copied).decode()[1:-1]
        text += " || CAST(:copied AS text)"
    return f"'{{' || {text} || '}}'"


_COLUMNS = {
    "account": frozenset({"i_account", "i_customer", "id"}),
    "customer": frozenset({"i_customer"}),
    "customer_site": frozenset({"i_customer_site", "i_customer"}),
    "product": frozenset({"i_product"}),
}
_TEXTS = frozenset({"id"})
