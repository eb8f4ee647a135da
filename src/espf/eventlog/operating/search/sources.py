"""Sources of event numbers: each walks one index, or joins others.

`chunk` gives at most `limit` different numbers within a stretch, in the search's order; fewer mean
that there are no more.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from espf.eventlog.operating.search.blocks import BLOCK, Holding, Stretch, Walk, pieces
from espf.eventlog.statements import as_written

SCANNED = 16 * BLOCK
"""Most numbers that one statement filters: a planner that expects little then keeps to the key."""


class Source(Protocol):
    """Where candidates come from."""

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """The next numbers within the stretch."""


class Indexed:
    """A statement that finds its rows by an index which has them in order."""

    def __init__(self, walk: Walk, name: str, bound: Mapping[str, object]) -> None:
        self._walk = walk
        self._text = as_written(walk.session.dialect)[name]
        self._bound = bound

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """One run of the statement."""
        return fetch(self._walk, self._text, self._bound, within, limit)


class Scan:
    """Events by what their blocks hold, then looked at one by one."""

    def __init__(
        self,
        walk: Walk,
        holding: Holding,
        name: str = "numbers",
        bound: Mapping[str, object] | None = None,
    ) -> None:
        """`bound` is what the statement takes beside the stretch."""
        self._walk = walk
        self._holding = holding
        self._bound = dict(bound or {})
        written = as_written(walk.session.dialect)[name]
        self._text = written + _conditions(holding, self._bound)

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """Block by block, until there is enough."""
        found: list[int] = []
        for stretch in self._stretches(within):
            missing = limit - len(found)
            found += fetch(self._walk, self._text, self._bound, stretch, missing)
            if len(found) >= limit:
                break
        return found

    def _stretches(self, within: Stretch) -> Iterator[Stretch]:
        for stretch in self._walk.stretches(within, self._holding):
            if self._holding.anything:
                yield stretch
            else:
                yield from pieces(stretch, SCANNED, down=self._walk.down)


class Bounded:
    """A source that has something to say of a stretch only."""

    def __init__(self, source: Source, stretch: Stretch) -> None:
        self._source = source
        self._stretch = stretch

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """Its numbers within both stretches."""
        both = within.and_(self._stretch)
        return self._source.chunk(both, limit) if both.low <= both.high else []


class Listed:
    """Numbers that were given."""

    def __init__(self, walk: Walk, numbers: Sequence[int]) -> None:
        self._numbers = sorted(set(numbers), reverse=walk.down)

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """Those within the stretch."""
        return [one for one in self._numbers if within.low <= one <= within.high][:limit]


class Merged:
    """All that any of several sources gives."""

    def __init__(self, walk: Walk, sources: Sequence[Source]) -> None:
        self._down = walk.down
        self._sources = sources

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """A source that gave fewer has no more, so the first `limit` of all are complete."""
        found = {number for source in self._sources for number in source.chunk(within, limit)}
        return sorted(found, reverse=self._down)[:limit]


class Rarest:
    """What is in all of several sources, by the one that gets furthest with a chunk."""

    def __init__(self, walk: Walk, sources: Sequence[Source]) -> None:
        self._down = walk.down
        self._sources = sources

    def chunk(self, within: Stretch, limit: int) -> list[int]:
        """The chunk of the source that is rarest here: what it leaves out, all leave out."""
        furthest: list[int] = []
        for source in self._sources:
            found = source.chunk(within, limit)
            if len(found) < limit:
                return found
            if not furthest or (found[-1] < furthest[-1]) == self._down:
                furthest = found
        return furthest


def fetch(
    walk: Walk, text: str, bound: Mapping[str, object], within: Stretch, limit: int
) -> list[int]:
    """Run a statement that gives numbers, in the search's order."""
    if within.low > within.high:
        return []
    ordered = f"{text} ORDER BY i_event {'DESC' if walk.down else 'ASC'} LIMIT :limit"
    every = {**bound, "low": within.low, "high": within.high, "limit": limit}
    return [row[0] for row in walk.session.query(ordered, every)]


def _conditions(holding: Holding, bound: dict[str, Any]) -> str:
    """The same of the events themselves."""
    found = ""
    for name, condition, value in (
        ("since", "event_time >= :since", holding.since),
        ("until", "event_time <= :until", holding.until),
        ("entity", "entity = :entity", holding.entity),
    ):
        if value is not None:
            found, bound[name] = f"{found} AND {condition}", value
    if holding.event_types is not None:
        found += " AND event_type IN (:event_types[])"
        bound["event_types"] = list(holding.event_types)
    return found
