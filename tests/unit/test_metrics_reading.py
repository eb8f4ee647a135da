"""Who lives and what is open since when, judged by watching; scraping often costs nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest

from engine_rig import FakeClock, instance_row
from espf.errors import StorageError
from espf.eventlog.operations import Operations
from espf.eventlog.vitals import InstanceVitals, OpenTransaction, Vitals
from espf.metrics.reading import ALIVE_S, Ages, Living, VitalsReader


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def listed(clock: FakeClock, beats: int, *, beat_ago_s: float = 0.0) -> InstanceVitals:
    beat_us = clock.now_us() - int(beat_ago_s * 1_000_000)
    return InstanceVitals(instance_row()._replace(beat_us=beat_us), beats)


def test_who_is_seen_first_lives_if_its_last_beat_is_recent(clock: FakeClock) -> None:
    assert Living(clock, ALIVE_S).of([listed(clock, 1, beat_ago_s=ALIVE_S - 1)])
    assert not Living(clock, ALIVE_S).of([listed(clock, 1, beat_ago_s=ALIVE_S + 1)])
    assert not Living(clock, ALIVE_S).of([listed(clock, 1, beat_ago_s=-ALIVE_S - 1)])


def test_who_is_watched_lives_while_its_counter_moves_whatever_its_clock_says(
    clock: FakeClock,
) -> None:
    living = Living(clock, ALIVE_S)
    assert not living.of([listed(clock, 1, beat_ago_s=7200)])
    clock.advance(60)
    assert living.of([listed(clock, 2, beat_ago_s=7200)])
    clock.advance(ALIVE_S - 1)
    assert living.of([listed(clock, 2)])
    clock.advance(2)
    assert not living.of([listed(clock, 2)])


def test_an_age_that_we_may_not_see_is_the_time_since_it_was_first_seen(clock: FakeClock) -> None:
    ages = Ages(clock)
    unknown = OpenTransaction("700", 12, "psql", None)
    for advanced, expected in ((0, 0), (20, 20), (20, 40)):
        clock.advance(advanced)
        aged = ages.aged(unknown)
        assert aged is not None
        assert aged.age_s == pytest.approx(expected)
        assert aged.is_held == (expected >= 30)
    other = ages.aged(OpenTransaction("701", 12, "psql", None))
    assert other is not None
    assert other.age_s == 0
    assert ages.aged(None) is None
    known = OpenTransaction("702", 12, "psql", 3.5)
    assert ages.aged(known) == known


class Asked:
    """Counts how often the database is asked; fails when told to."""

    def __init__(self, clock: FakeClock) -> None:
        self.times = 0
        self.away = False
        self.reader = VitalsReader(self.opened, clock)

    @contextmanager
    def opened(self) -> Iterator[Operations]:
        self.times += 1
        if self.away:
            raise StorageError("the database is away")
        vitals = Vitals(0, (), (), 5, 3, None, None)
        yield cast("Operations", SimpleNamespace(vitals=lambda: vitals))


def test_for_a_second_everybody_gets_the_same_answer(clock: FakeClock) -> None:
    asked = Asked(clock)
    first = asked.reader.read()
    assert first.vitals.horizon_lag == 2
    clock.advance(0.9)
    assert asked.reader.read() is first
    clock.advance(0.2)
    assert asked.reader.read() is not first
    assert asked.times == 2


def test_a_database_that_is_away_is_asked_once_a_second_too(clock: FakeClock) -> None:
    asked = Asked(clock)
    asked.away = True
    for _ in range(3):
        with pytest.raises(StorageError):
            asked.reader.read()
    assert asked.times == 1
    asked.away = False
    clock.advance(1)
    assert asked.reader.read().living == ()
