"""What a search must know of the handlers: cursors, subscriptions, and what they passed by."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from espf.eventlog.operating.search.blocks import Stretch
from espf.eventlog.operating.session import Session
from espf.eventlog.operations import PassedBy


@dataclass(slots=True)
class HandlerView:
    """One handler at the moment of the search."""

    i_handler: int
    name: str
    enabled: int
    keep_events: int
    replayed: int
    """Attempts up to this number settle nothing above the cursors."""
    replayed_us: int
    positions: dict[int, int] = field(default_factory=dict)
    event_types: set[str] = field(default_factory=set)
    passed: list[PassedBy] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether events wait for it: a disabled handler that keeps none will pass them by."""
        return bool(self.enabled or self.keep_events)

    @property
    def lowest(self) -> int:
        """Everything up to here is settled or parked, in every lane."""
        return min(self.positions.values(), default=0)

    @property
    def highest(self) -> int:
        """Nothing above is behind any lane's cursor."""
        return max(self.positions.values(), default=0)

    def waits(self, i_event: int, lane: int, event_type: str) -> bool:
        """Whether the event is still to be read from its lane, if it is not settled."""
        return event_type in self.event_types and self.is_ahead(i_event, lane)

    def is_ahead(self, i_event: int, lane: int) -> bool:
        """Whether the lane's cursor is before the event."""
        position = self.positions.get(lane)
        return position is not None and i_event > position

    def passed_by(self, i_event: int, event_type: str) -> PassedBy | None:
        """The range in which the handler passed the event by, if it did."""
        if event_type not in self.event_types:
            return None
        ranges = (one for one in self.passed if one.after < i_event <= one.upto)
        return next(ranges, None)

    @property
    def passed_stretches(self) -> list[Stretch]:
        """The ranges passed by, as numbers."""
        return [Stretch(one.after + 1, one.upto) for one in self.passed]


def views_of(session: Session, names: Iterable[str] | None = None) -> list[HandlerView]:
    """The handlers, or those of these names, by name."""
    wanted = None if names is None else set(names)
    rows = session.run("handlers_to_search").fetchall()
    found = {row[0]: HandlerView(*row) for row in rows if wanted is None or row[1] in wanted}
    bound = {"handlers": list(found)}
    for i_handler, lane, position in session.run("cursors_of", bound):
        found[i_handler].positions[lane] = position
    for i_handler, event_type in session.run("subscriptions_of", bound):
        found[i_handler].event_types.add(event_type)
    for i_handler, *passed in session.run("passed_by", bound):
        found[i_handler].passed.append(PassedBy(*passed))
    return sorted(found.values(), key=lambda view: view.name)
