"""Who should own which lanes: pure arithmetic that every instance does by itself, alike.

Each looks at the same rows and the same living instances, so each comes to the same shares. Where
their views differ for a moment, lanes move once more: a lane is owned by whoever the database says.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple


class Unit(NamedTuple):
    """What is leased as one: a lane, or all lanes of a handler that sends from one place only."""

    i_handler: int
    lanes: tuple[tuple[int, str | None], ...]
    """Each lane and the living instance that owns it, None if it is free."""

    @property
    def owner(self) -> str | None:
        """Who keeps the unit; of several, who came by parts of it at once, the first."""
        return min((owner for _, owner in self.lanes if owner is not None), default=None)


class Plan(NamedTuple):
    """What one instance should do now, lanes by handler."""

    take: dict[int, list[int]]
    leave: dict[int, list[int]]


def shares(units: Sequence[Unit], able: Collection[str]) -> dict[int, str]:
    """Owner of each unit by its place in `units`: evenly, moving as little as possible.

    An owner keeps what it has up to its share; those with the most keep the odd ones.
    """
    if not able:
        return {}
    held = Counter(unit.owner for unit in units if unit.owner in able)
    low, extra = divmod(len(units), len(able))
    ranked = sorted(able, key=lambda token: (-held[token], token))
    left = {token: low + (rank < extra) for rank, token in enumerate(ranked)}
    found: dict[int, str] = {}
    for place, unit in enumerate(units):
        if unit.owner is not None and left.get(unit.owner, 0) > 0:
            left[unit.owner] -= 1
            found[place] = unit.owner
    takers = [token for token in ranked for _ in range(left[token])]
    homeless = [place for place in range(len(units)) if place not in found]
    found.update(zip(homeless, takers, strict=True))
    return found


def plan(
    me: str, lanes: Iterable[Unit], wholes: Sequence[Unit], able: Mapping[int, Collection[str]]
) -> Plan:
    """What `me` takes and leaves. `able`: the living instances that can run each handler."""
    made = Plan({}, {})
    by_handler: dict[int, list[Unit]] = {}
    for unit in lanes:
        by_handler.setdefault(unit.i_handler, []).append(unit)
    for i_handler, units in by_handler.items():
        _follow(me, units, shares(units, able.get(i_handler, ())), made)
    # Handlers that cannot be split are spread among those that can run them, group by group.
    groups: dict[frozenset[str], list[Unit]] = {}
    for unit in wholes:
        groups.setdefault(frozenset(able.get(unit.i_handler, ())), []).append(unit)
    for group, units in groups.items():
        _follow(me, units, shares(units, group), made)
    return made


def _follow(me: str, units: Sequence[Unit], owners: Mapping[int, str], made: Plan) -> None:
    for place, unit in enumerate(units):
        wanted = owners.get(place)
        found = [lane for lane, owner in unit.lanes if owner == (None if wanted == me else me)]
        if found and wanted is not None:
            side = made.take if wanted == me else made.leave
            side.setdefault(unit.i_handler, []).extend(found)
