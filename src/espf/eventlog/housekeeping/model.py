"""How long things are kept, and what was done about it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from espf.clock import utc_text
from espf.eventlog.model import DAY_US, StatusName
from espf.eventlog.operating.search.pairs import SETTLED

SHOWN_DAYS = 7
"""Who looks once a week sees what failed for having waited too long, and what an old one became."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days that an event is kept, from when it happened, by what became of it."""

    finished_days: int = 90
    failed_days: int = 90
    skipped_days: int = 90
    max_backlog_days: int = 90
    """What is not settled after so many days ends failed."""

    def days(self, status: StatusName) -> int:
        """Days of a status that is settled."""
        kept = {"finished": self.finished_days, "failed": self.failed_days}
        return kept.get(status, self.skipped_days)

    @property
    def longest_days(self) -> int:
        """After so many days nothing that is settled is kept."""
        return max(self.days(status) for status in SETTLED)

    def limits(self, now_us: int) -> "Limits":
        """What is over its days at this moment."""
        return Limits(
            {status: cutoff(now_us, self.days(status)) for status in SETTLED},
            {status: now_us - self.shown_days(status) * DAY_US for status in SETTLED},
        )

    def shown_days(self, status: StatusName) -> int:
        """So long what was settled lately is kept, however long ago it happened."""
        return min(SHOWN_DAYS, self.days(status))

    def groups(self) -> Iterator[int]:
        """The different numbers of days, the shortest first."""
        yield from sorted({self.days(status) for status in SETTLED})


@dataclass(frozen=True, slots=True)
class Limits:
    """For each status, when an event must have happened, and been settled, to be over its days."""

    happened: Mapping[StatusName, str]
    settled_us: Mapping[StatusName, int]

    def over(self, status: StatusName, event_time: str, last_us: int | None) -> bool:
        """Whether one that ended so, its last attempt at `last_us`, is over its days."""
        lately = last_us is not None and last_us > self.settled_us[status]
        return event_time <= self.happened[status] and not lately


def cutoff(now_us: int, days: int) -> str:
    """The moment so many days ago, as in `event_time`."""
    return utc_text(max(0, now_us - days * DAY_US))


@dataclass(slots=True)
class Report:
    """What one call did."""

    events: int = 0
    """Events removed one by one."""
    attempts: int = 0
    """Their attempts, and those of events that others still need."""
    blocks: int = 0
    partitions_made: int = 0
    partitions_dropped: int = 0
    expired: Counter[str] = field(default_factory=Counter)
    """Handler → events that ended failed because they had waited too long."""
    more: bool = False
    """There is more to do: call again soon."""

    def add(self, other: "Report") -> None:
        """Add what another call did."""
        self.events += other.events
        self.attempts += other.attempts
        self.blocks += other.blocks
        self.partitions_made += other.partitions_made
        self.partitions_dropped += other.partitions_dropped
        self.expired += other.expired
        self.more = other.more
