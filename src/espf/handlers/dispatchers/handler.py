"""Dispatchers: what happens to a customer or a product happens to its accounts."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache

from pydantic import Field

from espf.dispatch.derivation import derivation, table
from espf.dispatch.port import Fanouts
from espf.errors import ConfigError, HandlerError, PayloadError, StorageError
from espf.events.catalogue import Catalogue, did_you_mean, nearest, shown
from espf.events.model import Event
from espf.events.patterns import matches
from espf.handlers.port import (
    Attempt,
    Delivered,
    HandlerContext,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
)
from espf.handlers.settings import HandlerSettings

ALL = "all"
PAUSE_S = 0.002
"""Between two portions, at least: others write, too. Else as long as the portion took."""


class DispatcherSettings(HandlerSettings):
    """Options of a dispatcher."""

    concurrency: int = Field(
        4,
        alias="Concurrency",
        ge=1,
        le=10_000,
        description="Fan-outs under way side by side; a small one need not wait for a large one.",
    )


class Dispatcher:
    """A running dispatcher. Its far side is the event log."""

    def __init__(self, name: str, fanouts: Fanouts, context: HandlerContext) -> None:
        """`name` is the dispatcher's in the catalogue."""
        self._name = name
        self._fanouts = fanouts
        self._may_send = context.may_send
        self._monotonic = context.clock.monotonic

    def screen(self, event: Event) -> Skipped | None:
        """Say that nothing is derived from events of this type, or None."""
        if event.event_type in table(self._name):
            return None
        return Skipped(f"{self._name} derives nothing from it", finished=True)

    async def deliver(self, event: Event, attempt: Attempt) -> Outcome | Skipped:  # noqa: ARG002
        """Derive its events, portion by portion, from where it stands."""
        try:
            wanted = derivation(self._name, event)
        except PayloadError as error:
            return Rejected("", str(error))
        if wanted is None:
            return Skipped("its owner is of a kind that nothing is derived for", finished=True)
        request = f"{wanted.output}: {wanted.scope} {wanted.owner}"
        while self._may_send():
            began_s = self._monotonic()
            try:
                progress = await self._fanouts.advance(wanted)
            except StorageError as error:
                return RetryLater(request, str(error))
            if progress.fails:
                return Rejected(request, f"Nothing is derived from it: {progress.reason}.")
            if progress.done:
                return Delivered(request, answer=_told(progress.derived, progress.reason))
            await asyncio.sleep(max(PAUSE_S, self._monotonic() - began_s))
        return RetryLater(request, "the lease of its lane ended; it goes on where it stands")

    async def close(self) -> None:
        """The connection is everybody's."""


def _told(derived: int, reason: str | None) -> str:
    return f"{derived} derived" + (f"; {reason}" if reason else "")


class DispatcherType:
    """A handler type for one dispatcher of the catalogue."""

    name: str
    settings: type[HandlerSettings] = DispatcherSettings

    def event_types(self, settings: HandlerSettings) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """The inputs of its table: name → description."""
        return _inputs(self.name)

    def resolve(self, settings: HandlerSettings, names: list[str]) -> frozenset[str]:  # noqa: ARG002
        """Inputs that the names, aliases and patterns stand for; "all" for the whole table.

        Raises ConfigError that lists each that stands for nothing.
        """
        return _resolve(self.name, names)

    def start(
        self,
        settings: HandlerSettings,  # noqa: ARG002 - Concurrency is the engine's business
        subscriptions: frozenset[str],  # noqa: ARG002 - so are they
        context: HandlerContext,
    ) -> Dispatcher:
        """Make a running dispatcher. Raises HandlerError where there is no log to write to."""
        if context.fanouts is None:
            raise HandlerError(f"{context.name} needs the event log, which is not open here.")
        return Dispatcher(self.name, context.fanouts, context)


class CustomerToAccountsType(DispatcherType):
    """What happens to a customer, or its site, happens to its accounts."""

    name = "CustomerToAccountsDispatcher"


class ProductToAccountsType(DispatcherType):
    """What happens to a product happens to the accounts that have it."""

    name = "ProductToAccountsDispatcher"


class ServiceAttributeType(DispatcherType):
    """A change of a service attribute is one of its owner."""

    name = "ServiceAttributeDispatcher"


@cache
def _inputs(dispatcher: str) -> Mapping[str, str]:
    types = Catalogue.load().types
    return {name: types[name].description for name in table(dispatcher)}


def _resolve(dispatcher: str, names: Iterable[str]) -> frozenset[str]:
    inputs = _inputs(dispatcher)
    spellings = Catalogue.load().spellings
    found: set[str] = set()
    problems = []
    for entry in names:
        if entry == ALL:
            found |= inputs.keys()
            continue
        types = {canonical for name, canonical in spellings.items() if matches(entry, name)}
        if not types & inputs.keys():
            hint = did_you_mean(nearest(entry, [*inputs, ALL]))
            problems.append(f"{dispatcher} derives nothing from {shown(entry)}{hint}")
        found |= types & inputs.keys()
    if problems:
        raise ConfigError("Subscriptions that no event type answers to:", problems)
    return frozenset(found)
