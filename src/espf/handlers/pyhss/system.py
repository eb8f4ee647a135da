"""A PyHSS under the contract.

Everything is read back but Ki and OPc, which its API does not show unless it is told to: of these
it is remembered (as a digest) which ones the card there was given.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

import orjson

from espf.handlers.contract.checks import checked_amf, checked_imsi, checked_key, checked_msisdn
from espf.handlers.contract.failures import Refused
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.system import ExternalSystem
from espf.handlers.pyhss.client import PyhssClient
from espf.handlers.pyhss.plan import steps, swapped
from espf.handlers.pyhss.settings import PyhssSettings
from espf.handlers.pyhss.state import (
    Card,
    Columns,
    Found,
    Line,
    PyhssState,
    Value,
    Voice,
    card_of,
    line_of,
    text,
    voice_of,
)
from espf.handlers.pyhss.steps import ChangeSubscriber, CreateSubscriber, MoveSubscriber
from espf.handlers.pyhss.taking import Taker, keys_digest
from espf.subscribers.model import SimCard, Subscriber
from espf.subscribers.secret import Secret
from espf.subscribers.steps import StepMemory

_IMSI = re.compile(r"[0-9]{6,15}", re.ASCII)
CALLS_A_READ = 4
MARGIN_S = 1.0
"""The client's own limit comes first: it knows whether anything was sent."""
MAX_ICCID = 20
"""Digits that PyHSS's column takes; a longer ICCID is not sent."""


class Pyhss(ExternalSystem[PyhssState]):
    """One PyHSS."""

    title = "PyHSS"

    def __init__(self, settings: PyhssSettings, client: PyhssClient, memory: StepMemory) -> None:
        self.timeout_s = CALLS_A_READ * settings.request_timeout_s + MARGIN_S
        self._settings = settings
        self._client = client
        self._memory = memory
        self._taker = Taker(client, memory, self.timeout_s)
        self._apns: set[str] = set()
        self.secrets = settings.secrets

    def identity(self, subscriber: Subscriber) -> str | None:
        """The card's IMSI."""
        return None if subscriber.sim is None else checked_imsi(subscriber.sim)

    def concerns(self, identity: str) -> bool:
        """Whether the IMSI is one, and this HSS's."""
        return bool(_IMSI.fullmatch(identity)) and self._settings.concerns(identity)

    # ---- what is wanted ----

    def wanted(self, subscriber: Subscriber) -> PyhssState | None:
        """Card, subscriber and, where voice is on, IMS subscriber; nothing of a closed one."""
        if subscriber.closed or subscriber.sim is None:
            return None
        msisdn = checked_msisdn(subscriber)
        line: dict[str, Value] = {
            "imsi": subscriber.sim.imsi,
            "enabled": not subscriber.barred,
            "msisdn": msisdn,
            **asdict(self._settings.profile(subscriber.product)),
        }
        return PyhssState(
            self._wanted_card(subscriber.sim),
            Line(Columns.of(line)),
            self._wanted_voice(subscriber.sim.imsi, msisdn) if self._settings.ims else None,
        )

    def _wanted_card(self, sim: SimCard) -> Card:
        columns: dict[str, Value] = {"imsi": sim.imsi, "amf": checked_amf(sim)}
        if sim.iccid and len(sim.iccid) <= MAX_ICCID:
            columns["iccid"] = sim.iccid
        ki, opc = checked_key(sim, "ki"), checked_key(sim, "opc")
        secret = Secret(orjson.dumps({"ki": ki, "opc": opc}).decode())
        return Card(Columns.of(columns), keys_digest(self._memory, ki, opc), secret=secret)

    def _wanted_voice(self, imsi: str, msisdn: str) -> Voice:
        columns: dict[str, Value] = {
            "imsi": imsi,
            "msisdn": msisdn,
            "msisdn_list": msisdn,
            "ifc_path": self._settings.ifc_path,
        }
        if self._settings.sh_template_path:
            columns["sh_template_path"] = self._settings.sh_template_path
        return Voice(Columns.of(columns))

    # ---- what is there ----

    async def read(self, identity: str) -> PyhssState | None:
        """The rows of this IMSI."""
        found = await self._client.find("subscriber", f"imsi/{identity}")
        line = None if found is None else line_of(found)
        card = await self._read_card(identity, line)
        voice = None
        if self._settings.ims:
            row = await self._client.find("ims_subscriber", f"ims_subscriber_imsi/{identity}")
            voice = None if row is None else voice_of(row)
        if line is None and card is None and voice is None:
            return None
        return PyhssState(card, line, voice)

    async def _read_card(self, imsi: str, line: Line | None) -> Card | None:
        """That of the IMSI; or the one that its subscriber names, if that has no IMSI yet."""
        row = await self._client.find("auc", f"imsi/{imsi}")
        if row is None and line is not None:
            row = await self._client.find("auc", str(line.auc_id))
            row = None if row is None or row.get("imsi") else row
        return None if row is None else card_of(row, await self._keys(imsi, row))

    async def _keys(self, imsi: str, row: Found) -> str:
        ki, opc = row.get("ki"), row.get("opc")
        if isinstance(ki, str) and isinstance(opc, str):  # its enable_insecure_auc is on
            return keys_digest(self._memory, ki, opc)
        parts = await self._memory.parts(imsi)
        return parts.get("keys", "") if parts.get("auc_id") == str(row.get("auc_id")) else ""

    async def rivals(self, identity: str, want: PyhssState) -> Sequence[str]:
        """Who else has the number."""
        number = want.line.columns.get("msisdn") if want.line else None
        rows = [await self._client.find("subscriber", f"msisdn/{number}")]
        if self._settings.ims:
            rows.append(await self._client.holder(number))
        found = {imsi for row in rows if row is not None and (imsi := text(row, "imsi"))}
        return sorted(found - {identity})

    # ---- the difference ----

    def plan(
        self, identity: str, have: PyhssState | None, want: PyhssState | None
    ) -> Sequence[Step]:
        """Card, subscriber, IMS subscriber."""
        return list(steps(identity, have, want))

    def combined(self, steps: Sequence[Step]) -> Sequence[Step]:
        """A swap moves the subscriber to the new card."""
        return swapped(steps)

    # ---- steps ----

    async def apply(self, step: Step) -> Answer:
        """Send the step's request."""
        return await self._taker.take(step)

    async def rehearse(self, step: Step) -> None:
        """Look whether there are the APNs that a subscriber is to have: PyHSS may not."""
        if not isinstance(step, CreateSubscriber | ChangeSubscriber | MoveSubscriber):
            return
        wanted = str(step.row.get("apn_list") or "").split(",")
        for apn in wanted if wanted != [""] else []:
            if apn not in self._apns and await self._client.find("apn", apn) is None:
                raise Refused(
                    f"PyHSS has no APN {apn}; make it there, or correct PyHSS.DefaultAPN, "
                    "PyHSS.APNList or PyHSS.Products"
                )
            self._apns.add(apn)

    # ---- audits ----

    def list_all(self) -> AsyncIterator[tuple[str, PyhssState | None]] | None:
        """IMSIs of all subscribers, each to be read by itself. A card that nobody has is stock."""
        return self._listed()

    async def _listed(self) -> AsyncIterator[tuple[str, PyhssState | None]]:
        tables = ("subscriber", "ims_subscriber") if self._settings.ims else ("subscriber",)
        for table in tables:
            async for row in self._client.all_of(table):  # type: ignore[arg-type]  # names of tables
                if isinstance(row.get("imsi"), str):
                    yield row["imsi"], None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
