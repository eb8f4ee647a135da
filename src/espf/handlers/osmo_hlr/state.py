"""What osmo-hlr has of a subscriber, out of its own `info-all`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from espf.handlers.contract.failures import NotNow
from espf.subscribers.secret import Secret

_KEY = re.compile(r"[0-9A-Fa-f]{2,64}")
"""Other algorithms than ours have keys of other lengths."""


@dataclass(frozen=True, slots=True)
class Aud2g:
    """Authentication of 2G."""

    algorithm: str
    """`comp128v1`, `comp128v2`, `comp128v3`; others are known to osmo-hlr only."""
    ki: Secret


@dataclass(frozen=True, slots=True)
class Aud3g:
    """Authentication of 3G and later: Milenage."""

    k: Secret
    opc: Secret
    """Empty if the operator's OP is set in its place."""
    algorithm: str = "milenage"


@dataclass(frozen=True, slots=True)
class HlrEntry:
    """One subscriber."""

    msisdn: str | None
    cs: bool
    """Circuit-switched services: calls and text messages."""
    ps: bool
    """Packet-switched services: data."""
    aud2g: Aud2g | None
    aud3g: Aud3g | None


def entry(imsi: str, info: str) -> HlrEntry:
    """The entry that `info-all` shows. Raises NotNow if it shows something else."""
    values = _values(info)
    if values.get("imsi") != imsi:
        raise _not_understood(imsi, "imsi")
    return HlrEntry(
        msisdn=_msisdn(imsi, values),
        cs=_flag(imsi, values, "nam_cs"),
        ps=_flag(imsi, values, "nam_ps"),
        aud2g=_aud2g(imsi, values),
        aud3g=_aud3g(imsi, values),
    )


def imsi_of(info: str) -> str | None:
    """Whose `info` it is."""
    return _values(info).get("imsi")


def _values(info: str) -> dict[str, str]:
    lines = (line.partition("\t") for line in info.splitlines())
    return {name: value for name, tab, value in lines if tab}


def _msisdn(imsi: str, values: Mapping[str, str]) -> str | None:
    number = values.get("msisdn", "none")
    if number == "none":
        return None
    if not (number.isascii() and number.isdigit()):
        raise _not_understood(imsi, "msisdn")
    return number


def _flag(imsi: str, values: Mapping[str, str], name: str) -> bool:
    value = values.get(name)
    if value not in {"0", "1"}:
        raise _not_understood(imsi, name)
    return value == "1"


def _aud2g(imsi: str, values: Mapping[str, str]) -> Aud2g | None:
    algorithm = values.get("aud2g.algo", "none").lower()
    if algorithm == "none":
        return None
    return Aud2g(algorithm, _key(imsi, values, "aud2g.ki"))


def _aud3g(imsi: str, values: Mapping[str, str]) -> Aud3g | None:
    algorithm = values.get("aud3g.algo", "none").lower()
    if algorithm == "none":
        return None
    opc = _key(imsi, values, "aud3g.opc") if "aud3g.opc" in values else Secret()
    return Aud3g(_key(imsi, values, "aud3g.k"), opc, algorithm)


def _key(imsi: str, values: Mapping[str, str], name: str) -> Secret:
    key = values.get(name, "")
    if not _KEY.fullmatch(key):
        raise _not_understood(imsi, name)
    return Secret(key.lower())


def _not_understood(imsi: str, name: str) -> NotNow:
    """No value is shown: it may be a key."""
    return NotNow(
        f"osmo-hlr shows subscriber {imsi} with no {name} that can be understood; espf "
        "needs osmo-hlr 1.5 or later"
    )
