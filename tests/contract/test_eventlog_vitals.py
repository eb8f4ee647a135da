"""How the installation is doing, as both engines show it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from engine_rig import OTHER, PLAIN, START_US, handler_change, instance_row
from espf.database_url import PostgresUrl
from espf.eventlog.model import LANES, TokenWish
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.postgres.session import PostgresSession
from espf.eventlog.vitals import HandlerVitals, Vitals
from postgres_rig import server
from storage_rig import PostgresStorage, Storage, moved, park_row, settlement, storage_on


@pytest.fixture
async def postgres_storage(tmp_path: Path) -> AsyncIterator[PostgresStorage]:
    with storage_on("postgres", tmp_path) as made:
        assert isinstance(made, PostgresStorage)
        yield made
        await made.close()


def of(storage: Storage, name: str = "hss") -> HandlerVitals:
    return next(
        one for one in storage.operations.vitals().handlers if one.health.handler.name == name
    )


async def test_lanes_are_told_by_owner(storage: Storage) -> None:
    i_handler = storage.add(handler_change())
    assert of(storage).lanes == {None: LANES}
    rows = [row for row in await storage.log.lanes() if row.i_handler == i_handler]
    await storage.log.take_lanes(i_handler, "one", rows[:40])
    await storage.log.take_lanes(i_handler, "two", rows[40:50])
    assert of(storage).lanes == {"one": 40, "two": 10, None: LANES - 50}


async def test_parked_events_are_counted_and_those_that_are_due_apart(storage: Storage) -> None:
    i_handler = storage.add(handler_change())
    numbers = storage.append([(entity, PLAIN) for entity in (1, 2, 3)])
    leases = await storage.take(i_handler, "one")
    wanted = settlement()
    now_us = storage.clock.now_us()
    for number, entity, due_us in zip(
        numbers, (1, 2, 3), (now_us - 1, now_us + 60_000_000, None), strict=True
    ):
        wanted.park.append(park_row(i_handler, number, entity, due_us))
        wanted.positions.append(moved(i_handler, leases[entity], number))
    await storage.log.settle(wanted)
    found = of(storage)
    assert (found.health.parked, found.parked_due) == (3, 1)
    assert found.health.backlog == 3


async def test_the_bucket_is_told_with_the_age_of_its_level(storage: Storage) -> None:
    i_handler = storage.add(handler_change())
    assert of(storage).tokens is None
    await storage.log.draw_tokens(i_handler, TokenWish(4, 0, 10, 10), storage.clock.now_us())
    storage.clock.advance(2)
    found = of(storage)
    assert found.tokens == pytest.approx(6)
    if not isinstance(storage, PostgresStorage):  # there it is the server's clock
        assert found.tokens_age_s == pytest.approx(2)


async def test_instances_are_listed_with_what_they_told(storage: Storage) -> None:
    await storage.log.beat(instance_row("one")._replace(metrics='{"a":1}', unable="[3]"))
    await storage.log.beat(instance_row("one")._replace(metrics='{"a":2}'))
    await storage.log.beat(instance_row("two"))
    one, two = storage.operations.vitals().instances
    assert (one.row.name, one.row.metrics, one.row.started_us) == ("one", '{"a":2}', START_US)
    assert (one.beats, two.beats) == (2, 1)
    await storage.log.leave("one")
    assert [found.row.name for found in storage.operations.vitals().instances] == ["two"]


async def test_a_disabled_handler_and_one_of_rare_types_are_told_alike(storage: Storage) -> None:
    storage.add(handler_change("hss", enabled=False))
    storage.add(handler_change("rare", types=[OTHER]))
    storage.append([(1, PLAIN)] * 5 + [(1, OTHER)])
    assert of(storage, "hss").health.backlog == 6
    assert of(storage, "rare").health.backlog == 1
    assert not of(storage, "hss").health.handler.enabled


async def test_with_nothing_open_all_that_was_drawn_can_be_read(storage: Storage) -> None:
    storage.add(handler_change())
    vitals = storage.operations.vitals()
    assert (vitals.last_event, vitals.horizon_lag) == (0, 0)
    storage.append([(1, PLAIN)] * 3)
    vitals = storage.operations.vitals()
    assert (vitals.last_event, vitals.horizon, vitals.horizon_lag) == (3, 3, 0)


async def test_partitions_ahead_are_told_where_there_are_any(storage: Storage) -> None:
    ahead = storage.operations.vitals().partitions_ahead
    assert ahead is None or isinstance(storage, PostgresStorage)
    assert (ahead is None) == (not isinstance(storage, PostgresStorage))


# ---- transactions that hold readers back, on PostgreSQL ----


@contextmanager
def shell(url: PostgresUrl, application: str = "billing") -> Iterator[psycopg.Connection]:
    with closing(psycopg.connect(url.conninfo, application_name=application)) as connection:
        yield connection


def begin_writing(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE espf_meta SET value = value WHERE name = 'schema_version'")


def test_the_oldest_writing_transaction_is_told_with_its_program_and_age(
    postgres_storage: PostgresStorage,
) -> None:
    storage = postgres_storage
    with shell(storage.url) as first, shell(storage.url, "later") as second:
        begin_writing(first)
        begin_later(second)
        found = storage.operations.oldest_writer()
        assert found is not None
        assert (found.application, found.pid) == ("billing", first.info.backend_pid)
        again = storage.operations.oldest_writer()
        assert again is not None
        assert again.key == found.key
        assert (again.age_s or 0) > (found.age_s or 0) > 0
        first.rollback()
        later = storage.operations.oldest_writer()
        assert later is not None
        assert later.application == "later"
        assert later.key != found.key
        second.rollback()
    assert not programs(storage)


def programs(storage: Storage) -> str:
    """Who holds readers back; the server's own housekeeping, which has no name, does not count."""
    found = storage.operations.oldest_writer()
    return "" if found is None else found.application


