"""What query_cs_reg and query_ps_reg say of a card: whether it is known, and registered now.

The answers' fields are not public; the reading of them is ours (reconstructed), and options can
correct it: `YateHSS.AbsentWords`, `YateHSS.ReadBack`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from espf.handlers.yate_hss.answers import UNKNOWN_CODES, YateAnswer, require

_NAMING = frozenset({"code", "message", "imsi", "msisdn", "subscriber_id"})
"""Members that only repeat who was asked about."""
_SAYING = "registered"


class Registration(NamedTuple):
    """Of one card in one domain."""

    known: bool | None
    """Whether the HSS has the card; None: the answer does not tell."""
    registered: bool = False
    """A phone with it is in the network now."""


def read_registration(answer: YateAnswer, absent_words: Iterable[str]) -> Registration:
    """Judge an answer to a query. Raises NotNow, Unclear, Refused for one that is no result."""
    if answer.done:
        return Registration(known=True, registered=_registered(answer.body))
    if answer.code in UNKNOWN_CODES:
        return Registration(known=False if answer.not_there(absent_words) else None)
    require(answer)
    raise AssertionError("an answer with another code than 0 is required to be done")


def _registered(body: dict[str, Any]) -> bool:
    """It says so, or else shows where the phone is."""
    for found in (body, *(inner for inner in body.values() if isinstance(inner, dict))):
        if _SAYING in found:
            return found[_SAYING] in (True, 1, "1", "true", "yes", "on")
    return any(value for name, value in body.items() if name not in _NAMING)
