"""The token bucket against a simulated clock, for one instance and for a fleet: the strict second,
the long run, nothing wasted."""

import math
from collections import defaultdict
from random import Random

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
            bucket.put(given, now_s, now_s)
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
    bucket.put(TokensGiven(wish.wanted, 0), 0.0, 0.0)
    assert bucket.wish(waiting, 0.0).wanted == 0


def test_what_was_not_used_goes_back_and_another_instance_has_it() -> None:
    stored, one = Stored(), Bucket(0.001, 10)
    one.put(stored.draw(one.wish(10, 0.0), 0.0), 0.0, 0.0)
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


class Member:
    """One instance with requests that arrive now and then, and connections that take time."""

    def __init__(self, rate: float, burst: int) -> None:
        self.bucket = Bucket(rate, burst, shared=True)
        self.waiting = 0
        self.dialing: list[tuple[float, float]] = []
        """(when it is written, when its token was taken)"""
        self.asked: tuple[float, float, TokenWish] | None = None
        """(when the answer comes, when it was asked, for what)"""
        self.wakes_at = math.inf


def fleet_sends(
    rate: float, burst: int, arrivals: list[tuple[int, int, int]], draws: Random, fleet: int
) -> list[float]:
    """When requests are on the wire, in steps of a millisecond.

    `arrivals`: (at which millisecond, at which instance, how many). A draw takes up to 6 ms, a
    connection up to 40; some requests arrive after tokens were drawn for others, and an instance
    may hold tokens for which it has no request any more.
    """
    stored, members, times = Stored(), [Member(rate, burst) for _ in range(fleet)], list[float]()
    by_step = defaultdict(list)
    for at_ms, place, number in arrivals:
        by_step[at_ms].append((place % fleet, number))
    for step in range(6000):
        now_s = step / 1000
        for place, number in by_step[step]:
            members[place].waiting += number
            members[place].wakes_at = now_s
        for member in members:
            _go_on(member, stored, now_s, draws, times)
    return sorted(times)


def _go_on(member: Member, stored: Stored, now_s: float, draws: Random, times: list[float]) -> None:
    bucket = member.bucket
    for due_s, taken_s in [one for one in member.dialing if one[0] <= now_s]:
        member.dialing.remove((due_s, taken_s))
        bucket.held_up(now_s, now_s - taken_s)
        times.append(now_s)
    while member.waiting and bucket.take(now_s):
        member.waiting -= 1
        if draws.random() < 0.3:
            member.dialing.append((now_s + draws.uniform(0, 0.04), now_s))
        else:
            times.append(now_s)
    if member.asked is None and now_s >= member.wakes_at and (member.waiting or bucket.owes_word):
        wish = bucket.wish(member.waiting, now_s)
        member.asked = (now_s + draws.uniform(0, 0.006), now_s, wish)
    if member.asked is not None and now_s >= member.asked[0]:
        _, asked_s, wish = member.asked
        member.asked = None
        bucket.put(stored.draw(wish, now_s), asked_s, now_s)
        member.waiting = max(0, member.waiting - draws.choice([0, 0, 0, 5]))  # given to another
        member.wakes_at = now_s + max(0.001, bucket.wait_s(now_s))


@settings(deadline=None, max_examples=40)
@given(
    st.floats(1, 400),
    st.integers(1, 200),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3), st.integers(1, 150)), max_size=30),
    st.randoms(use_true_random=False),
    st.integers(1, 4),
)
def test_no_second_on_the_wire_holds_more_whoever_holds_tokens_and_however_late_a_request_leaves(
    rate: float, burst: int, arrivals: list[tuple[int, int, int]], draws: Random, fleet: int
) -> None:
    burst = max(burst, int(rate) + 1)
    times = fleet_sends(rate, burst, arrivals, draws, fleet)
    assert all(times[i + burst] - times[i] > 1 - 1e-6 for i in range(len(times) - burst))
