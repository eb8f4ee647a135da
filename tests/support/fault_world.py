"""Everything a fault needs around it: a durable database, writers, a receiver, instances.

All of it is real: processes, sockets, transactions. Import it as `fault_world`.
"""

import atexit
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from engine_rig import open_plain
from espf.clock import SystemClock
from espf.database_url import DatabaseUrl, SqliteUrl, parse_database_url
from espf.demo.postgres import TemporaryPostgres
from espf.errors import ConfigError
from espf.eventlog.engines import open_operations
from espf.eventlog.operations import HandlerChange
from fault_fleet import ESPF, EngineFleet
from fault_load import CAPTURED, POPULATION, TYPES, Load, PostgresLoad, SqliteLoad
from fault_receiver import FaultReceiver
from fault_verdict import Verdict, judge
from loop_thread import LoopThread

WHOLE = os.environ.get("FAULTS") == "whole"
HANDLERS = ("hss", "crm")
OPTIONS: dict[str, object] = {
    "EventSender.APIVersion": 1,
    "EventSender.AuthMethod": "None",
    "EventSender.Window": 64,
    "EventSender.TokenRate": 100_000,
    "EventSender.RequestTimeout": 1,
    "Retry.FirstDelay": 0.1,
    "Retry.MaxDelay": 0.4,
    "Breaker.ProbeInterval": 0.2,
}
_TEMPLATE = "espf_template"
DRAIN_S = 90
WITHIN_S = 30.0
"""Recovery takes longer on no machine, however busy; the summary shows what it took."""


def times(whole: int, short: int) -> int:
    """How often a fault is tried: in `make faults`, and in `make test`."""
    return whole if WHOLE else short


def lasting(whole_s: float, short_s: float) -> float:
    """How long a fault lasts: in `make faults`, and in `make test`."""
    return whole_s if WHOLE else short_s


class Database:
    """A migrated database; the address is as the command takes it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.url: DatabaseUrl = parse_database_url(address)

    def all(self, question: str) -> list[tuple[Any, ...]]:
        """Ask it by a connection of one's own."""
        if isinstance(self.url, SqliteUrl):
            with contextlib.closing(open_plain(self.url.path)) as shell:
                return shell.execute(question).fetchall()
        with psycopg.connect(self.address, autocommit=True, connect_timeout=2) as connection:
            found = connection.execute(question.encode())
            return found.fetchall() if found.description else []

    def load(self, rate: float | None = None) -> Load:
        given = {} if rate is None else {"rate": rate}
        if isinstance(self.url, SqliteUrl):
            return SqliteLoad(self.url.path, **given)
        return PostgresLoad(self.address, **given)


