"""What an instance counts: buckets, outcomes, and their way as JSON."""

import json
from bisect import bisect_left
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.engine.flow import Flow
from espf.engine.meters import Meters
from espf.eventlog.model import AttemptRow, OutcomeName
from espf.metrics.counts import BOUNDS_US, Durations, HandlerCounts, InstanceCounts, counts_of

DURATIONS = st.lists(
    st.one_of(st.integers(0, 10**8), st.sampled_from([n for b in BOUNDS_US for n in (b, b + 1)]))
)


def row(i_handler: int, outcome: OutcomeName, duration_us: int = 1000) -> AttemptRow:
    return AttemptRow(
        i_handler, 1, 1, outcome, "finished", 0, duration_us, None, None, "", "", "one"
    )


@given(DURATIONS)
def test_each_duration_falls_into_the_first_bucket_that_it_is_not_above(found: list[int]) -> None:
    durations = Durations()
    durations.add(found)
    expected = [0] * (len(BOUNDS_US) + 1)
    for one in found:
        expected[bisect_left(BOUNDS_US, one)] += 1
    assert durations.buckets == expected
    assert durations.sum_us == sum(found)
    assert [count for _, count in durations.cumulative()][-1] == len(found)


@given(DURATIONS, DURATIONS)
def test_counting_in_two_parts_is_counting_together(one: list[int], other: list[int]) -> None:
    together, first, second = Durations(), Durations(), Durations()
    together.add([*one, *other])
    first.add(one)
    second.add(other)
    first.plus(second)
    assert first.to_json() == together.to_json()


def test_attempts_are_counted_by_outcome_and_timed_unless_nothing_was_sent() -> None:
    meters = Meters()
    hss, hlr = meters.counts.of("hss"), meters.counts.of("hlr")
    rows = [row(1, "delivered"), row(1, "delivered", 3000), row(2, "retry"), row(1, "skipped", 0)]
    meters.settled(rows, {1: hss, 2: hlr}, 0.004)
    assert hss.outcomes == {"delivered": 2, "skipped": 1}
    assert sum(hss.latency.buckets) == 2
    assert hss.latency.sum_us == 4000
    assert hlr.outcomes == {"retry": 1}
    assert meters.counts.settlements.sum_us == 4000


def test_attempts_of_a_handler_whose_lanes_were_lost_are_not_counted() -> None:
    meters = Meters()
    hss = meters.counts.of("hss")
    meters.settled([row(1, "delivered"), row(2, "delivered")], {1: hss}, 0.001)
    assert hss.outcomes == {"delivered": 1}


def test_a_handler_that_starts_again_goes_on_counting() -> None:
    meters = Meters()
    settings = SimpleNamespace(token_rate=50.0, token_burst=10)
    for _ in range(2):
        flow = cast("Flow", SimpleNamespace(row=SimpleNamespace(name="hss"), settings=settings))
        meters.watch(flow)
        flow.counts.events_read += 5
    counts = meters.counts.of("hss")
    assert (counts.events_read, counts.token_rate, counts.token_burst) == (10, 50.0, 10)


def told() -> InstanceCounts:
    counts = InstanceCounts()
    one = counts.of("hss")
    one.outcomes = {"delivered": 7}
    one.latency.add([500, 70_000_000])
    one.token_wait_s, one.events_read, one.token_rate, one.token_burst = 1.5, 9, 2.5, 4
    counts.settlements.add([1, 2])
    return counts


def test_counts_survive_their_way_as_json() -> None:
    assert counts_of(told().to_json()).to_json() == told().to_json()


def test_two_processes_of_one_name_are_added_up() -> None:
    both = InstanceCounts()
    both.plus(told())
    both.plus(told())
    assert both.of("hss").outcomes == {"delivered": 14}
    assert both.of("hss").events_read == 18
    assert sum(both.settlements.buckets) == 4


def broken(**changes: Any) -> str:
    found = json.loads(told().to_json())
    found["handlers"]["hss"].update(changes)
    return json.dumps(found)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "",
        "[]",
        "null",
        "{",
        broken(latency=[1, 2]),
        broken(outcomes=3),
        broken(token_rate=[]),
    ],
)
def test_what_is_not_understood_counts_as_nothing(text: str) -> None:
    assert counts_of(text).to_json() == InstanceCounts().to_json()


def test_a_new_handler_has_every_field_of_an_old_one() -> None:
    assert HandlerCounts.from_json(HandlerCounts().to_json()).to_json() == HandlerCounts().to_json()
