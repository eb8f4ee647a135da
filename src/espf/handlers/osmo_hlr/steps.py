"""Steps at osmo-hlr: each is one SET command of its control interface."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from espf.handlers.contract.step import Step
from espf.subscribers.secret import Secret

MAKE, FREE, GIVE = 1, 2, 3
"""Phases of a swap: the new card is there and set, the number is freed, the number is given. A
number is unique at osmo-hlr, so two of them can also change places."""


@dataclass(frozen=True, slots=True)
class HlrStep(Step):
    """Base: a variable of one subscriber, and what it is set to."""

    variable: ClassVar[str]
    already: ClassVar[str | None] = None
    """The error that says that it is so already."""

    @property
    def target(self) -> str:
        """The variable with its subscriber."""
        return f"subscriber.by-imsi-{self.identity}.{self.variable}"

    @property
    def value(self) -> str:
        """As it goes over the wire: keys are in clear."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class CreateSubscriber(HlrStep):
    """Make an entry; it begins with both services on, no number and no keys."""

    phase: ClassVar[int] = MAKE
    already: ClassVar[str | None] = "Subscriber already exists."

    @property
    def target(self) -> str:
        """The command takes the IMSI as its value."""
        return "subscriber.create"

    @property
    def value(self) -> str:
        """The IMSI."""
        return self.identity


@dataclass(frozen=True, slots=True)
class SetService(HlrStep):
    """Turn calls (cs) or data (ps) on or off."""

    phase: ClassVar[int] = MAKE
    service: Literal["cs", "ps"]
    on: bool

    @property
    def target(self) -> str:
        """`….cs-enabled`, `….ps-enabled`."""
        return f"subscriber.by-imsi-{self.identity}.{self.service}-enabled"

    @property
    def value(self) -> str:
        """0 or 1."""
        return "1" if self.on else "0"


@dataclass(frozen=True, slots=True)
class SetAud2g(HlrStep):
    """Give the card's Ki for 2G."""

    phase: ClassVar[int] = MAKE
    variable: ClassVar[str] = "aud2g"
    algorithm: str
    ki: Secret

    @property
    def value(self) -> str:
        """Algorithm and Ki."""
        return f"{self.algorithm},{self.ki.reveal()}"


@dataclass(frozen=True, slots=True)
class SetAud3g(HlrStep):
    """Give the card's K and OPc for 3G and later. It begins to count SQN anew."""

    phase: ClassVar[int] = MAKE
    variable: ClassVar[str] = "aud3g"
    k: Secret
    opc: Secret

    @property
    def value(self) -> str:
        """Milenage with OPc."""
        return f"milenage,{self.k.reveal()},opc,{self.opc.reveal()}"


@dataclass(frozen=True, slots=True)
class DropAud3g(HlrStep):
    """Take the keys for 3G away."""

    phase: ClassVar[int] = MAKE
    variable: ClassVar[str] = "aud3g"
    already: ClassVar[str | None] = "Update aud3g failed."

    @property
    def value(self) -> str:
        """No algorithm."""
        return "none"


@dataclass(frozen=True, slots=True)
class RemoveSubscriber(HlrStep):
    """Remove an entry with all that belongs to it."""

    phase: ClassVar[int] = FREE
    already: ClassVar[str | None] = "Subscriber doesn't exist."

    @property
    def target(self) -> str:
        """The command takes the IMSI as its value."""
        return "subscriber.delete"

    @property
    def value(self) -> str:
        """The IMSI."""
        return self.identity


@dataclass(frozen=True, slots=True)
class DropNumber(HlrStep):
    """Take the number away."""

    phase: ClassVar[int] = FREE
    variable: ClassVar[str] = "msisdn"

    @property
    def value(self) -> str:
        """No number."""
        return "none"


@dataclass(frozen=True, slots=True)
class SetNumber(HlrStep):
    """Give a number that is free."""

    phase: ClassVar[int] = GIVE
    variable: ClassVar[str] = "msisdn"
    msisdn: str

    @property
    def value(self) -> str:
        """The number."""
        return self.msisdn
