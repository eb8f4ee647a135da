"""osmo-hlr as the contract sees it (domain, 6.3)."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import NoReturn

from espf.handlers.contract.checks import checked_imsi, checked_key, checked_msisdn
from espf.handlers.contract.failures import NotNow, Refused
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.system import ExternalSystem
from espf.handlers.osmo_hlr.client import CtrlClient, CtrlError
from espf.handlers.osmo_hlr.listing import Vty
from espf.handlers.osmo_hlr.plan import steps
from espf.handlers.osmo_hlr.settings import OsmoHlrSettings
from espf.handlers.osmo_hlr.state import Aud2g, Aud3g, HlrEntry, entry, imsi_of
from espf.handlers.osmo_hlr.steps import HlrStep, SetNumber
from espf.subscribers.model import SimCard, Subscriber
from espf.subscribers.secret import Secret

_IMSI = re.compile(r"[0-9]{6,15}", re.ASCII)
_NO_SUBSCRIBER = "No such subscriber."
_NO_REASON = "An error has occurred."
"""What a set says for a subscriber that is not there, mostly."""
_NUMBER_FAILED = "Update MSISDN failed"
_UNKNOWN_COMMAND = "Command not found"
_BAD_VALUE = frozenset({"Value failed verification.", "Invalid IMSI value.", "Invalid KI."})
MARGIN_S = 1.0
"""The client's own limit comes first: it knows whether anything was sent."""


class OsmoHlr(ExternalSystem[HlrEntry]):
    """One osmo-hlr."""

    title = "osmo-hlr"

    def __init__(self, settings: OsmoHlrSettings, client: CtrlClient, vty: Vty | None) -> None:
        """`vty`: None if audits are to do without a list."""
        self._settings = settings
        self._client = client
        self._vty = vty
        self.timeout_s = settings.request_timeout_s + MARGIN_S

    # ---- what is wanted ----

    def identity(self, subscriber: Subscriber) -> str | None:
        """The IMSI of the account's card."""
        return None if subscriber.sim is None else checked_imsi(subscriber.sim)

    def concerns(self, identity: str) -> bool:
        """Whether the IMSI is one, and this HLR's."""
        return bool(_IMSI.fullmatch(identity)) and self._settings.concerns(identity)

    def wanted(self, subscriber: Subscriber) -> HlrEntry | None:
        """Number, services and keys; nothing of a closed account."""
        if subscriber.closed or subscriber.sim is None:
            return None
        has = self._settings.services(barred=bool(subscriber.barred))
        return HlrEntry(
            msisdn=checked_msisdn(subscriber),
            cs="cs" in has,
            ps="ps" in has,
            aud2g=self._aud2g(subscriber.sim),
            aud3g=self._aud3g(subscriber.sim),
        )

    def _aud2g(self, sim: SimCard) -> Aud2g | None:
        algorithm = self._settings.aud2g
        return None if algorithm == "none" else Aud2g(algorithm, Secret(checked_key(sim, "ki")))

    def _aud3g(self, sim: SimCard) -> Aud3g | None:
        how = self._settings.aud3g
        if how == "none" or (how == "milenage-if-opc" and not sim.opc):
            return None
        return Aud3g(Secret(checked_key(sim, "ki")), Secret(checked_key(sim, "opc")))

    # ---- what is there, and what is to be done ----

    async def read(self, identity: str) -> HlrEntry | None:
        """The whole entry, keys included."""
        info = await self._info(f"subscriber.by-imsi-{identity}.info-all", identity)
        return None if info is None else entry(identity, info)

    def plan(
        self, identity: str, have: HlrEntry | None, want: HlrEntry | None
    ) -> Sequence[HlrStep]:
        """What is left as it is counts as wanted so."""
        if want is not None and have is not None:
            if self._settings.aud2g == "none":
                want = replace(want, aud2g=have.aud2g)
            if self._settings.aud3g == "none":
                want = replace(want, aud3g=have.aud3g)
        return list(steps(identity, have, want))

    async def rivals(self, identity: str, want: HlrEntry) -> Sequence[str]:
        """Who else has the number."""
        holder = await self._holder(want.msisdn) if want.msisdn else None
        return [] if holder in {None, identity} else [str(holder)]

    async def apply(self, step: Step) -> Answer | None:
        """Send the step's command."""
        assert isinstance(step, HlrStep)
        try:
            return Answer(text=await self._client.set(step.target, step.value))
        except CtrlError as error:
            if error.text == step.already:
                return Answer(text=error.text)
            await self._refused(step, error.text)

    async def _refused(self, step: HlrStep, text: str) -> NoReturn:
        told = f"osmo-hlr refused “{step}”: {text}"
        if isinstance(step, SetNumber) and text == _NUMBER_FAILED:
            holder = await self._holder(step.msisdn)
            told += f"; {holder} has that number" if holder else ""
            raise NotNow(f"{told}. An id must stand for a number of one account only", answer=text)
        if text == _UNKNOWN_COMMAND:
            raise Refused(f"{told}. espf needs osmo-hlr 1.5 or later", answer=text)
        if text in _BAD_VALUE:
            raise Refused(told, answer=text)
        if text in {_NO_SUBSCRIBER, _NO_REASON}:
            told += (
                " Somebody else may have removed the subscriber meanwhile; see its log otherwise"
            )
        raise NotNow(told, answer=text)

    # ---- audits ----

    def list_all(self) -> AsyncIterator[tuple[str, HlrEntry | None]] | None:
        """IMSIs by the VTY, each to be read by itself; None if there is no VTY."""
        return None if self._vty is None else self._listed(self._vty)

    async def _listed(self, vty: Vty) -> AsyncIterator[tuple[str, HlrEntry | None]]:
        async for imsi in vty.imsis():
            yield imsi, None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()

    # ---- reading ----

    async def _holder(self, msisdn: str) -> str | None:
        info = await self._info(f"subscriber.by-msisdn-{msisdn}.info", f"with number {msisdn}")
        return None if info is None else imsi_of(info)

    async def _info(self, variable: str, whose: str) -> str | None:
        try:
            return await self._client.get(variable)
        except CtrlError as error:
            if error.text == _NO_SUBSCRIBER:
                return None
            raise NotNow(
                f"osmo-hlr does not show subscriber {whose}: {error.text}", answer=error.text
            ) from None
