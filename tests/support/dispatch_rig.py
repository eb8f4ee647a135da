"""Dispatchers on a registry's database. Import it as `dispatch_rig`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import orjson

from espf.clock import SystemClock
from espf.dispatch.fanouts import SessionFanouts
from espf.eventlog.engines import open_session
from espf.events.model import Event
from espf.handlers.dispatchers.handler import Dispatcher
from espf.handlers.port import Attempt, HandlerContext, Iteration, Outcome, Skipped
from registry_rig import Rig

DISPATCHERS = (
    "ServiceAttributeDispatcher",
    "ProductToAccountsDispatcher",
    "CustomerToAccountsDispatcher",
)


class Derived(NamedTuple):
    """A derived event as tests look at it."""

    event_type: str
    entity_id: int
    variables: dict[str, Any]
    caused_by: int
    bulk: int
    depth: int


class Dispatchers:
    """All three, each with what it is given by an instance."""

    def __init__(self, rig: Rig, fanouts: SessionFanouts) -> None:
        self.rig = rig
        self.fanouts = fanouts
        context = HandlerContext("dispatcher", SystemClock())
        self.all = {name: Dispatcher(name, fanouts, context) for name in DISPATCHERS}
        self.answers: list[Outcome | Skipped] = []
        self._seen = self._last()

    def _last(self) -> int:
        return int(self.rig.sql("SELECT coalesce(max(i_event), 0) FROM event")[0][0])

    def since(self, last: int) -> list[Event]:
        """Events after a number, as the engine reads them."""
        rows = self.rig.sql(
            "SELECT i_event, i_env, event_type, entity, entity_id, lane, event_time, variables,"
            " has_sim, caused_by FROM event WHERE i_event > ? ORDER BY i_event",
            last,
        )
        return [Event._make(row) for row in rows]

    async def deliver(self, name: str, event: Event) -> Outcome | Skipped:
        """Have one dispatcher work on an event."""
        return await self.all[name].deliver(event, Attempt(1, Iteration(1)))

    async def settle(self) -> list[Derived]:
        """Have all of them work on all there is until nothing new comes; what was derived."""
        before = self._seen
        while events := self.since(self._seen):
            self._seen = events[-1].i_event
            for event in events:
                for dispatcher in self.all.values():
                    if dispatcher.screen(event) is None:
                        answer = await dispatcher.deliver(event, Attempt(1, Iteration(1)))
                        self.answers.append(answer)
        return self.derived(before)

    def derived(self, after: int = 0) -> list[Derived]:
        """Derived events after a number."""
        rows = self.rig.sql(
            "SELECT event_type, entity_id, variables, caused_by, bulk, depth FROM event"
            " WHERE caused_by IS NOT NULL AND i_event > ? ORDER BY i_event",
            after,
        )
        return [Derived(row[0], row[1], orjson.loads(row[2]), *row[3:]) for row in rows]


def fanouts_on(rig: Rig) -> SessionFanouts:
    return SessionFanouts(partial(open_session, rig.url), SystemClock())


@asynccontextmanager
async def dispatchers_on(rig: Rig) -> AsyncIterator[Dispatchers]:
    fanouts = fanouts_on(rig)
    try:
        yield Dispatchers(rig, fanouts)
    finally:
        await fanouts.close()
