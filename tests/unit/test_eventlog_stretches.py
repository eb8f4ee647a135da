"""Stretches of the log in which lanes can have settled events."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from espf.engine.fresh import BATCH, HEAD_LIMIT
from espf.eventlog.stretches import REACH, stretches


def test_reading_stays_within_reach() -> None:
    assert 2 * HEAD_LIMIT + BATCH <= REACH


@given(st.lists(st.integers(0, 10 * REACH), min_size=1, max_size=64))
def test_they_hold_what_is_within_reach_of_a_cursor_and_nothing_else(positions: list[int]) -> None:
    found = stretches(positions)

    assert all(one.upto < later.after for one, later in pairwise(found))
    for number in {n + step for n in positions for step in (0, 1, REACH, REACH + 1)}:
        wanted = any(position < number <= position + REACH for position in positions)
        assert any(one.after < number <= one.upto for one in found) == wanted
