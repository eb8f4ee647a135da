"""What an account is given, as it holds in the end, and how it is put together from rows.

The nearest owner of a setting wins: account, customer site, customer, products (domain, 8). Which
one that is, is worked out in SQL alike for both engines (`sql/services.sql`), so that it can be
asked for many accounts at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Feature:
    """A service feature, as it holds for the account."""

    name: str
    on: bool = False
    """Switched on by the nearest owner that has switched it at all."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Effective values by name."""


@dataclass(frozen=True, slots=True)
class PolicyAttribute:
    """An attribute of an access policy."""

    group_name: str
    name: str
    value: str
    phase: str | None = None
    """Name of the phase in which it holds; None: while no phase has another."""


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The policy that applies."""

    i_access_policy: int
    name: str
    attributes: tuple[PolicyAttribute, ...] = ()
    """By group and name."""

    def value(self, group_name: str, name: str, phase: str | None = None) -> str | None:
        """Value of an attribute in a phase, where that has one, or else outside of phases."""
        found = {
            one.phase: one.value
            for one in self.attributes
            if (one.group_name, one.name) == (group_name, name)
        }
        return found.get(phase, found.get(None))


@dataclass(frozen=True, slots=True)
class Addon:
    """An add-on product that is in force."""

    i_product: int
    name: str
    priority: int
    ends: str | None = None
    """UTC, `YYYY-MM-DD HH:MM:SS`: from then on it is not; None: for good."""


@dataclass(frozen=True, slots=True)
class Services:
    """All that an account is given beside its main product."""

    features: Mapping[str, Feature] = field(default_factory=dict)
    """Those that some owner has switched or set an attribute of, by name."""
    access_policy: AccessPolicy | None = None
    i_vd_plan: int | None = None
    """Discount plan: its own, or else a product's."""
    addons: tuple[Addon, ...] = ()

    def on(self, feature: str) -> bool:
        """Whether a feature is on; one that nobody has switched is off."""
        found = self.features.get(feature)
        return found is not None and found.on

    def attribute(self, feature: str, name: str) -> str | None:
        """The effective value of an attribute, None if nobody has set it."""
        found = self.features.get(feature)
        return None if found is None else found.attributes.get(name)


NO_SERVICES = Services()


class _Row(NamedTuple):
    """A row of the statement `services`."""

    i_account: int
    kind: str
    a: str
    b: str
    c: str
    d: str | None


def services(rows: Iterable[Sequence[Any]]) -> dict[int, Services]:
    """What each account is given; one that is given nothing is not among them."""
    found: defaultdict[int, list[_Row]] = defaultdict(list)
    for columns in rows:
        row = _Row._make(columns)
        found[row.i_account].append(row)
    return {i_account: _services(mine) for i_account, mine in found.items()}


def _services(rows: list[_Row]) -> Services:
    of: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        of[row.kind].append(row)
    return Services(
        _features(of["flag"], of["attribute"]),
        _policy(of["policy"], of["policy attribute"]),
        int(of["plan"][0].a) if of["plan"] else None,
        tuple(Addon(int(row.a), row.b, int(row.c), row.d) for row in of["addon"]),
    )


def _features(flags: list[_Row], attributes: list[_Row]) -> dict[str, Feature]:
    on = {row.a: row.b == "Y" for row in flags}
    values: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for row in attributes:
        values[row.a][row.b] = row.c
    names = sorted(on.keys() | values.keys())
    return {name: Feature(name, on.get(name, False), values[name]) for name in names}


def _policy(policies: list[_Row], attributes: list[_Row]) -> AccessPolicy | None:
    if not policies:
        return None
    one = policies[0]
    return AccessPolicy(
        int(one.a), one.b, tuple(PolicyAttribute(row.a, row.b, row.c, row.d) for row in attributes)
    )
