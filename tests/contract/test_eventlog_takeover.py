"""Lanes on PostgreSQL are taken from an owner that is paused, or cut off, in the worst moment."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from engine_rig import handler_change
from espf.clock import SystemClock
from espf.database_url import PostgresUrl
from espf.eventlog.model import ALL_LANES, TokenWish
from espf.eventlog.postgres.connection import settings
from espf.eventlog.postgres.leasing import applications, draw_tokens
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.log import PostgresEventLog
from postgres_rig import clone, server
from storage_rig import PostgresStorage

DEAD = "one/0a1b2c3d"


@pytest.fixture
async def storage() -> AsyncIterator[PostgresStorage]:
    with clone() as url:
        made = PostgresStorage(url)
        made.add(handler_change())
        yield made
        await made.close()


async def test_lanes_whose_rows_a_paused_owner_has_locked_are_taken_all_the_same(
    storage: PostgresStorage,
) -> None:
    await storage.take(1, DEAD)
    name = applications(DEAD)[-1]
    paused = psycopg.connect(storage.url.conninfo, application_name=name)
    paused.execute("UPDATE lane_cursor SET position = position WHERE lane < 10")

    taken = await storage.take(1, "two")

    assert len(taken) == ALL_LANES
    with pytest.raises(psycopg.OperationalError):
        paused.commit()
    paused.close()


async def test_only_the_dead_owner_is_cut_off(storage: PostgresStorage) -> None:
    await storage.take(1, DEAD)
    other = psycopg.connect(storage.url.conninfo, application_name=applications("x/00000000")[-1])
    await storage.take(1, "two")

    assert other.execute("SELECT 1").fetchone() == (1,)
    other.close()


async def test_an_instance_that_was_cut_off_connects_again(storage: PostgresStorage) -> None:
    log = PostgresEventLog(storage.url, SystemClock(), DEAD)
    rows = await log.lanes()
    await log.take_lanes(1, DEAD, rows)
    await storage.take(1, "two")
    await asyncio.sleep(0.1)

    assert {row.owner for row in await log.lanes()} == {"two"}
    assert await log.renew_lanes(DEAD) == []
    await log.close()


async def test_the_server_notices_in_seconds_that_a_client_is_gone_without_a_word(
    storage: PostgresStorage,
) -> None:
    """Unless told, it looks after two hours, and keeps connection and locks until then."""
    tcp = PostgresUrl(server().url(storage.url.parts["dbname"], port=server().port))
    connection = psycopg.connect(tcp.conninfo, **settings(tcp, "one"))  # type: ignore[arg-type]
    waits = {
        name: connection.execute(f"SHOW {name}".encode()).fetchone()
        for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    }
    connection.close()

    assert waits == {
        "tcp_keepalives_idle": ("5",),
        "tcp_keepalives_interval": ("2",),
        "tcp_keepalives_count": ("3",),
    }


class Paused(Link):
    """A connection of an instance that is paused after its first round trip."""

    def __init__(self, of: PostgresStorage) -> None:
        super().__init__(of.url, "paused")
        self.trips = 0

    async def fetch_all(self, *given: Any, **more: Any) -> list[list[tuple[Any, ...]]]:
        self.trips += 1
        if self.trips > 1:
            await asyncio.Event().wait()
        return await super().fetch_all(*given, **more)


WISH = TokenWish(2, 0, 0.0001, 5)
"""Of a bucket of five that refills in the course of a day."""


async def test_one_that_is_paused_while_it_draws_tokens_holds_up_nobody(
    storage: PostgresStorage,
) -> None:
    link = Paused(storage)
    paused = asyncio.ensure_future(draw_tokens(link, 1, WISH))
    while link.trips < 2:  # noqa: ASYNC110 - it says nothing
        await asyncio.sleep(0.01)
    async with asyncio.timeout(2):
        given = await storage.log.draw_tokens(1, WISH, 0)
        storage.execute("UPDATE handler_state SET breaker = 'open'")
    paused.cancel()
    link.drop()

    assert given.tokens == 2


async def test_many_who_draw_at_once_get_no_more_than_there_is(storage: PostgresStorage) -> None:
    logs = [storage.another_log() for _ in range(4)]
    found = await asyncio.gather(*(log.draw_tokens(1, WISH, 0) for log in logs * 2))
    for log in logs:
        await log.close()

    assert sum(given.tokens for given in found) == 5
