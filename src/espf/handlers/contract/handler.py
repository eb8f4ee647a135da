"""Handler and handler type of the contract: what the engine and the commands see of a system."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, NamedTuple

from espf.clock import Clock
from espf.errors import HandlerError, PayloadError
from espf.eventlog.model import HandlerRow
from espf.events.model import Event
from espf.events.payload import account_in
from espf.handlers.contract.provisioner import Provisioner
from espf.handlers.contract.system import ExternalSystem, StateT
from espf.handlers.contract.types import HSS_TYPES, resolve, subscribable
from espf.handlers.port import Attempt, HandlerContext, Outcome, Rejected, Skipped
from espf.handlers.settings import HandlerSettings
from espf.subscribers.engines import Current


class ContractHandler(Generic[StateT]):
    """A running handler: each event has the subscribers that it touches set right."""

    def __init__(
        self, system: ExternalSystem[StateT], needed: frozenset[str], context: HandlerContext
    ) -> None:
        """`needed`: the types that can matter to the system; others end finished, unsent.

        Raises HandlerError if there is no registry to read.
        """
        if context.subscribers is None:
            raise HandlerError(f"{context.name} needs the registry, which is not open here.")
        self.system = system
        self.provisioner = Provisioner(system, context.subscribers, context.may_send)
        self._needed = needed

    def screen(self, event: Event) -> Skipped | None:
        """Say why the event changes nothing on the system, or None to look at the subscriber."""
        if event.event_type in self._needed:
            return None
        return Skipped(f"it changes nothing on {self.system.title}", finished=True)

    async def deliver(self, event: Event, attempt: Attempt) -> Outcome | Skipped:
        """Set right whomever the event is about, by current data."""
        try:
            i_account, identities = account_in(event), self.system.previous(event)
        except PayloadError as error:
            return Rejected("", str(error))
        return await self.provisioner.provision(i_account, identities, attempts=attempt.number)

    async def close(self) -> None:
        """Close the system's connections."""
        await self.system.close()


class Provisioning(NamedTuple):
    """A handler of state as commands use it."""

    row: HandlerRow
    settings: HandlerSettings
    provisioner: Provisioner[Any]
    current: Current
    clock: Clock


class SystemType(ABC):
    """Base of a handler type: set the names, the options and the types, and make the system."""

    name: ClassVar[str]
    """As operators write it: `OsmoHLR`."""
    aliases: ClassVar[tuple[str, ...]] = ()
    settings: type[HandlerSettings]
    needed: ClassVar[frozenset[str]] = HSS_TYPES
    """Types that can matter to the system; what a subscription to "all" means."""

    @abstractmethod
    def system(self, settings: HandlerSettings, context: HandlerContext) -> ExternalSystem[Any]:
        """Make the system of these settings. Raises HandlerError if it cannot work at all."""

    def event_types(self, settings: HandlerSettings) -> Mapping[str, str]:  # noqa: ARG002 - the port's
        """Types that a handler can be subscribed to: name → description."""
        return subscribable()

    def resolve(self, settings: HandlerSettings, names: list[str]) -> frozenset[str]:  # noqa: ARG002
        """Canonical types that the names, aliases and patterns stand for. Raises ConfigError."""
        return resolve(names, self.needed)

    def start(
        self,
        settings: HandlerSettings,
        subscriptions: frozenset[str],  # noqa: ARG002 - which events come is the engine's business
        context: HandlerContext,
    ) -> ContractHandler[Any]:
        """Make a running handler. Raises HandlerError."""
        return ContractHandler(self.system(settings, context), self.needed, context)
