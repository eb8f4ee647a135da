"""EventLog, settling: all or nothing, fences, parking, tokens."""

import sqlite3

import pytest

from engine_rig import OTHER, PLAIN, START_US, handler_change
from espf.errors import LeaseLost, StorageError
from espf.eventlog.model import HandlerState
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
    leases = await storage.log.take_lanes(i_handler, "one")
    state = HandlerState("open", START_US, "dead", 5, START_US)
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 1))
    part.park.append(park_row(i_handler, 2, 2))
    part.positions.append(moved(i_handler, leases[1], 1))
    part.states.append((i_handler, state))

    await storage.log.settle(part)

    assert storage.all("SELECT i_event, status, instance FROM attempt") == [(1, "finished", "one")]
    assert storage.parked() == {2: START_US}
    assert storage.all("SELECT position FROM lane_cursor WHERE lane = 1") == [(1,)]
    assert await storage.log.state(i_handler) == state


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
    leases = await storage.log.take_lanes(i_handler, "one")
    before = everything(storage)
    part = settlement()
    part.positions.append(moved(i_handler, leases[1], 1))
    part.attempts.append(attempt_row(i_handler, 1))
    part.park += [park_row(i_handler, 2, 2), park_row(i_handler, 2, 2)]

    with pytest.raises(StorageError):
        await storage.log.settle(part)

    assert everything(storage) == before
    part.park.pop()
    await storage.log.settle(part)
    assert storage.parked() == {2: START_US}


async def test_a_full_disk_leaves_nothing_and_the_same_settlement_works_later(
    storage: Storage, i_handler: int
) -> None:
    leases = await storage.log.take_lanes(i_handler, "one")
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
    leases = await storage.log.take_lanes(i_handler, "one")
    await storage.log.take_lanes(i_handler, "two")
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
    leases = await storage.log.take_lanes(i_handler, "one")
    storage.shell.execute("UPDATE lane_cursor SET fence = fence + 1 WHERE lane = 5")
    part = settlement("one")
    part.positions += [moved(i_handler, leases[lane], 9) for lane in (4, 5, 6)]

    with pytest.raises(LeaseLost):
        await storage.log.settle(part)

    assert storage.all("SELECT max(position) FROM lane_cursor") == [(0,)]


async def test_the_newest_owner_may_settle_after_taking_over(
    storage: Storage, i_handler: int
) -> None:
    await storage.log.take_lanes(i_handler, "one")
    leases = await storage.log.take_lanes(i_handler, "two")
    part = settlement("two")
    part.positions.append(moved(i_handler, leases[0], 3))

    await storage.log.settle(part)

    assert {lease.position for lease in await storage.log.take_lanes(i_handler, "two")} == {0, 3}


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

    await storage.log.take_lanes(i_handler, "one")

    assert storage.parked() == {1: storage.clock.now_us(), 2: None, 3: START_US + 9}
    assert storage.all("SELECT sum(in_progress) FROM parked") == [(0,)]


async def test_one_cut_short_behind_an_earlier_one_sent_again_becomes_due_after_it(
    storage: Storage, i_handler: int
) -> None:
    part = settlement()
    part.park += [park_row(i_handler, 1, 1), park_row(i_handler, 2, 1, None, in_progress=1)]
    await storage.log.settle(part)
    await storage.log.take_lanes(i_handler, "one")
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


# ---- the bucket ----


async def draw(storage: Storage, i_handler: int, wanted: float, after_us: int) -> float:
    return await storage.log.draw_tokens(i_handler, wanted, 10, 5, START_US + after_us)


async def test_a_new_bucket_is_full_and_refills_at_its_rate(
    storage: Storage, i_handler: int
) -> None:
    assert await draw(storage, i_handler, 8, 0) == 5
    assert await draw(storage, i_handler, 8, 0) == 0
    assert await draw(storage, i_handler, 8, 200_000) == pytest.approx(2)
    assert await draw(storage, i_handler, 8, 90_000_000) == 5


async def test_a_restart_does_not_refill_the_bucket(storage: Storage, i_handler: int) -> None:
    await draw(storage, i_handler, 5, 0)
    another = storage.another_log()
    given = await another.draw_tokens(i_handler, 5, 10, 5, START_US)
    await another.close()

    assert given == 0


async def test_a_clock_set_back_makes_no_debt_and_no_tokens(
    storage: Storage, i_handler: int
) -> None:
    await draw(storage, i_handler, 5, 0)
    assert await draw(storage, i_handler, 5, -3_600_000_000) == 0
    assert await draw(storage, i_handler, 5, -3_600_000_000 + 100_000) == pytest.approx(1)


async def test_buckets_of_two_handlers_are_apart(storage: Storage, i_handler: int) -> None:
    other = storage.add(handler_change("other", (OTHER,)))
    await draw(storage, i_handler, 5, 0)
    assert await draw(storage, other, 5, 0) == 5
