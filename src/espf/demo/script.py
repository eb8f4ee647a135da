"""What the demo changes, in the words of `espf registry`."""

from collections.abc import Mapping
from typing import NamedTuple

NUMBER, NEW_NUMBER = "79123456789", "79123456700"
CARDS = ("001010000000001", "001010000000002")
OTHERS = tuple(f"7912000000{n}" for n in range(1, 8))


class Step(NamedTuple):
    """One command of `espf registry`."""

    verb: str
    entity: str
    key: str | None
    fields: Mapping[str, str]
    """For topup and charge: `amount`."""

    def __str__(self) -> str:
        shown = (
            value if name == "amount" else f"{name}={_quoted('…' if 'password' in name else value)}"
            for name, value in self.fields.items()
        )
        return " ".join(
            ["espf registry", self.verb, self.entity, *filter(None, [self.key]), *shown]
        )


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _add(entity: str, **fields: str) -> Step:
    return Step("add", entity, None, fields)


def _update(entity: str, key: str, **fields: str) -> Step:
    return Step("update", entity, key, fields)


def _move(verb: str, entity: str, key: str, amount: str) -> Step:
    return Step(verb, entity, key, {"amount": amount})


_ME, _RENAMED = f"id={NUMBER}", f"id={NEW_NUMBER}"
_CUSTOMER, _OWN = "name=Easy Call", f"id={OTHERS[0]}"

INVENTORY = (
    _add("product", name="LTE 10 GB"),
    _add("product", name="LTE 50 GB"),
    *(_add("sim_card", imsi=imsi) for imsi in CARDS),
    _add("customer", name="Easy Call", credit_limit="100"),
)
"""Nobody subscribed to what these raise: no event."""

SUBSCRIBER = (
    _add("account", id=NUMBER, i_customer="1", i_product="1", role="mobile", imsi=CARDS[0]),
    _update("account", _ME, blocked="Y"),
    _move("charge", "account", _ME, "100"),
    _move("topup", "account", _ME, "50"),
    _update("account", _ME, blocked="N"),
    _update("account", _ME, imsi=CARDS[1]),
    _update("account", _ME, id=NEW_NUMBER),
    _update("account", _RENAMED, i_product="2"),
    _update("account", _RENAMED, password="self-care-1"),  # noqa: S106 - made up
    _update("account", _RENAMED, h323_password="service-1"),  # noqa: S106 - made up
    _update("customer", _CUSTOMER, blocked="Y"),
    _update("customer", _CUSTOMER, blocked="N"),
    _add("account", id=OTHERS[0], i_customer="1", balance_control="individual", credit_limit="20"),
    _move("charge", "account", _OWN, "20"),
    _move("topup", "account", _OWN, "5"),
)
"""The handbook's test (domain, 9): each raises an event, the first one two."""

MORE_SUBSCRIBERS = tuple(_add("account", id=name, i_customer="1") for name in OTHERS[1:])

OUTAGE = (
    *(_update("account", f"id={name}", blocked="Y") for name in (NEW_NUMBER, *OTHERS)),
    *(_update("account", f"id={name}", i_product="2") for name in OTHERS),
    *(_update("account", f"id={name}", blocked="N") for name in (NEW_NUMBER, *OTHERS)),
)
"""Three changes each to several accounts while the receiver is away."""
