"""Sending again and skipping in bulk: in portions, counted beforehand, whole at every moment."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_rig import OTHER, PLAIN, START_US, handler_change
from espf.errors import ConfigError
from espf.eventlog.operating import resending
from espf.eventlog.operations import EventFilter
from espf.eventlog.postgres.session import PostgresSession
from log_world import FIRST_US, filters, worlds
from postgres_rig import clone
from storage_rig import PostgresStorage, Storage, attempt_row, moved, park_row, settlement

quickly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def fail_all(storage: Storage, i_handler: int, count: int) -> None:
    """So many events, all of them refused, and the cursors behind them."""
    storage.append([(number % 640, PLAIN if number % 2 else OTHER) for number in range(count)])
    for start in range(1, count + 1, 1000):
        part = settlement()
        part.attempts += [
            attempt_row(i_handler, number, "failed", "rejected")
            for number in range(start, min(count + 1, start + 1000))
        ]
        await storage.log.settle(part)
    storage.execute(f"UPDATE lane_cursor SET position = {count}")


@given(st.data())
@quickly
def test_a_dry_run_counts_what_is_sent_again_exactly(storage: Storage, data: st.DataObject) -> None:
    world = data.draw(worlds())
    world.write(storage)
    wanted, now_us = data.draw(filters(world)), data.draw(st.sampled_from((0, FIRST_US)))
    if wanted.handler is not None and wanted.handler not in {one.name for one in world.handlers}:
        with pytest.raises(ConfigError, match="no handler"):
            storage.operations.would_retry(wanted, now_us)
        return

    tally = storage.operations.would_retry(wanted, now_us)

    assert storage.operations.retry(wanted, now_us) == tally.total()
    assert storage.operations.would_retry(wanted, now_us).total() == 0


@given(st.data())
@quickly
def test_a_dry_run_counts_what_is_skipped_exactly(storage: Storage, data: st.DataObject) -> None:
    world = data.draw(worlds())
    world.write(storage)
    wanted = data.draw(filters(world))
    if wanted.handler is not None and wanted.handler not in {one.name for one in world.handlers}:
        return

    tally = storage.operations.would_skip(wanted)

    assert storage.operations.skip(wanted, "not wanted", START_US) == tally.total()
    assert storage.operations.would_skip(wanted).total() == 0


async def test_counts_are_told_by_status_and_type(storage: Storage) -> None:
    await fail_all(storage, storage.add(handler_change()), 5)

    tally = storage.operations.would_retry(EventFilter(), START_US)

    assert tally == {("failed", PLAIN): 2, ("failed", OTHER): 3}


async def test_many_go_in_portions_and_each_is_told(storage: Storage) -> None:
    await fail_all(storage, storage.add(handler_change()), 1200)
    told: list[tuple[int, int]] = []

    changed = storage.operations.retry(
        EventFilter(), START_US, lambda count, i_event: told.append((count, i_event))
    )

    assert changed == 1200
    assert told == [(500, 500), (1000, 1000), (1200, 1200)]
    due = storage.all("SELECT entity_id, count(*) FROM parked WHERE due_us IS NOT NULL GROUP BY 1")
    assert {count for _, count in due} == {1}, "one of each entity, the others behind it"
    assert len(due) == 640


async def test_a_stop_between_portions_leaves_a_whole_state(storage: Storage) -> None:
    await fail_all(storage, storage.add(handler_change()), 1200)
    before = (await storage.standing()).config_version

    def stop(_changed: int, _i_event: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.operations.retry(EventFilter(), START_US, stop)

    assert storage.all("SELECT count(*), max(i_event) FROM parked") == [(500, 500)]
    assert (await storage.standing()).config_version > before, "engines know of what was done"
    assert storage.operations.retry(EventFilter(), START_US) == 700


async def test_a_stop_in_the_middle_of_a_portion_undoes_it(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail_all(storage, storage.add(handler_change()), 10)
    real = resending.retry

    def interrupted(*given: object) -> int:
        real(*given)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(resending, "retry", interrupted)
    with pytest.raises(KeyboardInterrupt):
        storage.operations.retry(EventFilter(), START_US)
    monkeypatch.undo()

    assert storage.parked() == {}
    assert storage.operations.retry(EventFilter(), START_US) == 10


async def test_what_is_finished_is_sent_again_when_its_status_is_named(storage: Storage) -> None:
    i_handler = storage.add(handler_change())
    storage.append([(1, PLAIN), (2, PLAIN)])
    part = settlement()
    part.attempts += [attempt_row(i_handler, 1), attempt_row(i_handler, 2, "failed", "rejected")]
    await storage.log.settle(part)
    storage.execute("UPDATE lane_cursor SET position = 2")

    assert storage.operations.retry(EventFilter(statuses=["finished"]), START_US) == 1
    assert list(storage.parked()) == [1]


async def test_only_what_is_behind_a_number_is_sent_again(storage: Storage) -> None:
    await fail_all(storage, storage.add(handler_change()), 10)

    assert storage.operations.retry(EventFilter(), START_US, after=7) == 3
    assert list(storage.parked()) == [8, 9, 10]


async def test_what_is_sent_again_goes_before_what_is_parked_of_its_entity(
    storage: Storage,
) -> None:
    i_handler = storage.add(handler_change())
    storage.append([(1, PLAIN)] * 3)
    part = settlement()
    part.attempts.append(attempt_row(i_handler, 2, "failed", "rejected"))
    part.park += [park_row(i_handler, number, 1) for number in (1, 3)]
    await storage.log.settle(part)
    storage.execute("UPDATE lane_cursor SET position = 3")

    storage.operations.retry(EventFilter(i_events=[2]), START_US)
    assert storage.parked() == {1: START_US, 2: None, 3: None}
    storage.operations.skip(EventFilter(i_events=[1]), "not wanted", START_US + 5)
    assert storage.parked() == {2: START_US + 5, 3: None}


async def test_what_is_parked_while_what_is_before_it_is_skipped_does_not_wait_for_ever() -> None:
    """The settlement waits for the skip's end, and finds that nothing is before it."""
    with clone() as url:
        storage = PostgresStorage(url)
        i_handler = storage.add(handler_change())
        first, second = storage.append([(1, PLAIN), (1, PLAIN)])
        leases = await storage.take(i_handler, "one")
        part = settlement()
        part.positions.append(moved(i_handler, leases[1], first))
        part.park.append(park_row(i_handler, first, 1))
        await storage.log.settle(part)
        part = settlement()
        part.positions.append(moved(i_handler, leases[1], second))
        part.park.append(park_row(i_handler, second, 1))
        session = PostgresSession(url)
        with session.changing():
            resending.leave_parked(session, i_handler, [first], START_US)
            settling = asyncio.create_task(storage.log.settle(part))
            done, _ = await asyncio.wait([settling], timeout=0.5)
            assert not done
        await settling
        session.close()

        assert storage.parked() == {second: START_US}
        await storage.close()
