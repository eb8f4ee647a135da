"""What is derived from an event: the catalogue's dispatch table, read for one event."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from espf.errors import PayloadError
from espf.events.catalogue import Catalogue, Dispatch
from espf.events.model import Event

OWNER_SCOPES = {
    "owner-account": "account",
    "owner-customer": "customer",
    "owner-customer-site": "customer_site",
    "owner-product": "product",
}
"""Scopes of one owner, named in the input's `owner_type`."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """One event to be turned into others."""

    cause: Event
    output: str
    """Type of the derived events."""
    scope: str
    """Who gets one: the catalogue's word."""
    owner: int
    """Key of the customer, product or site, or of the owner in the scope's sense."""
    given: Mapping[str, Any]
    """The cause's variables."""


def derivation(dispatcher: str, event: Event) -> Derivation | None:
    """What a dispatcher derives from the event, None if nothing.

    Raises PayloadError for an event whose variables say nothing that can be understood.
    """
    rows = table(dispatcher).get(event.event_type, ())
    given = _variables(event)
    for row in rows:
        owner = _owner(row, event, given)
        if owner is not None:
            return Derivation(event, row.output, row.scope, owner, given)
    return None


@cache
def table(dispatcher: str) -> Mapping[str, tuple[Dispatch, ...]]:
    """Rows of the catalogue's dispatch table, by input."""
    found: dict[str, tuple[Dispatch, ...]] = {}
    for row in Catalogue.load().dispatches:
        if row.handler == dispatcher:
            found[row.input] = (*found.get(row.input, ()), row)
    return found


def _owner(row: Dispatch, event: Event, given: Mapping[str, Any]) -> int | None:
    kind = OWNER_SCOPES.get(row.scope)
    if kind is None:
        return event.entity_id
    if given.get("owner_type") != kind:
        return None
    owner = given.get("owner_id")
    if not isinstance(owner, int):
        raise PayloadError(
            f"Event {event.i_event}: owner_id is {owner!r}, which is no number; nothing is derived."
        )
    return owner


def _variables(event: Event) -> dict[str, Any]:
    try:
        found = orjson.loads(event.variables)
    except orjson.JSONDecodeError as error:
        raise PayloadError(f"Event {event.i_event}: its variables are no JSON ({error}).") from None
    if not isinstance(found, dict):
        raise PayloadError(f"Event {event.i_event}: its variables are no JSON object.")
    return found
