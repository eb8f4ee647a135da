"""Operations: handlers, search, retry, skip, emit, the capture gate."""

import pytest

from engine_rig import COALESCED, FOREIGN, OTHER, PLAIN, START_US, handler_change
from espf.errors import ConfigError, LeaseLost
from espf.eventlog.operations import EventFilter, NewEvent
from storage_rig import Storage, attempt_row, moved, park_row, settlement, unpark_row


@pytest.fixture
def i_handler(storage: Storage) -> int:
    return storage.add(handler_change())


async def settle_first(storage: Storage, i_handler: int, status: str = "finished") -> None:
    """Settle event 1 of entity 1 in its lane, as the engine does."""
    leases = await storage.take(i_handler, "one")
    part = settlement()
    outcome = "delivered" if status == "finished" else "rejected"
    part.attempts.append(attempt_row(i_handler, 1, status, outcome))  # type: ignore[arg-type]
    part.positions.append(moved(i_handler, leases[1], 1))
    await storage.log.settle(part)


def gate(storage: Storage) -> set[str]:
    return {name for (name,) in storage.all("SELECT event_type FROM capture_gate")}


# ---- handlers ----


async def test_a_handler_is_stored_as_it_was_given(storage: Storage) -> None:
    change = handler_change("hss", (PLAIN,), keep_events=False, Concurrency=3)
    storage.operations.apply([change], {"AlertRecepient": "noc@operator.example"})

    row = storage.operations.handlers()[0]

    assert (row.name, row.type, row.enabled, row.paused, row.keep_events) == (
        "hss", "Scripted", True, False, False,
    )  # fmt: skip
    assert (row.options, row.event_types) == ({"Concurrency": 3}, {PLAIN})
    assert await storage.log.handlers() == [row]
    assert storage.operations.provisioning() == {"AlertRecepient": "noc@operator.example"}


def test_the_gate_is_open_for_enabled_handlers_and_for_those_that_keep_their_events(
    storage: Storage,
) -> None:
    storage.operations.apply(
        [
            handler_change("on", (PLAIN,)),
            handler_change("keeps", (OTHER,), enabled=False, keep_events=True),
            handler_change("off", (COALESCED,), enabled=False, keep_events=False),
        ]
    )
    assert gate(storage) == {PLAIN, OTHER}

    storage.operations.set_enabled("on", False)
    storage.operations.set_enabled("off", True)
    assert gate(storage) == {PLAIN, OTHER, COALESCED}

    storage.operations.apply([handler_change("on", (FOREIGN,))])
    assert gate(storage) == {FOREIGN, OTHER, COALESCED}


def test_changing_a_handler_keeps_its_cursors(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN)])
    storage.operations.apply([handler_change(types=(FOREIGN,), start=None)])

    assert storage.all("SELECT DISTINCT position FROM lane_cursor") == [(0,)]
    assert [row.i_handler for row in storage.operations.handlers()] == [i_handler]


def test_switching_says_whether_anything_changed(storage: Storage, i_handler: int) -> None:
    operations = storage.operations
    assert [operations.set_paused("hss", wanted) for wanted in (True, True, False)] == [
        True, False, True,
    ]  # fmt: skip
    assert [operations.set_enabled("hss", wanted) for wanted in (True, False, False)] == [
        False, True, False,
    ]  # fmt: skip


def test_an_unknown_handler_is_answered_with_the_nearest_name(
    storage: Storage, i_handler: int
) -> None:
    for act in (
        lambda: storage.operations.set_paused("hsss", True),
        lambda: storage.operations.set_enabled("hsss", True),
        lambda: storage.operations.retry(EventFilter(handler="hsss"), START_US),
    ):
        with pytest.raises(ConfigError, match='Did you mean "hss"'):
            act()


async def test_a_handler_enabled_again_keeps_its_place_or_starts_at_the_end(
    storage: Storage,
) -> None:
    storage.operations.apply(
        [handler_change("keeps", keep_events=True), handler_change("drops", keep_events=False)]
    )
    keeps, drops = sorted(storage.operations.handlers(), key=lambda row: row.name != "keeps")
    storage.append([(1, PLAIN)] * 3)
    part = settlement()
    part.park += [park_row(row.i_handler, 1, 1) for row in (keeps, drops)]
    await storage.log.settle(part)
    leases = await storage.take(drops.i_handler, "one")

    for row in (keeps, drops):
        storage.operations.set_enabled(row.name, False)
        storage.operations.set_enabled(row.name, True)

    question = "SELECT DISTINCT i_handler, position FROM lane_cursor ORDER BY 1"
    assert dict(storage.all(question)) == {keeps.i_handler: 0, drops.i_handler: 3}
    assert storage.all("SELECT i_handler FROM parked") == [(keeps.i_handler,)]
    assert storage.all("SELECT i_handler, i_event, status FROM attempt") == [
        (drops.i_handler, 1, "skipped")
    ]
    part = settlement()
    part.positions.append(moved(drops.i_handler, leases[0], 1))
    with pytest.raises(LeaseLost):
        await storage.log.settle(part)


