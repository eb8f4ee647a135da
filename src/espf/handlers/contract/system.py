"""What a handler's author writes: one outside system, in the words of its own protocol."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Generic, Literal, TypeVar

from espf.events.model import Event
from espf.handlers.contract.events import named_in
from espf.handlers.contract.step import Answer, Step
from espf.subscribers.model import Subscriber
from espf.subscribers.port import SubscriberSource

StateT = TypeVar("StateT")
"""What a system has of one subscriber: a frozen dataclass of the handler's own, with secrets as
`Secret`. It is compared with `plan` only."""


class ExternalSystem(ABC, Generic[StateT]):
    """One outside system.

    Methods that call the system raise `NotNow`, `Unclear` or `Refused` (see `failures`), never
    anything else; each call is bounded by `timeout_s` besides. They are called from one event loop,
    for different identities at once, never twice at once for one identity.
    """

    title: str = "the system"
    """In messages: "osmo-hlr", "YateHSS"."""
    identified_by: ClassVar[Literal["imsi", "id"]] = "imsi"
    """By which of a subscriber's names the system knows it: the card's IMSI, the account's id."""
    timeout_s: float = 30.0
    """No call takes longer; a read that does is repeated later, a step that does is unclear."""
    settle_s: float = 0.0
    """Seconds to wait before reading back, for a system that acts after it has answered."""
    secrets: tuple[str, ...] = ()
    """Secret options, to be masked in whatever the system says."""

    # ---- to be written ----

    @abstractmethod
    def wanted(self, subscriber: Subscriber) -> StateT | None:
        """What the system must have of the subscriber; None: it must not exist there.

        Called for subscribers with an `identity`. A closed one mostly must not exist; one with
        reasons in `barred` exists and has no service. Calls nothing. Raises SubscriberError if its
        data do not suffice (`contract.checks` has the usual ones), with how to mend them.
        """

    @abstractmethod
    async def read(self, identity: str) -> StateT | None:
        """What the system has under this identity now; None: nothing."""

    @abstractmethod
    def plan(self, identity: str, have: StateT | None, want: StateT | None) -> Sequence[Step]:
        """The steps from `have` to `want`, in their order; none if nothing is to be done.

        Pure. Planning again after the steps were taken must give none: that is how they are
        verified, so what cannot be read back must not be compared.
        """

    @abstractmethod
    async def apply(self, step: Step) -> Answer | None:
        """Take one step. Returns when the system has accepted it.

        "Already so", and "not found" on a removal, are successes: the verification compares.
        """

    # ---- to be overridden where the default does not fit ----

    def identity(self, subscriber: Subscriber) -> str | None:
        """The subscriber's identity on the system; None: it has none, as without a SIM card.

        Raises SubscriberError for one that the system must not be given (domain, 6.1).
        """
        if self.identified_by == "id":
            return subscriber.id
        return None if subscriber.sim is None else subscriber.sim.imsi

    def previous(self, event: Event) -> Sequence[str]:
        """Identities that the event names: those before a swap or a rename are found here only.

        For each of them current data decide who owns it now, and whether it must be gone.
        """
        return named_in(event, self.identified_by)

    async def owners(self, identity: str, source: SubscriberSource) -> list[Subscriber]:
        """Subscribers that may have this identity by current data.

        To be overridden together with `identity`, for one that is neither an IMSI nor an id.
        """
        if self.identified_by == "id":
            return await source.by_id(identity)
        return await source.by_imsi(identity)

    def concerns(self, identity: str) -> bool:  # noqa: ARG002 - for who overrides it
        """Whether the identity is this system's business at all; others are left alone."""
        return True

    async def rivals(self, identity: str, want: StateT) -> Sequence[str]:  # noqa: ARG002 - likewise
        """Other identities that hold on the system what `want` needs for itself: its number.

        Asked before steps are taken. Those of the registry are set right along with it, in the
        order of the steps' phases; a foreign one stops the event with a message.
        """
        return ()

    async def rehearse(self, step: Step) -> None:
        """Have the system check a step without taking it, where it can; for dry runs.

        Raises NotNow, Refused.
        """

    def combined(self, steps: Sequence[Step]) -> Sequence[Step]:
        """The steps of all identities that one event touches, where some of them are one call.

        Such as a rename, which is planned as one identity that goes and one that comes. Pure.
        """
        return steps

    def list_all(self) -> AsyncIterator[tuple[str, StateT | None]] | None:
        """Everything that the system has, for audits: identity and state, or None to `read` it.

        None instead of an iterator: its protocol has no list, and an audit cannot see extra ones.
        """
        return None

    async def close(self) -> None:
        """Close connections; nothing is under way any more."""
