"""What PyHSS has of a subscriber, as its rows show it: table `auc`, `subscriber`, `ims_subscriber`.

Of each row only the columns that espf sets are compared; what else is in it is left alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from espf.handlers.contract.failures import NotNow
from espf.subscribers.secret import NO_SECRET, Secret

Value = str | int | bool | None
Found = Mapping[str, Any]
"""A row as its JSON."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns with their values, under PyHSS's names."""

    pairs: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> "Columns":
        """Of a mapping."""
        return cls(tuple(values.items()))

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        return iter(self.pairs)

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.pairs)

    def get(self, wanted: str) -> Value:
        """The value of a column, None if it is not among them."""
        return next((value for name, value in self.pairs if name == wanted), None)

    def other_than(self, have: "Columns") -> "Columns":
        """Those of these columns that `have` has with another value, or not at all."""
        there = dict(have.pairs)
        return Columns(tuple(one for one in self.pairs if there.get(one[0]) != one[1]))


@dataclass(frozen=True, slots=True)
class Card:
    """A row of `auc`."""

    columns: Columns
    keys: str
    """Digest of Ki and OPc: PyHSS shows neither; "" if nobody knows which it has."""
    auc_id: int = 0
    secret: Secret = NO_SECRET
    """Both as JSON; only where they are wanted."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of `subscriber`."""

    columns: Columns
    subscriber_id: int = 0
    auc_id: int = 0
    """Which card it has."""
    serving: Columns = Columns()
    """The MME where its phone is, with its realm; empty: nowhere."""

    @property
    def reached_at(self) -> Columns:
        """What must go along with a block, so that PyHSS sends a Cancel-Location."""
        return self.serving if self.columns.get("enabled") else Columns()


@dataclass(frozen=True, slots=True)
class Voice:
    """A row of `ims_subscriber`."""

    columns: Columns
    ims_subscriber_id: int = 0


@dataclass(frozen=True, slots=True)
class PyhssState:
    """All three, or those that there are."""

    card: Card | None = None
    line: Line | None = None
    voice: Voice | None = None


# ---- rows as PyHSS shows them ----


def text(row: Found, name: str) -> str | None:
    """A column of text. Raises NotNow for another type."""
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise _not_understood(name)
    return value


def whole(row: Found, name: str) -> int:
    """A column of whole numbers that is always set. Raises NotNow."""
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _not_understood(name)
    return value


def line_of(row: Found) -> Line:
    """A subscriber. Raises NotNow for one that cannot be understood."""
    if row.get("enabled") not in (True, False):
        raise _not_understood("enabled")
    mme = text(row, "serving_mme")
    serving = {
        "serving_mme": mme,
        "serving_mme_realm": text(row, "serving_mme_realm"),
    }
    return Line(
        Columns.of(
            {
                "imsi": text(row, "imsi"),
                "enabled": bool(row["enabled"]),
                "msisdn": text(row, "msisdn"),
                "default_apn": whole(row, "default_apn"),
                "apn_list": (text(row, "apn_list") or "").replace(" ", ""),
                "ue_ambr_dl": row.get("ue_ambr_dl"),
                "ue_ambr_ul": row.get("ue_ambr_ul"),
            }
        ),
        whole(row, "subscriber_id"),
        whole(row, "auc_id"),
        Columns.of(serving) if mme else Columns(),
    )


def card_of(row: Found, keys: str) -> Card:
    """A card, with the digest of its keys. Raises NotNow."""
    columns: dict[str, Value] = {
        "imsi": text(row, "imsi"),
        "iccid": text(row, "iccid"),
        "amf": (text(row, "amf") or "").lower(),
    }
    return Card(Columns.of(columns), keys, whole(row, "auc_id"))


def voice_of(row: Found) -> Voice:
    """An IMS subscriber. Raises NotNow."""
    names = ("imsi", "msisdn", "msisdn_list", "ifc_path", "sh_template_path")
    columns: dict[str, Value] = {name: text(row, name) for name in names}
    return Voice(Columns.of(columns), whole(row, "ims_subscriber_id"))


def _not_understood(name: str) -> NotNow:
    """No value is shown: it may be a key."""
    return NotNow(f"PyHSS shows a row whose {name} cannot be understood; is it another release?")
