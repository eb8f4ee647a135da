"""Retry.*: bounds of the delays, and when an event is given up."""

from hypothesis import given
from hypothesis import strategies as st

from espf.engine.retry import RetryPolicy
from espf.handlers.settings import HandlerSettings

policies = st.builds(
    RetryPolicy,
    first_delay_s=st.floats(0.001, 1e6),
    factor=st.floats(1, 1000),
    max_delay_s=st.floats(0.001, 1e6),
    jitter=st.floats(0, 0.99),
    give_up_after_s=st.floats(1, 1e7),
    max_attempts=st.integers(0, 100),
)
chances = st.floats(0, 1, exclude_max=True)
DEFAULT = RetryPolicy.of(HandlerSettings())


@given(policies, st.integers(1, 10**9), chances)
def test_a_delay_varies_by_the_jitter_around_the_plan_and_no_more(
    policy: RetryPolicy, attempts: int, chance: float
) -> None:
    delay_s = policy.delay_us(attempts, None, lambda: chance) / 1e6
    plan_s = policy.delay_us(attempts, None, lambda: 0.5) / 1e6

    assert delay_s <= policy.max_delay_s * (1 + policy.jitter) + 1e-5
    assert abs(delay_s - plan_s) <= plan_s * policy.jitter + 1e-5
    assert plan_s >= min(policy.first_delay_s, policy.max_delay_s) - 1e-5


@given(policies, st.integers(1, 200))
def test_delays_never_shrink_from_one_attempt_to_the_next(
    policy: RetryPolicy, attempts: int
) -> None:
    def delay_us(number: int) -> int:
        return policy.delay_us(number, None, lambda: 0.5)

    assert delay_us(attempts) <= delay_us(attempts + 1)


@given(policies, st.integers(1, 50), chances, st.floats(0, 1e9))
def test_retry_after_is_honoured_up_to_the_longest_delay_and_not_shortened(
    policy: RetryPolicy, attempts: int, chance: float, asked_s: float
) -> None:
    delay_s = policy.delay_us(attempts, asked_s, lambda: chance) / 1e6
    unasked_s = policy.delay_us(attempts, None, lambda: chance) / 1e6

    assert delay_s >= min(asked_s, policy.max_delay_s) - 1e-5
    assert delay_s <= max(unasked_s, min(asked_s, policy.max_delay_s)) + 1e-5


def test_the_default_schedule_doubles_from_a_minute_to_an_hour() -> None:
    delays = [DEFAULT.delay_us(number, None, lambda: 0.5) / 1e6 for number in range(1, 9)]
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_the_default_schedule_makes_about_29_attempts_in_a_day() -> None:
    attempts, waited_us = 1, 0
    while True:
        delay_us = DEFAULT.delay_us(attempts, None, lambda: 0.5)
        if DEFAULT.gives_up(attempts, waited_us, delay_us):
            break
        attempts, waited_us = attempts + 1, waited_us + delay_us
    assert 28 <= attempts <= 30


@given(policies, st.integers(1, 200), st.integers(0, 10**13), st.integers(0, 10**12))
def test_an_event_is_given_up_by_attempts_or_by_time_and_for_no_other_reason(
    policy: RetryPolicy, attempts: int, waited_us: int, delay_us: int
) -> None:
    reason = policy.gives_up(attempts, waited_us, delay_us)

    by_attempts = bool(policy.max_attempts) and attempts >= policy.max_attempts
    by_time = waited_us + delay_us > policy.give_up_after_s * 1e6
    assert (reason is not None) == (by_attempts or by_time)
    if by_attempts:
        assert "Retry.MaxAttempts" in str(reason)
