"""What is to be done for some accounts and identities, by current data."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic

from espf.handlers.contract.failures import SubscriberError
from espf.handlers.contract.system import ExternalSystem, StateT
from espf.subscribers.model import Subscriber
from espf.subscribers.port import SubscriberSource


@dataclass(frozen=True, slots=True)
class Target(Generic[StateT]):
    """An identity on the far side, and what must be there."""

    identity: str
    want: StateT | None
    owner: Subscriber | None = None
    """Whose state it is; None: nobody's, so it must not exist."""


@dataclass(frozen=True, slots=True)
class Work(Generic[StateT]):
    """Everything that one event, or one account of a resync, touches."""

    targets: tuple[Target[StateT], ...]
    subscribers: tuple[Subscriber, ...]
    """All that were looked at, for their secrets."""
    problems: tuple[str, ...] = ()
    """Why something cannot be provisioned as the registry has it; the rest can."""

    @property
    def identities(self) -> frozenset[str]:
        """Names to be locked."""
        return frozenset(target.identity for target in self.targets)


class Gatherer(Generic[StateT]):
    """Reads from the registry what must be on the far side."""

    def __init__(self, system: ExternalSystem[StateT], source: SubscriberSource) -> None:
        self._system = system
        self._source = source

    async def gather(self, i_account: int | None, identities: Iterable[str]) -> Work[StateT]:
        """The identities given and the account's own, each with what is wanted of it.

        Raises StorageError if the registry cannot be read.
        """
        seen: dict[int, Subscriber] = {}
        problems: list[str] = []
        names = dict.fromkeys(identities)
        if i_account is not None:
            account = await self._source.of_account(i_account)
            if account is not None:
                seen[i_account] = account
                own = self._identity(account, problems)
                names |= dict.fromkeys([own] if own else [])
        targets: list[Target[StateT]] = []
        for name in names:
            if self._system.concerns(name):
                await self._add(name, targets, seen, problems)
        return Work(tuple(targets), tuple(seen.values()), tuple(dict.fromkeys(problems)))

    async def _add(
        self,
        name: str,
        targets: list[Target[StateT]],
        seen: dict[int, Subscriber],
        problems: list[str],
    ) -> None:
        owners = await self._system.owners(name, self._source)
        seen |= {owner.i_account: owner for owner in owners}
        try:
            claims = [
                (owner, want)
                for owner in owners
                if self._system.identity(owner) == name
                and (want := self._system.wanted(owner)) is not None
            ]
        except SubscriberError as error:
            problems.append(str(error))
            return
        if len(claims) > 1:
            problems.append(_claimed(name, [owner for owner, _ in claims]))
        elif claims:
            owner, want = claims[0]
            targets.append(Target(name, want, owner))
        else:
            targets.append(Target(name, None))

    def _identity(self, subscriber: Subscriber, problems: list[str]) -> str | None:
        try:
            return self._system.identity(subscriber)
        except SubscriberError as error:
            problems.append(str(error))
            return None


def _claimed(name: str, owners: list[Subscriber]) -> str:
    accounts = " and ".join(f"{one.i_account} (environment {one.i_env})" for one in owners)
    return (
        f"{name} is claimed by the accounts {accounts}; nothing is done for it until all but one "
        "have given it up or are closed."
    )
