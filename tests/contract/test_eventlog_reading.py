"""EventLog, reading: batches, lanes, what is parked or to be skipped, what is due."""

import sqlite3

import pytest

from engine_rig import COALESCED, FOREIGN, OTHER, PLAIN, START_US, handler_change
from espf.eventlog.model import ALL_LANES
from espf.eventlog.operations import EventFilter
from espf.eventlog.stretches import REACH
from espf.events.catalogue import coalescing_types
from storage_rig import Storage, attempt_row, moved, park_row, settlement


@pytest.fixture
def i_handler(storage: Storage) -> int:
    return storage.add(handler_change())


async def test_a_batch_holds_subscribed_events_only_and_says_how_far_it_looked(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, FOREIGN), (3, OTHER), (4, FOREIGN)])

    batch = await storage.read(i_handler, 0, 4, 10)

    assert [event.i_event for event in batch.events] == [1, 3]
    assert batch.read_to == 4


async def test_a_full_batch_looked_no_further_than_its_last_event(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, FOREIGN), (3, PLAIN), (4, PLAIN)])

    first = await storage.read(i_handler, 0, 4, 2)
    second = await storage.read(i_handler, first.read_to, 4, 2)

    assert ([event.i_event for event in first.events], first.read_to) == ([1, 3], 3)
    assert ([event.i_event for event in second.events], second.read_to) == ([4], 4)


async def test_an_event_comes_as_it_was_written(storage: Storage, i_handler: int) -> None:
    storage.append([(65, PLAIN)], '{"name": "Zoë 🚀 \\u0000"}')

    event = (await storage.read(i_handler, 0, 1, 10)).events[0]

    assert (event.entity, event.entity_id, event.lane) == ("account", 65, 1)
    assert event.variables == '{"name": "Zoë 🚀 \\u0000"}'
    assert len(event.event_time) == len("2026-01-01 00:00:00")


async def test_bytes_that_are_not_utf8_do_not_stop_the_lane(sqlite_storage: Storage) -> None:
    storage, i_handler = sqlite_storage, sqlite_storage.add(handler_change())
    storage.append([(1, PLAIN)])
    storage.execute("UPDATE event SET variables = CAST(x'7b2261223a22ff227d' AS TEXT)")
    storage.append([(2, PLAIN)])

    batch = await storage.read(i_handler, 0, 2, 10)

    assert [event.i_event for event in batch.events] == [1, 2]
    assert batch.events[0].variables == '{"a":"�"}'


async def test_a_nul_in_the_variables_does_not_stop_the_lane(sqlite_storage: Storage) -> None:
    storage, i_handler = sqlite_storage, sqlite_storage.add(handler_change())
    storage.append([(1, PLAIN), (2, PLAIN)])
    storage.execute("UPDATE event SET variables = 'a' || char(0) || 'b' WHERE i_event = 1")

    batch = await storage.read(i_handler, 0, 2, 10)

    assert [event.i_event for event in batch.events] == [1, 2]


@pytest.mark.parametrize("column", ["entity", "event_time", "i_env", "has_sim", "caused_by"])
async def test_a_shell_cannot_write_what_no_reader_can_read(
    sqlite_storage: Storage, column: str
) -> None:
    storage, i_handler = sqlite_storage, sqlite_storage.add(handler_change())
    storage.append([(1, PLAIN)])

    with pytest.raises(sqlite3.IntegrityError):
        storage.execute(f"UPDATE event SET {column} = x'ff00' WHERE i_event = 1")

    assert len((await storage.read(i_handler, 0, 1, 10)).events) == 1


async def test_a_batch_names_entities_that_have_something_parked(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (1, OTHER), (65, PLAIN)])
    part = settlement()
    part.park.append(park_row(i_handler, 1, 1))
    await storage.log.settle(part)

    assert (await storage.read(i_handler, 1, 3, 10)).parked == {("account", 1): None}


async def test_a_batch_names_events_that_an_operator_skips(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, PLAIN)])
    storage.operations.skip(EventFilter(i_events=[2]), "not wanted", START_US)

    assert (await storage.read(i_handler, 0, 2, 10)).skips == {2: "not wanted"}
    assert await storage.log.skips(i_handler, 0, 2) == {2: "not wanted"}
    assert await storage.log.skips(i_handler, 2, 9) == {}


async def test_the_standing_moves_with_events_and_with_the_configuration(
    storage: Storage, i_handler: int
) -> None:
    before = await storage.standing()
    storage.append([(1, PLAIN)])
    storage.operations.set_paused("hss", True)
    after = await storage.standing()

    assert (before.horizon, after.horizon) == (0, 1)
    assert after.config_version > before.config_version


async def test_polling_tells_of_commits_by_anyone_and_only_of_them(storage: Storage) -> None:
    await storage.log.poll()
    assert await storage.log.poll() is None
    storage.append([(1, PLAIN)])
    assert await storage.log.poll() is not None
    assert await storage.log.poll() is None


async def test_a_rolled_back_change_is_no_change(storage: Storage) -> None:
    await storage.log.poll()
    storage.execute("BEGIN")
    storage.execute("UPDATE espf_meta SET value = 9")
    storage.execute("ROLLBACK")

    assert await storage.log.poll() is None


