"""What can be done on PyHSS: each step is one request that changes a row.

In a swap the new card is made, the subscriber moves to it, and the old card goes (domain, 6.5).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from espf.handlers.contract.step import Step
from espf.handlers.pyhss.state import Columns
from espf.subscribers.secret import NO_SECRET, Secret

MAKE, FREE, DROP, GIVE, VOICE, LAST = 1, 2, 3, 4, 5, 6
"""Phases: cards are made, numbers freed, subscribers removed, then given and moved; a card goes
last, as long as a subscriber names it PyHSS may refuse to."""


@dataclass(frozen=True, slots=True)
class CreateCard(Step):
    """`PUT /auc/`."""

    phase: ClassVar[int] = MAKE
    row: Columns
    keys: Secret


@dataclass(frozen=True, slots=True)
class ChangeCard(Step):
    """`PATCH /auc/<id>`; the keys only where they may be others."""

    phase: ClassVar[int] = MAKE
    auc_id: int = field(repr=False)
    row: Columns
    keys: Secret = NO_SECRET


@dataclass(frozen=True, slots=True)
class EndService(Step):
    """`PATCH /subscriber/<id>` of one that goes: its phone is sent out of the network."""

    phase: ClassVar[int] = FREE
    subscriber_id: int = field(repr=False)
    serving: Columns = field(repr=False)


@dataclass(frozen=True, slots=True)
class FreeNumber(Step):
    """`PATCH /ims_subscriber/<id>`: no number, so that another can have it."""

    phase: ClassVar[int] = FREE
    ims_subscriber_id: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoveVoice(Step):
    """`DELETE /ims_subscriber/<id>`."""

    phase: ClassVar[int] = FREE
    ims_subscriber_id: int = field(repr=False)


@dataclass(frozen=True, slots=True)
class RemoveSubscriber(Step):
    """`DELETE /subscriber/<id>`."""

    phase: ClassVar[int] = DROP
    subscriber_id: int = field(repr=False)
    msisdn: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CreateSubscriber(Step):
    """`PUT /subscriber/`, on the card of its IMSI."""

    phase: ClassVar[int] = GIVE
    row: Columns


@dataclass(frozen=True, slots=True)
class ChangeSubscriber(Step):
    """`PATCH /subscriber/<id>`."""

    phase: ClassVar[int] = GIVE
    subscriber_id: int = field(repr=False)
    row: Columns
    on_its_card: bool = False
    """It is to name the card of its IMSI."""
    serving: Columns = field(default=Columns(), repr=False)
    """Where its phone is, if that is to be sent out of the network."""


@dataclass(frozen=True, slots=True)
class MoveSubscriber(Step):
    """`PATCH /subscriber/<id>`: the row of the old card's IMSI becomes that of this one."""

    phase: ClassVar[int] = GIVE
    subscriber_id: int = field(repr=False)
    row: Columns


@dataclass(frozen=True, slots=True)
class CreateVoice(Step):
    """`PUT /ims_subscriber/`."""

    phase: ClassVar[int] = VOICE
    row: Columns


@dataclass(frozen=True, slots=True)
class ChangeVoice(Step):
    """`PATCH /ims_subscriber/<id>`, also to move it to another IMSI."""

    phase: ClassVar[int] = VOICE
    ims_subscriber_id: int = field(repr=False)
    row: Columns


@dataclass(frozen=True, slots=True)
class RemoveCard(Step):
    """`DELETE /auc/<id>`."""

    phase: ClassVar[int] = LAST
    auc_id: int = field(repr=False)
