"""Housekeeping: how long things stay, what ends for having waited, and nobody is held up."""

import threading
import time
from collections.abc import Iterator

import pytest
import structlog

from engine_rig import FOREIGN, PLAIN, START_US, handler_change
from espf.clock import utc_text
from espf.errors import LeaseLost
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping import pace
from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.housekeeping.expiring import Expiry
from espf.eventlog.housekeeping.keeping import keep_house
from espf.eventlog.housekeeping.model import DAY_US, Report, Retention
from espf.eventlog.housekeeping.sweeping import Sweep
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import EventFilter
from storage_rig import Storage, attempt_row, moved, park_row, settlement

NOW_US = START_US
LONGEST_WAIT_S = 1.0


@pytest.fixture
def session(storage: Storage) -> Iterator[Session]:
    made = open_session(storage.url)
    yield made
    made.close()


@pytest.fixture
def i_handler(storage: Storage) -> int:
    return storage.add(handler_change())


def append(storage: Storage, days_ago: float, *entities: int, event_type: str = PLAIN) -> list[int]:
    """An event of each entity, of that age."""
    numbers = storage.append([(entity, event_type) for entity in entities])
    moment = utc_text(NOW_US - int(days_ago * DAY_US))
    storage.execute(
        f"UPDATE event SET event_time = '{moment}'"
        f" WHERE i_event BETWEEN {numbers[0]} AND {numbers[-1]}"
    )
    return numbers


def settle(storage: Storage, i_handler: int, status: str, *numbers: int) -> None:
    """They ended so when they happened, and the cursors are behind them."""
    for number in numbers:
        storage.execute(
            "INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us,"
            f" duration_us, request, answer, instance) VALUES ({i_handler}, {number}, 1,"
            f" 'delivered', '{status}', 1, 1, '', '', '')"
        )
    storage.execute(
        f"UPDATE lane_cursor SET position = {max(numbers)} WHERE i_handler = {i_handler}"
        f" AND position < {max(numbers)}"
    )


def keep(session: Session, now_us: int = NOW_US, **days: int) -> Report:
    whole = Report()
    while report := keep_house(session, Retention(**days), now_us):
        whole.add(report)
        if not report.more:
            break
    return whole


def events(storage: Storage) -> list[int]:
    return [number for (number,) in storage.all("SELECT i_event FROM event ORDER BY i_event")]


# ---- how long ----


def test_each_status_has_its_days(storage: Storage, session: Session, i_handler: int) -> None:
    kept: dict[str, int] = {}
    for status, days in (("finished", 10), ("failed", 20), ("skipped", 30)):
        over, within = append(storage, days + 0.1, 1)[0], append(storage, days - 0.1, 1)[0]
        settle(storage, i_handler, status, over)
        settle(storage, i_handler, status, within)
        kept[status] = within

    report = keep(session, finished_days=10, failed_days=20, skipped_days=30)

    assert events(storage) == sorted(kept.values())
    assert (report.events, report.attempts) == (3, 3)


def test_an_event_stays_for_who_needs_it_longest(
    storage: Storage, session: Session, i_handler: int
) -> None:
    other = storage.add(handler_change("other"))
    (number,) = append(storage, 15, 1)
    settle(storage, i_handler, "finished", number)
    settle(storage, other, "failed", number)

    keep(session, finished_days=10, failed_days=20)

    assert events(storage) == [number]
    assert storage.all("SELECT i_handler FROM attempt") == [(other,)]
    keep(session, NOW_US + 6 * DAY_US, finished_days=10, failed_days=20)
    assert events(storage) == []


def test_what_was_settled_lately_stays_for_a_week(
    storage: Storage, session: Session, i_handler: int
) -> None:
    (number,) = append(storage, 200, 1)
    settle(storage, i_handler, "failed", number)
    storage.execute(f"UPDATE attempt SET started_us = {NOW_US}")

    keep(session)
    assert events(storage) == [number]
    keep(session, NOW_US + 7 * DAY_US)
    assert events(storage) == []


def test_what_held_an_event_up_is_looked_at_again_the_next_day(
    storage: Storage, session: Session, i_handler: int
) -> None:
    first, second = append(storage, 91, 1, 2)
    settle(storage, i_handler, "finished", second)
    storage.execute(f"UPDATE lane_cursor SET position = {first - 1} WHERE lane = 1")
    keep(session, max_backlog_days=1000)
    assert events(storage) == [first]

    settle(storage, i_handler, "finished", first)

    keep(session, NOW_US + DAY_US, max_backlog_days=1000)
    assert events(storage) == []


