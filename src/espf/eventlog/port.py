"""The event log as the engine sees it. SQLite and PostgreSQL implement it.

The port assumes no SQL transaction across lanes beyond `settle`, whose parts are independent for
each handler and lane, so that a distributed log can stand behind it.
"""

from collections.abc import Collection
from typing import Protocol

from espf.eventlog.model import (
    Batch,
    DueEvents,
    HandlerRow,
    HandlerState,
    LaneLease,
    Settlement,
    Standing,
)
from espf.events.model import Event


class EventLog(Protocol):
    """Reading lanes and settling them. Every method raises StorageError, never a driver's error."""

    def changed(self) -> bool:
        """Whether anything was committed since the last call. Cheap: asked 50 times a second."""

    async def standing(self) -> Standing:
        """How far the log may be read, and the version of the handlers' configuration."""

    async def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""

    async def state(self, i_handler: int) -> HandlerState:
        """Breaker and stopped time of a handler."""

    async def take_lanes(self, i_handler: int, instance: str) -> list[LaneLease]:
        """Take over the handler's lanes; whoever settles with an older fence gets LeaseLost."""

    async def settled_above(self, i_handler: int, position: int) -> frozenset[int]:
        """Events above the lowest cursor that were settled before a restart."""

    async def read(self, i_handler: int, after: int, upto: int, limit: int) -> Batch:
        """Subscribed events with `after < i_event <= upto`, at most `limit`."""

    async def skips(self, i_handler: int, after: int, upto: int) -> dict[int, str]:
        """Events that an operator asked to skip while they are in their lane: i_event → reason."""

    async def due(
        self, i_handler: int, now_us: int, limit: int, exclude: Collection[int], *, early: bool
    ) -> DueEvents:
        """Parked events whose time has come, oldest first; `early`: those still waiting, too."""

    async def successor(self, event: Event, upto: int) -> int | None:
        """A later event of the same type and entity, if there is one up to `upto`."""

    async def settle(self, settlement: Settlement) -> None:
        """Record it durably. Raises LeaseLost, and records nothing, if a fence does not fit."""

    async def draw_tokens(
        self, i_handler: int, wanted: float, rate: float, burst: int, now_us: int
    ) -> float:
        """Take up to `wanted` tokens from the handler's bucket; returns how many it gave."""

    async def close(self) -> None:
        """Give up the connections."""