# ---- search ----


async def test_the_status_of_an_event_follows_its_way(storage: Storage, i_handler: int) -> None:
    storage.append([(number, PLAIN) for number in range(1, 8)] + [(1, FOREIGN)])
    leases = await storage.take(i_handler, "one")
    part = settlement()
    part.attempts += [
        attempt_row(i_handler, 1),
        attempt_row(i_handler, 2, "failed", "rejected", code=400, reason="no such subscriber"),
        attempt_row(i_handler, 3, "skipped", "skipped", attempt=0),
        attempt_row(i_handler, 4, "retry", "retry"),
    ]
    part.park += [
        park_row(i_handler, 4, 4, START_US + 9),
        park_row(i_handler, 5, 5, None, in_progress=1),
        park_row(i_handler, 6, 6, attempts=0),
    ]
    part.positions += [moved(i_handler, leases[lane], lane) for lane in range(1, 7)]
    await storage.log.settle(part)

    found = storage.operations.events(EventFilter(), 100)

    assert [(one.event.i_event, one.status) for one in found] == [
        (7, "queued"), (6, "queued"), (5, "in_progress"), (4, "retry"), (3, "skipped"),
        (2, "failed"), (1, "finished"),
    ]  # fmt: skip
    assert (found[3].due_us, found[3].attempts) == (START_US + 9, 1)
    assert (found[5].code, found[5].reason) == (400, "no such subscriber")


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (EventFilter(i_events=[1, 3, 99]), [3, 1]),
        (EventFilter(event_types=[OTHER]), [2]),
        (EventFilter(entity="account", entity_id=2), [3]),
        (EventFilter(entity="customer"), [4]),
        (EventFilter(statuses=["queued"]), [4, 3, 2, 1]),
        (EventFilter(statuses=["failed"]), []),
        (EventFilter(handler="other"), []),
        (EventFilter(since_us=4_102_444_800_000_000), []),
        (EventFilter(until_us=0), []),
    ],
)
def test_a_filter_finds_what_it_says(
    storage: Storage, i_handler: int, wanted: EventFilter, numbers: list[int]
) -> None:
    storage.append([(1, PLAIN), (1, OTHER), (2, PLAIN), (1, COALESCED)])

    found = storage.operations.events(wanted, 10)

    assert [one.event.i_event for one in found] == numbers


def test_pages_follow_each_other_in_both_directions(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN)] * 5)
    operations = storage.operations

    assert [one.event.i_event for one in operations.events(EventFilter(), 2)] == [5, 4]
    assert [one.event.i_event for one in operations.events(EventFilter(), 2, 4)] == [3, 2]
    assert [one.event.i_event for one in operations.newer(EventFilter(), 2, 2)] == [3, 4]


async def test_details_tell_every_attempt_in_order(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN)])
    part = settlement()
    part.attempts += [
        attempt_row(i_handler, 1, "retry", "retry", attempt=1, code=503),
        attempt_row(i_handler, 1, attempt=2),
    ]
    await storage.log.settle(part)

    details = storage.operations.details(1)

    assert details is not None
    assert [row.code for row in details.attempts] == [503, 200]
    assert [one.handler for one in details.statuses] == ["hss"]
    assert storage.operations.details(2) is None
    newer = storage.operations.newer_attempts(1, 10)
    assert [(number, row.attempt) for number, row in newer] == [(2, 2)]


async def test_health_counts_what_is_not_settled(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN), (2, PLAIN), (3, FOREIGN), (4, PLAIN)])
    await settle_first(storage, i_handler)
    part = settlement()
    part.park.append(park_row(i_handler, 2, 2))
    part.attempts.append(attempt_row(i_handler, 2, "retry", "retry", reason="busy"))
    await storage.log.settle(part)
    leases = await storage.take(i_handler, "one")
    part = settlement()
    part.positions.append(moved(i_handler, leases[2], 2))
    await storage.log.settle(part)

    health = storage.operations.health()[0]

    assert (health.backlog, health.parked, health.breaker) == (2, 1, "closed")
    assert health.last_reason == "busy"
    assert health.oldest_us is not None


# ---- retry and skip ----


async def test_retry_sends_failed_events_again_and_no_others(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (2, PLAIN)])
    await settle_first(storage, i_handler, "failed")

    assert storage.operations.retry(EventFilter(), START_US) == 1
    assert storage.parked() == {1: START_US}
    assert storage.operations.retry(EventFilter(), START_US) == 0, "it is waiting already"


async def test_a_finished_event_is_sent_again_only_when_named(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN)])
    await settle_first(storage, i_handler)

    assert storage.operations.retry(EventFilter(), START_US) == 0
    assert storage.operations.retry(EventFilter(i_events=[1]), START_US) == 1


