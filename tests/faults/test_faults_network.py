"""The network between one of three instances and the database is cut, slow, or reset."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from fault_fleet import LEASE_S, EngineFleet
from fault_proxy import Proxy, Session
from fault_world import WITHIN_S, World, all_running, server, times

pytestmark = pytest.mark.timeout(900)

COMMITS = times(100, 10)
SERVERS_PATIENCE_S = 11
"""After which the server's own kernel ends a connection whose client is gone (keepalive)."""


@contextmanager
def one_behind(world: World, folder: Path) -> Iterator[tuple[EngineFleet, Proxy]]:
    """Three instances, of which the first reaches the database through a proxy."""
    proxy = Proxy(server().port)
    world.loop.run(proxy.listen())
    name = world.database.all("SELECT current_database()")[0][0]
    far = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
    try:
        with EngineFleet([far, *[world.database.address] * 2], folder) as fleet:
            all_running(world, fleet)
            yield fleet, proxy
    finally:
        world.loop.run(proxy.close())


def lanes_of_first(world: World) -> int:
    owned = "SELECT count(*) FROM lane_cursor WHERE lane < 64 AND owner LIKE 'i1/%'"
    return int(world.database.all(owned)[0][0])


def test_a_black_hole_costs_the_others_a_lease_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    """Nobody is told of it: neither the instance nor the server hears from the other."""
    holes = times(4, 1)
    with one_behind(world, tmp_path) as (_, proxy), world.database.load() as load:
        for _ in range(holes):
            world.until(lambda: lanes_of_first(world), "it has lanes")
            world.until_more_arrive(100)
            world.loop.run(proxy.freeze())
            world.healed()
            world.until(lambda: not lanes_of_first(world), "its lanes are others'")
            time.sleep(times(SERVERS_PATIENCE_S, 1))
            world.loop.run(proxy.thaw())
            world.recover()
        world.until(lambda: lanes_of_first(world), "it has lanes again", limit_s=60)
        load.stop()
        world.drain()
    verdict = world.verdict("network cut between an instance and PostgreSQL", holes)
    verdict.holds(within_s=WITHIN_S)


def test_a_network_that_resets_and_delays_costs_nothing(world: World, tmp_path: Path) -> None:
    random = Random(51)
    rounds = times(60, 8)
    with one_behind(world, tmp_path) as (_, proxy), world.database.load() as load:
        world.until_more_arrive(100)
        for _ in range(rounds):
            proxy.delay_s = random.choice((0, 0.01, 0.1, 0.3 * LEASE_S))
            time.sleep(random.uniform(0.1, 0.5))
            world.loop.run(proxy.reset())
        proxy.delay_s = 0
        world.recover()
        load.stop()
        world.drain()
    verdict = world.verdict("network delays, and resets connections", rounds)
    verdict.holds(within_s=WITHIN_S)


def test_a_commit_cut_off_on_its_way_is_recorded_once(world: World, tmp_path: Path) -> None:
    """Half of them arrive, and nobody hears of it; half of them never do."""
    random = Random(52)
    cut = 0

    def cut_off(session: Session) -> bool:
        nonlocal cut
        if cut >= COMMITS or random.random() < 0.5:
            return True
        cut += 1
        if random.random() < 0.5:
            session.deaf = True
            return True
        session.abort()
        return False

    with one_behind(world, tmp_path) as (_, proxy), world.database.load() as load:
        proxy.commits = cut_off
        world.until(lambda: cut >= COMMITS, "commits are cut off", limit_s=300)
        world.recover()
        load.stop()
        world.drain()
    verdict = world.verdict("network cut while a COMMIT is on its way", COMMITS)
    verdict.holds(within_s=WITHIN_S)