class World:
    """A database with two handlers, and the receiver they send to."""

    def __init__(self, database: Database, receiver: FaultReceiver, loop: LoopThread) -> None:
        self.database = database
        self.receiver = receiver
        self.loop = loop
        self.healed_s: list[float] = []
        """Moments at which a fault was over, or, for a kill, had happened."""

    def add_handlers(self, **options: object) -> None:
        changes = [
            HandlerChange(
                name, "EventSender", enabled=True, keep_events=True, start=1,
                options={**OPTIONS, "EventSender.URL": self.receiver.url(name), **options},
                subscriptions=("all",), event_types=TYPES,
            )
            for name in HANDLERS
        ]  # fmt: skip
        with open_operations(self.database.url, SystemClock()) as operations:
            operations.apply(changes)

    def healed(self) -> None:
        self.healed_s.append(time.monotonic())

    def until(self, holds: Callable[[], Any], what: str, limit_s: float = 30) -> float:
        """Wait for something; returns how long it took."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < limit_s, f"waited {limit_s} s in vain until {what}"
            time.sleep(0.01)
        return time.monotonic() - began

    def until_more_arrive(self, count: int = 1, limit_s: float = 30) -> float:
        wanted = len(self.receiver.arrivals) + count
        return self.until(lambda: len(self.receiver.arrivals) >= wanted, "more arrives", limit_s)

    def recover(self) -> None:
        """The fault is over: wait until all is settled that was written by now."""
        self.healed()
        self.drain()

    def drain(self, limit_s: float = DRAIN_S) -> None:
        """Wait until every event that there is is settled by every handler."""
        last = self.database.all("SELECT coalesce(max(i_event), 0) FROM event")[0][0]
        self.until(lambda: self._settled(last), "all is settled", limit_s)

    def _settled(self, last: int) -> bool:
        time.sleep(0.1)
        question = (
            "SELECT (SELECT coalesce(min(position), 0) FROM lane_cursor WHERE lane < 64)"
            f" >= {last} AND NOT EXISTS (SELECT 1 FROM parked WHERE i_event <= {last})"
        )
        return bool(self.database.all(question)[0][0])

    def verdict(self, fault: str, tried: int) -> Verdict:
        """After `drain`: what the tables and the receiver say."""
        events = dict(self.database.all("SELECT i_event, entity_id FROM event"))
        names = dict(self.database.all("SELECT i_handler, name FROM handler"))
        rows = self.database.all(
            "SELECT i_handler, i_event, count(*) FROM attempt WHERE status = 'finished'"
            " GROUP BY i_handler, i_event"
        )
        captured = self.database.all(
            "SELECT entity_id, variables FROM event"
            f" WHERE event_type = '{CAPTURED}' ORDER BY i_event"
        )
        return judge(
            fault,
            tried,
            handlers=HANDLERS,
            events=events,
            finished={(names[i_handler], i_event): n for i_handler, i_event, n in rows},
            arrivals=self.receiver.arrivals,
            changes=[
                (account, changed["prev_id"], changed["curr_id"])
                for account, changed in ((key, json.loads(text)) for key, text in captured)
            ],
            accounts=dict(self.database.all("SELECT i_account, id FROM accounts")),
            healed_s=self.healed_s,
        )


@contextmanager
def fleet_of(world: World, folder: Path, count: int = 3) -> Iterator[EngineFleet]:
    """Instances that all reach the database directly."""
    with EngineFleet([world.database.address] * count, folder) as fleet:
        all_running(world, fleet)
        yield fleet


def all_running(world: World, fleet: EngineFleet) -> None:
    world.until(lambda: all(e.said("instance.started") for e in fleet.engines), "all run")


@contextmanager
def world_on(database: Database, **options: object) -> Iterator[World]:
    with LoopThread() as loop:
        receiver = FaultReceiver()
        loop.run(receiver.listen())
        world = World(database, receiver, loop)
        try:
            for statement in POPULATION:
                database.all(statement)
            world.add_handlers(**options)
            yield world
        finally:
            loop.run(receiver.close())


# ---- databases ----


@cache
def server() -> TemporaryPostgres:
    """A server that keeps what it acknowledges, unlike that of the other tests."""
    made = made_server()
    atexit.register(made.remove)
    return made


def made_server(**settings: str) -> TemporaryPostgres:
    """Another one; the caller removes it."""
    try:
        made = TemporaryPostgres(max_connections="60", **settings)
    except ConfigError as error:
        pytest.skip(str(error))
    try:
        made.start()
        _migrate(made.make_database(_TEMPLATE))
    except BaseException:
        made.remove()
        raise
    return made


_names: Iterator[int] = iter(range(1_000_000))


@contextmanager
def postgres_database(
    of: TemporaryPostgres | None = None, tablespace: str = "pg_default"
) -> Iterator[Database]:
    """A database of one's own on the durable server."""
    on = of or server()
    name = f"fault_{next(_names)}"
    on.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_TEMPLATE}" TABLESPACE {tablespace}')
    try:
        yield Database(on.url(name))
    finally:
        if not on.answers():
            on.stop()
            on.start()
        on.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def sqlite_database(folder: Path) -> Iterator[Database]:
    path = folder / "espf.db"
    _migrate(f"sqlite:///{path}")
    yield Database(f"sqlite:///{path}")


def _migrate(address: str) -> None:
    environment = {**os.environ, "ESPF_DATABASE_URL": address}
    subprocess.run([ESPF, "migrate"], env=environment, check=True, stdout=subprocess.DEVNULL)
