"""One event on its way through one handler, from reading it to committing its result."""

from espf.eventlog.model import EntityKey, ParkedEvent
from espf.events.model import Event
from espf.handlers.port import Iteration, Outcome, Skipped


class Item:
    """One event on its way through one handler."""

    __slots__ = (
        "attempts",
        "behind_bulk",
        "checked",
        "coalesced",
        "counted",
        "done",
        "duration_us",
        "event",
        "first_attempt_us",
        "from_parked",
        "gone",
        "iteration",
        "key",
        "outcome",
        "parked",
        "probe",
        "probes",
        "started_us",
        "stopped_base_us",
    )

    def __init__(self, event: Event, iteration: Iteration) -> None:
        self.event = event
        self.key: EntityKey = (event.entity, event.entity_id)
        self.iteration = iteration
        self.attempts = 0
        self.probes = 0
        self.coalesced = 0
        self.first_attempt_us: int | None = None
        self.stopped_base_us = 0
        self.from_parked = False
        """It was read from the parked rows; its lane's cursor has passed it."""
        self.parked = False
        """A parked row stands for it: the cursor need not wait for it."""
        self.behind_bulk = False
        """Bulk events of its entity come before it, and are not read yet."""
        self.checked = False
        """It was found a moment ago that no later event replaces it."""
        self.counted = False
        """It no longer counts as unsent in its iteration."""
        self.done = False
        self.gone = False
        """Its lane was given up while it was under way: nothing of it is recorded here."""
        self.probe = False
        self.started_us = 0
        self.duration_us = 0
        self.outcome: Outcome | Skipped | None = None

    @classmethod
    def of_parked(cls, row: ParkedEvent, iteration: Iteration) -> "Item":
        """An item for a parked event, with what its earlier attempts left."""
        item = cls(row.event, iteration)
        item.attempts = row.attempts
        item.probes = row.probes
        item.coalesced = row.coalesced
        item.first_attempt_us = row.first_attempt_us
        item.stopped_base_us = row.stopped_base_us
        item.from_parked = True
        item.parked = True
        return item
