"""A replay, and the end of what waited too long, under an engine that is running."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from engine_rig import PLAIN, START_US
from espf.database_url import SqliteUrl
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping.keeping import keep_house
from espf.eventlog.housekeeping.model import Retention
from espf.eventlog.operations import EventFilter
from espf.handlers.port import Rejected
from fleet_rig import Fleet, fleet_on
from postgres_rig import clone
from sim_engine import BUSY, SimEngine, ever, sim_engine, with_gate
from storage_rig import PostgresStorage


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SimEngine]:
    with sim_engine(tmp_path) as made:
        yield made


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    with clone() as url:
        storage = PostgresStorage(url)
        async with fleet_on(storage) as made:
            yield made
        await storage.close()


def of_entity(engine: SimEngine, entity_id: int, behind: int) -> list[int]:
    """What was sent of an entity after so many requests."""
    events = engine.far["hss"].events[behind:]
    return [event.i_event for event in events if event.entity_id == entity_id]


def test_everything_since_is_sent_again_in_order(engine: SimEngine) -> None:
    engine.append(*[(n % 5, PLAIN) for n in range(100)])
    engine.run_until(lambda: len(engine.statuses()) == 100)
    before = len(engine.far["hss"].sent)

    engine.operations.replay("hss", 41)
    engine.run_until(lambda: len(engine.far["hss"].sent) >= before + 60)
    engine.run_for(3)

    assert sorted(engine.far["hss"].sent[before:]) == list(range(41, 101)), "each once"
    for entity in range(5):
        mine = of_entity(engine, entity, before)
        assert mine == sorted(mine)
    found = engine.operations.events(EventFilter(), 200)
    assert {one.status for one in found} == {"finished"}


def test_what_is_refused_the_second_time_has_failed(engine: SimEngine) -> None:
    engine.append((1, PLAIN), (2, PLAIN))
    engine.run_until(lambda: len(engine.statuses()) == 2)
    engine.far["hss"].answer = ever(Rejected("gone", 404))

    engine.operations.replay("hss", 1)
    engine.run_until(lambda: engine.statuses().get(2) == ["finished", "failed"])

    assert engine.statuses() == {1: ["finished", "failed"], 2: ["finished", "failed"]}


def test_a_replay_under_load_loses_nothing_and_a_crash_in_it_neither(engine: SimEngine) -> None:
    with_gate(engine, lambda event: event.i_event == 30)
    engine.append(*[(n % 7, PLAIN) for n in range(60)])
    engine.run_until(lambda: len(engine.statuses()) >= 40)

    engine.operations.replay("hss", 11)
    engine.run_for(0.2)
    engine.crash()
    replayed_at = len(engine.far["hss"].sent)
    engine.far["hss"].gate = None
    engine.far["hss"].open = 0
    engine.start()
    engine.run_until(lambda: len(engine.statuses()) == 60)
    engine.run_for(3)

    assert replayed_at > 0
    found = engine.operations.events(EventFilter(), 200)
    assert {one.status for one in found} == {"finished"}
    again = {number for number, tries in engine.statuses().items() if tries.count("finished") > 1}
    assert again >= {number for number in range(11, 31) if number % 7 != 2}


def test_what_waited_too_long_ends_and_the_engine_goes_on_behind_it(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(BUSY)
    engine.append(*[(n, PLAIN) for n in range(5)])
    engine.run_until(lambda: len(engine.statuses()) == 5)
    engine.shell.execute("UPDATE event SET event_time = '2020-01-01 00:00:00'")
    engine.shell.execute("UPDATE parked SET first_attempt_us = 1")
    engine.append((1, PLAIN))
    session = open_session(SqliteUrl(engine.path))

    report = keep_house(session, Retention(), START_US)
    session.close()

    assert report is not None
    assert report.expired == {"hss": 5}
    engine.far["hss"].answer = ever(Rejected("no", 400))
    engine.run_until(lambda: engine.statuses().get(6, [])[-1:] == ["failed"])
    sent = list(engine.far["hss"].sent)
    engine.run_for(10)
    assert engine.far["hss"].sent == sent, "what has ended is not sent again"
    found = engine.operations.events(EventFilter(), 200)
    assert {one.status for one in found} == {"failed"}
    assert "90 days" in str(found[-1].reason)


async def test_a_replay_reaches_every_instance(fleet: Fleet) -> None:
    i_handler = fleet.add("hss", Concurrency=50)
    fleet.join("one", "two")
    storage = fleet.storage
    await fleet.until(lambda: fleet.owned(i_handler) == {"one": 32, "two": 32}, "lanes spread")
    await asyncio.to_thread(storage.append, [(entity, PLAIN) for entity in range(300)])
    await fleet.until(
        lambda: storage.all("SELECT count(*) FROM attempt") == [(300,)], "all are settled"
    )

    assert await asyncio.to_thread(storage.operations.replay, "hss", 101)

    question = f"SELECT count(*) FROM attempt WHERE i_handler = {i_handler} AND i_event > 100"
    await fleet.until(lambda: storage.all(question) == [(400,)], "sent again")
    await asyncio.sleep(1)
    assert storage.all("SELECT count(*) FROM attempt") == [(500,)], "once, and no other"
    assert all(member.far["hss"].sent for member in fleet.members)


async def test_a_replay_while_lanes_change_hands_leaves_none_without_a_reader(fleet: Fleet) -> None:
    fleet.add("hss", Concurrency=50)
    fleet.join("one", "two")
    storage = fleet.storage
    await asyncio.to_thread(storage.append, [(entity, PLAIN) for entity in range(300)])
    await fleet.until(
        lambda: storage.all("SELECT count(DISTINCT i_event) FROM attempt") == [(300,)], "sent"
    )
    (last,) = storage.all("SELECT max(i_attempt) FROM attempt")[0]

    assert await asyncio.to_thread(storage.operations.replay, "hss", 101)

    question = f"SELECT count(DISTINCT i_event) FROM attempt WHERE i_attempt > {last}"
    await fleet.until(lambda: storage.all(question) == [(200,)], "sent again")
