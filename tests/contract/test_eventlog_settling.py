"""EventLog, settling: all or nothing, fences, parking, tokens."""

import sqlite3
from typing import Any

import pytest

from engine_rig import OTHER, PLAIN, START_US, handler_change
from espf.errors import LeaseLost, StorageError, StorageRefused
from espf.eventlog.model import BreakerMove, HandlerState, TokenWish
from storage_rig import Storage, attempt_row, moved, park_row, settlement, unpark_row


@pytest.fixture
def i_handler(storage: Storage) -> int:
    return storage.add(handler_change())


def everything(storage: Storage) -> list[object]:
    return [
        storage.all(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        for table in ("attempt", "parked", "lane_cursor", "handler_state", "skip_request")
    ]


async def test_a_settlement_records_attempts_parking_cursors_and_state(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, PLAIN)])
    leases = await storage.take(i_handler, "one")
    opened = BreakerMove(i_handler, "open", START_US, "dead")
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 1))
    part.park.append(park_row(i_handler, 2, 2))
    part.positions.append(moved(i_handler, leases[1], 1))
    part.breakers.append(opened)

    await storage.log.settle(part)

    assert storage.all("SELECT i_event, status, instance FROM attempt") == [(1, "finished", "one")]
    assert storage.parked() == {2: START_US}
    assert storage.all("SELECT position FROM lane_cursor WHERE lane = 1") == [(1,)]
    state = await storage.log.state(i_handler)
    assert state == HandlerState("open", START_US, "dead", 0, START_US)


@pytest.mark.parametrize("number", [1, 4, 5, 15, 16, 21, 63, 64, 85, 255, 256, 341, 700])
async def test_any_number_of_attempts_is_recorded_in_order(
    storage: Storage, i_handler: int, number: int
) -> None:
    part = settlement()
    part.attempts += [attempt_row(i_handler, i_event) for i_event in range(1, number + 1)]

    await storage.log.settle(part)

    found = storage.all("SELECT i_event FROM attempt ORDER BY i_attempt")
    assert found == [(i_event,) for i_event in range(1, number + 1)]


async def test_a_settlement_that_fails_half_way_leaves_nothing(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, PLAIN)])
    leases = await storage.take(i_handler, "one")
    before = everything(storage)
    part = settlement()
    part.positions.append(moved(i_handler, leases[1], 1))
    part.attempts.append(attempt_row(i_handler, 1))
    nowhere: Any = None
    part.park += [park_row(i_handler, 2, 2), park_row(i_handler, 3, 3)._replace(lane=nowhere)]

    with pytest.raises(StorageRefused):
        await storage.log.settle(part)

    assert everything(storage) == before
    part.park.pop()
    await storage.log.settle(part)
    assert storage.parked() == {2: START_US}


async def test_an_event_that_is_parked_already_stays_as_it_is(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(2, PLAIN), (2, PLAIN)])
    await storage.take(i_handler, "one")
    part = settlement()
    part.park.append(park_row(i_handler, 1, 2))
    await storage.log.settle(part)
    part.park = [park_row(i_handler, 1, 2, due_us=START_US + 5), park_row(i_handler, 2, 2)]
    await storage.log.settle(part)

    assert storage.parked() == {1: START_US, 2: None}


async def test_a_full_disk_leaves_nothing_and_the_same_settlement_works_later(
    sqlite_storage: Storage,
) -> None:
    storage, i_handler = sqlite_storage, sqlite_storage.add(handler_change())
    leases = await storage.take(i_handler, "one")
    before = everything(storage)
    part = settlement()
    part.positions.append(moved(i_handler, leases[1], 1))
    part.attempts += [attempt_row(i_handler, n, answer="x" * 4096) for n in range(1, 300)]
    writer: sqlite3.Connection = storage.log._writer.connection  # type: ignore[attr-defined]
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 10}")

    with pytest.raises(StorageError, match="disk is full"):
        await storage.log.settle(part)

    assert everything(storage) == before
    writer.execute("PRAGMA max_page_count = 1000000")
    await storage.log.settle(part)
    assert storage.all("SELECT count(*) FROM attempt") == [(299,)]


async def test_a_foreign_fence_loses_the_lease_and_records_nothing(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN)])
    leases = await storage.take(i_handler, "one")
    await storage.take(i_handler, "two")
    before = everything(storage)
    part = settlement("one")
    part.attempts.append(attempt_row(i_handler, 1))
    part.positions.append(moved(i_handler, leases[1], 1))

    with pytest.raises(LeaseLost, match="one"):
        await storage.log.settle(part)

    assert everything(storage) == before


