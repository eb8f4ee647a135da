"""Replay: a handler is set back, and what it had is sent again; what was passed by is known."""

import pytest

from engine_rig import FOREIGN, OTHER, PLAIN, START_US, handler_change
from espf.errors import ConfigError, LeaseLost
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.operations import EventFilter, PassedBy
from storage_rig import Storage, attempt_row, moved, park_row, settlement


@pytest.fixture
def i_handler(storage: Storage) -> int:
    return storage.add(handler_change())


async def finish(storage: Storage, i_handler: int, count: int) -> None:
    """So many events of entities 1 to 3 in turn, delivered, and the cursors behind them."""
    storage.append([(1 + number % 3, PLAIN) for number in range(count)])
    part = settlement()
    part.attempts += [attempt_row(i_handler, number) for number in range(1, count + 1)]
    await storage.log.settle(part)
    storage.execute(f"UPDATE lane_cursor SET position = {count}")


def statuses(storage: Storage) -> dict[int, str]:
    return {one.event.i_event: one.status for one in storage.operations.newer(EventFilter(), 0, 99)}


async def test_everything_from_there_on_is_queued_until_it_is_sent_again(
    storage: Storage, i_handler: int
) -> None:
    await finish(storage, i_handler, 6)

    assert storage.operations.replay("hss", 4)

    assert statuses(storage) == {
        1: "finished", 2: "finished", 3: "finished", 4: "queued", 5: "queued", 6: "queued",
    }  # fmt: skip
    (fourth,) = storage.operations.events(EventFilter(i_events=[4]), 9)
    assert (fourth.attempts, fourth.outcome) == (0, None), "it is told as if never tried"
    leases = await storage.take(i_handler, "one")
    assert {lease.position for lease in leases} == {3}
    assert await storage.log.settled_above(i_handler, leases) == frozenset()
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 4))
    await storage.log.settle(part)
    assert statuses(storage)[4] == "finished"
    assert await storage.log.settled_above(i_handler, leases) == {4}


async def test_an_owner_can_no_longer_settle_what_it_had_in_memory(
    storage: Storage, i_handler: int
) -> None:
    await finish(storage, i_handler, 6)
    leases = await storage.take(i_handler, "one")
    before = (await storage.standing()).config_version

    storage.operations.replay("hss", 4)

    part = settlement()
    part.attempts.append(attempt_row(i_handler, 7))
    part.positions.append(moved(i_handler, leases[1], 7))
    with pytest.raises(LeaseLost):
        await storage.log.settle(part)
    assert (await storage.standing()).config_version > before
    assert storage.all("SELECT count(*) FROM attempt WHERE i_event = 7") == [(0,)]


async def test_cursors_that_are_further_back_stay_there(storage: Storage, i_handler: int) -> None:
    await finish(storage, i_handler, 6)
    storage.execute("UPDATE lane_cursor SET position = 2 WHERE lane = 1")

    storage.operations.replay("hss", 5)

    question = "SELECT lane = 1, position FROM lane_cursor GROUP BY 1, 2 ORDER BY 2"
    assert [position for _, position in storage.all(question)] == [2, 4]


async def test_what_is_parked_from_there_on_is_read_from_its_lane_again(
    storage: Storage, i_handler: int
) -> None:
    await finish(storage, i_handler, 6)
    part = settlement()
    part.park += [park_row(i_handler, number, 1 + (number - 1) % 3) for number in (2, 4, 5)]
    await storage.log.settle(part)

    storage.operations.replay("hss", 4)

    assert list(storage.parked()) == [2]
    assert statuses(storage)[4] == "queued"


async def test_what_is_parked_of_a_type_no_longer_wanted_stays_and_is_due(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (1, OTHER), (1, OTHER)])
    part = settlement()
    part.park += [park_row(i_handler, number, 1) for number in (1, 2, 3)]
    await storage.log.settle(part)
    storage.execute("UPDATE lane_cursor SET position = 3")
    storage.operations.apply([handler_change(types=(PLAIN,))])
    assert storage.parked()[2] is None

    storage.operations.replay("hss", 1)

    due = storage.parked()
    assert list(due) == [2, 3]
    assert due[2] is not None, "nothing of its entity is parked before it any more"
    assert due[3] is None


async def test_an_old_wish_to_skip_does_not_meet_the_replay_and_a_fresh_one_does(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN)] * 2)
    storage.operations.skip(EventFilter(), "not wanted", START_US)
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 1))
    await storage.log.settle(part)
    storage.execute("UPDATE lane_cursor SET position = 1")

    storage.operations.replay("hss", 1)

    assert storage.all("SELECT i_event FROM skip_request") == [(2,)]


async def test_there_is_nothing_to_replay_where_all_of_it_waits_already(
    storage: Storage, i_handler: int
) -> None:
    await finish(storage, i_handler, 3)
    storage.append([(1, PLAIN)])

    assert not storage.operations.replay("hss", 4)
    assert storage.all("SELECT DISTINCT fence, position FROM lane_cursor") == [(0, 3)]
    assert storage.all("SELECT replayed FROM handler_state") == [(0,)]


