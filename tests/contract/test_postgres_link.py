"""The engine's own connection to PostgreSQL, when the server ends it."""

import asyncio
import contextlib
import time

import psycopg
import pytest
import uvloop

from espf.database_url import PostgresUrl
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import Statement
from postgres_rig import clone

ASK = Statement(b"ask", b"SELECT 1", ())
LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
LINKS = 12
ENDS = 30
END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


async def ask_on(url: PostgresUrl, stop: asyncio.Event) -> float:
    """Ask again and again; the longest time that an answer, or an error, took."""
    link = Link(url, "test")
    longest_s = 0.0
    while not stop.is_set():
        began_s = time.monotonic()
        with contextlib.suppress(psycopg.OperationalError, TimeoutError):
            await link.fetch(ASK, {})
        longest_s = max(longest_s, time.monotonic() - began_s)
        await asyncio.sleep(0)
    link.drop()
    return longest_s


async def ask_while_connections_end(url: PostgresUrl) -> float:
    stop = asyncio.Event()
    with psycopg.connect(url.conninfo, autocommit=True) as administrator:
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(ask_on(url, stop)) for _ in range(LINKS)]
            for _ in range(ENDS):
                await asyncio.sleep(0.1)
                await asyncio.to_thread(administrator.execute, END.encode())
            stop.set()
    return max(task.result() for task in asking)


@pytest.mark.parametrize("loop", LOOPS)
def test_who_waits_for_an_answer_hears_at_once_that_the_connection_has_ended(loop: str) -> None:
    """uvloop tells once of a connection that was reset; libpq closes its socket by itself."""
    with clone() as url, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(ask_while_connections_end(url)) < 10