async def test_one_foreign_lane_among_good_ones_refuses_all(
    storage: Storage, i_handler: int
) -> None:
    leases = await storage.take(i_handler, "one")
    storage.execute("UPDATE lane_cursor SET fence = fence + 1 WHERE lane = 5")
    part = settlement("one")
    part.positions += [moved(i_handler, leases[lane], 9) for lane in (4, 5, 6)]

    with pytest.raises(LeaseLost):
        await storage.log.settle(part)

    assert storage.all("SELECT max(position) FROM lane_cursor") == [(0,)]


async def test_the_newest_owner_may_settle_after_taking_over(
    storage: Storage, i_handler: int
) -> None:
    await storage.take(i_handler, "one")
    leases = await storage.take(i_handler, "two")
    part = settlement("two")
    part.positions.append(moved(i_handler, leases[0], 3))

    await storage.log.settle(part)

    assert {lease.position for lease in await storage.take(i_handler, "two")} == {0, 3}


# ---- parking ----


async def test_later_events_of_an_entity_wait_behind_the_first_parked(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [park_row(i_handler, n, entity) for n, entity in ((1, 1), (2, 1), (3, 65), (4, 1))]
    await storage.log.settle(part)

    assert storage.parked() == {1: START_US, 2: None, 3: START_US, 4: None}


async def test_settling_a_parked_event_makes_the_next_of_its_entity_due(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [park_row(i_handler, n, 1) for n in (1, 2, 3)]
    await storage.log.settle(part)

    part = settlement(at_us=START_US + 50)
    part.unpark.append(unpark_row(i_handler, 1, 1))
    await storage.log.settle(part)

    assert storage.parked() == {2: START_US + 50, 3: None}


async def test_an_event_parked_as_its_predecessor_is_settled_is_due_itself(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park.append(park_row(i_handler, 1, 1))
    await storage.log.settle(part)

    part = settlement()
    part.unpark.append(unpark_row(i_handler, 1, 1))
    part.park.append(park_row(i_handler, 2, 1))
    await storage.log.settle(part)

    assert storage.parked() == {2: START_US}


async def test_an_event_in_progress_is_not_made_due_by_another(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [
        park_row(i_handler, 1, 1),
        park_row(i_handler, 2, 1, None, in_progress=1),
        park_row(i_handler, 3, 1),
    ]
    await storage.log.settle(part)
    part = settlement()
    part.unpark.append(unpark_row(i_handler, 1, 1))
    await storage.log.settle(part)

    assert storage.parked() == {2: None, 3: None}


async def test_a_repark_changes_the_row_and_one_that_an_operator_took_away_stays_away(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park.append(park_row(i_handler, 1, 1))
    await storage.log.settle(part)
    part = settlement()
    part.repark += [
        park_row(i_handler, 1, 1, START_US + 9, attempts=2),
        park_row(i_handler, 2, 2, START_US + 9, attempts=2),
    ]
    await storage.log.settle(part)

    assert storage.parked() == {1: START_US + 9}
    assert storage.all("SELECT attempts FROM parked") == [(2,)]


async def test_attempts_that_a_crash_cut_short_are_due_when_the_lanes_are_taken(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [
        park_row(i_handler, 1, 1, None, in_progress=1),
        park_row(i_handler, 2, 1),
        park_row(i_handler, 3, 65, START_US + 9),
    ]
    await storage.log.settle(part)

    await storage.take(i_handler, "one")

    assert storage.parked() == {1: storage.clock.now_us(), 2: None, 3: START_US + 9}
    assert storage.all("SELECT sum(in_progress) FROM parked") == [(0,)]


async def test_one_cut_short_behind_an_earlier_one_sent_again_becomes_due_after_it(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [park_row(i_handler, 1, 1), park_row(i_handler, 2, 1, None, in_progress=1)]
    await storage.log.settle(part)
    await storage.take(i_handler, "one")
    part = settlement(at_us=START_US + 5)
    part.unpark.append(unpark_row(i_handler, 1, 1))
    await storage.log.settle(part)

    assert storage.parked() == {2: START_US + 5}


async def test_what_an_outage_parked_is_released_and_nothing_else(
    storage: Storage, i_handler: int
) -> None:
    other = storage.add(handler_change("other"))
    part = settlement()
    later = START_US + 60_000_000
    part.park += [
        park_row(i_handler, 1, 1, later, parked_us=START_US + 10),
        park_row(i_handler, 2, 2, later, parked_us=START_US - 10),
        park_row(i_handler, 3, 1, later, parked_us=START_US + 10),
        park_row(other, 1, 1, later, parked_us=START_US + 10),
    ]
    await storage.log.settle(part)
    part = settlement(at_us=START_US + 20)
    part.release.append((i_handler, START_US))
    await storage.log.settle(part)

    found = storage.all("SELECT i_handler, i_event, due_us FROM parked ORDER BY 1, 2")
    assert found == [
        (i_handler, 1, START_US + 20),
        (i_handler, 2, later),
        (i_handler, 3, None),
        (other, 1, later),
    ]


async def test_what_was_sent_again_by_hand_waits_behind_an_earlier_one_that_parks(
    storage: Storage, i_handler: int
) -> None:
    """An operator had the second sent again while the first was still in its lane."""
    part = settlement()
    part.park += [park_row(i_handler, 2, 1), park_row(i_handler, 3, 65)]
    await storage.log.settle(part)
    part = settlement(at_us=START_US + 5)
    part.park.append(park_row(i_handler, 1, 1, START_US + 9))
    await storage.log.settle(part)

    assert storage.parked() == {1: START_US + 9, 2: None, 3: START_US}


async def test_two_handlers_park_the_same_event_each_for_itself(
    storage: Storage, i_handler: int
) -> None:
    other = storage.add(handler_change("other"))
    part = settlement()
    part.park += [park_row(i_handler, 1, 1), park_row(other, 2, 1)]
    await storage.log.settle(part)

    assert storage.parked() == {1: START_US, 2: START_US}


async def test_entities_of_different_kinds_with_the_same_key_do_not_wait_for_each_other(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [park_row(i_handler, 1, 1), park_row(i_handler, 2, 1, entity="customer")]
    await storage.log.settle(part)

    assert storage.parked() == {1: START_US, 2: START_US}


# ---- breakers ----


async def test_of_two_instances_that_open_a_breaker_the_first_counts(
    storage: Storage, i_handler: int
) -> None:
    for since_us, at_us in ((START_US, START_US + 10), (START_US - 99, START_US + 30)):
        part = settlement(at_us=at_us)
        part.breakers.append(BreakerMove(i_handler, "open", since_us, f"dead since {since_us}"))
        await storage.log.settle(part)

    state = await storage.log.state(i_handler)
    assert (state.since_us, state.stopped_since_us) == (START_US, START_US + 10)


async def test_a_closed_breaker_leaves_the_time_it_was_open(
    storage: Storage, i_handler: int
) -> None:
    for breaker, at_us in (("open", 0), ("closed", 70), ("closed", 90)):
        part = settlement(at_us=START_US + at_us)
        part.breakers.append(BreakerMove(i_handler, breaker, START_US, "dead"))  # type: ignore[arg-type]
        await storage.log.settle(part)

    assert await storage.log.state(i_handler) == HandlerState("closed", None, None, 70, None)


async def test_a_pause_counts_as_stopped_and_outlives_an_outage(
    storage: Storage, i_handler: int
) -> None:
    paused_us = storage.clock.now_us()
    storage.operations.set_paused("hss", True)
    for breaker, at_us in (("open", 10), ("closed", 70)):
        part = settlement(at_us=paused_us + at_us)
        part.breakers.append(BreakerMove(i_handler, breaker, paused_us, "dead"))  # type: ignore[arg-type]
        await storage.log.settle(part)
    assert (await storage.log.state(i_handler)).stopped_since_us == paused_us
    storage.clock.advance(5)
    storage.operations.set_paused("hss", False)

    assert await storage.log.state(i_handler) == HandlerState("closed", None, None, 5_000_000, None)


async def test_a_breaker_that_moves_and_a_probe_that_is_claimed_are_told_to_everybody(
    storage: Storage, i_handler: int
) -> None:
    before = await storage.standing()
    part = settlement()
    part.breakers.append(BreakerMove(i_handler, "open", START_US, "dead"))
    await storage.log.settle(part)
    between = await storage.standing()
    assert await storage.log.claim_probe(i_handler, 0)
    after = await storage.standing()

    assert before.state_version < between.state_version < after.state_version


async def test_a_probe_is_claimed_once(storage: Storage, i_handler: int) -> None:
    another = storage.another_log()
    assert await storage.log.claim_probe(i_handler, 0)
    assert not await another.claim_probe(i_handler, 0)
    assert await another.claim_probe(i_handler, 1)
    await another.close()


# ---- the bucket ----


def wish(wanted: float, returned: float = 0) -> TokenWish:
    """A bucket of five that refills in the course of a day."""
    return TokenWish(wanted, returned, 0.0001, 5)


async def test_a_bucket_is_stored_and_a_restart_does_not_refill_it(
    storage: Storage, i_handler: int
) -> None:
    another = storage.another_log()
    assert (await storage.log.draw_tokens(i_handler, wish(3), START_US)).tokens == 3
    assert (await another.draw_tokens(i_handler, wish(3), START_US)).tokens == 2
    assert (await storage.log.draw_tokens(i_handler, wish(1), START_US)).tokens == 0
    assert (await another.draw_tokens(i_handler, wish(3, returned=2), START_US)).tokens == 2
    await another.close()


async def test_buckets_of_two_handlers_are_apart(storage: Storage, i_handler: int) -> None:
    other = storage.add(handler_change("other", (OTHER,)))
    await storage.log.draw_tokens(i_handler, wish(5), START_US)
    assert (await storage.log.draw_tokens(other, wish(5), START_US)).tokens == 5