def test_a_disabled_handler_that_keeps_no_events_holds_none_back(
    storage: Storage, session: Session
) -> None:
    storage.add(handler_change("gone", keep_events=False))
    storage.add(handler_change("waits", keep_events=True))
    numbers = append(storage, 91, 1, 2)
    part = park_row(1, numbers[0], 1)
    storage.execute(
        "INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts, parked_us)"
        f" VALUES (1, {part.i_event}, 'account', 1, 1, 1, 1)"
    )
    storage.operations.set_enabled("gone", False)
    storage.operations.set_enabled("waits", False)

    keep(session, max_backlog_days=1000)
    assert events(storage) == numbers, "the other one waits for them"
    storage.operations.apply([handler_change("waits", enabled=False, keep_events=False)])
    keep(session, NOW_US + DAY_US, max_backlog_days=1000)

    assert events(storage) == []
    assert storage.parked() == {}


def test_attempts_of_a_handler_that_is_gone_go_with_their_event(
    storage: Storage, session: Session, i_handler: int
) -> None:
    numbers = append(storage, 91, 1, 2)
    settle(storage, i_handler, "finished", *numbers)
    storage.execute(f"UPDATE attempt SET i_handler = 77 WHERE i_event = {numbers[0]}")

    keep(session)

    assert storage.all("SELECT count(*) FROM attempt") == [(0,)]


def test_events_that_are_nothing_to_anybody_go_as_well(
    storage: Storage, session: Session, i_handler: int
) -> None:
    append(storage, 91, 1, event_type=FOREIGN)
    young = append(storage, 89, 1, event_type=FOREIGN)
    keep(session)
    assert events(storage) == young


