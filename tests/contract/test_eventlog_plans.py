"""PostgreSQL's plans read little, whatever the statistics say.

With most of what is parked being one entity's, the planner thinks that any row will do. For an
entity that has none it would read them all: half a second in each settlement, with 100,000 parked.
"""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from espf.eventlog.postgres.statement import as_text, filled_in, statement
from postgres_rig import clone

BEHIND = 20_000
OTHERS = [
    {
        "i_handler": 1, "i_event": 10**6 + n, "entity": "account", "entity_id": n, "lane": n % 64,
        "attempts": 1, "probes": 0, "in_progress": 0, "due_us": 1, "parked_us": 1,
        "stopped_base_us": 0, "coalesced": 0, "behind_bulk": 0,
    }
    for n in range(1, 49)
]  # fmt: skip


@pytest.fixture(scope="module")
def shell() -> Iterator[psycopg.Connection[Any]]:
    with clone() as url, psycopg.connect(url.conninfo, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO handler (i_handler, name, type, options, subscriptions, created_us,"
            " updated_us) VALUES (1, 'hss', 'EventSender', '{}', '[]', 0, 0)"
        )
        connection.execute(
            "INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts, parked_us)"
            f" SELECT 1, i, 'account', 999, 39, 0, 0 FROM generate_series(1, {BEHIND}) AS n (i)"
        )
        connection.execute(
            "INSERT INTO subscription VALUES (1, 'Account/Blocked'), (1, 'Account/Unblocked')"
        )
        connection.execute(
            "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables)"
            f" SELECT 1, 'Account/Blocked', 'account', i, i % 64, '{{}}'"
            f" FROM generate_series(1, {BEHIND}) AS n (i)"
        )
        connection.execute("VACUUM ANALYZE event, parked")  # nobody analyses the small ones
        yield connection


def rows_read(shell: psycopg.Connection[Any], text: str, table: str = "parked") -> float:
    """Rows of the table that the statement looked at, those that a filter threw away included."""
    with shell.transaction(force_rollback=True):
        explained = shell.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}".encode()).fetchone()
    assert explained is not None
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in nodes(explained[0][0]["Plan"])
        if node.get("Relation Name", "").startswith(table)
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


@pytest.mark.parametrize("name", ["park_all", "activate_all"])
def test_parking_and_going_on_read_nothing_of_what_another_entity_has_parked(
    shell: psycopg.Connection[Any], name: str
) -> None:
    rows = shell.execute("SELECT quote_literal(%s)", (json.dumps(OTHERS),)).fetchone()
    assert rows is not None

    assert rows_read(shell, filled_in(name, {"rows": rows[0], "now_us": "1"})) == 0


MODES = ("force_generic_plan", "force_custom_plan")


def prepared(shell: psycopg.Connection[Any], name: str, mode: str, bound: dict[str, object]) -> str:
    """The statement as the engine prepares it, with one of the two kinds of plan."""
    wanted = statement(name)
    values = [as_text(bound[each]) for each in wanted.parameters]
    told = ", ".join("NULL" if value is None else f"'{value.decode()}'" for value in values)
    shell.execute(f"SET plan_cache_mode = {mode}".encode())
    shell.execute(f"PREPARE {name}_{mode} AS ".encode() + wanted.text)
    return f"EXECUTE {name}_{mode} ({told})"


@pytest.mark.parametrize("mode", MODES)
def test_reading_a_batch_reads_one_parked_row_of_an_entity_at_most(
    shell: psycopg.Connection[Any], mode: str
) -> None:
    keys = [*range(1, 512), 999]
    bound = {"i_handler": 1, "entities": ["account"] * len(keys), "entity_ids": keys}
    text = prepared(shell, "parked_entities", mode, bound)

    assert rows_read(shell, text) <= 1
    assert shell.execute(text.encode()).fetchall() == [("account", 999, None)]


@pytest.mark.parametrize("lanes", [None, list(range(64))])
@pytest.mark.parametrize("mode", MODES)
def test_reading_a_batch_reads_no_more_events_than_it_takes(
    shell: psycopg.Connection[Any], mode: str, lanes: list[int] | None
) -> None:
    bound = {"i_handler": 1, "after": 0, "upto": 4096, "lanes": lanes, "limit": 512}
    text = prepared(shell, "read", mode, bound)

    assert rows_read(shell, text, "event_") == 512
    shell.execute(f"DEALLOCATE read_{mode}".encode())
