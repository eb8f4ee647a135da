"""One provisioning event, as capture wrote it."""

from typing import NamedTuple


class Event(NamedTuple):
    """A row of the event log: references to what changed, never a copy of it.

    A NamedTuple, because a million of them an hour are made straight from database rows.
    """

    i_event: int
    """Number of the event, never reused; every repeat of a delivery carries the same one."""
    i_env: int
    """Environment (tenant) that the entity belongs to."""
    event_type: str
    """Canonical v1 name from the catalogue, such as `Account/Blocked`."""
    entity: str
    """Kind of entity, the catalogue's `entity`: account, customer, product, sim, …"""
    entity_id: int
    """Integer key of the entity (`i_account`, `i_customer`, …)."""
    lane: int
    """`entity_id % 64`, and 64 more for a bulk event."""
    event_time: str
    """When it happened, `YYYY-MM-DD HH:MM:SS` in UTC."""
    variables: str
    """JSON object text: the type's own variables without i_env, i_event and event_time."""
    has_sim: bool
    """Whether the account held a SIM card, before or after the change."""
    caused_by: int | None = None
    """`i_event` of the event that a dispatcher derived this one from."""
