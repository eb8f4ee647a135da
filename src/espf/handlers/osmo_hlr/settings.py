"""Every option of the OsmoHLR handler."""

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, Field

from espf.delivery.address import objection
from espf.events.catalogue import shown
from espf.events.patterns import matches, split_patterns
from espf.handlers.contract.settings import StateSettings
from espf.handlers.marks import Choices, Kind

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_IMSI_PATTERN = re.compile(r"[0-9*]+")
SERVICES = ("cs", "ps")


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("must be a host's name or address, without a port.")
    reason = None
    with suppress(ValueError):  # a name: what it stands for is checked at each connect
        reason = objection(ip_address(text), ())
    if reason is not None:
        raise ValueError(f"must be another host: {reason}.")
    return text


def _services(text: str) -> str:
    wrong = [name for name in split_patterns(text) if name not in SERVICES]
    if wrong:
        raise ValueError(f"must be cs, ps or both, not {shown(wrong[0])}.")
    return text


def _imsi_patterns(text: str) -> str:
    wrong = [name for name in split_patterns(text) if not _IMSI_PATTERN.fullmatch(name)]
    if wrong:
        raise ValueError(f"must be digits and *, such as 00101*, not {shown(wrong[0])}.")
    return text


class OsmoHlrSettings(StateSettings):
    """Options of an OsmoHLR. The names in quotes are the ones that operators write."""

    host: Annotated[str, Kind("host name or address"), AfterValidator(_host)] = Field(
        alias="OsmoHLR.Host", description="Where osmo-hlr listens, such as 10.0.0.5."
    )
    port: int = Field(
        4259,
        alias="OsmoHLR.Port",
        ge=1,
        le=65_535,
        description="Port of its control interface (CTRL).",
    )
    vty_port: int = Field(
        4258,
        alias="OsmoHLR.VTYPort",
        ge=0,
        le=65_535,
        description="Port of its VTY, where audits list subscribers; 0: they find no extra ones.",
    )
    request_timeout_s: Annotated[float, Kind("number of seconds")] = Field(
        10,
        alias="OsmoHLR.RequestTimeout",
        gt=0,
        le=600,
        description="Seconds that one command may take.",
    )
    imsi_patterns_text: Annotated[str, Kind("IMSI patterns"), AfterValidator(_imsi_patterns)] = (
        Field(
            "",
            alias="OsmoHLR.IMSIPattern",
            description="IMSIs that belong to this HLR, such as 00101*, 99970*; empty: all.",
        )
    )
    aud2g: Annotated[str, Choices("comp128v1", "comp128v2", "comp128v3", "none")] = Field(
        "comp128v3",
        alias="OsmoHLR.Aud2G",
        description="2G algorithm that each card's Ki is set for; none: 2G keys stay as is.",
    )
    aud3g: Annotated[str, Choices("milenage", "milenage-if-opc", "none")] = Field(
        "milenage",
        alias="OsmoHLR.Aud3G",
        description="Set Ki and OPc of each card, or if it has OPc; none: 3G keys stay as is.",
    )
    services_text: Annotated[str, Kind("services"), AfterValidator(_services)] = Field(
        "cs,ps",
        alias="OsmoHLR.Services",
        description="What subscribers have: cs (calls, messages), ps (data).",
    )
    block_scope_text: Annotated[str, Kind("services"), AfterValidator(_services)] = Field(
        "cs,ps",
        alias="OsmoHLR.BlockScope",
        description="What is off while service is barred: cs, ps.",
    )

    # ---- what they stand for ----

    def concerns(self, imsi: str) -> bool:
        """Whether the IMSI belongs to this HLR."""
        patterns = split_patterns(self.imsi_patterns_text)
        return not patterns or any(matches(pattern, imsi) for pattern in patterns)

    def services(self, *, barred: bool) -> frozenset[str]:
        """What a subscriber has, in good standing or barred."""
        has = frozenset(split_patterns(self.services_text))
        return has - frozenset(split_patterns(self.block_scope_text)) if barred else has
