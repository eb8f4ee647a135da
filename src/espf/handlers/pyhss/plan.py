"""The steps from what PyHSS has of a subscriber to what it must have."""

from collections.abc import Iterator, Sequence

from espf.handlers.contract.step import Step
from espf.handlers.pyhss.state import Columns, Line, PyhssState, Voice
from espf.handlers.pyhss.steps import (
    ChangeCard,
    ChangeSubscriber,
    ChangeVoice,
    CreateCard,
    CreateSubscriber,
    CreateVoice,
    EndService,
    FreeNumber,
    MoveSubscriber,
    RemoveCard,
    RemoveSubscriber,
    RemoveVoice,
)

_NOTHING = PyhssState()


def steps(imsi: str, have: PyhssState | None, want: PyhssState | None) -> Iterator[Step]:
    """Of one IMSI."""
    have = have or _NOTHING
    if want is None:
        yield from _removal(imsi, have)
        return
    yield from _card(imsi, have, want)
    yield from _line(imsi, have, want)
    yield from _voice(imsi, have.voice, want.voice)


def _removal(imsi: str, have: PyhssState) -> Iterator[Step]:
    """The API ends no service with a removal, only with a block."""
    line, voice, card = have.line, have.voice, have.card
    if line is not None and line.reached_at:
        yield EndService(imsi, line.subscriber_id, line.reached_at)
    if voice is not None:
        yield RemoveVoice(imsi, voice.ims_subscriber_id)
    if line is not None:
        yield RemoveSubscriber(imsi, line.subscriber_id, _number(line))
    if card is not None:
        yield RemoveCard(imsi, card.auc_id)


def _card(imsi: str, have: PyhssState, want: PyhssState) -> Iterator[Step]:
    assert want.card is not None
    if have.card is None:
        yield CreateCard(imsi, want.card.columns, want.card.secret)
        return
    row = want.card.columns.other_than(have.card.columns)
    if have.card.keys != want.card.keys:
        yield ChangeCard(imsi, have.card.auc_id, row, want.card.secret)
    elif row:
        yield ChangeCard(imsi, have.card.auc_id, row)


def _line(imsi: str, have: PyhssState, want: PyhssState) -> Iterator[Step]:
    assert want.line is not None
    line, card = have.line, have.card
    if line is None:
        yield CreateSubscriber(imsi, want.line.columns)
        return
    row = want.line.columns.other_than(line.columns)
    relinked = card is None or line.auc_id != card.auc_id
    if row or relinked:
        blocked = ("enabled", False) in row.pairs
        serving = line.reached_at if blocked else Columns()
        yield ChangeSubscriber(imsi, line.subscriber_id, row, relinked, serving)


def _voice(imsi: str, have: Voice | None, want: Voice | None) -> Iterator[Step]:
    if want is None:
        return
    if have is None:
        yield CreateVoice(imsi, want.columns)
        return
    row = want.columns.other_than(have.columns)
    if row.get("msisdn") is not None and have.columns.get("msisdn") is not None:
        yield FreeNumber(imsi, have.ims_subscriber_id)
    if row:
        yield ChangeVoice(imsi, have.ims_subscriber_id, row)


def _number(line: Line) -> str | None:
    number = line.columns.get("msisdn")
    return number if isinstance(number, str) else None


# ---- swaps ----


def swapped(steps: Sequence[Step]) -> list[Step]:
    """With one that goes and one that comes as a move: what else is in the row stays (domain, 6.5).

    Such as roaming rules, which are set on PyHSS itself.
    """
    left = list(steps)
    goes = [step for step in steps if isinstance(step, RemoveSubscriber)]
    comes = [step for step in steps if isinstance(step, CreateSubscriber)]
    for come in comes:
        go = _going(come, goes, alone=len(goes) == len(comes) == 1)
        if go is not None:
            goes.remove(go)
            left = _moved(left, go, come)
    return left


def _going(
    come: CreateSubscriber, goes: list[RemoveSubscriber], *, alone: bool
) -> RemoveSubscriber | None:
    number = come.row.get("msisdn")
    same = next((go for go in goes if go.msisdn == number), None)
    return same if same is not None or not alone else goes[0]


def _moved(steps: list[Step], go: RemoveSubscriber, come: CreateSubscriber) -> list[Step]:
    old, new = go.identity, come.identity
    steps = [step for step in steps if step not in (go, come)]
    steps.append(MoveSubscriber(new, go.subscriber_id, come.row))
    gone = next((s for s in steps if isinstance(s, RemoveVoice) and s.identity == old), None)
    made = next((s for s in steps if isinstance(s, CreateVoice) and s.identity == new), None)
    if gone is not None and made is not None:
        steps = [step for step in steps if step not in (gone, made)]
        steps.append(ChangeVoice(new, gone.ims_subscriber_id, made.row))
    return steps
