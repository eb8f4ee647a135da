"""One settlement: one script of statements, one round trip, one transaction.

The attempts travel by COPY, which costs the least of all ways. It stands in the middle as a gate:
the server waits there, and goes on only if every cursor was still ours.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from psycopg import pq

from espf.errors import LeaseLost
from espf.eventlog.model import AttemptRow, ParkRow, Settlement
from espf.eventlog.postgres.link import Gate, Link
from espf.eventlog.postgres.statement import filled_in, statement

_ESCAPED = re.compile("[\\\\\t\n\r\x00\ud800-\udfff]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_NULL = "\\N"
_MARK = "SELECT pg_current_xact_id()"
FATE_POLL_S = 0.2


class Script(NamedTuple):
    """A settlement as `Link.script` takes it."""

    text: str
    rows: bytes
    gate: Gate


def script_of(
    settlement: Settlement, literal: Callable[[str], str], began: Callable[[int], None]
) -> Script:
    """The script of a settlement; `began` is told its transaction before anything is final.

    The gate raises LeaseLost.
    """
    parts = ["BEGIN", _MARK]
    if settlement.positions:
        rows = [(p.i_handler, p.lane, p.position, p.fence) for p in sorted(settlement.positions)]
        names = ("i_handler", "lane", "position", "fence")
        literals = {
            "positions": literal(_records(names, rows)),
            "owner": literal(settlement.instance),
        }
        parts.append(filled_in("move_cursors", literals))
    parts.append(filled_in("record_attempts", {}))
    parts += _parked(settlement, literal)
    parts += _states(settlement, literal)
    parts.append("COMMIT")
    rows_text = "".join([_line(row) for row in settlement.attempts])
    return Script("; ".join(parts), rows_text.encode(), _gate(settlement, began))


async def was_stored(link: Link, settlement: Settlement, transaction: int) -> bool:
    """What became of a settlement whose COMMIT was not answered.

    Its rows tell. The transaction's id does not: what a crash undid never happened, and its ids are
    given out again. It only tells whether a server that has not noticed the cut is still at it.
    """
    while True:
        bound = {"transaction": transaction}
        ((still_open,),) = await link.fetch(statement("settlement_open"), bound)
        if not still_open:
            break
        await asyncio.sleep(FATE_POLL_S)
    if settlement.attempts:
        found = await link.fetch(statement("attempt_stored"), settlement.attempts[0]._asdict())
    elif settlement.park:
        found = await link.fetch(statement("parked_stored"), settlement.park[0]._asdict())
    else:
        return False  # all else may be done twice
    return bool(found[0][0])


def _gate(settlement: Settlement, began: Callable[[int], None]) -> Gate:
    def gate(results: list[pq.abc.PGresult]) -> Exception | None:
        mark = results[1].get_value(0, 0)
        assert mark is not None
        began(int(mark))
        moved = results[2].command_tuples if settlement.positions else 0
        if moved == len(settlement.positions):
            return None
        return LeaseLost(
            f"Instance {settlement.instance} no longer owns the lanes it was settling; "
            "another one has taken them over, and tries their open events again."
        )

    return gate


def _parked(settlement: Settlement, literal: Callable[[str], str]) -> list[str]:
    parts = []
    now = str(settlement.now_us)
    if settlement.unpark:
        names = ("i_handler", "i_event", "entity", "entity_id")
        rows = literal(_records(names, settlement.unpark))
        parts.append(filled_in("unpark_all", {"rows": rows}))
        parts.append(filled_in("activate_all", {"rows": rows, "now_us": now}))
    if settlement.park:
        rows = literal(_records(ParkRow._fields, settlement.park))
        parts.append(filled_in("park_all", {"rows": rows}))
        parts.append(filled_in("wait_behind_all", {"rows": rows}))
    if settlement.repark:
        rows = literal(_records(ParkRow._fields, settlement.repark))
        parts.append(filled_in("repark_all", {"rows": rows}))
    return parts


def _states(settlement: Settlement, literal: Callable[[str], str]) -> list[str]:
    parts = []
    now = str(settlement.now_us)
    for move in settlement.breakers:
        literals = {
            "i_handler": str(move.i_handler),
            "since_us": "NULL" if move.since_us is None else str(move.since_us),
            "reason": "NULL" if move.reason is None else literal(clean(move.reason)),
            "now_us": now,
        }
        names = ["open_breaker"] if move.breaker == "open" else ["close_breaker", "stop_counting"]
        parts += [filled_in(name, literals) for name in names]
    if settlement.breakers:
        parts.append(filled_in("bump_state_version", {}))
    for i_handler, since_us in settlement.release:
        literals = {"i_handler": str(i_handler), "since_us": str(since_us), "now_us": now}
        parts.append(filled_in("release", literals))
    for row in settlement.statuses:
        literals = {
            "i_account": str(row.i_account),
            "group_name": literal(clean(row.group_name)),
            "status": literal(row.status),
            "message": literal(clean(row.message)),
            "i_event": str(row.i_event),
            "set_us": now,
        }
        parts.append(filled_in("set_status", literals))
    for i_handler, i_event in settlement.skipped:
        literals = {"i_handler": str(i_handler), "i_event": str(i_event)}
        parts.append(filled_in("skip_done", literals))
    return parts


def _records(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as a JSON array of objects."""
    records = [
        {
            name: clean(value) if isinstance(value, str) else value
            for name, value in zip(names, row, strict=True)
        }
        for row in rows
    ]
    return orjson.dumps(records).decode()


def clean(text: str) -> str:
    """Without what PostgreSQL's text cannot hold."""
    return _UNSTORABLE.sub("\ufffd", text)


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _line(row: AttemptRow) -> str:
    """A row in COPY's text form. Written out: it is made for each event."""
    (
        i_handler, i_event, attempt, outcome, status, started_us, duration_us, code, reason,
        request, answer, instance,
    ) = row  # fmt: skip
    if _ESCAPED.search(request):
        request = _escaped(request)
    if answer and _ESCAPED.search(answer):
        answer = _escaped(answer)
    told = _NULL if reason is None else _escaped(reason)
    return (
        f"{i_handler}\t{i_event}\t{attempt}\t{outcome}\t{status}\t{started_us}\t{duration_us}\t"
        f"{_NULL if code is None else code}\t{told}\t{request}\t{answer}\t{instance}\n"
    )


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), text)
