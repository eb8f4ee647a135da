"""What the service of a product is on the HSS: its APNs and its bit rates."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from espf.events.catalogue import did_you_mean, nearest, shown

MAX_RATE = 4_294_967_295
"""AMBR is an Unsigned32 in the network's messages."""
MAX_LIST_CHARS = 64
"""As much as PyHSS's column takes."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Columns of a subscriber that its product decides, under PyHSS's names."""

    default_apn: int
    apn_list: str
    """Ids of APNs, with commas between."""
    ue_ambr_dl: int
    ue_ambr_ul: int


FIELDS = tuple(Profile.__dataclass_fields__)


def allowed(text: str, default_apn: int) -> str:
    """The ids of APNs as PyHSS stores them. Raises ValueError that follows an option's name."""
    ids = [part.strip() for part in text.split(",")]
    if not all(one.isascii() and one.isdigit() and int(one) > 0 for one in ids):
        raise ValueError(f"must be ids of APNs with commas, such as 1,2, not {shown(text)}.")
    if str(default_apn) not in ids:
        raise ValueError(f"must hold the default APN {default_apn}; {shown(text)} does not.")
    joined = ",".join(dict.fromkeys(ids))
    if len(joined) > MAX_LIST_CHARS:
        raise ValueError(f"must not be longer than {MAX_LIST_CHARS} characters.")
    return joined


def parse_products(text: str) -> dict[str, dict[str, int | str]]:
    """What products set, by name. Raises ValueError that follows an option's name."""
    try:
        parsed = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise ValueError(f"must be a JSON object; it is no JSON ({error}).") from None
    if not isinstance(parsed, dict) or not all(isinstance(one, dict) for one in parsed.values()):
        raise ValueError('must be a JSON object, such as {"LTE XL":{"ue_ambr_dl":50000000}}.')
    return {name: _parsed(name, given) for name, given in parsed.items()}


def of_product(default: Profile, given: Mapping[str, int | str]) -> Profile:
    """The default, with what a product sets. Raises ValueError that follows an option's name."""
    made = Profile(**(asdict(default) | dict(given)))
    return replace(made, apn_list=allowed(made.apn_list, made.default_apn))


def _parsed(product: str, given: dict[str, Any]) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for name, value in given.items():
        if name not in FIELDS:
            meant = did_you_mean(nearest(name, FIELDS))
            raise ValueError(
                f"has the unknown field {shown(name)} for {shown(product)}{meant} There are "
                f"{', '.join(FIELDS)}."
            )
        whole = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_RATE
        if name == "apn_list":
            found[name] = str(value)
        elif whole:
            found[name] = value
        else:
            raise ValueError(
                f"has a {name} for {shown(product)} that must be a whole number from 1 to "
                f"{MAX_RATE}."
            )
    return found
