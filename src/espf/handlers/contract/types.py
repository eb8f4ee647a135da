"""Event types that handlers of the contract can be subscribed to.

They work on subscribers, so an event must concern one: an account's, a SIM card's, a contact's.
What happens to a customer or a product reaches them as the accounts' events, by the dispatchers.
"""

from collections.abc import Iterable, Mapping
from functools import cache

from espf.errors import ConfigError
from espf.events.catalogue import Catalogue, did_you_mean, nearest, shown
from espf.events.patterns import matches

ALL = "all"
ENTITIES = frozenset({"account", "sim", "subscriber"})

CARD_TYPES = frozenset({"Account/SIMCardAssignment", "SIM/Changed", "SIM/Deleted"})
"""What happens to a card."""
SERVICE_TYPES = frozenset(
    {
        "Account/New",
        "Account/ID/Changed",
        "Account/Product/Changed",
        "Account/ActivationDate/Changed",
        "Account/ExpirationDate/Changed",
        "Account/Blocked",
        "Account/Unblocked",
        "Account/ZeroAvailableFunds",
        "Account/AvailableFundsAppear",
        "Account/Status/Changed",
        "Account/Status/Suspended",
        "Account/Status/SuspensionRemoved",
        "Account/Status/Closed",
    }
)
"""Who the subscriber is, and whether there is service."""
PROFILE_TYPES = frozenset(
    {
        "Account/ProductAddon/Inserted",
        "Account/ProductAddon/Changed",
        "Account/ProductAddon/Deleted",
        "Account/ServiceAttribute/Changed",
        "Account/AccessPolicy/Changed",
    }
)
"""What the service is like."""
PASSWORD_TYPES = frozenset({"Account/Password/Changed", "Account/ServicePassword/Changed"})
HSS_TYPES = CARD_TYPES | SERVICE_TYPES | PROFILE_TYPES
"""The default of an HSS (domain, 6): the set of the vendor's own, with funds, dates and closing."""


@cache
def subscribable() -> Mapping[str, str]:
    """Every type that concerns one subscriber: name → description."""
    types = Catalogue.load().types
    return {name: of.description for name, of in types.items() if of.entity in ENTITIES}


def resolve(names: Iterable[str], needed: frozenset[str]) -> frozenset[str]:
    """Canonical types for names, aliases and patterns; "all" stands for `needed`.

    Raises ConfigError that lists each that stands for nothing.
    """
    found: set[str] = set()
    problems = []
    spellings = Catalogue.load().spellings
    for entry in names:
        if entry == ALL:
            found |= needed
            continue
        types = {canonical for name, canonical in spellings.items() if matches(entry, name)}
        usable = types & subscribable().keys()
        if not usable:
            problems.append(_refused(entry, types))
        found |= usable
    if problems:
        raise ConfigError("Subscriptions that no event type answers to:", problems)
    return frozenset(found)


def _refused(entry: str, types: set[str]) -> str:
    if types:
        return (
            f"{shown(entry)} does not concern one subscriber; a dispatcher turns it into events of "
            "accounts, to which this handler can be subscribed."
        )
    known = [*subscribable(), ALL]
    return f"{shown(entry)} is not a known event type{did_you_mean(nearest(entry, known))}"
