"""What can be done to a card on the HSS, in the vendor's order of a swap."""

from dataclasses import dataclass
from typing import ClassVar

from espf.handlers.contract.step import Step
from espf.subscribers.secret import Secret


@dataclass(frozen=True, slots=True)
class SetCard(Step):
    """`set_sim_range` with this one card and its services."""

    phase: ClassVar[int] = 1
    card: Secret
    """Its parameters as JSON; holds Ki and OPc."""
    services: frozenset[str]
    """Those that the card may use: of cs, ps, lte."""


@dataclass(frozen=True, slots=True)
class SetSubscriber(Step):
    """`set_subscriber`: the number and the profiles, on this card."""

    phase: ClassVar[int] = 2
    params: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class SetServices(Step):
    """`set_sim`: which services the card may use; false also ends a present registration."""

    phase: ClassVar[int] = 3
    services: frozenset[str]


@dataclass(frozen=True, slots=True)
class RemoveCard(Step):
    """`del_sim`."""

    phase: ClassVar[int] = 4
