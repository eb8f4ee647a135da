"""Instances are killed and paused at random under load; the others carry on."""

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from fault_fleet import LEASE_S, Engine, EngineFleet
from fault_world import WITHIN_S, World, fleet_of, lasting, times

pytestmark = pytest.mark.timeout(900)

KILLS = times(200, 20)
PAUSES = times(30, 2)


class Hunt:
    """Picks instances that are at work: who has sent nothing yet is no victim worth a fault."""

    def __init__(self, world: World, fleet: EngineFleet, random: Random) -> None:
        self.world = world
        self.fleet = fleet
        self.random = random
        self.since = dict.fromkeys(fleet.engines, 0)
        """How much had arrived when each was started."""

    def pick(self) -> Engine:
        found: list[Engine] = []
        self.world.until(lambda: found.extend(self._at_work()) or found, "one is at work")
        return self.random.choice(found)

    def all_at_work(self) -> None:
        everyone = len(self.fleet.engines)
        self.world.until(lambda: len(list(self._at_work())) == everyone, "all are at work")

    def _at_work(self) -> Iterator[Engine]:
        arrivals = self.world.receiver.arrivals
        for engine, since in self.since.items():
            if any(one.source == engine.address for one in arrivals[since:]):
                yield engine

    def started(self, engine: Engine) -> None:
        self.since[engine] = len(self.world.receiver.arrivals)


def test_instances_killed_at_random_lose_and_reorder_nothing(world: World, tmp_path: Path) -> None:
    """Now and then there is time to measure how soon the others have all lanes."""
    random = Random(20_263)
    world.receiver.mix(0.03, "busy", "slow")
    kills = 0
    with fleet_of(world, tmp_path) as fleet, world.database.load() as load:
        hunt = Hunt(world, fleet, random)
        while kills < KILLS:
            victims = {hunt.pick()}
            time.sleep(lasting(0.5, 0.25) * random.uniform(0, LEASE_S))
            if random.random() < 0.15:
                victims.add(random.choice(fleet.engines))
            for engine in victims:
                engine.kill()
                hunt.started(engine)
            if kills % 20 == 0:
                world.recover()
            for engine in victims:
                engine.start()
            kills += len(victims)
        load.stop()
        world.drain()
    verdict = world.verdict("SIGKILL of one or two of 3 instances", kills)
    verdict.holds(within_s=WITHIN_S)


def lanes_of(world: World, engine: Engine) -> int:
    """How many lanes an instance owns, whatever it believes itself."""
    owned = f"SELECT count(*) FROM lane_cursor WHERE lane < 64 AND owner LIKE '{engine.name}/%'"
    return int(world.database.all(owned)[0][0])


def moment_of_new_lanes(world: World, engine: Engine) -> float:
    """Wait until it has lanes again; the last moment at which it certainly had none."""
    looked_s = [time.monotonic()]

    def has_lanes() -> bool:
        looked_s.append(time.monotonic())
        return lanes_of(world, engine) > 0

    world.until(has_lanes, "it has lanes again")
    return looked_s[-2]


def test_a_paused_instance_that_wakes_sends_and_settles_nothing(
    world: World, tmp_path: Path
) -> None:
    random = Random(20_264)
    world.receiver.mix(0.05, "slow")
    with fleet_of(world, tmp_path) as fleet, world.database.load() as load:
        hunt = Hunt(world, fleet, random)
        hunt.all_at_work()
        for _ in range(PAUSES):
            sleeper = hunt.pick()
            sleeper.pause()
            world.healed()
            world.until(lambda one=sleeper: not lanes_of(world, one), "its lanes are others'")
            time.sleep(random.uniform(0, LEASE_S))
            mark = world.database.all("SELECT max(i_attempt) FROM attempt")[0][0]
            woke_s, woke_us = time.monotonic(), time.time_ns() // 1000
            sleeper.resume()
            again_s = moment_of_new_lanes(world, sleeper)
            sent = [
                one
                for one in world.receiver.arrivals
                if one.source == sleeper.address and woke_s < one.at_s < again_s
            ]
            settled = world.database.all(
                f"SELECT i_event FROM attempt WHERE i_attempt > {mark} AND instance = "
                f"'{sleeper.name}' AND started_us < {woke_us}"
            )
            assert not sent, f"{len(sent)} requests left an instance whose lease had ended"
            assert not settled, "an instance whose lease had ended recorded results"
            hunt.started(sleeper)
            hunt.all_at_work()
        load.stop()
        world.drain()
    verdict = world.verdict("SIGSTOP for longer than the lease, then SIGCONT", PAUSES)
    verdict.holds(within_s=WITHIN_S)