def begin_later(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE espf_meta SET value = value WHERE name = 'config_version'")


def test_a_transaction_that_only_reads_holds_nobody_back(postgres_storage: PostgresStorage) -> None:
    with shell(postgres_storage.url) as reader:
        reader.execute("SELECT count(*) FROM event")
        assert not programs(postgres_storage)


def test_a_transaction_of_another_database_counts_too(postgres_storage: PostgresStorage) -> None:
    with closing(psycopg.connect(server().url(), application_name="elsewhere")) as other:
        other.execute("CREATE TEMPORARY TABLE held (i int)")
        found = postgres_storage.operations.oldest_writer()
        assert found is not None
        assert found.application == "elsewhere"
        other.rollback()


async def test_events_written_after_it_lag_behind_the_horizon_until_it_ends(
    postgres_storage: PostgresStorage,
) -> None:
    storage = postgres_storage
    storage.add(handler_change())
    storage.append([(1, PLAIN)] * 2)
    i_handler = storage.operations.handlers()[0].i_handler
    leases = await storage.take(i_handler, "one")
    wanted = settlement()
    wanted.positions += [moved(i_handler, lease, 2) for lease in leases]
    await storage.log.settle(wanted)
    with shell(storage.url) as held:
        begin_writing(held)
        storage.append([(1, PLAIN)] * 7)
        vitals = await asyncio.to_thread(fresh_vitals, storage)
        assert (vitals.last_event, vitals.horizon, vitals.horizon_lag) == (9, 2, 7)
        held.rollback()
    assert fresh_vitals(storage).horizon_lag == 0


def fresh_vitals(storage: PostgresStorage) -> Vitals:
    operations = SessionOperations(PostgresSession(storage.url), storage.clock)
    try:
        return operations.vitals()
    finally:
        operations.close()


def test_to_a_user_without_the_right_it_shows_without_its_age(
    postgres_storage: PostgresStorage,
) -> None:
    storage = postgres_storage
    role = f"plain_{storage.url.parts['dbname']}"
    storage.execute(f"CREATE ROLE {role} LOGIN")
    storage.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    plain = PostgresUrl(f"{storage.url.conninfo} user={role}")
    try:
        with shell(storage.url) as held:
            begin_writing(held)
            with closing(SessionOperations(PostgresSession(plain), storage.clock)) as operations:
                found = operations.oldest_writer()
                assert found is not None
                assert (found.application, found.age_s) == ("billing", None)
                storage.execute(f"GRANT pg_monitor TO {role}")
                found = operations.oldest_writer()
                assert found is not None
                assert found.age_s is not None
            held.rollback()
    finally:
        storage.execute(f"DROP OWNED BY {role}")
        storage.execute(f"DROP ROLE {role}")
