"""Lanes that change hands at a bad moment: nothing is sent twice, and no instance ends by it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from engine_rig import COALESCED, PLAIN
from espf.eventlog.model import Batch
from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Outcome
from fleet_rig import LEASE_S, Fleet, fleet_on
from postgres_rig import clone
from storage_rig import PostgresStorage

APART = 200_000
"""Numbers between the cursors of a slow instance and those of a quick one."""


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    with clone() as url:
        storage = PostgresStorage(url)
        async with fleet_on(storage) as made:
            yield made
        await storage.close()


def finished(fleet: Fleet) -> set[int]:
    rows = fleet.storage.all("SELECT i_event FROM attempt WHERE status = 'finished'")
    return {i_event for (i_event,) in rows}


async def test_who_takes_lanes_that_stand_far_apart_repeats_nothing_that_is_settled(
    fleet: Fleet,
) -> None:
    """Two instances of different speed, and then a third that has the lanes of both."""
    i_handler = fleet.add("hss", Concurrency=200)
    slow, quick = fleet.join("slow", "quick")
    await fleet.until(lambda: fleet.owned(i_handler) == {"slow": 32, "quick": 32}, "they share")
    of_quick = [
        lane
        for (lane,) in fleet.storage.all(
            "SELECT lane FROM lane_cursor WHERE owner = 'quick' AND lane < 64"
        )
    ]
    slow.far["hss"].gate = asyncio.Event()
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(64)])
    await fleet.until(lambda: len(finished(fleet)) == 32, "the quick one is through")
    fleet.storage.all(f"SELECT setval('event_i_event_seq', {APART})")
    held, parked = of_quick[0], of_quick[1]
    quick.far["hss"].gate = asyncio.Event()
    quick.far["hss"].held = lambda event: event.entity_id in (held, parked)
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in (held, parked)])
    later = await asyncio.to_thread(
        fleet.storage.append, [(held + 64, PLAIN), *((lane, PLAIN) for lane in of_quick[2:])]
    )
    await fleet.until(lambda: finished(fleet) >= set(later), "those above the held ones")
    assert min(later) > APART
    settled = finished(fleet)
    for member in (slow, quick):
        await member.crash()

    [heir] = fleet.join("heir")
    await fleet.until(lambda: len(finished(fleet)) == 64 + 2 + len(later), "all are delivered")

    assert not settled & set(heir.far["hss"].sent)


async def test_a_look_for_a_later_event_does_not_outlive_its_lane(fleet: Fleet) -> None:
    """The database answers it when the lane has long been another's."""
    i_handler = fleet.add("hss", types=(COALESCED, PLAIN), Concurrency=64)
    [one] = fleet.join("one")
    await fleet.until(lambda: fleet.owned(i_handler) == {"one": 64}, "it has all")
    answered = asyncio.Event()
    look = one.log.successor

    async def slow_look(event: Event, upto: int) -> int | None:
        await answered.wait()
        return await look(event, upto)

    one.log.successor = slow_look  # type: ignore[method-assign]
    numbers = await asyncio.to_thread(fleet.storage.append, [(n, COALESCED) for n in range(64)])
    runner = one.instance._runners[i_handler]
    await fleet.until(lambda: runner.flow.window.open == 64, "it looks for later ones of all")
    [two] = fleet.join("two")
    await fleet.until(lambda: fleet.owned(i_handler) == {"one": 32, "two": 32}, "they share")
    answered.set()
    await fleet.until(lambda: len(finished(fleet)) == 64, "all are delivered")

    assert sorted(fleet.sent("hss")) == numbers, "none was sent by both"
    assert len(two.far["hss"].sent) == 32


async def test_an_attempt_that_outlives_its_lane_is_not_recorded(fleet: Fleet) -> None:
    """A handler that will not be cancelled: its answer comes when the lane is another's."""
    i_handler = fleet.add("hss", Concurrency=64)
    [one] = fleet.join("one")
    await fleet.until(lambda: fleet.owned(i_handler) == {"one": 64}, "it has all")
    far, answered = one.far["hss"], asyncio.Event()

    async def stubborn(event: Event, _attempt: Attempt) -> Outcome:
        far.sent.append(event.i_event)
        while not answered.is_set():
            with suppress(asyncio.CancelledError):
                await answered.wait()
        return Delivered("", 200)

    far.deliver = stubborn  # type: ignore[method-assign]
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(64)])
    await fleet.until(lambda: len(far.sent) == 64, "all are under way")
    [two] = fleet.join("two")
    await fleet.until(lambda: len(two.far["hss"].sent) == 32, "the other tries its share again")
    answered.set()
    await fleet.until(lambda: len(finished(fleet)) == 64, "all are delivered")

    instances = "SELECT instance, count(*) FROM attempt GROUP BY 1 ORDER BY 1"
    assert fleet.storage.all(instances) == [("one", 32), ("two", 32)]


