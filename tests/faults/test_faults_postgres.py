"""The database goes away: restarts, cut connections, none to be had, a full disk."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest

from espf.demo.postgres import TemporaryPostgres
from fault_disk import small_disk
from fault_world import (
    WITHIN_S,
    Database,
    World,
    fleet_of,
    lasting,
    made_server,
    postgres_database,
    server,
    times,
    world_on,
)

pytestmark = pytest.mark.timeout(900)

NONE_LEFT_S = lasting(2, 1)
FULL_S = lasting(3, 1)


TRIES_MORE = 5


def test_a_server_that_restarts_or_crashes_costs_nothing(world: World, tmp_path: Path) -> None:
    random = Random(31)
    restarts = times(20, 2)
    with fleet_of(world, tmp_path), world.database.load() as load:
        for number in range(restarts):
            world.until_more_arrive(200)
            server().stop((signal.SIGQUIT, signal.SIGINT)[number % 2])
            time.sleep(random.uniform(0, 1.5))
            server().start()
            if number % 4 < 2:  # the others come one upon the other
                world.recover()
        load.stop()
        world.drain()
    verdict = world.verdict("PostgreSQL restarted, every second time by a crash", restarts)
    verdict.holds(within_s=WITHIN_S)


def test_connections_that_are_ended_again_and_again_are_opened_again(
    world: World, tmp_path: Path
) -> None:
    random = Random(32)
    rounds = times(100, 15)
    with fleet_of(world, tmp_path), world.database.load() as load:
        world.until_more_arrive(100)
        for number in range(rounds):
            world.database.all(f"{END} {random.choice((0.2, 0.5, 1))}")
            if number % 10 == 9:
                world.recover()
            time.sleep(random.uniform(0, 0.3))
        load.stop()
        world.drain()
    world.verdict("PostgreSQL's connections ended", rounds).holds(within_s=WITHIN_S)


END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname LIKE 'fault%' AND pid <> pg_backend_pid() AND random() < "
)
"""Whatever they are in the middle of; the writers' connections as well as the instances'."""


@contextmanager
def no_connection_left(on: TemporaryPostgres) -> Iterator[None]:
    """Take all there are, those of the instances too."""
    with ExitStack() as held:
        administrator = held.enter_context(psycopg.connect(on.url(), autocommit=True))
        for _ in range(3):
            administrator.execute(f"{END} 1".encode())
            with contextlib.suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(psycopg.connect(on.url(), connect_timeout=2))
        yield


def test_a_server_that_is_out_of_connections_is_asked_again(world: World, tmp_path: Path) -> None:
    rounds = times(10, 1)
    with fleet_of(world, tmp_path) as fleet, world.database.load() as load:
        for _ in range(rounds):
            world.until_more_arrive(100)
            with no_connection_left(server()):
                time.sleep(NONE_LEFT_S)
            world.recover()
        load.stop()
        world.drain()
        assert sum(engine.said("too many clients") for engine in fleet.engines) > 0
    world.verdict(f"PostgreSQL out of connections for {NONE_LEFT_S:g} s", rounds).holds(
        within_s=WITHIN_S
    )


def test_a_full_disk_under_the_tables_stops_everything_until_there_is_room(
    tmp_path: Path,
) -> None:
    rounds = times(5, 1)
    with (
        small_disk(128) as disk,
        tablespace(disk.folder) as name,
        postgres_database(tablespace=name) as database,
        world_on(database) as world,
        fleet_of(world, tmp_path) as fleet,
        world.database.load() as load,
    ):
        # What the engines write may find room in pages that are there: then it is filled again.
        tried = noticed = 0
        while tried < rounds or (not noticed and tried < rounds + TRIES_MORE):
            world.until_more_arrive(200)
            disk.fill()
            time.sleep(FULL_S)
            disk.empty()
            world.recover()
            tried += 1
            noticed = sum(engine.said("the server's disk is full") for engine in fleet.engines)
        load.stop()
        world.drain()
        assert noticed > 0
        verdict = world.verdict(f"PostgreSQL's disk full under the tables for {FULL_S:g} s", tried)
    verdict.holds(within_s=WITHIN_S)


@contextmanager
def tablespace(folder: Path) -> Iterator[str]:
    place = folder / "tables"
    place.mkdir()
    os.chown(place, server().owner, -1)
    server().execute(f"CREATE TABLESPACE small LOCATION '{place}'")
    yield "small"
    server().execute("DROP TABLESPACE small")


def move(folder: Path, to: Path, owner: int) -> None:
    shutil.move(folder, to)
    folder.symlink_to(to)
    for path in (to, *to.rglob("*")):
        os.chown(path, owner, -1)


def has_given_up(server: TemporaryPostgres, database: Database) -> bool:
    """Let it begin another file of its log, as it would sooner or later."""
    with contextlib.suppress(psycopg.Error):
        database.all("SELECT pg_switch_wal()")
    return not server.answers()


def test_a_full_disk_under_the_log_brings_the_server_down_and_costs_nothing(
    tmp_path: Path,
) -> None:
    """PostgreSQL gives up then; whoever frees the space, or a supervisor, starts it again."""
    rounds = times(3, 1)
    with small_disk(128) as disk, ExitStack() as stack:
        own = made_server(max_wal_size="48MB", min_wal_size="32MB")
        stack.callback(own.remove)
        own.stop()
        move(own.folder / "cluster" / "pg_wal", disk.folder / "pg_wal", own.owner)
        own.start()
        database = stack.enter_context(postgres_database(own))
        world = stack.enter_context(world_on(database))
        stack.enter_context(fleet_of(world, tmp_path))
        load = stack.enter_context(world.database.load())
        for _ in range(rounds):
            world.until_more_arrive(200)
            disk.fill()
            world.until(lambda: has_given_up(own, database), "the server has given up")
            time.sleep(1)
            disk.empty()
            own.restart(signal.SIGQUIT)
            world.recover()
        load.stop()
        world.drain()
        verdict = world.verdict("PostgreSQL's disk full under its log: it goes down", rounds)
    verdict.holds(within_s=WITHIN_S)
