"""Looks at a subscriber from both sides: what is wanted, what is there, what is to be done."""

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple

from espf.errors import StorageError
from espf.handlers.contract.calls import broken, reading
from espf.handlers.contract.failures import Refused
from espf.handlers.contract.masking import SubscriberMask
from espf.handlers.contract.step import Step
from espf.handlers.contract.system import ExternalSystem, StateT
from espf.handlers.contract.work import Gatherer, Target, Work
from espf.subscribers.port import SubscriberSource


class NotRead:
    """Stands for a state that is still to be read: None means that there is nothing."""


NOT_READ: Final = NotRead()


class Difference(NamedTuple):
    """What one identity is from what it should be."""

    exists: bool
    """Whether the far side has anything under it."""
    steps: list[Step]
    """None if it is as it should be."""


class Looker(Generic[StateT]):
    """Changes nothing. Raises FarSideError, StorageError, Broken; no text of a bug passes it."""

    def __init__(self, system: ExternalSystem[StateT], source: SubscriberSource) -> None:
        self.system = system
        self.source = source
        self._gatherer = Gatherer(system, source)

    async def gather(self, i_account: int | None, identities: Iterable[str]) -> Work[StateT]:
        """What is to be looked at, and what is wanted of it, by current data."""
        try:
            return await self._gatherer.gather(i_account, sorted(identities))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may repeat a secret: it ends here
            raise broken(self.system.title, error) from None

    async def difference(
        self, target: Target[StateT], have: StateT | NotRead | None = NOT_READ
    ) -> Difference:
        """Read, unless `have` is known, and plan."""
        system = self.system
        if isinstance(have, NotRead):
            have = await reading(system.title, system.timeout_s, system.read(target.identity))
        try:
            steps = list(system.plan(target.identity, have, target.want))
        except Exception as error:  # noqa: BLE001 - likewise
            raise broken(system.title, error) from None
        return Difference(have is not None, steps)

    async def rivals(self, identity: str, want: StateT, names: frozenset[str]) -> frozenset[str]:
        """Who else holds what is wanted here, but for `names`. Raises Refused for a stranger."""
        system = self.system
        found = await reading(system.title, system.timeout_s, system.rivals(identity, want))
        rivals = frozenset(found) - names
        for rival in sorted(rivals):
            if not await self._is_ours(rival):
                raise Refused(
                    f"{rival} on {system.title} holds what {identity} is to have, and the registry "
                    "does not know it; remove it there, or add it to the registry"
                )
        return rivals

    async def _is_ours(self, identity: str) -> bool:
        if await self.system.owners(identity, self.source):
            return True
        return self.system.identified_by == "imsi" and await self.source.has_card(identity)

    def mask(self, work: Work[StateT] | None = None) -> SubscriberMask:
        """What masks the secrets of all that were looked at."""
        subscribers = work.subscribers if work else ()
        secrets = [secret for one in subscribers for secret in one.secrets]
        return SubscriberMask(secrets, self.system.secrets)
