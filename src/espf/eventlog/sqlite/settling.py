"""What the engine writes, on the writing thread's connection, each call inside one transaction."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

from espf.errors import LeaseLost
from espf.eventlog.model import (
    RELEASED_AT_ONCE,
    AttemptRow,
    InstanceBeat,
    InstanceRow,
    LaneLease,
    LaneRow,
    ParkedMoment,
    ParkRow,
    ReleasedBehindBulk,
    Settlement,
    TokensGiven,
    TokenWish,
)
from espf.eventlog.statements import statements
from espf.eventlog.tokens import draw, stored_bucket, to_store

_SQL = statements("sqlite")
_ROW = "(" + ", ".join("?" * len(AttemptRow._fields)) + ")"
# One statement with many rows is one step outside Python's lock. A few fixed sizes, so that the
# driver's cache of prepared statements holds them all.
_INSERTS = {
    size: _SQL["record_attempts"] + " " + ", ".join([_ROW] * size) for size in (256, 64, 16, 4, 1)
}


def take_lanes(
    writer: sqlite3.Connection, i_handler: int, owner: str, seen: Collection[LaneRow], now_us: int
) -> list[LaneLease]:
    """Become the owner of the lanes; the fence of an earlier owner is void."""
    rows = writer.execute(
        _SQL["take_lanes"],
        {
            "i_handler": i_handler,
            "owner": owner,
            "seen": _json([(row.lane, row.fence, row.renewals) for row in seen]),
        },
    ).fetchall()
    taken = {"i_handler": i_handler, "lanes": _json([row[0] for row in rows]), "now_us": now_us}
    writer.execute(_SQL["reset_in_progress"], taken)
    return [LaneLease(*row) for row in sorted(rows)]


def renew_lanes(writer: sqlite3.Connection, owner: str) -> list[LaneRow]:
    """Move the counters of the owner's lanes."""
    return [LaneRow._make(row) for row in writer.execute(_SQL["renew_lanes"], {"owner": owner})]


def release_lanes(
    writer: sqlite3.Connection, i_handler: int, owner: str, leases: Collection[LaneLease]
) -> None:
    """Give lanes back."""
    given = _json([(lease.lane, lease.fence) for lease in leases])
    bound = {"i_handler": i_handler, "owner": owner, "leases": given}
    writer.execute(_SQL["release_lanes"], bound)


def beat(writer: sqlite3.Connection, me: InstanceRow, forget_before_us: int) -> list[InstanceBeat]:
    """Note that the instance lives; what there is of others."""
    writer.execute(_SQL["beat"], me._asdict())
    writer.execute(_SQL["forget_the_dead"], {"before_us": forget_before_us})
    return [InstanceBeat._make(row) for row in writer.execute(_SQL["beats"]).fetchall()]


def leave(writer: sqlite3.Connection, token: str) -> None:
    """Forget the instance, and free its lanes."""
    writer.execute(_SQL["free_lanes"], {"token": token})
    writer.execute(_SQL["forget_instance"], {"token": token})


def shift_clock(
    writer: sqlite3.Connection, i_handler: int, by_us: int, seen: Sequence[ParkedMoment]
) -> None:
    """Move the times of what is parked still as it was seen."""
    rows = _json([tuple(one) for one in seen])
    bound = {"i_handler": i_handler, "by_us": by_us, "seen": rows}
    writer.execute(_SQL["shift_clock"], bound)


def release_behind_bulk(writer: sqlite3.Connection, bound: dict[str, Any]) -> ReleasedBehindBulk:
    """Let go a portion of what waited for bulk events."""
    found = writer.execute(_SQL["behind_bulk_next"], bound).fetchall()
    if not found:
        return ReleasedBehindBulk(0, 0, None)
    bound = {**bound, "upto": found[-1][0]}
    released = len(writer.execute(_SQL["release_behind_bulk"], bound).fetchall())
    last = found[-1][0] if len(found) == RELEASED_AT_ONCE else None
    return ReleasedBehindBulk(released, len(found) - released, last)


