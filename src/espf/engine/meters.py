"""What the engine counts while it works: once for each settlement, not once for each event."""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import attrgetter, itemgetter

from espf.engine.flow import Flow
from espf.eventlog.model import AttemptRow
from espf.metrics.counts import SECOND_US, HandlerCounts, InstanceCounts

_KEY = itemgetter(AttemptRow._fields.index("i_handler"))
_OUTCOME = itemgetter(AttemptRow._fields.index("outcome"))
_DURATION_US = attrgetter("duration_us")
NOT_SENT = "skipped"


class Meters:
    """The counts of one instance. Read from another thread: each number is a plain one."""

    def __init__(self) -> None:
        self.counts = InstanceCounts()

    def watch(self, flow: Flow) -> None:
        """Count for a handler that starts."""
        flow.counts = self.counts.of(flow.row.name)
        flow.counts.token_rate = flow.settings.token_rate
        flow.counts.token_burst = flow.settings.token_burst

    def settled(
        self, attempts: Iterable[AttemptRow], by_key: Mapping[int, HandlerCounts], seconds: float
    ) -> None:
        """Attempts were committed, of these handlers; it took that long."""
        for i_handler, rows in groupby(attempts, _KEY):
            counts = by_key.get(i_handler)
            if counts is not None:
                _count(counts, list(rows))
        self.counts.settlements.add((int(seconds * SECOND_US),))

    def to_json(self) -> str:
        """The counts, for the heartbeat."""
        return self.counts.to_json()


def _count(counts: HandlerCounts, rows: list[AttemptRow]) -> None:
    found = Counter(map(_OUTCOME, rows))
    for outcome, count in found.items():
        counts.outcomes[outcome] = counts.outcomes.get(outcome, 0) + count
    if NOT_SENT in found:
        rows = [row for row in rows if row.outcome != NOT_SENT]
    counts.latency.add(map(_DURATION_US, rows))
