"""The bucket of a handler for the whole fleet: how many tokens it gives now (domain, 2.2).

A token bucket alone would let burst + rate through in its first second. The grants of the last
second are kept beside it, so that no second has more than the burst, whoever sends.
"""

import math
from typing import Any, NamedTuple

import orjson

from espf.eventlog.model import TokensGiven, TokenWish

SECOND_US = 1_000_000
SPARE_US = 2_000
"""A token is used within a moment of being given."""
_SLOT_US = 3_000
"""Grants this near to each other count as one: a second has some 330 of them at most."""


_HEARD_US = 700_000
"""A token used that long ago was given within the last second."""
_COUNTS_US = SECOND_US + _SLOT_US + SPARE_US


class Bucket(NamedTuple):
    """What is stored of a bucket. `tokens` None: it is full."""

    tokens: float | None
    tokens_us: int | None
    grants: tuple[tuple[int, float], ...]
    """(when the first of them was given, how many), oldest first."""


def stored_bucket(row: tuple[Any, ...] | None) -> Bucket:
    """A bucket from a row of the statement `bucket`."""
    if row is None:
        return Bucket(None, None, ())
    return Bucket(row[0], row[1], tuple((at, given) for at, given in orjson.loads(row[2])))


def to_store(bucket: Bucket, i_handler: int) -> dict[str, object]:
    """What the statement `set_bucket` binds."""
    grants = orjson.dumps(bucket.grants).decode()
    return {**bucket._asdict(), "grants": grants, "i_handler": i_handler}


def draw(bucket: Bucket, wish: TokenWish, now_us: int) -> tuple[Bucket, TokensGiven]:
    """The bucket after the draw, and what it gave: whole tokens.

    A clock set back adds nothing for that time, and makes no debt.
    """
    level = _level(bucket, wish, now_us)
    grants = [(at, given) for at, given in bucket.grants if 0 <= now_us - at < _COUNTS_US]
    # What was used long ago, and is told only now, nobody counts any more.
    late = [(now_us - ago_us, float(used)) for ago_us, used in wish.late if ago_us < _HEARD_US]
    grants = _taken_back(grants, wish.returned - wish.expired + sum(used for _, used in late))
    grants = sorted((*grants, *late))
    room = wish.burst - sum(given for _, given in grants)
    given = max(0.0, math.floor(min(level, wish.wanted, room) + 1e-9))
    if given:
        if grants and now_us - grants[-1][0] < _SLOT_US:
            grants[-1] = (grants[-1][0], grants[-1][1] + given)
        else:
            grants.append((now_us, given))
    after = Bucket(level - given, now_us, tuple(grants))
    return after, TokensGiven(given, _wait_s(after, wish, room - given, now_us))


def _wait_s(bucket: Bucket, wish: TokenWish, room: float, now_us: int) -> float:
    """Until there is a token, and room for it in the second."""
    assert bucket.tokens is not None
    wait_s = max(0.0, 1 - bucket.tokens) / wish.rate
    if room < 1 and bucket.grants:
        wait_s = max(wait_s, (bucket.grants[0][0] + _COUNTS_US - now_us) / SECOND_US)
    return wait_s


def _level(bucket: Bucket, wish: TokenWish, now_us: int) -> float:
    if bucket.tokens is None or bucket.tokens_us is None:
        return float(wish.burst)
    added = max(0, now_us - bucket.tokens_us) * wish.rate / SECOND_US
    return min(float(wish.burst), bucket.tokens + added + wish.returned)


def _taken_back(grants: list[tuple[int, float]], returned: float) -> list[tuple[int, float]]:
    """Grants that were not used, or not then, count no longer.

    Nobody knows which those are: of the oldest, so that none counts for too short a time.
    """
    kept: list[tuple[int, float]] = []
    for at, given in grants:
        back = min(given, returned)
        returned -= back
        if given > back:
            kept.append((at, given - back))
    return kept
