"""The receiver hangs, resets, answers garbage or late, closes in the worst moment, is gone."""

import time
from pathlib import Path
from typing import get_args

import pytest

from fault_receiver import Trick
from fault_world import WHOLE, WITHIN_S, World, fleet_of, lasting, times

pytestmark = pytest.mark.timeout(300)

GONE_S = lasting(3, 1)
TRICKS: list[tuple[Trick, ...]] = [(trick,) for trick in get_args(Trick) if trick != "accept"]
ALL: tuple[Trick, ...] = tuple(trick for (trick,) in TRICKS)
NAMES: dict[Trick, str] = {
    "busy": "answers 503",
    "slow": "answers 200 after a moment",
    "late": "answers 200 after the time limit",
    "hang": "never answers",
    "drip": "answers byte by byte",
    "garbage": "answers garbage",
    "cut": "breaks off within its answer",
    "reset": "resets the connection once it has the request",
    "mute": "closes the connection once it has the request",
    "shut": "closes the connection while the request is on its way",
    "farewell": "closes the connection while the next request is on its way",
}


def name_of(tricks: tuple[Trick, ...]) -> str:
    return NAMES[tricks[0]] if len(tricks) == 1 else "does any of eleven evil things"


def suffer(world: World, folder: Path, tricks: tuple[Trick, ...], engines: int) -> int:
    """Play the tricks on one request in five; how often they were played."""
    with fleet_of(world, folder, engines), world.database.load() as load:
        world.until_more_arrive(50)
        world.receiver.mix(0.2, *tricks)
        time.sleep(lasting(6, 2))
        world.receiver.mix(0)
        world.healed()
        load.stop()
        world.drain()
    return sum(one.trick != "accept" for one in world.receiver.arrivals) + world.receiver.unread


@pytest.mark.parametrize("tricks", [*TRICKS, ALL] if WHOLE else [ALL], ids=name_of)
def test_a_receiver_that_misbehaves_gets_all_in_order(
    world: World, tmp_path: Path, tricks: tuple[Trick, ...]
) -> None:
    tried = suffer(world, tmp_path, tricks, engines=2)
    assert tried > 0
    world.verdict(f"receiver {name_of(tricks)}", tried).holds(within_s=WITHIN_S)


def test_a_receiver_that_misbehaves_gets_all_in_order_from_sqlite(
    sqlite_world: World, tmp_path: Path
) -> None:
    tried = suffer(sqlite_world, tmp_path, ALL, engines=1)
    verdict = sqlite_world.verdict(f"SQLite: receiver {name_of(ALL)}", tried)
    verdict.holds(within_s=WITHIN_S)


def test_a_receiver_that_is_gone_for_a_while_gets_all_in_order(
    world: World, tmp_path: Path
) -> None:
    rounds = times(5, 1)
    with fleet_of(world, tmp_path) as fleet, world.database.load() as load:
        for _ in range(rounds):
            world.until_more_arrive(100)
            world.loop.run(world.receiver.close())
            time.sleep(GONE_S)
            world.loop.run(world.receiver.listen())
            world.recover()
        load.stop()
        world.drain()
        assert sum(engine.said("breaker.opened") for engine in fleet.engines) >= rounds
    world.verdict(f"receiver gone for {GONE_S:g} s", rounds).holds(within_s=WITHIN_S)
