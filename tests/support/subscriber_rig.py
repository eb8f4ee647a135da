"""A registry with its subscribers, and a far side in memory that can lie, hang and echo secrets.

Import it as `subscriber_rig`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from espf.clock import SystemClock
from espf.database_url import EngineName
from espf.errors import StorageError
from espf.events.model import Event
from espf.handlers.contract.checks import checked_key, checked_msisdn
from espf.handlers.contract.failures import Refused
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.system import ExternalSystem
from espf.handlers.contract.types import HSS_TYPES
from espf.handlers.options import read_options
from espf.handlers.port import HandlerContext
from espf.handlers.types import handler_type
from espf.subscribers.engines import open_steps, open_subscribers
from espf.subscribers.model import Subscriber
from espf.subscribers.port import SubscriberSource
from espf.subscribers.secret import Secret
from espf.subscribers.steps import StepMemory
from registry_rig import POPULATION, Rig, registry

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


Behaviour = Exception | Literal["hang", "late", "deaf"] | None
"""What a call does: None what it should, an exception is raised, "hang" does nothing and never
answers, "late" acts and never answers, "deaf" accepts and does nothing."""


class Hss(ExternalSystem[Entry]):
    """A far side in memory; `entries` is what it has."""

    title = "the HSS"
    timeout_s = 0.05

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.calls: list[str] = []
        self.on_read: list[Behaviour] = []
        self.on_apply: list[Behaviour] = []
        self.deaf = False
        """Every step is accepted and none is carried out."""
        self.can_list = True
        self.busy: set[str] = set()
        """Identities with a step under way."""
        self.reads: dict[str, int] = {}

    @property
    def steps(self) -> list[str]:
        return [call for call in self.calls if not call.startswith("read ")]

    def wanted(self, subscriber: Subscriber) -> Entry | None:
        if subscriber.closed:
            return None
        assert subscriber.sim is not None
        ki = Secret(checked_key(subscriber.sim, "ki"))
        return Entry(ki, checked_msisdn(subscriber), not subscriber.barred)

    async def read(self, identity: str) -> Entry | None:
        self.calls.append(f"read {identity}")
        await self._behave(self.on_read)
        return self.entries.get(identity)

    def plan(self, identity: str, have: Entry | None, want: Entry | None) -> Sequence[Step]:
        if want is None:
            return [] if have is None else [RemoveEntry(identity)]
        steps: list[Step] = []
        if have is None or have.ki != want.ki:
            steps.append(CreateEntry(identity, want.ki))
        msisdn, active = (have.msisdn, have.active) if have else (None, False)
        if msisdn != want.msisdn:
            if msisdn is not None:  # somebody else may be waiting for it
                steps.append(DropNumber(identity))
            assert want.msisdn is not None
            steps.append(SetNumber(identity, want.msisdn))
        if active != want.active:
            steps.append(SetService(identity, want.active))
        return steps

    async def apply(self, step: Step) -> Answer | None:
        assert step.identity not in self.busy, "one subscriber is worked on twice at once"
        self.busy.add(step.identity)
        try:
            self.calls.append(str(step))
            behaviour = await self._behave(self.on_apply, lambda: self._do(step))
            if behaviour != "deaf" and not self.deaf:
                self._do(step)
        finally:
            self.busy.discard(step.identity)
        return Answer(0, "done")

    async def rivals(self, identity: str, want: Entry) -> Sequence[str]:
        held = self.entries.items()
        return [name for name, one in held if name != identity and one.msisdn == want.msisdn]

    def list_all(self) -> AsyncIterator[tuple[str, Entry | None]] | None:
        return self._listed() if self.can_list else None

    async def _listed(self) -> AsyncIterator[tuple[str, Entry | None]]:
        for identity, entry in list(self.entries.items()):
            yield identity, entry

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

    async def _behave(
        self, script: list[Behaviour], act: Callable[[], None] = lambda: None
    ) -> Behaviour:
        await asyncio.sleep(0)
        behaviour = script.pop(0) if script else None
        if isinstance(behaviour, Exception):
            raise behaviour
        if behaviour == "late":
            act()
        if behaviour in ("hang", "late"):
            await asyncio.Event().wait()
        return behaviour


def event(event_type: str, entity: str, entity_id: int, variables: str = "{}") -> Event:
    return Event(
        1, 1, event_type, entity, entity_id, entity_id % 64, "2026-01-01 00:00:00", variables, True
    )


KI = "000102030405060708090a0b0c0d0e0f"


def equip(rig: Rig) -> None:
    """Three accounts with cards 1 to 3: IMSI 00101000000000N, number N00, Ki of their own."""
    rig.script(POPULATION)
    for card in (1, 2, 3):
        key = f"{KI[:-1]}{card}"
        rig.sql("UPDATE sim_cards SET ki = ? WHERE i_sim_card = ?", f"{SEALED}{key}", card)
    for account in (1, 2):
        rig.sql("UPDATE accounts SET i_sim_card = ? WHERE i_account = ?", account, account)
    rig.events()


def captured(rig: Rig) -> list[Event]:
    """Events that capture wrote since the last call, as the engine reads them."""
    return [
        Event(
            1,
            seen.i_env,
            seen.event_type,
            seen.entity,
            seen.entity_id,
            seen.lane,
            "2026-01-01 00:00:00",
            json.dumps(seen.variables),
            bool(seen.has_sim),
        )
        for seen in rig.events()
    ]


def started(hss: ExternalSystem[Any], source: SubscriberSource) -> ContractHandler[Any]:
    """A running handler of the contract."""
    return ContractHandler(hss, HSS_TYPES, HandlerContext("hss", SystemClock(), subscribers=source))


@asynccontextmanager
async def starting(
    rig: Rig, type_name: str, needed: Mapping[str, object]
) -> AsyncIterator[Callable[..., ContractHandler[Any]]]:
    """Start handlers of a type on a registry, with these options and others; they remember steps.

    The handler row 1, which the steps belong to, is made here.
    """
    rig.sql(
        "INSERT INTO handler (name, type, options, subscriptions, created_us, updated_us)"
        " VALUES ('hss', ?, '{}', '[]', 0, 0)",
        type_name,
    )
    source, steps = open_subscribers(rig.url, SystemClock(), decrypt), open_steps(rig.url)
    started: list[ContractHandler[Any]] = []

    def start(**options: object) -> ContractHandler[Any]:
        kind = handler_type(type_name)
        given = dict(needed) | options
        settings = read_options(
            kind.settings,
            {f"{type_name}.{name}": value for name, value in given.items()},
            kind.name,
        )
        context = HandlerContext(
            "hss",
            SystemClock(),
            subscribers=source,
            memory=StepMemory(steps, 1, lambda: b"key of the installation"),
        )
        made = kind.start(settings, frozenset(["all"]), context)
        assert isinstance(made, ContractHandler)
        started.append(made)
        return made

    try:
        yield start
    finally:
        for handler in started:
            await handler.close()
        await source.close()
        await steps.close()
