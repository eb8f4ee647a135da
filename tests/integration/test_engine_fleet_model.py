"""A fleet whose members come and go at random while a far side fails at random: nothing is lost,
an entity's events go out in order, and no two of them at once."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from random import Random

import pytest
import structlog

from engine_rig import OTHER, PLAIN, handler_change
from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Outcome, Rejected, RetryLater
from fleet_rig import Fleet, Member, fleet_on
from postgres_rig import clone
from storage_rig import PostgresStorage

ENTITIES = 150
STEPS = 60
OPTIONS = {
    "Concurrency": 40,
    "Retry.FirstDelay": 0.1,
    "Retry.MaxDelay": 0.3,
    "Breaker.Failures": 1000,
}


@pytest.fixture(autouse=True)
def _quiet() -> "AsyncIterator[None]":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


class World:
    """The far side of every member, and what must hold at each send."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.random = Random(seed)
        self.events: dict[int, list[int]] = defaultdict(list)
        """Numbers of each entity's events, in order."""
        self.settled: set[int] = set()
        self.under_way: Counter[int] = Counter()
        self.dead: set[str] = set()
        """Members that crashed: what they have under way counts no more."""
        self.repeats = 0
        self.wrong: list[str] = []

    def join(self, name: str) -> Member:
        [member] = self.fleet.join(name)
        for far in member.far.values():
            far.deliver = self._delivering(member.name)  # type: ignore[method-assign]
        return member

    def _delivering(self, name: str):  # type: ignore[no-untyped-def]
        async def deliver(event: Event, _attempt: Attempt) -> Outcome:
            key = event.entity_id
            if event.i_event in self.settled:
                self.repeats += 1
            else:
                earlier = [n for n in self.events[key] if n < event.i_event]
                missing = [n for n in earlier if n not in self.settled]
                if missing:
                    self.wrong.append(f"{name} sent {event.i_event} of {key} before {missing[0]}")
            if self.under_way[key]:
                self.wrong.append(f"two of {key} under way")
            self.under_way[key] += 1
            try:
                await asyncio.sleep(self.random.choice((0, 0.001, 0.01, 0.05, 0.4)))
                return self._answer(event)
            finally:
                self.under_way[key] -= 1

        return deliver

    def _answer(self, event: Event) -> Outcome:
        chance = self.random.random()
        if chance < 0.15:
            return RetryLater("", "busy", 503)
        self.settled.add(event.i_event)
        return Rejected("", "no such subscriber", 400) if chance < 0.2 else Delivered("", 200)

    async def append(self) -> None:
        pairs = [
            (self.random.randrange(ENTITIES), self.random.choice((PLAIN, OTHER)))
            for _ in range(self.random.randrange(60))
        ]
        numbers = await asyncio.to_thread(self.fleet.storage.append, pairs)
        for (entity_id, _), i_event in zip(pairs, numbers, strict=True):
            self.events[entity_id].append(i_event)

    async def come_and_go(self, step: int) -> None:
        members = self.fleet.members
        if len(members) < 2 or (len(members) < 4 and self.random.random() < 0.5):
            self.join(f"member {step}")
        elif self.random.random() < 0.5:
            await self.random.choice(members).leave()
        else:
            await self.random.choice(members).crash()


@pytest.mark.parametrize("seed", [1])
async def test_nothing_is_lost_and_nothing_overtakes_while_members_come_and_go(seed: int) -> None:
    with clone() as url:
        storage = PostgresStorage(url)
        i_handler = storage.add(handler_change("hss", (PLAIN, OTHER), **OPTIONS))
        async with fleet_on(storage) as fleet:
            world = World(fleet, seed)
            world.join("first")
            for step in range(STEPS):
                await world.append()
                if step % 6 == 5:
                    await world.come_and_go(step)
                await asyncio.sleep(0.1)
                assert not world.wrong, world.wrong[:5]
            wanted = {n for numbers in world.events.values() for n in numbers}
            await fleet.until(lambda: world.settled >= wanted, "all are settled", 40)
            await fleet.until(
                lambda: (
                    storage.all(
                        "SELECT count(DISTINCT i_event) FROM attempt"
                        f" WHERE i_handler = {i_handler} AND status IN ('finished', 'failed')"
                    )
                    == [(len(wanted),)]
                ),
                "all are recorded",
            )
            assert not world.wrong, world.wrong[:5]
        await storage.close()
    assert world.repeats <= len(wanted) / 2
