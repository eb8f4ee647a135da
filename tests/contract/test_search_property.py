"""Search finds what a look at every row finds, whatever the log holds, and page by page."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.operating.search import blocks, finding, sources
from espf.eventlog.operations import EventFilter, EventStatus, PairKey
from log_world import NEWEST, LogWorld, filters, worlds
from storage_rig import Storage

Key = tuple[int, str, str]
quickly = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of 25 events takes as many steps as a real one."""
    monkeypatch.setattr(finding, "LEAST_AT_ONCE", 1)
    monkeypatch.setattr(finding, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(finding, "PATIENCE", 1)
    monkeypatch.setattr(blocks, "FIRST_WINDOW", 1)
    monkeypatch.setattr(sources, "SCANNED", 1000)


def keys(found: list[EventStatus]) -> list[Key]:
    return [(one.event.i_event, one.handler, one.status) for one in found]


def written(storage: Storage, world: LogWorld, known_to: int) -> None:
    """The world in the tables; blocks are noted up to a number."""
    world.write(storage)
    session = open_session(storage.url)
    while note_blocks(session, known_to):
        pass
    session.close()


@given(st.data())
@quickly
def test_search_finds_what_a_look_at_every_row_finds(storage: Storage, data: st.DataObject) -> None:
    world = data.draw(worlds())
    written(storage, world, data.draw(st.sampled_from((0, 4095, 12_287, NEWEST))))
    wanted = data.draw(filters(world))

    expected = world.pairs(wanted)

    newest_first = sorted(expected, key=lambda key: -key[0])
    assert keys(storage.operations.events(wanted, 1000)) == newest_first
    assert keys(storage.operations.newer(wanted, 0, 1000)) == expected


@given(st.data())
@quickly
def test_pages_neither_lose_nor_repeat_a_pair(storage: Storage, data: st.DataObject) -> None:
    world = data.draw(worlds(12))
    written(storage, world, NEWEST)
    wanted, size = data.draw(filters(world)), data.draw(st.integers(1, 4))
    whole = keys(storage.operations.events(wanted, 1000))

    down: list[Key] = []
    while page := keys(storage.operations.events(wanted, size, behind(down))):
        down += page
    up: list[Key] = []
    while page := keys(storage.operations.newer(wanted, behind(up) or 0, size)):
        up += page

    assert down == whole
    assert up == sorted(whole)


def behind(seen: list[Key]) -> PairKey | None:
    return PairKey(seen[-1][0], seen[-1][1]) if seen else None


def test_a_filter_for_nothing_finds_nothing(storage: Storage) -> None:
    assert storage.operations.events(EventFilter(), 10) == []
    assert storage.operations.events(EventFilter(handler="nobody"), 10) == []
