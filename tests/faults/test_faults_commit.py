"""The server crashes, or the network is cut, while a COMMIT is on its way: what was it worth?"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from engine_rig import PLAIN, handler_change
from espf.clock import SystemClock
from espf.database_url import PostgresUrl
from espf.demo.postgres import TemporaryPostgres
from espf.errors import StorageError
from espf.eventlog.model import LaneRow, Settlement
from espf.eventlog.postgres.log import PostgresEventLog
from fault_proxy import Proxy, Session
from fault_world import made_server, postgres_database
from loop_thread import LoopThread
from storage_rig import PostgresStorage, attempt_row, moved, park_row

APPEND = (
    "INSERT INTO event (i_env, event_type, entity, entity_id, lane, variables)"
    f" VALUES (1, '{PLAIN}', 'account', 1, 1, '{{}}') RETURNING i_event"
)


@pytest.fixture(scope="module")
def lazy_server() -> Iterator[TemporaryPostgres]:
    """It writes its log for a commit only, so that a crash loses all that was not committed."""
    made = made_server(wal_writer_delay="10s", autovacuum="off")
    yield made
    made.remove()


@pytest.fixture
def storage(lazy_server: TemporaryPostgres) -> Iterator[PostgresStorage]:
    with postgres_database(lazy_server) as database:
        made = PostgresStorage(PostgresUrl(database.address))
        made.add(handler_change())
        yield made
        made.shell.close()
        made.operations.close()


class Cut:
    """A log behind a proxy that does something to the next COMMIT."""

    def __init__(self, loop: LoopThread, storage: PostgresStorage, port: int) -> None:
        self.loop = loop
        self.proxy = Proxy(port)
        loop.run(self.proxy.listen())
        database = storage.url.parts["dbname"]
        url = f"postgresql://postgres@127.0.0.1:{self.proxy.port}/{database}"
        self.log = PostgresEventLog(PostgresUrl(url), SystemClock(), "one/0a1b2c3d")
        self.settlement = loop.run(self._prepared(storage))

    async def _prepared(self, storage: PostgresStorage) -> Settlement:
        """One event delivered, one to be tried again; lanes are ours."""
        first, second = storage.append([(1, PLAIN), (2, PLAIN)])
        rows: list[LaneRow] = await self.log.lanes()
        leases = {lease.lane: lease for lease in await self.log.take_lanes(1, "one", rows)}
        made = Settlement("one", 1_000_000)
        made.attempts = [
            attempt_row(1, first),
            attempt_row(1, second, status="retry", outcome="retry"),
        ]
        made.park = [park_row(1, second, 2)]
        made.positions = [moved(1, leases[1], first), moved(1, leases[2], second)]
        return made

    def settle(self, commits: Callable[[Session], bool] | None = None) -> None:
        self.proxy.commits = commits
        self.loop.run(self.log.settle(self.settlement))

    def close(self) -> None:
        self.loop.run(self.log.close())
        self.loop.run(self.proxy.close())


@contextmanager
def cut(storage: PostgresStorage, server: TemporaryPostgres) -> Iterator[Cut]:
    with LoopThread() as loop:
        made = Cut(loop, storage, server.port)
        try:
            yield made
        finally:
            made.close()


def assert_stored_once(storage: PostgresStorage) -> None:
    assert storage.all("SELECT i_event, status FROM attempt ORDER BY i_event") == [
        (1, "finished"),
        (2, "retry"),
    ]
    assert list(storage.parked()) == [2]
    positions = "SELECT lane, position FROM lane_cursor WHERE position > 0 ORDER BY lane"
    assert storage.all(positions) == [(1, 1), (2, 2)]


def test_a_commit_whose_answer_is_lost_is_not_done_again(
    storage: PostgresStorage, lazy_server: TemporaryPostgres
) -> None:
    def deafen(session: Session) -> bool:
        session.deaf = True
        return True

    with cut(storage, lazy_server) as one:
        with pytest.raises(StorageError):
            one.settle(deafen)
        assert_stored_once(storage)
        one.settle()
        assert_stored_once(storage)


def test_a_commit_that_never_arrived_is_done_again(
    storage: PostgresStorage, lazy_server: TemporaryPostgres
) -> None:
    def swallow(session: Session) -> bool:
        session.abort()
        return False

    with cut(storage, lazy_server) as one:
        with pytest.raises(StorageError):
            one.settle(swallow)
        one.settle()
        assert_stored_once(storage)


def test_a_commit_that_a_crash_undid_is_done_again_though_its_transaction_id_is_anothers(
    storage: PostgresStorage, lazy_server: TemporaryPostgres
) -> None:
    """What was not written to the server's log did not happen, not even that an id was taken."""

    def crash(session: Session) -> bool:
        lazy_server.stop(signal.SIGQUIT)
        return False

    with cut(storage, lazy_server) as one:
        with pytest.raises(StorageError):
            one.settle(crash)
        lazy_server.start()
        storage.reconnect()
        for _ in range(10):
            storage.execute("SELECT pg_current_xact_id()")
        one.settle()
        assert_stored_once(storage)


def test_a_commit_that_a_crash_undid_is_done_again_before_anything_else_happens(
    storage: PostgresStorage, lazy_server: TemporaryPostgres
) -> None:
    """Its transaction's id lies in the future then."""

    def crash(session: Session) -> bool:
        lazy_server.stop(signal.SIGQUIT)
        return False

    with cut(storage, lazy_server) as one:
        with pytest.raises(StorageError):
            one.settle(crash)
        lazy_server.start()
        storage.reconnect()
        one.settle()
        assert_stored_once(storage)


def test_numbers_that_a_crash_gives_out_again_are_read(
    storage: PostgresStorage, lazy_server: TemporaryPostgres
) -> None:
    """A transaction that is rolled back draws numbers, and a crash may forget that it did."""
    with LoopThread() as loop:
        log = PostgresEventLog(storage.url, SystemClock(), "one/0a1b2c3d")
        with psycopg.connect(storage.url.conninfo) as writer:
            for _ in range(100):
                writer.execute(APPEND.encode())
            writer.rollback()
        reached = max(_horizon(loop, log) for _ in range(3))
        lazy_server.restart(signal.SIGQUIT)
        storage.reconnect()
        [number] = storage.append([(1, PLAIN)])
        loop.run(log.close())

    assert reached < number, "what was read up to is read never again"


def test_an_event_of_one_who_does_not_wait_for_the_disk_is_read_all_the_same(
    storage: PostgresStorage,
) -> None:
    storage.execute("SET synchronous_commit = off")
    [number] = storage.append([(1, PLAIN)])
    with LoopThread() as loop:
        log = PostgresEventLog(storage.url, SystemClock(), "one/0a1b2c3d")
        assert max(_horizon(loop, log) for _ in range(3)) == number
        loop.run(log.close())


def _horizon(loop: LoopThread, log: PostgresEventLog) -> int:
    found = loop.run(log.poll())
    return 0 if found is None else found.horizon
