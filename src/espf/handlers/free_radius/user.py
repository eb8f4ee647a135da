"""What FreeRADIUS's tables have of a user."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from espf.handlers.contract.failures import SubscriberError
from espf.subscribers.model import Subscriber
from espf.subscribers.secret import Secret

PASSWORD, EXPIRATION = "Cleartext-Password", "Expiration"
SUSPENDED_PRIORITY = 1
LONGEST_VALUE = 253
LONGEST_NAME = 64
"""Columns of FreeRADIUS's schema."""
_ALTERED = re.compile(r"[^-@A-Za-z0-9._: /\x80-\U0010ffff]")
"""What FreeRADIUS, by its safe-characters, turns into =XX before it looks a name up."""
_QUOTES = "'\"`"


class Check(NamedTuple):
    """A row of radcheck."""

    attribute: str
    value: Secret
    op: str = ":="


class Group(NamedTuple):
    """A row of radusergroup. Of several groups the one with the lowest number counts first."""

    name: str
    priority: int


class Session(NamedTuple):
    """A row of radacct without an end."""

    nas: str
    session_id: str


@dataclass(frozen=True, slots=True)
class RadiusUser:
    """A user; rows of radreply, and checks and groups that are not ours, are left alone."""

    checks: tuple[Check, ...]
    groups: tuple[Group, ...]
    barred: bool
    """In the group of the suspended."""
    gate: bool = True
    """FreeRADIUS is told to reject that group, or what else to do with it."""
    sessions: tuple[Session, ...] = ()
    """Open ones of a barred user, but for those whose end was asked for lately."""
    rows: bool = True
    """There are rows of this name at all; without, there are sessions only."""


def user_name(subscriber: Subscriber) -> str:
    """The account's id. Raises SubscriberError for one that FreeRADIUS would not find."""
    name = subscriber.id
    found = _ALTERED.search(name)
    if found or len(name) > LONGEST_NAME:
        why = f"has a “{found[0]}”" if found else f"is longer than {LONGEST_NAME} characters"
        raise SubscriberError(
            f"The id of account {subscriber.i_account} {why}, and FreeRADIUS would not find it: "
            "letters, digits, spaces and @ . - _ : / are safe "
            f"(`espf registry update account {subscriber.i_account} id=…`)."
        )
    return name


def group_name(product: str) -> str:
    """The product's name, with `_` for characters that FreeRADIUS would alter."""
    return _ALTERED.sub("_", product)[:LONGEST_NAME]


def password(subscriber: Subscriber) -> Check:
    """The service password as radcheck must have it. Raises SubscriberError if there is none."""
    mend = f"(`espf registry update account {subscriber.i_account} h323_password=…`)"
    if not subscriber.service_password:
        raise SubscriberError(
            f"Account {subscriber.i_account} has no service password; give it one {mend}."
        )
    text = subscriber.service_password.reveal()
    value = _quoted(text)
    if value is None or len(value) > LONGEST_VALUE or not text.isprintable():
        raise SubscriberError(
            f"The service password of account {subscriber.i_account} cannot be stored for "
            f"FreeRADIUS: it has control characters, more than {LONGEST_VALUE} characters, or "
            f"quotes around a backslash; choose another {mend}."
        )
    return Check(PASSWORD, Secret(value))


def _quoted(text: str) -> str | None:
    """Between quotes, FreeRADIUS takes a value for an expression; within '…' it takes it as is."""
    if len(text) < 2 or text[0] not in _QUOTES or text[0] != text[-1]:
        return text
    if "\\" in text:
        return None
    return "'" + text.replace("'", "\\'") + "'"


def expiration(subscriber: Subscriber) -> tuple[Check, ...]:
    """The moment after the last day of use; a number, for a date would be in radiusd's own zone."""
    last = subscriber.expiration_date
    if last is None:
        return ()
    end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    return (Check(EXPIRATION, Secret(str(int(end.timestamp())))),)


def moment(check: Check) -> str:
    """An expiration for people."""
    return datetime.fromtimestamp(int(check.value.reveal()), UTC).strftime("%Y-%m-%d %H:%M UTC")
