"""Every statement that a search runs finds its rows by an index, in a log of some size."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from engine_rig import COALESCED, FOREIGN, OTHER, PLAIN, handler_change
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.operating.health import health_of
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operating.search.finding import find
from espf.eventlog.operating.session import Rows
from espf.eventlog.operations import EventFilter
from storage_rig import Storage

EVENTS = 40_000
WHOLE = re.compile(
    r"(SCAN|Seq Scan on) (event|attempt|parked|e|a|p)(_default|_p\d+)?( |$)", re.MULTILINE
)


class Watched:
    """A session that remembers what was run on it."""

    def __init__(self, storage: Storage) -> None:
        self.session: Any = open_session(storage.url)
        self._execute = self.session._execute
        self.session._execute = self._watch
        self.seen: dict[str, Mapping[str, object]] = {}

    def _watch(self, text: str, bound: Mapping[str, object]) -> Rows:
        self.seen[text] = bound
        return self._execute(text, bound)

    def plans(self) -> Iterator[str]:
        """How each of the statements is carried out."""
        how = "EXPLAIN QUERY PLAN" if self.session.dialect == "sqlite" else "EXPLAIN"
        for text, bound in list(self.seen.items()):
            rows = [str(row[-1]) for row in self._execute(f"{how} {text}", bound).fetchall()]
            # A partition without a single row is read whole for nothing.
            yield "\n".join([text, *(row for row in rows if "cost=0.00..0.00 " not in row)])


@contextmanager
def watched_session(storage: Storage) -> Iterator[Watched]:
    watched = Watched(storage)
    try:
        yield watched
    finally:
        watched.session.close()


@pytest.fixture
def filled(storage: Storage) -> Storage:
    """40,000 events, an attempt at each by two handlers, some events parked or still waiting."""
    keys = [storage.add(handler_change(name, (PLAIN, OTHER, COALESCED))) for name in ("a", "b")]
    many = f"generate_series(1, {EVENTS}) AS n(i)" if storage.url.engine == "postgres" else "n"
    before = (
        ""
        if storage.url.engine == "postgres"
        else "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n"
        f" WHERE i < {EVENTS}) "
    )
    storage.execute(
        f"{before}INSERT INTO event (i_event, i_env, event_type, entity, entity_id, lane,"
        f" event_time, variables) SELECT i, 1, CASE WHEN i < 9000 THEN '{OTHER}' ELSE '{PLAIN}'"
        f" END, 'account', i % 5000, (i % 5000) % 64, '2026-01-0' || (1 + i / 10000) ||"
        f" ' 00:00:00', '{{}}' FROM {many}"
    )
    for key in keys:
        storage.execute(
            f"{before}INSERT INTO attempt (i_handler, i_event, attempt, outcome, status,"
            f" started_us, duration_us, request, answer, instance) SELECT {key}, i, 1, 'delivered',"
            " CASE WHEN i % 100 = 1 THEN 'failed' WHEN i % 100 = 2 THEN 'skipped' ELSE 'finished'"
            f" END, 1, 1, '', '', '' FROM {many} WHERE i < {EVENTS - 1000}"
        )
        storage.execute(
            f"{before}INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts,"
            f" parked_us) SELECT {key}, i, 'account', i % 5000, (i % 5000) % 64, i % 2, 1"
            f" FROM {many} WHERE i % 4 = 1"
        )
    storage.execute(f"UPDATE lane_cursor SET position = {EVENTS - 1000}")
    session = open_session(storage.url)
    while note_blocks(session, EVENTS):
        pass
    session.close()
    if storage.url.engine == "postgres":
        storage.execute("ANALYZE")
    return storage


FILTERS = (
    EventFilter(),
    EventFilter(i_events=[5, 30_000]),
    EventFilter(handler="a"),
    EventFilter(event_types=[PLAIN]),
    EventFilter(event_types=[OTHER]),
    EventFilter(event_types=[FOREIGN]),
    EventFilter(entity="account"),
    EventFilter(entity="customer"),
    EventFilter(entity="account", entity_id=7),
    EventFilter(entity_id=7),
    EventFilter(statuses=["finished"]),
    EventFilter(statuses=["failed"]),
    EventFilter(statuses=["skipped"]),
    EventFilter(statuses=["retry"]),
    EventFilter(statuses=["queued"]),
    EventFilter(statuses=["in_progress"]),
    EventFilter(since_us=1_767_400_000_000_000),
    EventFilter(until_us=1_767_300_000_000_000),
    EventFilter(handler="a", statuses=["failed"], event_types=[OTHER]),
)


def test_no_filter_reads_a_growing_table_whole(filled: Storage) -> None:
    for wanted in FILTERS:
        for after in (None, 0):
            with watched_session(filled) as watched:
                find(watched.session, wanted, 25, after=after)
                for plan in watched.plans():
                    assert not WHOLE.search(plan), f"{wanted}\n{plan}"


def test_health_reads_no_growing_table_whole(filled: Storage) -> None:
    rows = filled.operations.handlers()
    with watched_session(filled) as watched:
        health = health_of(watched.session, rows)

        assert [one.parked for one in health] == [EVENTS // 4] * 2
        for plan in watched.plans():
            assert not WHOLE.search(plan) or "FROM parked AS p" in plan, plan


def test_details_read_no_growing_table_whole(filled: Storage) -> None:
    with watched_session(filled) as watched:
        details = SessionOperations(watched.session, filled.clock).details(30_000)

        assert details is not None
        assert len(details.attempts) == 2
        for plan in watched.plans():
            assert not WHOLE.search(plan), plan
