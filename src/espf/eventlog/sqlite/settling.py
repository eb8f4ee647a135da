"""What the engine writes, on the writing thread's connection, each call inside one transaction."""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain

import orjson

from espf.errors import LeaseLost
from espf.eventlog.model import AttemptRow, HandlerState, LaneLease, ParkRow, Settlement
from espf.eventlog.statements import statements

_SQL = statements("sqlite")
_ROW = "(" + ", ".join("?" * len(AttemptRow._fields)) + ")"
# One statement with many rows is one step outside Python's lock. A few fixed sizes, so that the
# driver's cache of prepared statements holds them all.
_INSERTS = {
    size: _SQL["record_attempts"] + " " + ", ".join([_ROW] * size) for size in (256, 64, 16, 4, 1)
}


def take_lanes(
    writer: sqlite3.Connection, i_handler: int, instance: str, now_us: int
) -> list[LaneLease]:
    """Become the owner of every lane of the handler; the fence of an earlier owner is void."""
    rows = writer.execute(
        _SQL["take_lanes"], {"i_handler": i_handler, "instance": instance}
    ).fetchall()
    writer.execute(_SQL["reset_in_progress"], {"i_handler": i_handler, "now_us": now_us})
    return [LaneLease(*row) for row in sorted(rows)]


def settle(writer: sqlite3.Connection, settlement: Settlement) -> None:
    """Record everything in the settlement. Raises LeaseLost before anything else is written."""
    _move_cursors(writer, settlement)
    for size, rows in _portions(settlement.attempts):
        writer.execute(_INSERTS[size], list(chain.from_iterable(rows)))
    _change_parked(writer, settlement)
    for i_handler, state in settlement.states:
        _set_state(writer, i_handler, state)
    for i_handler, since_us in settlement.release:
        bound = {"i_handler": i_handler, "since_us": since_us, "now_us": settlement.now_us}
        writer.execute(_SQL["release"], bound)
    for i_handler, i_event in settlement.skipped:
        writer.execute(_SQL["skip_done"], {"i_handler": i_handler, "i_event": i_event})


def _move_cursors(writer: sqlite3.Connection, settlement: Settlement) -> None:
    if not settlement.positions:
        return
    moved = writer.execute(
        _SQL["move_cursors"],
        {
            "positions": orjson.dumps(settlement.positions, default=tuple).decode(),
            "instance": settlement.instance,
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
    for row in settlement.repark:
        writer.execute(_SQL["repark"], _bound(row))


def _bound(row: ParkRow) -> dict[str, object]:
    return row._asdict()


def _set_state(writer: sqlite3.Connection, i_handler: int, state: HandlerState) -> None:
    writer.execute(
        _SQL["set_state"],
        {
            "i_handler": i_handler,
            "breaker": state.breaker,
            "since_us": state.since_us,
            "reason": state.reason,
            "stopped_us": state.stopped_us,
            "stopped_since_us": state.stopped_since_us,
        },
    )


def _portions(rows: Sequence[AttemptRow]) -> Iterator[tuple[int, Sequence[AttemptRow]]]:
    """Cut the rows into the sizes that have a prepared statement, largest first."""
    start = 0
    for size in _INSERTS:
        while len(rows) - start >= size:
            yield size, rows[start : start + size]
            start += size


def draw_tokens(
    writer: sqlite3.Connection, i_handler: int, wanted: float, rate: float, burst: int, now_us: int
) -> float:
    """Take up to `wanted` tokens. A clock set back adds none for that time, and makes no debt."""
    row = writer.execute(_SQL["bucket"], {"i_handler": i_handler}).fetchone()
    tokens, tokens_us = (None, None) if row is None else row
    if tokens is None or tokens_us is None:
        level = float(burst)
    else:
        level = min(float(burst), tokens + max(0, now_us - tokens_us) * rate / 1_000_000)
    given = min(level, wanted)
    writer.execute(
        _SQL["set_bucket"], {"i_handler": i_handler, "tokens": level - given, "now_us": now_us}
    )
    return given
