"""Takes steps: the request of each, what is remembered of it, and what a duplicate means."""

from typing import NoReturn

import orjson

from espf.handlers.contract.calls import reading
from espf.handlers.contract.failures import NotNow, Refused
from espf.handlers.contract.step import Answer, Step
from espf.handlers.pyhss.answers import Duplicate, PyhssAnswer
from espf.handlers.pyhss.client import PyhssClient
from espf.handlers.pyhss.state import Columns, Value, text
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
from espf.subscribers.steps import StepMemory

FIRST_SQN = 100
"""Where the count of a new card begins; without one PyHSS cannot authenticate it."""
NOWHERE: dict[str, Value] = dict.fromkeys(
    ("serving_mme", "serving_mme_realm", "serving_mme_peer", "serving_mme_timestamp")
)
NO_NUMBER = Columns((("msisdn", None),))
DID_NOTHING = "null: it did nothing; its own log says why"
NOT_THERE = "null: it was not there"
NO_CARD = "not sent: the card that it is to be on is not there"


class _NoCard(Exception):  # noqa: N818 - never leaves this module
    """The step before was accepted and not carried out, which the next look finds."""


def keys_digest(memory: StepMemory, ki: str, opc: str) -> str:
    """What is remembered of a card's keys."""
    return memory.digest(f"{ki.lower()}:{opc.lower()}")


class Taker:
    """Sends requests that change rows."""

    def __init__(self, client: PyhssClient, memory: StepMemory, timeout_s: float) -> None:
        self._client = client
        self._memory = memory
        self._timeout_s = timeout_s

    async def take(self, step: Step) -> Answer:
        """Send a step's request. Raises NotNow, Unclear, Refused."""
        try:
            answer = await self._send(step)
        except _NoCard:
            return Answer(text=NO_CARD)
        except Duplicate as error:
            if error.column == "imsi":  # compared at the next look
                return Answer(error.code, "there already")
            await self._taken(step, error)
        if answer.row is not None:
            return Answer(answer.status, "done")
        gone = isinstance(step, RemoveCard | RemoveSubscriber | RemoveVoice)
        return Answer(answer.status, NOT_THERE if gone else DID_NOTHING)

    async def _send(self, step: Step) -> PyhssAnswer:
        match step:
            case CreateCard() | ChangeCard() | RemoveCard():
                return await self._card(step)
            case CreateVoice() | ChangeVoice() | FreeNumber() | RemoveVoice():
                return await self._voice(step)
        return await self._subscriber(step)

    # ---- cards ----

    async def _card(self, step: CreateCard | ChangeCard | RemoveCard) -> PyhssAnswer:
        if isinstance(step, RemoveCard):
            await self._memory.forget(step.identity)
            return await self._client.remove("auc", step.auc_id)
        keys = orjson.loads(step.keys.reveal()) if step.keys else {}
        given = {**dict(step.row), **keys}
        if isinstance(step, CreateCard):
            answer = await self._client.create("auc", given | {"sqn": FIRST_SQN})
        else:
            answer = await self._client.change("auc", step.auc_id, given)
        if keys:
            await self._note(step.identity, keys, answer)
        return answer

    async def _note(self, imsi: str, keys: dict[str, str], answer: PyhssAnswer) -> None:
        """Remember the keys, unless what it echoes of them is something else."""
        row = answer.row
        if row is not None and all(row.get(name, key) == key for name, key in keys.items()):
            digest = keys_digest(self._memory, keys["ki"], keys["opc"])
            await self._memory.note(imsi, {"keys": digest, "auc_id": str(row.get("auc_id"))})

    # ---- subscribers ----

    async def _subscriber(self, step: Step) -> PyhssAnswer:
        client = self._client
        match step:
            case CreateSubscriber(row=row):
                card = await self._auc_id(step.identity)
                return await client.create("subscriber", {**dict(row), "auc_id": card})
            case RemoveSubscriber(subscriber_id=key):
                return await client.remove("subscriber", key)
            case MoveSubscriber() | ChangeSubscriber() | EndService():
                return await client.change("subscriber", step.subscriber_id, await self._to(step))
        raise TypeError(f"{type(step).__name__} is no step of PyHSS")

    async def _to(self, step: MoveSubscriber | ChangeSubscriber | EndService) -> dict[str, Value]:
        """What a subscriber's row is changed to."""
        if isinstance(step, EndService):
            return {"enabled": False, **_reached(step.identity, step.serving)}
        if isinstance(step, MoveSubscriber):
            card = await self._auc_id(step.identity)
            return {**dict(step.row), "auc_id": card, **NOWHERE}
        given = {**dict(step.row), **_reached(step.identity, step.serving)}
        if step.on_its_card:
            given["auc_id"] = await self._auc_id(step.identity)
        return given

    async def _auc_id(self, imsi: str) -> int:
        """The card made by a step before: it is asked for, that step may be of an earlier try."""
        row = await reading("PyHSS", self._timeout_s, self._client.find("auc", f"imsi/{imsi}"))
        if row is None or not isinstance(row.get("auc_id"), int):
            raise _NoCard
        return int(row["auc_id"])

    # ---- IMS subscribers ----

    async def _voice(
        self, step: CreateVoice | ChangeVoice | FreeNumber | RemoveVoice
    ) -> PyhssAnswer:
        match step:
            case CreateVoice(row=row):
                return await self._client.create("ims_subscriber", dict(row))
            case RemoveVoice(ims_subscriber_id=key):
                return await self._client.remove("ims_subscriber", key)
            case _:
                row = step.row if isinstance(step, ChangeVoice) else NO_NUMBER
                return await self._client.change(
                    "ims_subscriber", step.ims_subscriber_id, dict(row)
                )

    # ---- duplicates ----

    async def _taken(self, step: Step, error: Duplicate) -> NoReturn:
        told = f"PyHSS refused “{step}”: "
        if error.column == "iccid":
            told += "another card there has its ICCID; correct the wrong one, or remove it there"
            raise Refused(told, code=error.code, answer=error.answer)
        number = step.row.get("msisdn") if isinstance(step, CreateVoice | ChangeVoice) else None
        holder = await reading("PyHSS", self._timeout_s, self._client.holder(number))
        imsi = text(holder, "imsi") if holder else None
        told += f"{imsi} has that number" if imsi else f"its {error.column} is taken"
        told += ". An id must stand for a number of one account only"
        raise NotNow(told, code=error.code, answer=error.answer)


def _reached(imsi: str, serving: Columns) -> dict[str, Value]:
    """PyHSS sends a Cancel-Location to the MME that is named along with a block."""
    return {"imsi": imsi, **dict(serving)} if serving else {}
