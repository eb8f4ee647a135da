"""Where each type of event comes from: a change that capture sees, a dispatcher, or only outside.

Each change is told by one of them only, so that nothing is raised twice: capture tells of a changed
attribute without asking whose account it concerns, and the dispatchers derive the rest.
"""

from functools import cache
from typing import Literal, NamedTuple

from espf.capture.rules import rules
from espf.events.catalogue import Catalogue
from espf.events.patterns import matches

OUTSIDE = (
    "Connection/*",
    "Custom/Jasper/CapReached",
    "Account/Service/*Quota*",
    "*/Exported",
    "*/Imported",
    "PaymentTransaction/*",
)
"""Types that nothing in the registry stands behind, as far as no rule raises them."""
OLDER = {"Customer/Status/Suspend": "Customer/Status/Suspended"}
"""Older names of types, kept in the catalogue beside the newer one, which is raised (domain, 4)."""

How = Literal["change", "dispatcher", "outside", "older"]


class Origin(NamedTuple):
    """How events of a type come about."""

    how: How
    by: tuple[str, ...] = ()
    """The dispatchers that derive them (too), or the newer name."""


@cache
def origins() -> dict[str, Origin]:
    """Every type of the catalogue that something raises or that is accepted, with how."""
    found = {name: Origin("change", _derived_by(name)) for name in rules().event_types}
    for name in Catalogue.load().types.keys() - found.keys():
        if by := _derived_by(name):
            found[name] = Origin("dispatcher", by)
        elif name in OLDER:
            found[name] = Origin("older", (OLDER[name],))
        elif any(matches(pattern, name) for pattern in OUTSIDE):
            found[name] = Origin("outside")
    return found


def _derived_by(name: str, seen: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Dispatchers that derive the type, from a type that is raised itself."""
    return tuple(
        dict.fromkeys(
            row.handler
            for row in Catalogue.load().dispatches
            if row.output == name and _raised(row.input, seen | {name})
        )
    )


def _raised(name: str, seen: frozenset[str]) -> bool:
    return name in rules().event_types or (name not in seen and bool(_derived_by(name, seen)))