async def test_a_plan_counts_by_type_whatever_the_blocks_say(
    storage: Storage, i_handler: int
) -> None:
    for start in range(0, 10_000, 2500):
        storage.append(
            [(number, PLAIN if number % 4 else FOREIGN) for number in range(start, start + 2500)]
        )
    storage.append([(1, OTHER)])
    session = open_session(storage.url)
    for _ in range(2):
        for first in (1, 4095, 4096, 4097, 9000, 10_001):
            plan = storage.operations.would_replay("hss", first)
            expected = dict(
                storage.all(
                    "SELECT event_type, count(*) FROM event WHERE event_type"
                    f" <> '{FOREIGN}' AND i_event >= {first} GROUP BY event_type"
                )
            )
            assert (plan.first, plan.oldest, plan.by_type) == (first, 1, expected)
        note_blocks(session, session.end_of_log())
    session.close()
    assert storage.operations.would_replay("hss", 10_002).first is None


async def test_a_time_is_turned_into_the_first_event_since(
    storage: Storage, i_handler: int
) -> None:
    await finish(storage, i_handler, 6)
    for number in range(1, 7):
        storage.execute(
            f"UPDATE event SET event_time = '2026-01-0{number} 00:00:00' WHERE i_event = {number}"
        )

    def first(day: int) -> int | None:
        since_us = (1_767_225_600 + (day - 1) * 86_400) * 1_000_000
        return storage.operations.would_replay("hss", since_us=since_us).first

    assert [first(day) for day in (1, 4, 6)] == [1, 4, 6]
    assert first(7) is None


def test_an_unknown_handler_is_answered_with_the_nearest_name(
    storage: Storage, i_handler: int
) -> None:
    for act in (
        lambda: storage.operations.replay("hsss", 1),
        lambda: storage.operations.would_replay("hsss", 1),
        lambda: storage.operations.passed_by("hsss"),
    ):
        with pytest.raises(ConfigError, match='Did you mean "hss"'):
            act()


# ---- events for a disabled handler ----


async def test_what_a_handler_passes_by_is_counted_and_shown_with_the_reason(
    storage: Storage,
) -> None:
    i_handler = storage.add(handler_change(keep_events=False))
    storage.add(handler_change("other"))
    storage.append([(1, PLAIN), (1, FOREIGN), (2, PLAIN)])
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 1))
    await storage.log.settle(part)
    storage.operations.set_enabled("hss", False)
    storage.append([(3, PLAIN)])

    assert storage.operations.passed_by("hss") == []
    storage.operations.set_enabled("hss", True)
    storage.append([(4, PLAIN)])

    (passed,) = storage.operations.passed_by("hss")
    assert (passed.after, passed.upto, passed.events) == (0, 4, 2)
    found = storage.operations.newer(EventFilter(handler="hss"), 0, 9)
    assert [(one.event.i_event, one.status) for one in found] == [
        (1, "finished"), (3, "skipped"), (4, "skipped"), (5, "queued"),
    ]  # fmt: skip
    assert found[1].reason == passed.reason
    assert "disabled" in passed.reason
    skipped = storage.operations.events(EventFilter(statuses=["skipped"]), 9)
    assert [one.event.i_event for one in skipped] == [4, 3]


async def test_what_was_passed_by_is_sent_by_a_replay(storage: Storage) -> None:
    storage.add(handler_change(keep_events=False))
    storage.append([(1, PLAIN)] * 4)
    storage.operations.set_enabled("hss", False)
    storage.operations.set_enabled("hss", True)
    (passed,) = storage.operations.passed_by("hss")

    assert storage.operations.replay("hss", 3)

    assert statuses(storage) == {1: "skipped", 2: "skipped", 3: "queued", 4: "queued"}
    assert storage.operations.passed_by("hss") == [
        PassedBy(0, 2, passed.events, passed.at_us, passed.reason)
    ]
    assert storage.operations.replay("hss", 1)
    assert storage.operations.passed_by("hss") == []


async def test_a_handler_that_keeps_its_events_passes_none_by(storage: Storage) -> None:
    storage.add(handler_change(keep_events=True))
    storage.append([(1, PLAIN)])
    storage.operations.set_enabled("hss", False)
    storage.append([(2, PLAIN)])
    storage.operations.set_enabled("hss", True)

    assert storage.operations.passed_by("hss") == []
    assert statuses(storage) == {1: "queued", 2: "queued"}


async def test_a_single_one_that_was_passed_by_is_sent_again_by_hand(storage: Storage) -> None:
    storage.add(handler_change(keep_events=False))
    storage.append([(1, PLAIN)] * 2)
    storage.operations.set_enabled("hss", False)
    storage.operations.set_enabled("hss", True)

    assert storage.operations.retry(EventFilter(i_events=[2]), START_US) == 1
    assert statuses(storage) == {1: "skipped", 2: "queued"}