async def test_results_that_the_database_refuses_hold_back_no_other_handler(fleet: Fleet) -> None:
    """It would refuse them for ever. Their handler starts over from what the log says."""
    refused, other = fleet.add("refused"), fleet.add("other")
    [one] = fleet.join("one")
    fleet.storage.execute(
        f"ALTER TABLE attempt ADD CONSTRAINT never CHECK (i_handler <> {refused}) NOT VALID"
    )
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(200)])
    of_handler = "SELECT count(*) FROM attempt WHERE i_handler = {}"
    await fleet.until(
        lambda: fleet.storage.all(of_handler.format(other)) == [(200,)], "the other is through"
    )
    fleet.storage.execute("ALTER TABLE attempt DROP CONSTRAINT never")
    await fleet.until(
        lambda: fleet.storage.all(of_handler.format(refused)) == [(200,)], "it recovers by itself"
    )

    assert sorted(set(one.far["refused"].sent)) == sorted(one.far["other"].sent)


async def test_a_handler_that_cannot_read_costs_no_other_its_lease(fleet: Fleet) -> None:
    """Lanes come to it while a read of it hangs."""
    hanging, other = fleet.add("hanging"), fleet.add("other")
    one, two = fleet.join("one", "two")
    await fleet.until(lambda: fleet.owned(hanging) == {"one": 32, "two": 32}, "they share")
    answered = asyncio.Event()
    read = two.log.read

    async def slow_read(i_handler: int, *given: Any, **named: Any) -> Batch:
        if i_handler == hanging:
            await answered.wait()
        return await read(i_handler, *given, **named)

    two.log.read = slow_read  # type: ignore[method-assign]
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(64)])
    runner = two.instance._runners[hanging]
    await fleet.until(lambda: runner.flow.lately.reading, "a read hangs")
    await one.leave()
    await fleet.until(lambda: fleet.owned(hanging) == {"two": 64}, "it has all lanes")
    fences = fleet.storage.all("SELECT fence FROM lane_cursor ORDER BY 1")
    await asyncio.sleep(2 * LEASE_S)
    more = await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(64)])
    await fleet.until(lambda: set(more) <= set(two.far["other"].sent), "the other goes on")
    assert fleet.owned(other) == {"two": 64}
    assert two.instance.has_lease
    assert fleet.storage.all("SELECT fence FROM lane_cursor ORDER BY 1") == fences
    answered.set()
    await fleet.until(lambda: set(more) <= set(two.far["hanging"].sent), "and it does as well")


async def test_what_waited_for_bulk_events_is_sent_by_whoever_has_its_lane(fleet: Fleet) -> None:
    """Another instance looks for such, too, all the time: it lets none of these go."""
    i_handler = fleet.add("hss", Concurrency=64)
    one, two = fleet.join("one", "two")
    await fleet.until(lambda: fleet.owned(i_handler) == {"one": 32, "two": 32}, "they share")
    of = {
        name: [
            lane
            for (lane,) in fleet.storage.all(
                f"SELECT lane FROM lane_cursor WHERE owner = '{name}' AND lane < 64 ORDER BY 1"
            )
        ]
        for name in ("one", "two")
    }
    slow = of["one"][0]
    one.far["hss"].gate = asyncio.Event()
    one.far["hss"].held = lambda event: event.entity_id == slow

    def crowd(entity: int) -> list[int]:
        """A bulk event, and an ordinary one that must wait for it."""
        bulk = fleet.storage.append([(entity, PLAIN)], bulk=True)
        return bulk + fleet.storage.append([(entity, PLAIN)])

    held = await asyncio.to_thread(crowd, slow)
    for entity in of["two"][:8]:
        numbers = await asyncio.to_thread(crowd, entity)
        await fleet.until(lambda wanted=numbers: finished(fleet) >= set(wanted), "both", 5)  # type: ignore[misc]
    one.far["hss"].gate.set()
    await fleet.until(lambda: finished(fleet) >= set(held), "those that were held")

    sent = one.far["hss"].sent + two.far["hss"].sent
    assert len(sent) == len(set(sent)) == 18
    assert fleet.storage.all("SELECT count(*) FROM parked") == [(0,)]


async def test_only_its_own_bulk_event_holds_an_ordinary_one_back(fleet: Fleet) -> None:
    """Not what hangs in the same lane, ordinary or bulk, of others."""
    fleet.add("hss", Concurrency=64)
    [one] = fleet.join("one")
    far = one.far["hss"]
    far.gate = asyncio.Event()
    far.held = lambda event: event.entity_id in (64, 128)
    await asyncio.to_thread(fleet.storage.append, [(64, PLAIN)])
    await asyncio.to_thread(fleet.storage.append, [(0, PLAIN), (128, PLAIN)], bulk=True)
    [own] = await asyncio.to_thread(fleet.storage.append, [(0, PLAIN)])
    await fleet.until(lambda: own in finished(fleet), "it is sent", 5)
    far.gate.set()
    await fleet.until(lambda: len(finished(fleet)) == 4, "and the others")
