"""The wall clock jumps an hour, back and ahead, while events are retried and tokens are drawn."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from random import Random

import pytest

from espf.app import myself, open_log
from espf.clock import SystemClock
from espf.config import Config
from espf.engine.instance import Instance
from espf.eventlog.model import LANES
from espf.starting import handler_starter, open_current
from fault_world import HANDLERS, WITHIN_S, World, lasting, times

pytestmark = pytest.mark.timeout(300)

HOUR_US = 3_600_000_000
RATE = 120
"""Tokens a second for each handler, and most in any second."""
READ_LATE = 6
"""The receiver tells when it reads, on a busy loop: requests of before the second, read in it.

A jump that filled the bucket would show as 120.
"""
JUMPS = times(20, 4)
LEASE_S = 4.0
"""Lanes stay where they are on a busy machine, too: see `settled_down`."""


class JumpingClock(SystemClock):
    """The machine's, set by an administrator in a hurry."""

    def __init__(self) -> None:
        self.jump_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.jump_us


@asynccontextmanager
async def running(world: World, name: str, clock: JumpingClock) -> AsyncIterator[None]:
    """All of an engine but its process: its clock is in our hands."""
    config = Config(database_url=world.database.address, instance_name=name)
    me = myself(config, clock)
    log = open_log(config, clock, me.token)
    current = open_current(config, clock)
    starter = handler_starter(config, clock, current)
    engine = Instance(me, log, clock, starter, lease_s=LEASE_S)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(engine.run(stop))
        yield
        stop.set()
    await current.close()
    await log.close()


@contextmanager
def engines(world: World, *names: str) -> Iterator[list[JumpingClock]]:
    """Engines on the world's loop; their clocks."""
    clocks = [JumpingClock() for _ in names]
    started, stop = asyncio.Event(), asyncio.Event()

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for name, clock in zip(names, clocks, strict=True):
                group.create_task(one(name, clock))

    async def one(name: str, clock: JumpingClock) -> None:
        async with running(world, name, clock):
            started.set()
            await stop.wait()

    future = asyncio.run_coroutine_threadsafe(run(), world.loop.loop)
    try:
        yield clocks
    finally:
        world.loop.loop.call_soon_threadsafe(stop.set)
        future.result(30)


def settled_down(world: World, engines: int) -> bool:
    """Whether the lanes are shared, so that none moves any more.

    Due times are told by the clock of who parked an event: whoever takes its lane with a clock that
    is an hour behind waits an hour. Tried here is a clock that is set, not clocks that differ.
    """
    shares = world.database.all(
        "SELECT count(*) FROM lane_cursor WHERE lane < 64 AND owner IS NOT NULL"
        " GROUP BY i_handler, owner"
    )
    return shares == [(LANES // engines,)] * engines * len(HANDLERS)


def jump_about(world: World, names: tuple[str, ...]) -> None:
    """Every instance's clock by itself: back, ahead, each time by an hour."""
    random = Random(41)
    world.add_handlers(
        **{"EventSender.TokenRate": RATE, "EventSender.TokenBurstiness": RATE},
    )
    world.receiver.mix(0.2, "busy")
    with engines(world, *names) as clocks, world.database.load(rate=80) as load:
        world.until(lambda: settled_down(world, len(names)), "lanes are shared")
        world.until_more_arrive(50)
        for number in range(JUMPS):
            random.choice(clocks).jump_us += (-HOUR_US, HOUR_US, HOUR_US, -HOUR_US)[number % 4]
            world.healed()
            time.sleep(lasting(1, 0.5) * random.uniform(0.5, 1.5))
        world.receiver.mix(0)
        load.stop()
        world.drain()


def most_in_a_second(world: World, handler: str) -> int:
    moments = [one.at_s for one in world.receiver.arrivals if one.handler == handler]
    return max(bisect_left(moments, at_s + 1) - place for place, at_s in enumerate(moments))


def test_a_clock_that_jumps_an_hour_delays_nothing(world: World) -> None:
    jump_about(world, ("i1", "i2"))
    world.verdict("clock jumps an hour back or ahead", JUMPS).holds(within_s=WITHIN_S)


def test_a_clock_that_jumps_an_hour_delays_nothing_on_sqlite(sqlite_world: World) -> None:
    jump_about(sqlite_world, ("i1",))
    most = [most_in_a_second(sqlite_world, handler) for handler in ("hss", "crm")]
    verdict = sqlite_world.verdict("SQLite: clock jumps an hour back or ahead", JUMPS)
    verdict.holds(within_s=WITHIN_S)
    assert max(most) <= RATE + READ_LATE, "a jump is no reason to send faster"