def claim_probe(writer: sqlite3.Connection, i_handler: int, seen: int) -> bool:
    """Whether the probe number moved by us."""
    bound = {"i_handler": i_handler, "seen": seen}
    claimed = writer.execute(_SQL["claim_probe"], bound).fetchone() is not None
    if claimed:
        writer.execute(_SQL["bump_state_version"])
    return claimed


def settle(writer: sqlite3.Connection, settlement: Settlement) -> None:
    """Record everything in the settlement. Raises LeaseLost before anything else is written."""
    _move_cursors(writer, settlement)
    for size, rows in _portions(settlement.attempts):
        writer.execute(_INSERTS[size], list(chain.from_iterable(rows)))
    _change_parked(writer, settlement)
    _move_breakers(writer, settlement)
    for i_handler, since_us in settlement.release:
        bound = {"i_handler": i_handler, "since_us": since_us, "now_us": settlement.now_us}
        writer.execute(_SQL["release"], bound)
    for row in settlement.statuses:
        writer.execute(_SQL["set_status"], {**row._asdict(), "set_us": settlement.now_us})
    for i_handler, i_event in settlement.skipped:
        writer.execute(_SQL["skip_done"], {"i_handler": i_handler, "i_event": i_event})


def _move_cursors(writer: sqlite3.Connection, settlement: Settlement) -> None:
    if not settlement.positions:
        return
    moved = writer.execute(
        _SQL["move_cursors"],
        {
            "positions": orjson.dumps(settlement.positions, default=tuple).decode(),
            "owner": settlement.instance,
        },
    ).rowcount
    if moved != len(settlement.positions):
        raise LeaseLost(
            f"Instance {settlement.instance} no longer owns the lanes it was settling; "
            "another one has taken them over, and tries their open events again."
        )


def _change_parked(writer: sqlite3.Connection, settlement: Settlement) -> None:
    for settled in settlement.unpark:
        bound = {**settled._asdict(), "now_us": settlement.now_us}
        writer.execute(_SQL["unpark"], bound)
        writer.execute(_SQL["activate_next"], bound)
    for row in settlement.park:
        writer.execute(_SQL["park"], _bound(row))
        writer.execute(_SQL["wait_behind"], _bound(row))
    for row in settlement.repark:
        writer.execute(_SQL["repark"], _bound(row))


def _bound(row: ParkRow) -> dict[str, object]:
    return row._asdict()


def _move_breakers(writer: sqlite3.Connection, settlement: Settlement) -> None:
    for move in settlement.breakers:
        bound = {
            "i_handler": move.i_handler,
            "since_us": move.since_us,
            "reason": move.reason,
            "now_us": settlement.now_us,
        }
        if move.breaker == "open":
            writer.execute(_SQL["open_breaker"], bound)
        else:
            writer.execute(_SQL["close_breaker"], bound)
            writer.execute(_SQL["stop_counting"], bound)
    if settlement.breakers:
        writer.execute(_SQL["bump_state_version"])


def _portions(rows: Sequence[AttemptRow]) -> Iterator[tuple[int, Sequence[AttemptRow]]]:
    """Cut the rows into the sizes that have a prepared statement, largest first."""
    start = 0
    for size in _INSERTS:
        while len(rows) - start >= size:
            yield size, rows[start : start + size]
            start += size


def draw_tokens(
    writer: sqlite3.Connection, i_handler: int, wish: TokenWish, now_us: int
) -> TokensGiven:
    """Take tokens from the stored bucket."""
    row = writer.execute(_SQL["bucket"], {"i_handler": i_handler}).fetchone()
    after, given = draw(stored_bucket(row), wish, now_us)
    writer.execute(_SQL["set_bucket"], to_store(after, i_handler))
    return given


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
