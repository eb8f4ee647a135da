"""Reading on PostgreSQL by many writers: nothing is passed over, whatever order they commit in."""

import asyncio
import threading
from collections.abc import AsyncIterator
from random import Random

import psycopg
import pytest

from engine_rig import PLAIN, handler_change
from espf.database_url import PostgresUrl
from postgres_rig import clone
from storage_rig import PostgresStorage

APPEND = (
    "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables)"
    f" VALUES (1, '{PLAIN}', 'account', 1, 1, '{{}}') RETURNING i_event"
)


@pytest.fixture
async def storage() -> AsyncIterator[PostgresStorage]:
    with clone() as url:
        made = PostgresStorage(url)
        made.add(handler_change())
        yield made
        await made.close()


def writer(storage: PostgresStorage) -> "psycopg.Connection[tuple[int]]":
    """Somebody else's connection, in a transaction from its first statement on."""
    return psycopg.connect(storage.url.conninfo)


def append(connection: "psycopg.Connection[tuple[int]]") -> int:
    row = connection.execute(APPEND.encode()).fetchone()
    assert row is not None
    return row[0]


async def horizon(storage: PostgresStorage) -> int:
    return (await storage.standing()).horizon


async def test_a_transaction_held_open_holds_readers_back_until_it_ends(
    storage: PostgresStorage,
) -> None:
    with writer(storage) as slow:
        first = append(slow)
        [second] = storage.append([(2, PLAIN)])
        await storage.log.poll()
        held_back = await storage.log.poll()
        assert first < second
        assert held_back is None or held_back.horizon < first
        slow.commit()
        after = await storage.log.poll()

    assert after is not None
    assert after.horizon == second


async def test_one_that_is_rolled_back_leaves_a_gap_and_holds_nobody_back(
    storage: PostgresStorage,
) -> None:
    with writer(storage) as slow:
        append(slow)
        [second] = storage.append([(2, PLAIN)])
        slow.rollback()

    assert await horizon(storage) == second
    batch = await storage.read(1, 0, second, 10)
    assert [event.i_event for event in batch.events] == [second]


async def test_an_older_transaction_that_draws_the_later_number_and_commits_first_is_not_lost(
    storage: PostgresStorage,
) -> None:
    with writer(storage) as older, writer(storage) as younger:
        older.execute("SELECT pg_current_xact_id()")
        first = append(younger)
        second = append(older)
        older.commit()
        await storage.log.poll()
        between = await storage.log.poll()
        assert between is None or between.horizon < first
        younger.commit()

    assert first < second
    assert await horizon(storage) == second


async def test_who_has_written_nothing_yet_takes_its_id_before_its_number(
    storage: PostgresStorage,
) -> None:
    """Stopping at the oldest open transaction alone would pass an event of such a one over."""
    with writer(storage) as one:
        row = one.execute(
            f"WITH made AS ({APPEND}) SELECT i_event, pg_current_xact_id()::text FROM made".encode()
        ).fetchone()
        assert row is not None
        found = await horizon(storage)
        assert found < row[0]


async def test_an_id_is_drawn_only_when_a_number_was(storage: PostgresStorage) -> None:
    storage.append([(1, PLAIN)])
    for _ in range(3):
        await storage.log.poll()
    before = storage.all("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    for _ in range(50):
        await storage.log.poll()

    assert storage.all("SELECT pg_snapshot_xmax(pg_current_snapshot())::text") == before


async def test_a_new_handler_misses_nothing_that_is_committed_after_it(
    storage: PostgresStorage,
) -> None:
    with writer(storage) as slow:
        early = append(slow)
        storage.append([(2, PLAIN)])
        i_handler = await asyncio.to_thread(storage.add, handler_change("late", start=None))
        slow.commit()
    positions = storage.all(
        f"SELECT DISTINCT position FROM lane_cursor WHERE i_handler = {i_handler}"
    )

    assert positions[0][0] < early


def write_at_random(url: PostgresUrl, seed: int, transactions: int) -> None:
    random = Random(seed)
    with psycopg.connect(url.conninfo) as connection:
        for _ in range(transactions):
            if random.random() < 0.3:
                connection.execute("SELECT pg_current_xact_id()")
            for _ in range(random.choice((1, 1, 2, 5))):
                append(connection)
                if random.random() < 0.1:
                    connection.execute("SELECT pg_sleep(0.002)")
            if random.random() < 0.1:
                connection.rollback()
            else:
                connection.commit()


async def test_a_reader_beside_many_writers_sees_every_event_once_and_in_order(
    storage: PostgresStorage,
) -> None:
    writers = [
        threading.Thread(target=write_at_random, args=(storage.url, seed, 150))
        for seed in range(12)
    ]
    for one in writers:
        one.start()
    seen: list[int] = []
    read_to, reached = 0, 0
    while any(one.is_alive() for one in writers) or read_to < await horizon(storage):
        standing = await storage.log.poll()
        if standing is not None:
            assert standing.horizon >= reached
            reached = standing.horizon
        if reached > read_to:
            batch = await storage.read(1, read_to, reached, 100_000)
            seen += [event.i_event for event in batch.events]
            read_to = batch.read_to
        await asyncio.sleep(0)
    committed = [row[0] for row in storage.all("SELECT i_event FROM event ORDER BY i_event")]

    assert len(committed) > 1000
    assert seen == committed