async def test_retry_makes_waiting_retries_due_now(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN), (1, PLAIN)])
    await settle_first(storage, i_handler, "retry")
    part = settlement()
    part.park += [park_row(i_handler, 1, 1, START_US + 9_000), park_row(i_handler, 2, 1)]
    await storage.log.settle(part)

    assert storage.operations.retry(EventFilter(statuses=["retry"]), START_US) == 1
    assert storage.parked() == {1: START_US, 2: None}


async def test_skip_ends_a_parked_event_at_once_and_its_follower_is_due(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN), (1, PLAIN)])
    part = settlement()
    part.park += [park_row(i_handler, 1, 1, START_US + 9_000), park_row(i_handler, 2, 1)]
    await storage.log.settle(part)

    assert storage.operations.skip(EventFilter(i_events=[1]), "not wanted", START_US) == 1

    assert storage.parked() == {2: START_US}
    assert storage.all("SELECT i_event, status, reason FROM attempt") == [
        (1, "skipped", "not wanted")
    ]


async def test_a_skipped_event_still_shows_how_often_it_was_tried(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN)])
    part = settlement()
    part.attempts += [attempt_row(i_handler, 1, "retry", "retry", attempt=n) for n in (1, 2)]
    part.park.append(park_row(i_handler, 1, 1, START_US + 9_000, attempts=2))
    await storage.log.settle(part)

    storage.operations.skip(EventFilter(i_events=[1]), "not wanted", START_US)

    (found,) = storage.operations.events(EventFilter(), 9)
    assert (found.status, found.attempts) == ("skipped", 2)


async def test_an_attempt_under_way_is_not_recalled(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN)])
    leases = await storage.take(i_handler, "one")
    part = settlement()
    part.park.append(park_row(i_handler, 1, 1, None, in_progress=1))
    part.positions.append(moved(i_handler, leases[1], 1))
    await storage.log.settle(part)

    assert storage.operations.skip(EventFilter(), "not wanted", START_US) == 0
    assert storage.parked() == {1: None}


async def test_a_wish_to_skip_that_came_too_late_does_not_meet_a_later_retry(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN)])
    storage.operations.skip(EventFilter(), "not wanted", START_US)
    await settle_first(storage, i_handler)

    storage.operations.retry(EventFilter(i_events=[1]), START_US)

    assert (await storage.due(i_handler, START_US, 9, [], early=False)).skips == {}
    assert storage.parked() == {1: START_US}


async def test_a_wish_to_skip_an_event_that_is_then_parked_comes_with_it(
    storage: Storage, i_handler: int
) -> None:
    storage.append([(1, PLAIN)])
    storage.operations.skip(EventFilter(), "not wanted", START_US)
    part = settlement()
    part.park.append(park_row(i_handler, 1, 1))
    await storage.log.settle(part)

    found = await storage.due(i_handler, START_US, 9, [], early=False)

    assert found.skips == {1: "not wanted"}
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 1, "skipped", "skipped"))
    part.unpark.append(unpark_row(i_handler, 1, 1))
    part.skipped.append((i_handler, 1))
    await storage.log.settle(part)
    assert storage.all("SELECT * FROM skip_request") == []


def test_more_than_a_portion_is_skipped_in_portions_for_every_handler(storage: Storage) -> None:
    storage.operations.apply([handler_change("a"), handler_change("b")])
    storage.append([(number, PLAIN) for number in range(1, 702)])

    assert storage.operations.skip(EventFilter(), "not wanted", START_US) == 1402
    assert storage.operations.skip(EventFilter(), "not wanted", START_US) == 0


async def test_retry_and_skip_are_seen_by_the_engine(storage: Storage, i_handler: int) -> None:
    storage.append([(1, PLAIN), (2, PLAIN)])
    await settle_first(storage, i_handler, "failed")
    before = (await storage.standing()).config_version
    storage.operations.retry(EventFilter(), START_US)
    between = (await storage.standing()).config_version
    storage.operations.skip(EventFilter(i_events=[2]), "not wanted", START_US)
    after = (await storage.standing()).config_version

    assert before < between < after


# ---- emit ----


async def test_emit_appends_what_has_a_subscriber(storage: Storage, i_handler: int) -> None:
    numbers = storage.operations.emit(
        [NewEvent(PLAIN, "account", 65, variables={"a": "é"}), NewEvent(FOREIGN, "account", 1)]
    )

    assert numbers == [1, None]
    event = (await storage.read(i_handler, 0, 1, 10)).events[0]
    assert (event.entity_id, event.lane, event.variables) == (65, 1, '{"a":"é"}')


def test_emit_refuses_a_negative_key_and_stores_nothing(storage: Storage, i_handler: int) -> None:
    with pytest.raises(ConfigError, match="negative"):
        storage.operations.emit([NewEvent(PLAIN, "account", 1), NewEvent(PLAIN, "account", -1)])
    assert storage.all("SELECT count(*) FROM event") == [(0,)]
