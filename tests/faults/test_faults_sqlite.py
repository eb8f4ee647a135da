"""The embedded database: its one engine is killed, and its disk is full."""

import functools
import time
from pathlib import Path
from random import Random

import pytest

from fault_disk import small_disk
from fault_fleet import Engine
from fault_world import WITHIN_S, World, fleet_of, sqlite_database, times, world_on

pytestmark = pytest.mark.timeout(600)

KILLS = times(40, 4)
FULL = "the disk is full"


def has_failed(engine: Engine, before: int) -> bool:
    return engine.said(FULL) > before


def test_the_engine_killed_again_and_again_loses_and_reorders_nothing(
    sqlite_world: World, tmp_path: Path
) -> None:
    world, random = sqlite_world, Random(61)
    world.receiver.mix(0.03, "busy", "slow")
    with fleet_of(world, tmp_path, 1) as fleet, world.database.load() as load:
        for _ in range(KILLS):
            world.until_more_arrive()
            time.sleep(random.uniform(0, 0.4))
            fleet.engines[0].kill()
            fleet.engines[0].start()
        world.recover()
        load.stop()
        world.drain()
    world.verdict("SQLite: SIGKILL of its engine", KILLS).holds(within_s=WITHIN_S)


def test_a_full_disk_stops_everything_until_there_is_room(tmp_path: Path) -> None:
    rounds = times(5, 1)
    with (
        small_disk(48) as disk,
        sqlite_database(disk.folder) as database,
        world_on(database) as world,
        fleet_of(world, tmp_path, 1) as fleet,
        world.database.load(rate=600) as load,
    ):
        [engine] = fleet.engines
        for _ in range(rounds):
            world.until_more_arrive(100)
            disk.fill()
            world.until(functools.partial(has_failed, engine, engine.said(FULL)), FULL, 60)
            time.sleep(1)
            disk.empty()
            world.recover()
        load.stop()
        world.drain()
        verdict = world.verdict("SQLite: disk full", rounds)
    verdict.holds(within_s=WITHIN_S)
