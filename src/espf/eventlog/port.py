"""The event log as the engine sees it. SQLite and PostgreSQL implement it.

The port assumes no SQL transaction across lanes beyond `settle`, whose parts are independent for
each handler and lane, so that a distributed log can stand behind it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from espf.eventlog.model import (
    Batch,
    DueEvents,
    HandlerRow,
    HandlerState,
    InstanceBeat,
    InstanceRow,
    LaneLease,
    LaneRow,
    ParkedMoment,
    ReleasedBehindBulk,
    Settlement,
    Standing,
    TokensGiven,
    TokenWish,
)
from espf.events.model import Event


class EventLog(Protocol):
    """Reading lanes and settling them. Every method raises StorageError, never a driver's error."""

    exclusive: bool
    """No other instance works on this database while this one does: its lanes need no renewal."""

    async def poll(self) -> Standing | None:
        """Where the log stands; None if nothing moved since the last call. Asked 50 times a second.

        After an error the next call tells where it stands in any case.
        """

    async def handlers(self) -> list[HandlerRow]:
        """All handlers, by name."""

    async def state(self, i_handler: int) -> HandlerState:
        """Breaker and stopped time of a handler."""

    async def claim_probe(self, i_handler: int, seen: int) -> bool:
        """Whether the next probe is ours: it is if `HandlerState.probe` is still what we saw."""

    # ---- instances and lanes ----

    async def beat(self, me: InstanceRow) -> list[InstanceBeat]:
        """Say that this instance lives, and what there is of others."""

    async def leave(self, token: str) -> None:
        """Take the instance off the list, for one that stops; what it owned is free."""

    async def lanes(self) -> list[LaneRow]:
        """Every lane of every handler."""

    async def take_lanes(
        self, i_handler: int, owner: str, seen: Collection[LaneRow]
    ) -> list[LaneLease]:
        """Own those of the lanes that are still as they were seen. Their fence moves.

        Whoever settles with an older fence gets LeaseLost. Attempts that the last owner left in the
        middle are due again.
        """

    async def renew_lanes(self, owner: str) -> list[LaneRow]:
        """Show that the owner lives; returns all its lanes."""

    async def release_lanes(
        self, i_handler: int, owner: str, leases: Collection[LaneLease]
    ) -> None:
        """Give lanes back, if they are still ours."""

    # ---- reading ----

    async def settled_above(self, i_handler: int, leases: Sequence[LaneLease]) -> frozenset[int]:
        """Events above the cursors of these lanes that are settled; others' may be among them."""

    async def read(
        self,
        i_handler: int,
        after: int,
        upto: int,
        limit: int,
        lanes: Collection[int],
        *,
        bulk_after: int,
    ) -> Batch:
        """Subscribed ordinary events of the lanes with `after < i_event <= upto`, at most `limit`.

        `bulk_after`: up to where bulk events are read.
        """

    async def read_bulk(
        self, i_handler: int, after: int, upto: int, limit: int, lanes: Collection[int]
    ) -> Batch:
        """The same of bulk events, of which there may be few among very many others."""

    async def behind_bulk(
        self, i_handler: int, events: Collection[Event], after: Mapping[int, int]
    ) -> frozenset[int]:
        """Which of the events have a bulk event of their entity before them that is not read yet.

        `after`: up to where each bulk lane is read.
        """

    async def release_behind_bulk(
        self, i_handler: int, lanes: Collection[int], after: int, now_us: int
    ) -> ReleasedBehindBulk:
        """Let go what waits in these lanes for bulk events that are settled: the next portion."""

    async def skips(self, i_handler: int, after: int, upto: int) -> dict[int, str]:
        """Events that an operator asked to skip while they are in their lane: i_event → reason."""

    async def due(
        self,
        i_handler: int,
        now_us: int,
        limit: int,
        exclude: Collection[int],
        lanes: Collection[int],
        *,
        early: bool,
    ) -> DueEvents:
        """Parked events whose time has come, oldest first; `early`: those still waiting, too."""

    async def parked_moments(
        self, i_handler: int, lanes: Collection[int], after: int, since_us: int, now_us: int
    ) -> list[ParkedMoment]:
        """Some of what is parked in these lanes with `i_event > after`, in order; [] at the end.

        Without what was parked between `since_us` and `now_us`.
        """

    async def shift_clock(self, i_handler: int, by_us: int, seen: Sequence[ParkedMoment]) -> None:
        """The clock jumped: what is parked still as it was seen keeps its distance to now.

        May be repeated: what was moved is no longer as it was seen.
        """

    async def successor(self, event: Event, upto: int) -> int | None:
        """A later event of the same type and entity, if there is one up to `upto`."""

    # ---- writing ----

    async def settle(self, settlement: Settlement) -> None:
        """Record it durably. Raises LeaseLost, and records nothing, if a fence does not fit.

        May be repeated after a StorageError: what was stored nevertheless is not stored twice.
        """

    async def draw_tokens(self, i_handler: int, wish: TokenWish, now_us: int) -> TokensGiven:
        """Take up to `wish.wanted` tokens from the handler's bucket; returns how many it gave.

        In no second does it give more than `wish.burst` (domain, 2.2).
        """

    async def close(self) -> None:
        """Give up the connections."""
