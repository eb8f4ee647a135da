"""Reads handlers from rows: the engine and operators see them alike."""

from collections.abc import Iterable
from typing import Any

import orjson

from espf.eventlog.model import BreakerState, HandlerRow, HandlerState


def handler_row(row: tuple[Any, ...], event_types: Iterable[str]) -> HandlerRow:
    """A handler from a row of the statement `handlers` and its types."""
    return HandlerRow(
        i_handler=row[0],
        name=row[1],
        type=row[2],
        enabled=bool(row[3]),
        paused=bool(row[4]),
        keep_events=bool(row[5]),
        options=orjson.loads(row[6]),
        subscriptions=tuple(orjson.loads(row[7])),
        event_types=frozenset(event_types),
    )


def handler_state(row: tuple[Any, ...] | None) -> HandlerState:
    """The state from a row of the statement `state`; the default where there is none."""
    if row is None:
        return HandlerState()
    breaker: BreakerState = "open" if row[0] == "open" else "closed"
    return HandlerState(breaker, row[1], row[2], row[3], row[4], row[5])
