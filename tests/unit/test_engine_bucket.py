"""The token bucket against a simulated clock, for one instance and for a fleet: the strict second,
the long run, nothing wasted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espf.engine.bucket import Bucket
from espf.eventlog.model import TokensGiven, TokenWish
from espf.eventlog.tokens import Bucket as StoredBucket
from espf.eventlog.tokens import draw


class Stored:
    """The bucket in the database."""

    def __init__(self) -> None:
        self.bucket = StoredBucket(None, None, ())

    def draw(self, wish: TokenWish, now_s: float) -> TokensGiven:
        self.bucket, given = draw(self.bucket, wish, round(now_s * 1e6))
        return given


def sends(
    rate: float, burst: int, waiting: int, seconds: float, late_s: float = 0.0, fleet: int = 1
) -> list[float]:
    """When requests leave, all of them waiting from the start; timers fire `late_s` late."""
    stored, times = Stored(), list[float]()
    instances = [Bucket(rate, burst, shared=fleet > 1) for _ in range(fleet)]
    wakes = [0.0001 * n for n in range(fleet)]
    while len(times) < waiting:
        place = min(range(fleet), key=wakes.__getitem__)
        now_s, bucket = wakes[place], instances[place]
        if now_s >= seconds:
            break
        if bucket.take(now_s):
            times.append(now_s)
            continue
        wish = bucket.wish(waiting - len(times), now_s)
        given = TokensGiven(0, 0)
        if wish.wanted > 0:
            given = stored.draw(wish, now_s)
            bucket.put(given, now_s)
            while len(times) < waiting and bucket.take(now_s):
                times.append(now_s)
        if wish.wanted <= 0 or given.tokens < wish.wanted:
            wakes[place] = now_s + bucket.wait_s(now_s) + late_s
    return times


rates = st.floats(0.5, 400)


@settings(deadline=None, max_examples=60)
@given(rates, st.integers(1, 300), st.floats(0, 0.003), st.integers(1, 4))
def test_no_second_holds_more_than_the_burst_whoever_sends(
    rate: float, burst: int, late_s: float, fleet: int
) -> None:
    burst = max(burst, int(rate) + 1)
    times = sends(rate, burst, 2000, 8, late_s, fleet)
    assert all(times[i + burst] - times[i] > 1 - 1e-6 for i in range(len(times) - burst))


@settings(deadline=None, max_examples=12)
@given(st.floats(1, 300), st.integers(0, 200), st.integers(1, 3))
def test_the_long_run_is_within_one_per_cent_of_the_rate(
    rate: float, more: int, fleet: int
) -> None:
    burst = int(rate) + 1 + more
    seconds = max(20.0, 600 / rate)
    times = sends(rate, burst, 10**9, seconds, fleet=fleet)
    wanted = burst + rate * seconds

    assert len(times) <= wanted + 1
    assert len(times) >= 0.99 * rate * seconds - 1


@pytest.mark.parametrize("rate", [1, 5, 20, 100])
@pytest.mark.parametrize("fleet", [1, 3])
def test_a_burst_that_is_the_rate_still_gives_the_rate(rate: int, fleet: int) -> None:
    times = sends(rate, rate, 10**9, 100, late_s=0.001, fleet=fleet)
    assert len(times) == pytest.approx(rate * 100, rel=0.01, abs=rate)


@given(st.integers(0, 50), st.integers(1, 100))
def test_no_more_is_drawn_than_can_be_used(waiting: int, burst: int) -> None:
    bucket = Bucket(1000, burst)
    wish = bucket.wish(waiting, 0.0)
    assert wish == TokenWish(min(waiting, burst), 0, 1000, burst)
    bucket.put(TokensGiven(wish.wanted, 0), 0.0)
    assert bucket.wish(waiting, 0.0).wanted == 0


def test_what_was_not_used_goes_back_and_another_instance_has_it() -> None:
    stored, one = Stored(), Bucket(0.001, 10)
    one.put(stored.draw(one.wish(10, 0.0), 0.0), 0.0)
    assert stored.draw(TokenWish(10, 0, 0.001, 10), 0.5).tokens == 0
    wish = one.wish(0, 0.5)
    assert (wish.wanted, wish.returned) == (0, 10)
    assert stored.draw(wish._replace(wanted=4), 0.5).tokens == 4
    assert stored.draw(TokenWish(10, 0, 0.001, 10), 0.5).tokens == 6


def test_what_waited_at_start_may_use_the_whole_burst_at_once() -> None:
    times = sends(10, 30, 100, 0.5)
    assert len([at for at in times if at < 0.01]) == 30


def test_without_a_token_nothing_is_taken() -> None:
    assert not Bucket(10, 10).take(0.0)


def test_a_clock_set_back_makes_no_debt_and_no_tokens() -> None:
    bucket, _ = draw(StoredBucket(None, None, ()), TokenWish(5, 0, 10, 5), 10**12)
    bucket, given = draw(bucket, TokenWish(5, 0, 10, 5), 10**12 - 3_600_000_000)
    assert given.tokens == 0
    assert draw(bucket, TokenWish(5, 0, 10, 5), 10**12 - 3_600_000_000 + 100_000)[1].tokens == 1
