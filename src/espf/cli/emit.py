"""`espf events emit`: an event by hand, to try a handler or to mend what was missed."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from espf.cli.output import print_json, say
from espf.cli.pairs import pairs
from espf.errors import ConfigError

if TYPE_CHECKING:
    from espf.eventlog.operations import NewEvent
    from espf.events.catalogue import EventType

KEYS = {
    "account": "i_account",
    "customer": "i_customer",
    "customer_site": "i_customer_site",
    "product": "i_product",
    "service_attribute": "owner_id",
    "custom_field": "i_custom_field",
    "access_policy": "i_access_policy",
    "accessibility": "i_product",
    "connection": "i_connection",
    "did": "number",
    "invoice": "i_invoice",
    "payment_transaction": "i_payment_transaction",
    "subscriber": "i_subscriber",
    "ip_device_profile": "i_ip_device_profile",
    "custom": "i_account",
    "sim": "i_sim_card",
}
"""Variable that holds the key of each kind of entity in the catalogue, as capture has it."""
_OF_THE_LOG = frozenset(("i_event", "event_time"))


def emit(
    event_type: Annotated[str, typer.Argument(help="Such as Account/Blocked.")],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="VARIABLE=VALUE", help="Its variables.")
    ] = None,
    *,
    sim: Annotated[bool, typer.Option("--sim", help="The account holds a SIM card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the bare record.")] = False,
) -> None:
    """Write an event as if a change had raised it: one that another program knows of, or a test.

    What the type's version 2 body carries is needed (i_account=… of an account's), other variables
    are left out unless given. An event that no handler is subscribed to is not stored; the exit
    status is 1 then.
    """
    from espf.app import open_operations
    from espf.config import load_config

    new = new_event(event_type, pairs(values), sim=sim)
    with open_operations(load_config()) as operations:
        i_event = operations.emit([new])[0]
    if as_json:
        print_json({"i_event": i_event})
    elif i_event is not None:
        say(f"event {i_event}")
    if i_event is None:
        raise ConfigError(
            f"No enabled handler is subscribed to {new.event_type}: it was not stored."
        )


def new_event(event_type: str, given: Mapping[str, str], *, sim: bool = False) -> "NewEvent":
    """The event of this type or alias, with variables as text.

    Raises ConfigError, for variables one that lists all that is wrong with them.
    """
    from espf.eventlog.operations import NewEvent
    from espf.events.catalogue import Catalogue

    of = Catalogue.load().require(event_type)
    found = read_variables(of, given)
    return NewEvent(
        event_type=of.name,
        entity=of.entity,
        entity_id=entity_id(of, found),
        i_env=_environment(found),
        variables={name: found[name] for name in of.own_variables if name in found},
        has_sim=sim,
    )


def read_variables(of: "EventType", given: Mapping[str, str]) -> dict[str, object]:
    """Values of their variables' types. Raises ConfigError that lists all that is wrong."""
    from espf.events.catalogue import did_you_mean, nearest, shown

    known = [*of.own_variables, "i_env"]
    if KEYS[of.entity] not in known:
        known.append(KEYS[of.entity])
    problems, found = [], dict[str, object]()
    for name, text in given.items():
        if name in _OF_THE_LOG:
            problems.append(f"{name} is given out by the log; leave it out.")
            continue
        if name not in known:
            problems.append(
                f"{of.name} has no variable {shown(name)}{did_you_mean(nearest(name, known))}"
            )
            continue
        try:
            found[name] = _typed(name, text)
        except ValueError as error:
            problems.append(f"{name} {error}")
    or_account = " or i_account=…" if of.v2_account else ""
    missing = _missing(of, found, given)
    problems += [f"{of.name} needs {name}=…{or_account}." for name in missing]
    if problems:
        raise ConfigError("The event was not written:", problems)
    return found


def _missing(
    of: "EventType", found: Mapping[str, object], given: Mapping[str, str]
) -> Iterator[str]:
    """What the version 2 body cannot do without; the entity's key is asked for by `entity_id`."""
    from espf.events.catalogue import Catalogue

    for v2 in filter(None, [of.v2, of.v2_sim]):
        if of.v2_account is not None and found.get("i_account") is not None:
            continue  # it is sent as the account's
        needed = (name for name in Catalogue.load().v2[v2].variables if name in of.own_variables)
        for name in dict.fromkeys(needed):
            wrong = name in given and name not in found
            if name != KEYS[of.entity] and found.get(name) is None and not wrong:
                yield name


def entity_id(of: "EventType", found: Mapping[str, object]) -> int:
    """The entity's integer key. Raises ConfigError if it is not given."""
    name = KEYS[of.entity]
    text = str(found.get(name))
    if not re.fullmatch(r"-?\d{1,19}", text, re.ASCII):
        raise ConfigError(f"{of.name} needs {name}=… (a whole number).")
    key = int(text)
    if not 0 <= key < 2**63:
        raise ConfigError(f"{name} must be a whole number from 0 to 2^63-1.")
    return key


def _environment(found: Mapping[str, object]) -> int:
    i_env = found.get("i_env", 1)
    if not isinstance(i_env, int) or i_env < 1:
        raise ConfigError("i_env must be a whole number from 1.")
    return i_env


def _typed(name: str, text: str) -> object:
    """The value. Raises ValueError with the rest of a sentence that begins with the name."""
    from espf.events.catalogue import Catalogue

    if text == "":
        return None
    if len(text) > 1000 or not text.isprintable():
        raise ValueError("must be one line of at most 1000 characters.")
    match Catalogue.load().variable_type(name):
        case "int":
            return _integer(text)
        case "number":
            return _number(text)
        case "date" | "datetime" as kind:
            return _date(text, kind)
        case _:
            return text


def _integer(text: str) -> int:
    try:
        value = int(text) if len(text) <= 20 and text.isascii() else None
    except ValueError:
        value = None
    if value is None or not -(2**63) <= value < 2**63:
        raise ValueError("must be a whole number.")
    return value


def _number(text: str) -> float | int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("must be a number, such as 12.5.")
    return value


def _date(text: str, kind: str) -> str:
    from datetime import datetime

    form = "%Y-%m-%d" if kind == "date" else "%Y-%m-%d %H:%M:%S"
    try:
        return datetime.strptime(text, form).strftime(form)  # noqa: DTZ007 - a date has no zone
    except ValueError:
        shown = "2026-11-23" if kind == "date" else "2026-11-23 20:40:11"
        raise ValueError(f"must be written {shown}.") from None
