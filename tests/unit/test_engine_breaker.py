"""The breaker: opens for a dead system, not for a few bad subscribers; closes at any answer."""

from hypothesis import given
from hypothesis import strategies as st

from espf.engine.breaker import MIN_ENTITIES, REFUSED_LIMIT, Breaker


def key(number: int) -> tuple[str, int]:
    return ("account", number)


def fail(breaker: Breaker, entity: int, at_us: int = 1, *, refused: bool = False) -> bool:
    return breaker.failed(key(entity), at_us, "no answer", refused=refused)


def opened(limit: int = 20) -> Breaker:
    breaker = Breaker(limit, 5.0)
    for entity in range(REFUSED_LIMIT):
        fail(breaker, entity, refused=True)
    assert breaker.is_open
    return breaker


steps = st.lists(
    st.one_of(st.just("answer"), st.tuples(st.integers(0, 7), st.booleans())),
    max_size=80,
)


@given(steps, st.integers(1, 12))
def test_it_is_open_exactly_when_the_row_of_failures_says_so(
    history: list[str | tuple[int, bool]], limit: int
) -> None:
    breaker = Breaker(limit, 5.0)
    row: list[tuple[int, bool]] = []
    expected = False
    for step in history:
        if isinstance(step, str):
            assert breaker.succeeded() == expected, "True only when it closes"
            row, expected = [], False
        else:
            entity, refused = step
            row.append(step)
            many = len(row) >= limit and len({one for one, _ in row}) >= MIN_ENTITIES
            tail = row[-REFUSED_LIMIT:]
            dead = len(tail) == REFUSED_LIMIT and all(refused for _, refused in tail)
            opens = not expected and (many or dead)
            assert fail(breaker, entity, refused=refused) == opens
            expected = expected or opens
        assert breaker.is_open == expected


def test_the_outage_began_with_the_first_failure_of_the_row() -> None:
    breaker = Breaker(5, 5.0)
    fail(breaker, 1, 10)
    breaker.succeeded()
    for entity in range(5):
        fail(breaker, entity, 20 + entity)
    assert breaker.is_open
    assert breaker.since_us == 20


def test_the_first_probe_leaves_at_once_and_the_next_after_the_interval() -> None:
    breaker = opened()
    assert breaker.probe_due(100.0)
    breaker.probe_sent(key(1), 100.0)
    assert not breaker.probe_due(104.9)
    assert breaker.probe_due(105.0)


def test_a_probe_that_was_not_sent_does_not_cost_the_interval() -> None:
    breaker = opened()
    breaker.probe_sent(key(1), 100.0)
    breaker.probe_unused()
    assert breaker.probe_due(100.0)


def test_a_failed_probe_neither_closes_nor_opens_it_again() -> None:
    breaker = opened()
    assert not fail(breaker, 1)
    assert breaker.is_open


def test_probes_come_from_different_entities_until_all_were_probed() -> None:
    breaker = opened()
    breaker.probe_sent(key(1), 0.0)
    assert not breaker.may_probe(key(1))
    assert breaker.may_probe(key(2))
    breaker.forget_probes()
    assert breaker.may_probe(key(1))


def test_one_restored_as_open_probes_at_once_and_closes_at_the_first_answer() -> None:
    breaker = Breaker(20, 5.0)
    breaker.restore(since_us=7, reason="dead")
    assert breaker.probe_due(0.0)
    assert breaker.since_us == 7
    assert breaker.succeeded()
    assert not breaker.is_open


def test_a_closed_breaker_wants_no_probe() -> None:
    assert not Breaker(20, 5.0).probe_due(1e9)
