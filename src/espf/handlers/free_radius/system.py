"""FreeRADIUS as the contract sees it (domain, 6.4)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Literal

import structlog

from espf.handlers.contract.failures import NotNow
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.system import ExternalSystem
from espf.handlers.free_radius.asking import Question, RadiusDatabase, Rows
from espf.handlers.free_radius.disconnecting import Disconnector, Ending
from espf.handlers.free_radius.plan import renamed, steps
from espf.handlers.free_radius.settings import FreeRadiusSettings
from espf.handlers.free_radius.steps import Disconnect, TableStep
from espf.handlers.free_radius.user import (
    SUSPENDED_PRIORITY,
    Check,
    Group,
    RadiusUser,
    Session,
    expiration,
    group_name,
    password,
    user_name,
)
from espf.subscribers.model import Subscriber
from espf.subscribers.secret import Secret

ASKED_FOR_S = 3600.0
"""The end of a session is asked for once in so long. Its row of radacct stays open until the NAS
reports the end, and for ever if the NAS was restarted meanwhile."""
MARGIN_S = 1.0
_log = structlog.get_logger("espf.free_radius")


class FreeRadius(ExternalSystem[RadiusUser]):
    """One FreeRADIUS, by its database, and the NASes that it serves."""

    title = "FreeRADIUS"
    identified_by: ClassVar[Literal["imsi", "id"]] = "id"

    def __init__(
        self, settings: FreeRadiusSettings, database: RadiusDatabase, disconnector: Disconnector
    ) -> None:
        self._settings = settings
        self._database = database
        self._disconnector = disconnector
        self._asked: dict[tuple[str, Session], float] = {}
        self.secrets = settings.secrets
        self.timeout_s = max(settings.request_timeout_s, disconnector.longest_s) + MARGIN_S

    # ---- what is wanted ----

    def identity(self, subscriber: Subscriber) -> str | None:
        """The account's id."""
        return user_name(subscriber) if self.concerns(subscriber.id) else None

    def concerns(self, identity: str) -> bool:
        """Whether accounts of this id are its users."""
        return self._settings.concerns(identity)

    def wanted(self, subscriber: Subscriber) -> RadiusUser | None:
        """Password, end, and groups; nothing of a closed account."""
        if subscriber.closed:
            return None
        barred = bool(subscriber.barred)
        groups = [Group(self._settings.suspended_group, SUSPENDED_PRIORITY)] if barred else []
        if subscriber.product:
            groups.append(Group(group_name(subscriber.product), self._settings.group_priority))
        checks = (password(subscriber), *expiration(subscriber))
        return RadiusUser(checks, tuple(groups), barred)

    # ---- what is there, and what is to be done ----

    async def read(self, identity: str) -> RadiusUser | None:
        """Its rows; its open sessions if it must have none."""
        name, suspended = {"username": identity}, self._settings.suspended_group
        checks, groups, anything, gate = await self._database.ask(
            Question("checks", name),
            Question("groups", name),
            Question("anything", name),
            Question("gate", {"groupname": suspended}),
        )
        found = self._groups(groups)
        barred = any(group.name == suspended for group in found)
        sessions = await self._sessions(identity) if barred or not anything else ()
        if not anything and not sessions:
            return None
        return RadiusUser(
            tuple(Check(attribute, Secret(value), op) for attribute, op, value in checks),
            found,
            barred,
            gate=bool(gate),
            sessions=sessions,
            rows=bool(anything),
        )

    def _groups(self, rows: Rows) -> tuple[Group, ...]:
        found = (Group(str(name), int(priority)) for name, priority in rows)
        return tuple(group for group in found if not self._settings.keeps(group.name))

    def plan(
        self, identity: str, have: RadiusUser | None, want: RadiusUser | None
    ) -> Sequence[Step]:
        """One step for the tables, one for each session to be ended."""
        return list(steps(identity, have, want, self._settings.suspended_group))

    def combined(self, steps: Sequence[Step]) -> Sequence[Step]:
        """A rename is one step."""
        return renamed(steps)

    async def apply(self, step: Step) -> Answer | None:
        """One transaction, or one Disconnect-Request."""
        if isinstance(step, Disconnect):
            return Answer(text=(await self._end(step)).text)
        assert isinstance(step, TableStep)
        await self._database.change(list(step.statements()))
        return None

    def list_all(self) -> AsyncIterator[tuple[str, RadiusUser | None]] | None:
        """Every name in its tables, to be read by itself."""
        return self._listed()

    async def _listed(self) -> AsyncIterator[tuple[str, RadiusUser | None]]:
        (rows,) = await self._database.ask(Question("users", {}))
        for (name,) in rows:
            yield str(name), None

    async def close(self) -> None:
        """Close the connection."""
        await self._database.close()

    # ---- sessions ----

    async def _sessions(self, name: str) -> tuple[Session, ...]:
        """Those whose end is still to be asked for."""
        if not self._settings.disconnect:
            return ()
        (rows,) = await self._database.ask(Question("sessions", {"username": name}))
        found = (Session(str(nas).partition("/")[0], str(number)) for nas, number in rows)
        self._forget()
        return tuple(one for one in dict.fromkeys(found) if (name, one) not in self._asked)

    def _forget(self) -> None:
        limit = asyncio.get_running_loop().time() - ASKED_FOR_S
        while self._asked and next(iter(self._asked.values())) < limit:
            del self._asked[next(iter(self._asked))]

    async def _end(self, step: Disconnect) -> Ending:
        """Whatever the NAS does, the event is not to wait for it: the user is barred already."""
        ending = await self._ask_nas(step)
        session = Session(step.nas, step.session)
        self._asked[step.identity, session] = asyncio.get_running_loop().time()
        if not ending.ok:
            _log.warning("session.not_ended", nas=step.nas, reason=ending.text)
        return ending

    async def _ask_nas(self, step: Disconnect) -> Ending:
        secret = await self._nas_secret(step.nas)
        if not secret:
            told = (
                f"NAS {step.nas} was not asked: it is not in the table nas, and "
                "FreeRADIUS.DisconnectSecret is not set"
            )
            return Ending(False, told)
        return await self._disconnector.end(step.identity, step.nas, step.session, secret)

    async def _nas_secret(self, nas: str) -> str:
        if self._settings.disconnect_secret is not None:
            return self._settings.disconnect_secret.get_secret_value()
        try:
            (rows,) = await self._database.ask(Question("nas_secret", {"nas": nas}))
        except NotNow:
            return ""  # an old schema has no such table
        return str(rows[0][0]) if rows else ""
