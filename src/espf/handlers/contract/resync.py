"""Sets many subscribers right, one after the other, throttled; one that was stopped goes on.

It works as events do, on current data, so it may run beside the engine: whoever is last reads both
sides once more, and leaves the far side as it should be.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from espf.clock import Clock
from espf.handlers.contract.provisioner import Provisioner
from espf.handlers.port import Delivered, Outcome, Rejected, RetryLater, Skipped, Unknown
from espf.subscribers.model import Subscriber
from espf.subscribers.port import SubscriberSource
from espf.subscribers.steps import ResyncMark, StepStore

PAGE = 200
TRIES = 3
PAUSE_S = 1.0
"""Between the tries of one subscriber, growing."""
GIVE_UP_AFTER = 5
"""So many subscribers in a row without an answer: the far side is away, and the resync stops."""
MARK_EVERY_S = 1.0
"""A kill loses no more; what is done again then is found to be right already."""

Ending = Literal["mended", "right", "nothing to do", "rejected", "no answer"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose subscribers: of all accounts, or of a product."""

    i_product: int | None = None

    def __str__(self) -> str:
        """As marks have it."""
        return "all" if self.i_product is None else f"product {self.i_product}"


@dataclass(slots=True)
class Tally:
    """How far it is."""

    counts: Counter[Ending] = field(default_factory=Counter)
    last: int = 0
    """Accounts up to this one are through."""
    away: str | None = None
    """Why it stopped by itself: the far side is away."""

    @property
    def done(self) -> int:
        """Subscribers that were worked on."""
        return self.counts.total()

    @property
    def failed(self) -> int:
        """Those that are not as they should be."""
        return self.counts["rejected"] + self.counts["no answer"]


class Resync:
    """Of one handler. `stop` ends it after the subscriber under way."""

    def __init__(
        self,
        provisioner: Provisioner[Any],
        source: SubscriberSource,
        clock: Clock,
        *,
        rate: float,
        stop: asyncio.Event,
        told: Callable[[Subscriber, Ending, str], None],
    ) -> None:
        """`rate`: subscribers a second at most. `told` hears of each, with what was done or why."""
        self._provisioner = provisioner
        self._source = source
        self._clock = clock
        self._gap_s = 1 / rate
        self._stop = stop
        self._told = told
        self._in_a_row = 0
        self._next_s = 0.0

    async def run(
        self, subscribers: AsyncIterator[Subscriber], tally: Tally
    ) -> AsyncIterator[Tally]:
        """Work through them; yields after each. Raises StorageError."""
        async for subscriber in subscribers:
            await self._take_turn()
            if self._stop.is_set():
                return
            ending, text = await self._one(subscriber)
            self._told(subscriber, ending, text)
            self._count(tally, subscriber, ending, text)
            yield tally
            if tally.away is not None:
                return

    def _count(self, tally: Tally, subscriber: Subscriber, ending: Ending, text: str) -> None:
        tally.counts[ending] += 1
        if ending != "no answer":
            self._in_a_row, tally.last = 0, subscriber.i_account
            return
        self._in_a_row += 1
        if self._in_a_row >= GIVE_UP_AFTER:
            tally.counts["no answer"] -= self._in_a_row  # they come first when it goes on
            tally.away = text

    async def _take_turn(self) -> None:
        """Wait for this subscriber's moment, or until stopped."""
        now_s = self._clock.monotonic()
        self._next_s = max(self._next_s, now_s)
        await self._pause(self._next_s - now_s)
        self._next_s += self._gap_s

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass

    async def _one(self, subscriber: Subscriber) -> tuple[Ending, str]:
        for attempt in range(1, TRIES + 1):
            outcome = await self._provisioner.provision(subscriber.i_account, [])
            again = isinstance(outcome, RetryLater | Unknown)
            if not again or attempt == TRIES or self._stop.is_set():
                break
            await self._pause(PAUSE_S * attempt)
        return _ending(outcome)


def _ending(outcome: Outcome | Skipped) -> tuple[Ending, str]:
    match outcome:
        case Delivered(request=request):
            return ("mended", request) if request else ("right", "")
        case Skipped(reason=reason):
            return "nothing to do", reason
        case Rejected(reason=reason):
            return "rejected", reason
        case RetryLater(reason=reason) | Unknown(reason=reason):
            return "no answer", reason


async def of_scope(source: SubscriberSource, scope: Scope, after: int) -> AsyncIterator[Subscriber]:
    """Subscribers of a scope behind an account, each as it is when its page is read."""
    while page := await source.pages(after, PAGE, i_product=scope.i_product):
        for subscriber in page:
            yield subscriber
        after = page[-1].i_account


class Marks:
    """Stores how far a resync of a scope is, once a second and at its end."""

    def __init__(self, steps: StepStore, i_handler: int, scope: Scope, clock: Clock) -> None:
        self._steps = steps
        self._i_handler = i_handler
        self._scope = str(scope)
        self._clock = clock
        self._due_s = clock.monotonic() + MARK_EVERY_S
        self._started_us = clock.now_us()

    async def found(self) -> ResyncMark | None:
        """Where one was stopped; counts go on from there."""
        mark = await self._steps.mark(self._i_handler, self._scope)
        if mark is not None:
            self._started_us = mark.started_us
        return mark

    async def passed(self, tally: Tally, before: ResyncMark | None, *, now: bool = False) -> None:
        """Store it, if it is time to."""
        if not now and self._clock.monotonic() < self._due_s:
            return
        self._due_s = self._clock.monotonic() + MARK_EVERY_S
        done, failed = (before.done, before.failed) if before else (0, 0)
        mark = ResyncMark(tally.last, done + tally.done, failed + tally.failed, self._started_us)
        await self._steps.set_mark(self._i_handler, self._scope, mark)

    async def finished(self) -> None:
        """It is through: the next one begins anew."""
        await self._steps.set_mark(self._i_handler, self._scope, None)
