"""The steps from what osmo-hlr has of a subscriber to what it must have."""

from collections.abc import Iterator

from espf.handlers.osmo_hlr.state import HlrEntry
from espf.handlers.osmo_hlr.steps import (
    CreateSubscriber,
    DropAud3g,
    DropNumber,
    HlrStep,
    RemoveSubscriber,
    SetAud2g,
    SetAud3g,
    SetNumber,
    SetService,
)

_CREATED = HlrEntry(None, cs=True, ps=True, aud2g=None, aud3g=None)
"""What `subscriber.create` makes."""


def steps(imsi: str, have: HlrEntry | None, want: HlrEntry | None) -> Iterator[HlrStep]:
    """Services come before keys, so that a barred card never gets in for a moment."""
    if want is None:
        if have is not None:
            yield RemoveSubscriber(imsi)
        return
    if have is None:
        yield CreateSubscriber(imsi)
        have = _CREATED
    if have.cs != want.cs:
        yield SetService(imsi, "cs", want.cs)
    if have.ps != want.ps:
        yield SetService(imsi, "ps", want.ps)
    yield from _keys(imsi, have, want)
    yield from _number(imsi, have.msisdn, want.msisdn)


def _keys(imsi: str, have: HlrEntry, want: HlrEntry) -> Iterator[HlrStep]:
    if want.aud2g is not None and have.aud2g != want.aud2g:
        yield SetAud2g(imsi, want.aud2g.algorithm, want.aud2g.ki)
    if have.aud3g == want.aud3g:
        return
    if want.aud3g is None:
        yield DropAud3g(imsi)
    else:
        yield SetAud3g(imsi, want.aud3g.k, want.aud3g.opc)


def _number(imsi: str, have: str | None, want: str | None) -> Iterator[HlrStep]:
    if have == want:
        return
    if have is not None:  # two that exchange their numbers must both be without for a moment
        yield DropNumber(imsi)
    if want is not None:
        yield SetNumber(imsi, want)
