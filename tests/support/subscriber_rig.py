"""A registry with its subscribers, and a far side in memory that can lie, hang and echo secrets.

Import it as `subscriber_rig`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from espf.clock import SystemClock
from espf.database_url import EngineName
from espf.errors import StorageError
from espf.events.model import Event
from espf.handlers.contract.checks import checked_key, checked_msisdn
from espf.handlers.contract.failures import NotNow, Refused, Unclear
from espf.handlers.contract.provisioner import Provisioner
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.system import ExternalSystem
from espf.subscribers.engines import open_subscribers
from espf.subscribers.model import Subscriber
from espf.subscribers.port import SubscriberSource
from espf.subscribers.secret import Secret
from registry_rig import Rig, registry

SEALED = "sealed:"


def decrypt(ciphertext: str) -> str:
    """What stands for the installation's key: a prefix taken off."""
    if not ciphertext.startswith(SEALED):
        raise StorageError("A stored secret cannot be decrypted with the present key.")
    return ciphertext.removeprefix(SEALED)


@contextmanager
def subscribers(
    folder: Path, engine: EngineName = "sqlite"
) -> Iterator[tuple[Rig, SubscriberSource]]:
    """A fresh registry, and the port on it; the caller closes the port."""
    with registry(folder, engine) as rig:
        yield rig, open_subscribers(rig.url, SystemClock(), decrypt)


# ---- a small HSS ----


@dataclass(frozen=True, slots=True)
class Entry:
    """What the HSS has of a card."""

    ki: Secret
    msisdn: str | None
    active: bool


@dataclass(frozen=True, slots=True)
class CreateEntry(Step):
    phase: ClassVar[int] = 1
    ki: Secret


@dataclass(frozen=True, slots=True)
class SetNumber(Step):
    phase: ClassVar[int] = 3
    msisdn: str


@dataclass(frozen=True, slots=True)
class SetService(Step):
    phase: ClassVar[int] = 3
    active: bool


@dataclass(frozen=True, slots=True)
class DropNumber(Step):
    phase: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class RemoveEntry(Step):
    phase: ClassVar[int] = 2


class Hss(ExternalSystem[Entry]):
    """A far side in memory; `entries` is what it has."""

    title = "the HSS"
    timeout_s = 0.2

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.calls: list[str] = []
        self.failures: list[Exception | str] = []
        """What the next calls do instead: an exception is raised, "hang" never answers, "deaf"
        accepts a step and does nothing, "late" acts and then does not answer."""
        self.deaf = False
        """Every step is accepted and none is carried out."""
        self.gate: asyncio.Event | None = None
        self.busy: set[str] = set()
        """Identities with a step under way."""

    def wanted(self, subscriber: Subscriber) -> Entry | None:
        if subscriber.closed:
            return None
        assert subscriber.sim is not None
        ki = Secret(checked_key(subscriber.sim, "ki"))
        return Entry(ki, checked_msisdn(subscriber), not subscriber.barred)

    async def read(self, identity: str) -> Entry | None:
        await self._fail(f"read {identity}")
        return self.entries.get(identity)

    def plan(self, identity: str, have: Entry | None, want: Entry | None) -> Sequence[Step]:
        if want is None:
            return [] if have is None else [RemoveEntry(identity)]
        steps: list[Step] = []
        if have is None or have.ki != want.ki:
            steps.append(CreateEntry(identity, want.ki))
            have = Entry(want.ki, have.msisdn if have else None, have.active if have else False)
        if have.msisdn != want.msisdn and want.msisdn is None:
            steps.append(DropNumber(identity))
        elif have.msisdn != want.msisdn and want.msisdn is not None:
            # A number that another one still has must be free first.
            steps += [DropNumber(identity)] if have.msisdn else []
            steps.append(SetNumber(identity, want.msisdn))
        if have.active != want.active:
            steps.append(SetService(identity, want.active))
        return steps

    async def apply(self, step: Step) -> Answer | None:
        assert step.identity not in self.busy, "one subscriber is worked on twice at once"
        self.busy.add(step.identity)
        try:
            await self._fail(str(step), lambda: self._do(step))
            if not self.deaf:
                self._do(step)
        finally:
            self.busy.discard(step.identity)
        return Answer(0, "done")

    async def rivals(self, identity: str, want: Entry) -> Sequence[str]:
        return [
            name
            for name, entry in self.entries.items()
            if name != identity and entry.msisdn == want.msisdn
        ]

    def list_all(self) -> AsyncIterator[tuple[str, Entry | None]] | None:
        async def listed() -> AsyncIterator[tuple[str, Entry | None]]:
            for identity, entry in list(self.entries.items()):
                yield identity, entry

        return listed()

    def _do(self, step: Step) -> None:
        name = step.identity
        entry = self.entries.get(name)
        match step:
            case CreateEntry(ki=ki):
                made = Entry(ki, None, active=False)
                self.entries[name] = replace(entry, ki=ki) if entry else made
            case RemoveEntry():
                self.entries.pop(name, None)
            case DropNumber() if entry:
                self.entries[name] = replace(entry, msisdn=None)
            case SetNumber(msisdn=msisdn) if entry:
                if any(e.msisdn == msisdn for n, e in self.entries.items() if n != name):
                    raise Refused(f"number {msisdn} is taken", code=5)
                self.entries[name] = replace(entry, msisdn=msisdn)
            case SetService(active=active) if entry:
                self.entries[name] = replace(entry, active=active)
            case _:
                raise Refused(f"{name} is not known", code=4)

    async def _fail(self, call: str, act: "object" = None) -> None:
        self.calls.append(call)
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, Exception):
            raise failure
        if failure == "hang":
            await asyncio.Event().wait()
        if failure == "late":
            assert callable(act)
            act()
            await asyncio.Event().wait()


@dataclass
class Standing:
    """A provisioner on an HSS and a registry."""

    rig: Rig
    source: SubscriberSource
    hss: Hss = field(default_factory=Hss)

    def __post_init__(self) -> None:
        self.provisioner = Provisioner(self.hss, self.source)


def event(event_type: str, entity: str, entity_id: int, variables: str = "{}") -> Event:
    return Event(
        1, 1, event_type, entity, entity_id, entity_id % 64, "2026-01-01 00:00:00", variables, True
    )


__all__ = ["NotNow", "Refused", "Unclear"]