def test_a_year_leaves_no_more_than_its_last_days(
    storage: Storage, session: Session, i_handler: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "PAUSE_S", 0)
    sizes = []
    for day in range(0, 370, 10):
        moment = utc_text(NOW_US + day * DAY_US)
        numbers = storage.append([(number, PLAIN) for number in range(200)])
        storage.execute(f"UPDATE event SET event_time = '{moment}' WHERE i_event >= {numbers[0]}")
        storage.execute(
            "INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us,"
            f" duration_us, request, answer, instance) SELECT {i_handler}, i_event, 1, 'delivered',"
            f" 'finished', {NOW_US + day * DAY_US}, 1, '', '', '' FROM event"
            f" WHERE i_event >= {numbers[0]}"
        )
        storage.execute(f"UPDATE lane_cursor SET position = {numbers[-1]}")
        keep(session, NOW_US + day * DAY_US + 1, finished_days=30)
        sizes.append(
            storage.all(
                "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM attempt),"
                " (SELECT count(*) FROM event_block), (SELECT count(*) FROM event_block_count)"
            )[0]
        )
    assert max(sizes[5:]) <= (600, 600, 3, 6)
    assert sizes[-1] == sizes[len(sizes) // 2] or sizes[-1][:2] == (600, 600)
    if storage.url.engine == "sqlite":
        used = storage.all("SELECT page_count - freelist_count FROM pragma_page_count,"
                           " pragma_freelist_count")[0][0]  # fmt: skip
        assert used * 4096 < 600 * 2000


def test_numbers_of_attempts_that_are_given_again_are_from_after_the_replay(
    storage: Storage, session: Session, i_handler: int
) -> None:
    settle(storage, i_handler, "finished", *append(storage, 91, *range(1, 6)))
    storage.operations.replay("hss", 1)
    storage.execute(f"UPDATE lane_cursor SET position = {max(events(storage))}")
    keep(session)
    assert storage.all("SELECT count(*) FROM attempt") == [(0,)]

    (number,) = append(storage, 0, 1)
    settle(storage, i_handler, "finished", number)
    storage.execute("UPDATE lane_cursor SET position = 0")

    (found,) = storage.operations.events(EventFilter(), 9)
    assert found.status == "finished"


# ---- what waits too long ----


async def test_what_waits_too_long_fails_with_the_reason_and_an_error_is_logged(
    storage: Storage, session: Session, i_handler: int
) -> None:
    old = append(storage, 91, 1, 2, 3)
    young = append(storage, 89, 1, 2)
    with structlog.testing.capture_logs() as logs:
        report = keep(session)

    assert report.expired == {"hss": 3}
    assert logs == [
        {"event": "retention.expired", "handler": "hss", "events": 3, "days": 90,
         "log_level": "error"}
    ]  # fmt: skip
    found = storage.operations.newer(EventFilter(), 0, 9)
    assert [(one.event.i_event, one.status) for one in found] == [
        *((number, "failed") for number in old), *((number, "queued") for number in young),
    ]  # fmt: skip
    assert found[0].reason == "expired: it was not settled within 90 days"
    leases = await storage.take(i_handler, "one")
    assert {lease.position for lease in leases} == {old[-1]}
    assert keep(session).expired == {}


async def test_an_owner_cannot_settle_against_what_expired(
    storage: Storage, session: Session, i_handler: int
) -> None:
    (number,) = append(storage, 91, 1)
    leases = await storage.take(i_handler, "one")
    before = (await storage.standing()).config_version

    keep(session)

    part = settlement()
    part.attempts.append(attempt_row(i_handler, number))
    part.positions.append(moved(i_handler, leases[1], number))
    with pytest.raises(LeaseLost):
        await storage.log.settle(part)
    assert (await storage.standing()).config_version > before


async def test_of_what_is_parked_the_next_of_its_entity_is_due_when_the_first_expires(
    storage: Storage, session: Session, i_handler: int
) -> None:
    (old,) = append(storage, 91, 1)
    (young,) = append(storage, 1, 1)
    part = settlement()
    part.park += [
        park_row(i_handler, old, 1, NOW_US + 9, first_attempt_us=1),
        park_row(i_handler, young, 1, first_attempt_us=None, attempts=0),
    ]
    await storage.log.settle(part)
    storage.execute(f"UPDATE lane_cursor SET position = {young}")

    keep(session)

    assert storage.parked() == {young: NOW_US}


def test_what_an_operator_has_sent_again_or_replays_waits_since_then(
    storage: Storage, session: Session, i_handler: int
) -> None:
    numbers = append(storage, 91, *range(1, 4))
    settle(storage, i_handler, "failed", *numbers)
    storage.clock.jump_us = NOW_US - storage.clock.now_us()
    storage.operations.retry(EventFilter(i_events=numbers[:1]), NOW_US)
    fences = storage.all("SELECT DISTINCT fence FROM lane_cursor")

    assert keep(session, failed_days=1000).expired == {}
    assert storage.all("SELECT DISTINCT fence FROM lane_cursor") == fences, "nobody is disturbed"
    storage.operations.replay("hss", numbers[1])
    assert keep(session, failed_days=1000).expired == {}

    assert keep(session, NOW_US + 91 * DAY_US, failed_days=1000).expired == {"hss": 3}


# ---- a look beforehand ----


def test_a_look_beforehand_tells_what_goes(
    storage: Storage, session: Session, i_handler: int
) -> None:
    settle(storage, i_handler, "finished", *append(storage, 95, 1, 2))
    settle(storage, i_handler, "failed", *append(storage, 95, 3))
    append(storage, 92, 4)
    append(storage, 1, 5)

    counts = sum(Sweep(session, Retention(), NOW_US).would_remove(), start=type(Report().expired)())
    assert counts == {"events": 3, "finished": 2, "failed": 1}
    assert Expiry(session, Retention(), NOW_US).would_expire() == {"hss": 1}
    assert len(events(storage)) == 5

    report = keep(session)
    assert (report.events, report.expired) == (3, {"hss": 1})


# ---- beside others ----


def test_who_writes_meanwhile_waits_for_a_moment_only(
    storage: Storage, session: Session, i_handler: int
) -> None:
    numbers = append(storage, 91, *range(12_000))
    storage.execute(
        "INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us,"
        f" duration_us, request, answer, instance) SELECT {i_handler}, i_event, 1, 'delivered',"
        " 'finished', 1, 1, '', '', '' FROM event"
    )
    storage.execute(f"UPDATE lane_cursor SET position = {numbers[-1]}")
    longest, stop = [0.0], threading.Event()

    def write() -> None:
        writer = open_session(storage.url)
        while not stop.is_set():
            began = time.monotonic()
            with writer.changing():
                writer.run("bump_config_version")
            longest[0] = max(longest[0], time.monotonic() - began)
            time.sleep(0.002)
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        report = keep(session)
    finally:
        stop.set()
        thread.join()

    assert report.events == 12_000
    assert longest[0] < LONGEST_WAIT_S


def test_blocks_tell_what_is_left_in_them(
    storage: Storage, session: Session, i_handler: int
) -> None:
    old = append(storage, 91, *range(4000))
    young = append(storage, 1, *range(200))
    while note_blocks(session, young[-1]):
        pass
    assert storage.all("SELECT events FROM event_block_count WHERE field = 'entity'") == [(4095,)]

    settle(storage, i_handler, "finished", old[0])
    storage.execute(f"UPDATE lane_cursor SET position = {old[-1]}")
    keep(session)

    assert storage.all("SELECT events FROM event_block_count WHERE field = 'entity'") == [(95,)]
    found = storage.operations.newer(EventFilter(event_types=[PLAIN]), 0, 1)
    assert [one.event.i_event for one in found] == [young[0]]
