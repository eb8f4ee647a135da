"""EventLog, a clock that is set: what is parked keeps its distance to now, moved once."""

import pytest

from engine_rig import PLAIN, START_US, handler_change
from espf.eventlog.model import LANES, MOVED_AT_ONCE, ParkedMoment
from storage_rig import Storage, park_row, settlement

HOUR_US = 3_600_000_000
BEFORE_US = START_US - 60_000_000


@pytest.fixture
def i_handler(storage: Storage) -> int:
    return storage.add(handler_change())


async def park(storage: Storage, i_handler: int, count: int, **given: int) -> list[int]:
    """Events of entities 1, 2, 3, …, each parked."""
    numbers = storage.append([(entity, PLAIN) for entity in range(1, count + 1)])
    part = settlement()
    part.park += [
        park_row(i_handler, i_event, entity, **{"parked_us": BEFORE_US, **given})
        for entity, i_event in enumerate(numbers, 1)
    ]
    await storage.log.settle(part)
    return numbers


def times(storage: Storage) -> list[tuple[int, ...]]:
    return storage.all(
        "SELECT i_event, due_us, first_attempt_us, parked_us FROM parked ORDER BY i_event"
    )


async def test_every_time_of_what_is_parked_moves(storage: Storage, i_handler: int) -> None:
    [number] = await park(storage, i_handler, 1)

    await storage.log.shift_clock(i_handler, HOUR_US, [ParkedMoment(number, BEFORE_US)])

    moved_us = START_US + HOUR_US
    assert times(storage) == [(number, moved_us, moved_us, BEFORE_US + HOUR_US)]


async def test_moving_again_moves_nothing(storage: Storage, i_handler: int) -> None:
    """As one does who never heard whether the first time was stored."""
    numbers = await park(storage, i_handler, 3)
    seen = [ParkedMoment(number, BEFORE_US) for number in numbers]
    await storage.log.shift_clock(i_handler, -HOUR_US, seen)
    moved = times(storage)

    await storage.log.shift_clock(i_handler, -HOUR_US, seen)

    assert times(storage) == moved
    assert {row[3] for row in moved} == {BEFORE_US - HOUR_US}


async def test_what_waits_for_no_time_stays_without_one(storage: Storage, i_handler: int) -> None:
    [number] = await park(storage, i_handler, 1)
    storage.execute("UPDATE parked SET due_us = NULL, first_attempt_us = NULL")

    await storage.log.shift_clock(i_handler, HOUR_US, [ParkedMoment(number, BEFORE_US)])

    assert times(storage) == [(number, None, None, BEFORE_US + HOUR_US)]


async def test_another_handlers_times_stay(storage: Storage, i_handler: int) -> None:
    other = storage.add(handler_change("other"))
    [number] = await park(storage, other, 1)
    before = times(storage)

    await storage.log.shift_clock(i_handler, HOUR_US, [ParkedMoment(number, BEFORE_US)])

    assert times(storage) == before
    assert await storage.log.parked_moments(i_handler, range(LANES), 0, 0, 0) == []


async def test_what_was_parked_since_the_jump_is_so_by_the_new_clock(
    storage: Storage, i_handler: int
) -> None:
    old, new = await park(storage, i_handler, 2)
    storage.execute(f"UPDATE parked SET parked_us = {START_US} WHERE i_event = {new}")

    found = await storage.log.parked_moments(
        i_handler, range(LANES), 0, START_US - 1_000_000, START_US
    )

    assert found == [ParkedMoment(old, BEFORE_US)]


async def test_all_that_is_parked_in_some_lanes_is_found_in_portions(
    storage: Storage, i_handler: int
) -> None:
    numbers = await park(storage, i_handler, 2 * MOVED_AT_ONCE + LANES)
    lanes = range(1, LANES)
    found: list[int] = []
    while portion := await storage.log.parked_moments(
        i_handler, lanes, found[-1] if found else 0, START_US, START_US
    ):
        assert len(portion) <= MOVED_AT_ONCE
        found += [one.i_event for one in portion]

    assert found == [number for entity, number in enumerate(numbers, 1) if entity % LANES in lanes]
