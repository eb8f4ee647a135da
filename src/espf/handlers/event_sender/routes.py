"""What becomes of each event type at one EventSender: under which name it goes, or why it does not.

Worked out once when the handler starts, so that an event costs a look-up.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from espf.events.catalogue import Catalogue, EventType
from espf.events.model import Event
from espf.events.payload import Renderer, holds_account, v1_renderer, v2_renderer
from espf.handlers.port import Skipped

FILTERED = Skipped("filtered by EventSender.AllowedTypes")

Way = Renderer | Skipped
"""How the body is made, or why nothing is sent."""


@dataclass(frozen=True, slots=True)
class Route:
    """The ways of one event type."""

    plain: Way
    sim: Way | None = None
    """While the account holds a SIM card; None: no different."""
    account: Way | None = None
    """When the event's variables name an account; None: no different."""

    def choose(self, event: Event) -> Way:
        """Return the way of this event. Raises PayloadError for variables that are not JSON."""
        if self.sim is not None and event.has_sim:
            return self.sim
        if self.account is not None and holds_account(event):
            return self.account
        return self.plain


class Router:
    """Routes of one handler."""

    def __init__(
        self,
        api_version: int,
        wanted: Mapping[str, frozenset[str]],
        allowed: frozenset[str] | None,
        *,
        with_unique_id: bool,
    ) -> None:
        """`wanted`: canonical v1 type → names to send it under; `allowed`: None for all."""
        self._wanted = wanted
        self._allowed = allowed
        self._with_unique_id = with_unique_id
        make = self._version_1 if api_version == 1 else self._version_2
        self._api_version = api_version
        self._routes = {name: make(of) for name, of in Catalogue.load().types.items()}

    def choose(self, event: Event) -> Way:
        """Return how to send the event, or why not. Raises PayloadError as Route.choose does."""
        route = self._routes.get(event.event_type)
        if route is None:
            route = self._routes[event.event_type] = self._unknown(event.event_type)
        return route.choose(event)

    def _version_1(self, of: EventType) -> Route:
        if self._allowed is not None and of.name not in self._allowed:
            return Route(FILTERED)
        spellings = self._wanted.get(of.name, frozenset((of.name,)))
        # the newer name, unless only an older one was asked for (domain, 3)
        sent = next((name for name in (of.name, *of.aliases) if name in spellings), of.name)
        return Route(v1_renderer(sent, with_unique_id=self._with_unique_id))

    def _version_2(self, of: EventType) -> Route:
        wanted = self._wanted.get(of.name, frozenset())
        return Route(
            plain=self._way(of, of.v2, wanted),
            sim=self._way(of, of.v2_sim, wanted) if of.v2_sim in wanted else None,
            account=None if of.v2_account is None else self._way(of, of.v2_account, wanted),
        )

    def _way(self, of: EventType, name: str | None, wanted: frozenset[str]) -> Way:
        if name is None:
            return Skipped(f"{of.name} has no counterpart in APIVersion 2", finished=True)
        if wanted and name not in wanted:
            return Skipped(f"not subscribed to {name}, which {of.name} is sent as here")
        if self._allowed is not None and name not in self._allowed:
            return FILTERED
        v2 = Catalogue.load().v2[name]
        return v2_renderer(v2, of, with_unique_id=self._with_unique_id)

    def _unknown(self, name: str) -> Route:
        """A type that this release does not know, such as a newer one's left in the log."""
        if self._api_version != 1:
            return Route(Skipped(f"{name} has no counterpart in APIVersion 2", finished=True))
        if self._allowed is not None:
            return Route(FILTERED)
        return Route(v1_renderer(name, with_unique_id=self._with_unique_id))
