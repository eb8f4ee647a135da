"""Partitions on PostgreSQL: made ahead, dropped behind, and nobody who writes is held up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
import pytest

from espf.clock import SystemClock
from espf.database_url import PostgresUrl
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping import partitions
from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.housekeeping.keeping import keep_house
from espf.eventlog.housekeeping.model import DAY_US, Report, Retention
from espf.eventlog.housekeeping.partitions import Partition, ensure_partitions, partitions_of
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operating.search.blocks import BLOCK
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter, HandlerChange
from postgres_rig import clone

SMALL = BLOCK
NOW_US = 1_790_000_000_000_000
LONGEST_WAIT_S = 1.0
"""Far more than the 0.1 s for which a lock is asked; machines of tests are slow."""
TYPE = "Account/Blocked"


@pytest.fixture(autouse=True)
def small_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "SIZE", SMALL)
    monkeypatch.setattr(partitions, "AHEAD", 3)


@pytest.fixture
def url() -> Iterator[PostgresUrl]:
    """A database whose partitions are still to be made, small ones."""
    with clone() as made:
        session = open_session(made)
        for one in partitions_of(session)[0]:
            session.query(f"DROP TABLE {one.name}", {})
        session.close()
        yield made


@pytest.fixture
def session(url: PostgresUrl) -> Iterator[Session]:
    made = open_session(url)
    yield made
    made.close()


@pytest.fixture
def shell(url: PostgresUrl) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url.conninfo, autocommit=True) as made:
        yield made


def add_handler(session: Session, name: str = "hss") -> int:
    operations = SessionOperations(session, SystemClock())
    change = HandlerChange(name, "Scripted", True, True, {}, (TYPE,), frozenset((TYPE,)), 1)
    operations.apply([change])
    return next(row.i_handler for row in operations.handlers() if row.name == name)


def append(shell: psycopg.Connection, count: int, days_ago: int = 0) -> None:
    """Events of one moment, with their numbers drawn as capture draws them."""
    moment = (NOW_US - days_ago * DAY_US) // 1_000_000
    shell.execute(
        "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables, event_time)"
        " SELECT 1, %s, 'account', i %% 640, (i %% 640) %% 64, '{}',"
        " to_char(to_timestamp(%s) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        " FROM generate_series(1, %s) AS n(i)",
        (TYPE, moment, count),
    )


def settle_all(shell: psycopg.Connection, i_handler: int) -> None:
    """Everything delivered, every cursor at the end."""
    shell.execute(
        "INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us,"
        " duration_us, request, answer, instance) SELECT %s, i_event, 1, 'delivered', 'finished',"
        " 1, 1, '', '', '' FROM event AS e WHERE NOT EXISTS (SELECT 1 FROM attempt AS a"
        " WHERE a.i_event = e.i_event)",
        (i_handler,),
    )
    shell.execute("UPDATE lane_cursor SET position = (SELECT max(i_event) FROM event)")


def keep(session: Session, now_us: int = NOW_US, **days: int) -> Report:
    whole = Report()
    while (report := keep_house(session, Retention(**days), now_us)) is not None:
        whole.add(report)
        if not report.more:
            break
    return whole


def counts(shell: psycopg.Connection, *tables: str) -> list[int]:
    return [
        shell.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0] for table in tables
    ]  # type: ignore[index]


def slots(session: Session) -> list[int]:
    return sorted({one.slot for one in partitions_of(session)[0]})


PROMISE = "ALTER TABLE {0}_default ADD CONSTRAINT {0}_default_end CHECK (i_event < {1})"


def promises(shell: psycopg.Connection) -> int:
    found = shell.execute("SELECT count(*) FROM pg_constraint WHERE conname LIKE '%_default_end'")
    return found.fetchone()[0]  # type: ignore[index]


# ---- ahead ----


def test_they_are_made_ahead_of_the_last_number(
    session: Session, shell: psycopg.Connection
) -> None:
    assert ensure_partitions(session) == 8
    assert ensure_partitions(session) == 0
    assert slots(session) == [0, 1, 2, 3]

    append(shell, SMALL + 5)

    assert ensure_partitions(session) == 2
    assert slots(session) == [0, 1, 2, 3, 4]
    assert counts(shell, "event_p0", "event_p1", "event_default") == [SMALL - 1, 6, 0]


def test_numbers_beyond_the_last_partition_are_kept_and_places_are_made_behind_them(
    session: Session, shell: psycopg.Connection
) -> None:
    ensure_partitions(session)
    shell.execute(f"SELECT setval('event_i_event_seq', {10 * SMALL})".encode())
    append(shell, SMALL)

    made = ensure_partitions(session)

    assert made > 0
    assert counts(shell, "event_default", "event") == [SMALL, SMALL]
    names = {one.name for one in partitions_of(session)[0]}
    assert "event_p11" not in names, "its rows are in the default partition"
    assert max(slots(session)) == 14
    assert promises(shell) == 0
    append(shell, 2 * SMALL)
    assert counts(shell, "event") == [3 * SMALL]
    assert counts(shell, "event_p13")[0] > 0


def test_a_promise_left_by_a_crash_is_taken_back(
    session: Session, shell: psycopg.Connection
) -> None:
    shell.execute(PROMISE.format("event", 5).encode())
    ensure_partitions(session)
    shell.execute(f"SELECT setval('event_i_event_seq', {10 * SMALL})".encode())
    append(shell, 1)
    assert counts(shell, "event_default") == [1]


# ---- behind ----


def test_a_partition_goes_when_all_of_it_is_settled_and_over_its_days(
    session: Session, shell: psycopg.Connection
) -> None:
    i_handler = add_handler(session)
    ensure_partitions(session)
    append(shell, SMALL, days_ago=91)
    append(shell, SMALL, days_ago=60)
    settle_all(shell, i_handler)

    report = keep(session)

    assert (report.partitions_dropped, report.events) == (1, 1), (
        "0 is no number: one is in the next"
    )
    assert slots(session)[0] == 1
    assert counts(shell, "event", "attempt") == [SMALL, SMALL]
    assert shell.execute("SELECT min(block) FROM event_block").fetchone() == (SMALL // BLOCK,)


def test_what_is_unsettled_inside_keeps_a_partition(
    session: Session, shell: psycopg.Connection
) -> None:
    i_handler = add_handler(session)
    ensure_partitions(session)
    append(shell, SMALL, days_ago=91)
    append(shell, SMALL, days_ago=1)
    settle_all(shell, i_handler)
    shell.execute(b"DELETE FROM attempt WHERE i_event = 77")
    shell.execute(
        "INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts, due_us,"
        " parked_us, first_attempt_us) SELECT %s, i_event, entity, entity_id, lane, 1, 1, 1, %s"
        " FROM event WHERE i_event = 77",
        (i_handler, NOW_US),
    )

    report = keep(session)

    assert report.partitions_dropped == 0
    assert counts(shell, "event_p0", "attempt_p0") == [1, 0], "the rest goes one by one"
    operations = SessionOperations(session, SystemClock())
    assert [
        one.event.i_event for one in operations.newer(EventFilter(statuses=["retry"]), 0, 9)
    ] == [77]
    shell.execute("DELETE FROM parked")
    settle_all(shell, i_handler)
    assert keep(session, NOW_US + DAY_US).partitions_dropped == 1


def test_a_handler_that_has_not_read_them_keeps_its_partitions(
    session: Session, shell: psycopg.Connection
) -> None:
    done, behind = add_handler(session), add_handler(session, "behind")
    ensure_partitions(session)
    append(shell, SMALL, days_ago=91)
    append(shell, SMALL, days_ago=91)
    settle_all(shell, done)
    shell.execute("UPDATE lane_cursor SET position = 0 WHERE i_handler = %s", (behind,))

    kept = keep(session, max_backlog_days=1000)

    assert kept.partitions_dropped == 0
    assert counts(shell, "event") == [2 * SMALL]
    expired = keep(session, NOW_US + DAY_US, max_backlog_days=90)
    assert expired.expired == {"behind": 2 * SMALL}
    assert expired.partitions_dropped == 0, "who looks once a week must see them"
    assert counts(shell, "event") == [2 * SMALL]
    assert keep(session, NOW_US + 9 * DAY_US).partitions_dropped >= 1


def test_one_that_was_dropped_in_part_is_finished_by_the_next_call(
    session: Session, shell: psycopg.Connection
) -> None:
    i_handler = add_handler(session)
    ensure_partitions(session)
    append(shell, 2 * SMALL, days_ago=91)
    settle_all(shell, i_handler)
    shell.execute("ALTER TABLE attempt DETACH PARTITION attempt_p0")

    keep(session)

    assert partitions_of(session)[1] == set()
    assert 0 not in slots(session)


# ---- beside others ----


def writing(url: PostgresUrl) -> AbstractContextManager[Callable[[], float]]:
    """Somebody who appends an event after the other; tells the longest that one took."""
    return at_it(url, lambda connection: append(connection, 1))


def reading(url: PostgresUrl, table: str) -> AbstractContextManager[Callable[[], float]]:
    """Somebody who reads a row after the other; tells the longest that one took."""
    question = f"SELECT * FROM {table} LIMIT 1".encode()
    return at_it(url, lambda connection: connection.execute(question))


@contextmanager
def at_it(
    url: PostgresUrl, work: Callable[[psycopg.Connection], object]
) -> Iterator[Callable[[], float]]:
    longest = [0.0]
    stop = threading.Event()

    def run() -> None:
        with psycopg.connect(url.conninfo, autocommit=True) as connection:
            while not stop.is_set():
                began = time.monotonic()
                work(connection)
                longest[0] = max(longest[0], time.monotonic() - began)
                time.sleep(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: longest[0]
    finally:
        stop.set()
        thread.join()


def test_an_open_reader_delays_the_drop_and_holds_up_no_writer(
    session: Session, shell: psycopg.Connection, url: PostgresUrl
) -> None:
    i_handler = add_handler(session)
    ensure_partitions(session)
    append(shell, SMALL, days_ago=91)
    settle_all(shell, i_handler)
    append(shell, 1)
    settle_all(shell, i_handler)
    with psycopg.connect(url.conninfo) as reader, writing(url) as longest:
        reader.execute("SELECT count(*) FROM event, attempt WHERE false")
        for _ in range(5):
            report = keep_house(session, Retention(), NOW_US)
            assert report is not None
            assert report.partitions_dropped == 0
            time.sleep(0.1)
        assert counts(reader, "event_p0") == [SMALL - 1]
        reader.rollback()
        assert keep(session).partitions_dropped == 1
        assert longest() < LONGEST_WAIT_S
    assert counts(shell, "event_default") == [0]


def test_partitions_are_made_while_others_write(
    session: Session, shell: psycopg.Connection, url: PostgresUrl
) -> None:
    add_handler(session)
    ensure_partitions(session)
    with psycopg.connect(url.conninfo) as open_writer, writing(url) as longest:
        append(open_writer, 1)  # a transaction of theirs that has written, and stays open
        append(shell, SMALL)
        assert ensure_partitions(session) > 0
        assert longest() < LONGEST_WAIT_S
        open_writer.commit()
    assert counts(shell, "event_default") == [0]


@pytest.mark.parametrize("table", partitions.TABLES)
@pytest.mark.parametrize("made_before", [True, False], ids=["none missing", "some missing"])
def test_a_promise_that_a_reader_keeps_from_being_taken_back_delays_no_other_reader(
    session: Session, shell: psycopg.Connection, url: PostgresUrl, table: str, *, made_before: bool
) -> None:
    """One that a crash left: a call gives up after a moment, and one after the reader ends it."""
    if made_before:
        ensure_partitions(session)
    shell.execute(PROMISE.format(table, 100 * SMALL).encode())
    with psycopg.connect(url.conninfo) as reader, reading(url, f"{table}_default") as longest:
        reader.execute(f"SELECT * FROM {table}_default LIMIT 1".encode())
        for _ in range(3):
            began = time.monotonic()
            assert keep_house(session, Retention(), NOW_US) is not None
            assert time.monotonic() - began < LONGEST_WAIT_S
        assert promises(shell) == 1
        assert longest() < LONGEST_WAIT_S
        reader.rollback()
        ensure_partitions(session)
        assert promises(shell) == 0
    assert slots(session) == [0, 1, 2, 3]


def test_a_reader_of_the_default_partition_delays_no_other_while_places_are_made_behind_it(
    session: Session, shell: psycopg.Connection, url: PostgresUrl
) -> None:
    ensure_partitions(session)
    shell.execute(f"SELECT setval('event_i_event_seq', {10 * SMALL})".encode())
    append(shell, SMALL)
    with psycopg.connect(url.conninfo) as reader, reading(url, "event_default") as longest:
        reader.execute("SELECT * FROM event_default LIMIT 1")
        assert keep_house(session, Retention(), NOW_US) is not None
        assert shell.execute("SELECT to_regclass('event_p14')").fetchone() == (None,)
        assert longest() < LONGEST_WAIT_S
        reader.rollback()
        assert ensure_partitions(session) > 0
    assert promises(shell) == 0
    assert Partition("event", 14) in partitions_of(session)[0]


def test_only_one_keeps_house_at_a_time(session: Session, url: PostgresUrl) -> None:
    other = open_session(url)
    assert other.run("try_housekeeping").fetchone()[0]

    assert keep_house(session, Retention(), NOW_US) is None

    other.close()
    ends = time.monotonic() + 10
    while keep_house(session, Retention(), NOW_US) is None:
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_number_that_was_rolled_back_is_missing_for_ever(
    session: Session, shell: psycopg.Connection, url: PostgresUrl
) -> None:
    add_handler(session)
    with psycopg.connect(url.conninfo) as held:
        append(held, 1)
        append(shell, BLOCK)
        assert note_blocks(session, session.end_of_log()) == 0, "it may still appear"
        held.rollback()
    assert note_blocks(session, session.end_of_log()) == 1
    assert shell.execute(
        "SELECT sum(events) FROM event_block_count WHERE field = 'entity'"
    ).fetchone() == (BLOCK - 2,)
