"""Lanes and tokens of an instance: each call is one short transaction."""

from collections.abc import Collection

import orjson

from espf.eventlog.model import (
    InstanceBeat,
    InstanceRow,
    LaneLease,
    LaneRow,
    TokensGiven,
    TokenWish,
)
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import Statement, statement
from espf.eventlog.tokens import draw, stored_bucket, to_store

_BEGIN = Statement(b"begin", b"BEGIN", ())
_COMMIT = Statement(b"commit", b"COMMIT", ())
# What a bucket loses with the server's last milliseconds is not worth waiting for its disk.
_LIGHTLY = Statement(b"light", b"SET LOCAL synchronous_commit = off", ()), dict[str, object]()


def applications(token: str) -> list[str]:
    """Names of an instance's connections, as the server lists them."""
    # A name has at most 63 characters; the end of a token is its own, the start the instance's.
    own = f" of {token.rpartition('/')[2]}" if token else ""
    return [f"espf {what}{own}"[:63] for what in ("polling", "reading", "settling")]


async def cut_off(link: Link, owners: Collection[str]) -> None:
    """End the connections of owners whose leases are over.

    One that is paused, or beyond a broken network, may have locked the rows of its lanes in the
    middle of a settlement; nobody else could take them until it wakes.
    """
    if owners:
        names = [name for owner in owners for name in applications(owner)]
        await link.fetch(statement("cut_off"), {"names": names})


async def cut_off_settling(link: Link, token: str) -> None:
    """End what is left of a lost settling connection of our own: then its fate is decided."""
    if token:
        await link.fetch(statement("cut_off"), {"names": applications(token)[-1:]})


async def take_lanes(
    link: Link, i_handler: int, owner: str, seen: Collection[LaneRow], now_us: int
) -> list[LaneLease]:
    """Own the lanes, then have what a crash left in the middle tried again.

    Two transactions: a crash between them leaves rows that are in progress in lanes of an owner who
    is dead, and whoever takes the lanes next mends them.
    """
    wanted = [{"lane": r.lane, "fence": r.fence, "renewals": r.renewals} for r in seen]
    bound = {"i_handler": i_handler, "owner": owner, "seen": _json(wanted)}
    rows = await link.fetch(statement("take_lanes"), bound)
    if rows:
        lanes = {"i_handler": i_handler, "lanes": [row[0] for row in rows], "now_us": now_us}
        await link.fetch(statement("reset_in_progress"), lanes)
    return [LaneLease(*row) for row in sorted(rows)]


async def release_lanes(
    link: Link, i_handler: int, owner: str, leases: Collection[LaneLease]
) -> None:
    """Give lanes back."""
    given = _json([{"lane": lease.lane, "fence": lease.fence} for lease in leases])
    bound = {"i_handler": i_handler, "owner": owner, "leases": given}
    await link.fetch(statement("release_lanes"), bound)


async def beat(link: Link, me: InstanceRow, before_us: int) -> list[InstanceBeat]:
    """Note that the instance lives; what there is of others."""
    _, _, rows = await link.fetch_all(
        [
            (statement("beat"), me._asdict()),
            (statement("forget_the_dead"), {"before_us": before_us}),
            (statement("beats"), {}),
        ],
        together=True,
    )
    return [InstanceBeat._make(row) for row in rows]


async def leave(link: Link, token: str) -> None:
    """Forget the instance, and free its lanes."""
    bound = {"token": token}
    await link.fetch_all(
        [(statement("free_lanes"), bound), (statement("forget_instance"), bound)], together=True
    )


async def claim_probe(link: Link, i_handler: int, seen: int) -> bool:
    """Whether the probe number moved by us; the others are told."""
    bound = {"i_handler": i_handler, "seen": seen}
    claimed = bool(await link.fetch(statement("claim_probe"), bound))
    if claimed:
        await link.fetch(statement("bump_state_version"), {})
    return claimed


async def draw_tokens(link: Link, i_handler: int, wish: TokenWish) -> TokensGiven:
    """Take tokens from the stored bucket: look, count, and store if nobody did so meanwhile.

    The row is not locked while we count: one that is paused just then would hold up the fleet.
    """
    while True:
        ((*stored, now_us),) = await link.fetch(statement("bucket"), {"i_handler": i_handler})
        after, given = draw(stored_bucket(tuple(stored)), wish, now_us)
        seen = dict(zip(("seen_tokens", "seen_us", "seen_grants"), stored, strict=True))
        swap = statement("swap_bucket"), {**to_store(after, i_handler), **seen}
        *_, swapped, _ = await link.fetch_all([(_BEGIN, {}), _LIGHTLY, swap, (_COMMIT, {})])
        if swapped:
            return given


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
