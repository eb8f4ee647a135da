"""What the engine asks of a handler, and what a handler may answer.

A handler type is found by entry point (group `espf.handlers`); ours come the same way as anyone's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from espf.clock import Clock
from espf.dispatch.port import Fanouts
from espf.events.model import Event
from espf.handlers.settings import HandlerSettings
from espf.subscribers.port import SubscriberSource
from espf.subscribers.steps import StepMemory


class Delivered(NamedTuple):
    """The system accepted the event: status `finished`."""

    request: str
    """What was sent, masked: for HTTP the body."""
    code: int | None = None
    """Code of the answer, for HTTP the status."""
    answer: str = ""
    """First 4 KB of the answer, masked."""


class Rejected(NamedTuple):
    """The system refused the event for good: status `failed`, never repeated by itself."""

    request: str
    reason: str
    """One sentence for the operator."""
    code: int | None = None
    answer: str = ""


class RetryLater(NamedTuple):
    """The event had no effect and is to be tried again: status `retry`."""

    request: str
    reason: str
    code: int | None = None
    answer: str = ""
    retry_after_s: float | None = None
    """Seconds the system asked us to wait, not yet capped by `Retry.MaxDelay`."""
    refused: bool = False
    """No connection at all: five of these in a row open the breaker."""


class Unknown(NamedTuple):
    """Sent, and no answer understood: the system may have acted. Tried again like RetryLater."""

    request: str
    reason: str
    code: int | None = None
    answer: str = ""


class Skipped(NamedTuple):
    """Nothing was sent and nothing will be: status `skipped`, or `finished` when `finished`."""

    reason: str
    finished: bool = False
    """True for an event that has no counterpart on the far side (v2 without a type)."""


Outcome = Delivered | Rejected | RetryLater | Unknown


class Iteration:
    """One read batch. What is open at `ends_at` counts as timed out (`MaxWaitTime`, domain 2.2).

    The engine sets `ends_at` (boot-time clock, seconds) when the last event of the batch is sent.
    """

    __slots__ = ("ends_at", "held_up", "unsent")

    def __init__(self, unsent: int, held_up: Callable[[float], None] = lambda _by_s: None) -> None:
        self.unsent = unsent
        self.held_up = held_up
        """To be told when a request leaves, and by how many seconds, if it had to wait for a
        connection since `deliver` was called: it counts against the rate from then on."""
        self.ends_at = float("inf")


class Attempt(NamedTuple):
    """One try at delivering one event."""

    number: int
    """1 for the first try of this event by this handler."""
    iteration: Iteration


def always() -> bool:
    """For a handler that shares its lanes with nobody."""
    return True


@dataclass(frozen=True, slots=True)
class HandlerContext:
    """What the engine gives a handler that it starts."""

    name: str
    """The handler's name, as the operator gave it."""
    clock: Clock
    service_ip: str | None = None
    """Source address of the requests, or None for the system's choice."""
    may_send: Callable[[], bool] = always
    """To be asked right before a request leaves, if time may have passed since `deliver` began."""
    subscribers: SubscriberSource | None = None
    """Accounts as they are now, for handlers that send state rather than events."""
    memory: StepMemory | None = None
    """What the far side was given, for handlers of systems that cannot be asked."""
    fanouts: Fanouts | None = None
    """For dispatchers: what derives events from others."""


class Handler(Protocol):
    """A running handler. Used from one event loop; `deliver` runs many times at once."""

    def screen(self, event: Event) -> Skipped | None:
        """Say that nothing is to be sent for this event, or None to have it delivered."""

    async def deliver(self, event: Event, attempt: Attempt) -> Outcome | Skipped:
        """Take one event to the system. Raises nothing but cancellation; a failure is an Outcome.

        Skipped is for an event that turns out to concern the system in nothing: no call was made.
        A bug that raises all the same ends the attempt as Unknown and is logged with its traceback.
        """

    async def close(self) -> None:
        """Close connections; nothing is in flight any more."""


class HandlerType(Protocol):
    """A kind of handler: its name, its options, what it can be subscribed to."""

    name: str
    """As in the handbook: `EventSender`."""
    settings: type[HandlerSettings]

    def event_types(self, settings: HandlerSettings) -> Mapping[str, str]:
        """Types a handler with these settings can be subscribed to: name → description."""

    def resolve(self, settings: HandlerSettings, names: list[str]) -> frozenset[str]:
        """Canonical v1 types that the names (v1, aliases, v2 names and groups, "all") stand for.

        Raises ConfigError that lists each unknown name with the nearest right one.
        """

    def start(
        self, settings: HandlerSettings, subscriptions: frozenset[str], context: HandlerContext
    ) -> Handler:
        """Make a running handler. Raises HandlerError if it cannot work at all."""