async def test_a_handler_owns_one_cursor_per_lane_where_it_was_told_to_start(
    storage: Storage,
) -> None:
    storage.append([(1, PLAIN)] * 5)
    at_end = storage.add(handler_change("late", start=None))
    earlier = storage.add(handler_change("early", start=3))

    for i_handler, position in ((at_end, 5), (earlier, 2)):
        leases = await storage.take(i_handler, "one")
        assert [lease.lane for lease in leases] == list(range(ALL_LANES))
        assert {lease.position for lease in leases} == {position}


async def test_due_events_come_in_order_of_their_time_and_the_next_time_is_told(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, PLAIN), (3, PLAIN), (4, PLAIN)])
    part = settlement()
    part.park += [
        park_row(i_handler, 1, 1, START_US - 1, attempts=3, probes=1, coalesced=2),
        park_row(i_handler, 2, 2, START_US - 5),
        park_row(i_handler, 3, 3, START_US + 7),
        park_row(i_handler, 4, 4, START_US + 9),
    ]
    await storage.log.settle(part)

    found = await storage.due(i_handler, START_US, 10, [], early=False)
    first = await storage.due(i_handler, START_US, 1, [], early=False)
    others = await storage.due(i_handler, START_US, 10, [2], early=False)
    early = await storage.due(i_handler, START_US, 10, [], early=True)

    assert [row.event.i_event for row in found.events] == [2, 1]
    assert found.next_due_us == START_US + 7
    assert found.events[1][1:] == (3, 1, START_US - 1, START_US, 0, 2)
    assert [row.event.i_event for row in first.events] == [2]
    assert [row.event.i_event for row in others.events] == [1]
    assert [row.event.i_event for row in early.events] == [2, 1, 3, 4]


async def test_what_waits_behind_an_earlier_event_is_never_due_not_even_early(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (1, PLAIN)])
    part = settlement()
    part.park += [park_row(i_handler, 1, 1), park_row(i_handler, 2, 1)]
    await storage.log.settle(part)

    found = await storage.due(i_handler, START_US, 10, [], early=True)

    assert [row.event.i_event for row in found.events] == [1]


async def test_a_successor_is_a_later_event_of_the_same_type_and_entity(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, COALESCED), (2, COALESCED), (1, COALESCED), (1, COALESCED)])
    first = (await storage.read(i_handler, 0, 4, 10)).events[0]

    assert await storage.log.successor(first, 4) == 3
    assert await storage.log.successor(first, 2) is None


async def test_every_coalescing_type_of_the_catalogue_has_successors(storage: Storage) -> None:
    types = sorted(coalescing_types())
    assert len(types) == 11
    i_handler = storage.add(handler_change(types=types))
    storage.append([(1, name) for name in types] * 2)

    events = (await storage.read(i_handler, 0, 22, 11)).events

    assert [await storage.log.successor(event, 22) for event in events] == list(range(12, 23))


async def test_settled_and_parked_events_above_the_cursor_are_known_after_a_restart(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(number, PLAIN) for number in range(1, 8)])
    leases = await storage.take(i_handler, "one")
    part = settlement()
    part.positions.append(moved(i_handler, leases[1], 1))
    part.attempts += [
        attempt_row(i_handler, 1),
        attempt_row(i_handler, 3),
        attempt_row(i_handler, 4, "failed", "rejected"),
        attempt_row(i_handler, 5, "skipped", "skipped"),
        attempt_row(i_handler, 6, "retry", "retry"),
    ]
    part.park.append(park_row(i_handler, 7, 7))
    await storage.log.settle(part)

    assert await storage.log.settled_above(i_handler, [leases[1]._replace(position=1)]) == {3, 4, 5}


async def test_what_is_settled_is_known_of_lanes_that_stand_far_apart(
    storage: Storage, i_handler: int
) -> None:
    leases = await storage.take(i_handler, "one")
    part = settlement()
    part.positions.append(moved(i_handler, leases[1], 1))
    there = {6, 1_000_005, 9_000_007}
    part.attempts += [attempt_row(i_handler, n) for n in (5, *there, 9_000_006 + REACH)]
    await storage.log.settle(part)
    far = [
        leases[lane]._replace(position=position)
        for lane, position in ((3, 5), (1, 9_000_005), (2, 1_000_000))
    ]

    assert await storage.log.settled_above(i_handler, far) == there


async def test_a_batch_says_which_of_its_events_are_parked_themselves(
    storage: Storage, i_handler: int
) -> None:
    numbers = storage.append([(1, PLAIN), (2, PLAIN), (1, PLAIN), (1, PLAIN)])
    leases = await storage.take(i_handler, "one")
    part = settlement()
    part.positions.append(moved(i_handler, leases[1], 0))
    part.park += [park_row(i_handler, 3, 1), park_row(i_handler, 4, 1)]
    await storage.log.settle(part)

    batch = await storage.read(i_handler, 0, 4, 3)

    assert [event.i_event for event in batch.events] == numbers[:3]
    assert batch.already_parked == {3}
