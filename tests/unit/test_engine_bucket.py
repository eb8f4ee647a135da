"""The token bucket against a simulated clock: the strict second, the long run, nothing wasted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espf.engine.bucket import Bucket


class Stored:
    """The bucket in the database: full at start, refilled at its rate."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self.level, self.at_s = float(burst), 0.0

    def draw(self, wanted: float, now_s: float) -> float:
        self.level = min(self.burst, self.level + (now_s - self.at_s) * self.rate)
        self.at_s = now_s
        given = min(self.level, wanted)
        self.level -= given
        return given


def sends(
    rate: float, burst: int, waiting: int, seconds: float, late_s: float = 0.0
) -> list[float]:
    """When requests leave, all of them waiting from the start; timers fire `late_s` late."""
    bucket, stored, now_s, times = Bucket(rate, burst), Stored(rate, burst), 0.0, list[float]()
    while now_s < seconds and len(times) < waiting:
        if bucket.take(now_s):
            times.append(now_s)
            continue
        wanted = bucket.wanted(waiting - len(times), now_s)
        given = stored.draw(wanted, now_s) if wanted > 0 else 0.0
        bucket.put(given)
        if given < wanted or wanted <= 0:
            now_s += bucket.wait_s(now_s) + late_s
    return times


rates = st.floats(0.5, 400)


@settings(deadline=None, max_examples=60)
@given(rates, st.integers(1, 300), st.floats(0, 0.003))
def test_no_second_holds_more_than_the_burst(rate: float, burst: int, late_s: float) -> None:
    burst = max(burst, int(rate) + 1)
    times = sends(rate, burst, 2000, 8, late_s)
    assert all(times[i + burst] - times[i] > 1 - 1e-9 for i in range(len(times) - burst))


@settings(deadline=None, max_examples=30)
@given(st.floats(1, 300), st.integers(0, 200))
def test_the_long_run_is_within_one_per_cent_of_the_rate(rate: float, more: int) -> None:
    burst = int(rate) + 1 + more
    seconds = max(60.0, 600 / rate)
    times = sends(rate, burst, 10**9, seconds)
    wanted = burst + rate * seconds

    assert len(times) <= wanted + 1
    assert len(times) >= 0.99 * rate * seconds - 1


@pytest.mark.parametrize("rate", [1, 5, 20, 100])
def test_a_burst_that_is_the_rate_still_gives_the_rate(rate: int) -> None:
    times = sends(rate, rate, 10**9, 100, late_s=0.001)
    assert len(times) == pytest.approx(rate * 100, rel=0.01, abs=rate)


@given(st.integers(0, 50), st.integers(1, 100))
def test_no_more_is_drawn_than_can_be_used(waiting: int, burst: int) -> None:
    bucket = Bucket(1000, burst)
    wanted = bucket.wanted(waiting, 0.0)
    assert wanted == min(waiting, burst)
    bucket.put(wanted)
    assert bucket.wanted(waiting, 0.0) == 0


def test_what_waited_at_start_may_use_the_whole_burst_at_once() -> None:
    times = sends(10, 30, 100, 0.5)
    assert len([at for at in times if at < 0.01]) == 30


def test_without_a_token_nothing_is_taken() -> None:
    assert not Bucket(10, 10).take(0.0)
