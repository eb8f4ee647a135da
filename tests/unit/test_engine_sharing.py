"""Who owns which lanes: evenly, moving as little as possible, the same for all who look."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from espf.engine.sharing import Plan, Unit, plan, shares

TOKENS = ("a", "b", "c", "d", "e")
owners = st.lists(st.sampled_from([*TOKENS, None]), min_size=64, max_size=64)
living = st.sets(st.sampled_from(TOKENS), min_size=1)


def lanes(owned: "list[str | None]", i_handler: int = 1) -> list[Unit]:
    return [Unit(i_handler, ((lane, owner),)) for lane, owner in enumerate(owned)]


def follow(owned: "list[str | None]", alive: set[str], rounds: int = 2) -> "list[str | None]":
    """What becomes of lanes when all look at the same rows, then do what each planned."""
    after = [owner if owner in alive else None for owner in owned]
    for _ in range(rounds):
        plans = {me: plan(me, lanes(after), [], {1: alive}) for me in alive}
        before = list(after)
        for me, made in plans.items():
            for lane in made.leave.get(1, []):
                assert before[lane] == me
                after[lane] = None
            for lane in made.take.get(1, []):
                assert before[lane] is None
                assert after[lane] is None, "two take one lane"
                after[lane] = me
    return after


@given(owners, living)
def test_lanes_end_up_evenly_spread_and_all_owned(
    owned: "list[str | None]", alive: set[str]
) -> None:
    after = follow(owned, alive)
    counts = Counter(after)

    assert None not in counts
    assert max(counts.values()) - min(counts[token] for token in alive) <= 1


@given(owners, living)
def test_what_is_spread_stays_where_it_is(owned: "list[str | None]", alive: set[str]) -> None:
    after = follow(owned, alive)
    assert follow(after, alive) == after


@given(owners, living)
def test_no_more_lanes_move_than_must(owned: "list[str | None]", alive: set[str]) -> None:
    there = [owner if owner in alive else None for owner in owned]
    after = follow(owned, alive)
    low, extra = divmod(64, len(alive))
    counts = Counter(owner for owner in there if owner is not None)
    ranked = sorted(alive, key=lambda token: (-counts[token], token))
    kept = sum(min(counts[t], low + (n < extra)) for n, t in enumerate(ranked))

    assert sum(1 for one, two in zip(there, after, strict=True) if one == two) == kept


@given(st.lists(st.sampled_from([*TOKENS, None]), max_size=9), living)
def test_handlers_that_cannot_be_split_are_spread_as_wholes(
    owned: "list[str | None]", alive: set[str]
) -> None:
    there = [owner if owner in alive else None for owner in owned]
    units = [
        Unit(number, tuple((lane, owner) for lane in range(64)))
        for number, owner in enumerate(there)
    ]
    able = dict.fromkeys(range(len(units)), alive)
    found = shares(units, alive)
    counts = Counter(found.values())

    assert set(found) == set(range(len(units)))
    assert max(counts.values(), default=0) - min((counts[t] for t in alive), default=0) <= 1
    for me in alive:
        made = plan(me, [], units, able)
        assert all(len(taken) == 64 for taken in made.take.values())


def test_who_cannot_run_a_handler_gets_none_of_its_lanes() -> None:
    units = lanes(["a"] * 64)
    assert plan("b", units, [], {1: ["a"]}) == Plan({}, {})
    assert len(plan("a", units, [], {1: ["b"]}).leave[1]) == 64


def test_two_that_came_by_parts_of_a_whole_agree_on_one_of_them() -> None:
    whole = Unit(1, tuple((lane, "a" if lane < 30 else "b") for lane in range(64)))
    able = {1: ["a", "b"]}
    assert plan("a", [], [whole], able) == Plan({}, {})
    assert plan("b", [], [whole], able).leave == {1: list(range(30, 64))}
    rest = Unit(1, tuple((lane, "a" if lane < 30 else None) for lane in range(64)))
    assert plan("a", [], [rest], able).take == {1: list(range(30, 64))}


def test_of_a_handler_that_nobody_can_run_nothing_moves() -> None:
    assert plan("a", lanes(["a"] * 64), [], {1: []}) == Plan({}, {})
