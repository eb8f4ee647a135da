"""Enriched bodies as a receiver on loopback sees them, from the registry on either engine."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import registry_rig
from enriched_rig import START, senders
from espf.clock import SystemClock
from espf.errors import HandlerError, StorageError
from espf.events.model import Event
from espf.handlers.event_sender.handler import EnrichedSender, EventSender
from espf.handlers.port import (
    Attempt,
    Delivered,
    Handler,
    Iteration,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
)
from espf.subscribers.details import Parts, Whose
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from espf.subscribers.together import PORTION, DetailReader
from registry_rig import Rig
from subscriber_rig import KI, decrypt, equip

BLOCKED = Event(
    7615, 1, "Account/Blocked", "account", 3, 3, "2018-04-12 15:24:00",
    '{"i_account":3,"prev_blocked":"N","curr_blocked":"Y"}', True,
)  # fmt: skip
OUT_OF_FUNDS = Event(
    7616, 1, "Customer/ZeroAvailableFunds", "customer", 1, 1, "2018-04-12 15:24:01",
    '{"i_customer":1}', False,
)  # fmt: skip


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with registry_rig.registry(tmp_path, request.param) as made:
        equip(made)
        made.script(
            "UPDATE accounts SET blocked = 'Y', email = 'a@b.example', zip = '12345',"
            " h323_password = 'sealed:hidden', activation_date = '2026-01-02' WHERE i_account = 3;"
            "UPDATE sim_cards SET iccid = '8999' WHERE i_sim_card = 3"
        )
        yield made


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


@pytest.fixture
async def start(receiver, clock, source) -> AsyncIterator[START]:
    async with senders(receiver, clock, source) as made:
        yield made


async def deliver(handler: Handler, of: Event = BLOCKED, number: int = 1) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(number, Iteration(1)))


def body(receiver: Any, number: int = -1) -> Any:
    return json.loads(receiver.requests[number].body)


# ---- the envelope ----


async def test_the_envelope_holds_the_event_and_the_account_as_it_is(start, receiver):
    outcome = await deliver(start())

    assert isinstance(outcome, Delivered)
    sent = body(receiver)
    assert sent | {"event_id": "", "pb_data": {}} == {
        "event_id": "",
        "data": {
            "event_type": "Account/Blocked",
            "variables": {
                "i_env": 1,
                "i_event": 7615,
                "event_time": "2018-04-12 15:24:00",
                "i_account": 3,
                "prev_blocked": "N",
                "curr_blocked": "Y",
            },
        },
        "pb_data": {},
        "handler_id": "nsps",
        "status": "in_progress",
        "created_at": "2018-04-12T15:24:00+00:00",
        "updated_at": "2018-04-12T15:24:00+00:00",
    }
    assert sent["pb_data"] == {
        "account_info": {
            "i_env": 1,
            "i_account": 3,
            "i_customer": 2,
            "i_product": 1,
            "i_master_account": None,
            "i_vd_plan": None,
            "id": "300",
            "role": "universal",
            "billing_model": 1,
            "balance_control": "individual",
            "bill_status": "O",
            "firstname": "",
            "lastname": "",
            "email": "a@b.example",
            "phone1": "",
            "zip": "12345",
            "time_zone_name": "",
            "product_name": "LTE",
            "status": "blocked",
            "blocked": True,
            "balance": 0.0,
            "credit_limit": 10.0,
            "available_funds": 10.0,
            "activation_date": "2026-01-02",
            "expiration_date": None,
            "assigned_addons": [],
            "service_features": [],
        },
        "customer_info": {
            "i_customer": 2,
            "name": "Bob",
            "bill_status": "O",
            "status": "active",
            "blocked": False,
            "balance": 0.0,
            "credit_limit": None,
            "available_funds": None,
        },
        "product_info": {
            "i_product": 1,
            "name": "LTE",
            "description": "",
            "i_vd_plan": None,
            "addon_priority": 0,
        },
        "sim_info": {
            "i_sim_card": 3,
            "i_account": 3,
            "imsi": "001010000000003",
            "iccid": "8999",
            "msisdn": "300",
            "status": "used",
        },
    }


async def test_an_event_of_a_customer_shows_the_customer(start, receiver, rig):
    rig.sql("UPDATE customers SET balance = 100.5 WHERE i_customer = 1")
    await deliver(start(), OUT_OF_FUNDS)

    assert body(receiver)["pb_data"] == {
        "customer_info": {
            "i_customer": 1,
            "name": "Ann",
            "bill_status": "O",
            "status": "credit_exceeded",
            "blocked": False,
            "balance": 100.5,
            "credit_limit": 100.0,
            "available_funds": -0.5,
        }
    }


async def test_of_what_is_gone_nothing_is_shown(start, receiver):
    await deliver(start(), BLOCKED._replace(entity_id=99, variables='{"i_account":99}'))

    assert body(receiver)["pb_data"] == {}


async def test_a_bearer_token_and_the_headers_of_a_trace_go_along(start, receiver, clock):
    handler = start()
    await deliver(handler)
    clock.us += 90_000_000
    await deliver(handler, number=2)
    await deliver(start(name="other"))
    await deliver(handler, OUT_OF_FUNDS)

    ids = [UUID(body(receiver, n)["event_id"]) for n in range(4)]
    traces = [request.values("x-b3-traceid") for request in receiver.requests]
    asked = [request.values("x-request-id") for request in receiver.requests]
    assert receiver.requests[0].values("authorization") == ["Bearer a-token"]
    assert ids[0] == ids[1], "a repeat carries the same"
    assert len({ids[0], ids[2], ids[3]}) == 3, "another handler and another event have another"
    assert traces == [[one.hex] for one in ids]
    assert len({one for (one,) in asked}) == 4
    assert body(receiver, 1)["updated_at"] == "2018-04-12T15:25:30+00:00"
    assert body(receiver, 1)["created_at"] == body(receiver, 0)["created_at"]


async def test_a_version_2_event_is_enveloped_as_it_would_be_sent(start, receiver):
    await deliver(start(APIVersion=2))

    assert body(receiver)["data"] == {
        "event_type": "SIM/Updated",
        "variables": {
            "i_env": 1,
            "i_event": 7615,
            "i_account": 3,
            "event_time": "2018-04-12 15:24:00",
        },
    }
    assert body(receiver)["pb_data"]["account_info"]["id"] == "300"


async def test_no_secret_is_sent_or_logged(start, receiver):
    outcome = await deliver(start())

    for secret in (KI[:-1], "hidden", "password", '"ki"', "opc"):
        assert secret not in receiver.requests[0].body.decode()
    assert "a-token" not in repr(outcome)
    assert isinstance(outcome, Delivered)
    assert "a@b.example" in outcome.request


async def test_a_registry_that_is_away_is_tried_again_and_nothing_is_sent(start, receiver, source):
    class Away(type(source)):  # type: ignore[misc]
        async def details(self, _wanted):
            raise StorageError("the server is away")

    away = object.__new__(Away)

    outcome = await deliver(start(subscribers=away))

    assert outcome == RetryLater("", "the registry cannot be read: the server is away")
    assert receiver.requests == []


async def test_without_a_registry_it_does_not_start(start):
    with pytest.raises(HandlerError, match="needs the registry"):
        start(subscribers=None)


# ---- templates ----


async def test_a_template_is_sent_in_place_of_the_event(start, receiver):
    text = (
        '{"do":{{ {"Account/Blocked":"suspend"}[event_type] | default("look") }},\n'
        ' "number":{{ pb_data.account_info.id }},"event":{{ event_id }},"at":{{ event_time }}}'
    )
    handler = start(BodyTemplate=text)
    await deliver(handler)
    enveloped = await deliver(start())

    assert body(receiver, 0) == {
        "do": "suspend",
        "number": "300",
        "event": body(receiver, 1)["event_id"],
        "at": "2018-04-12 15:24:00",
    }
    assert isinstance(enveloped, Delivered)
    assert receiver.requests[0].values("x-request-id") != []


async def test_a_template_that_shows_nothing_of_the_registry_reads_none(start, receiver):
    handler = start(BodyTemplate='{"n":{{ i_event }}}', BodyStyle="espf", subscribers=None)

    assert isinstance(await deliver(handler), Delivered)
    assert body(receiver) == {"n": 7615}
    assert receiver.requests[0].values("x-request-id") == []


async def test_what_a_template_gives_nothing_for_is_skipped(start, receiver):
    handler = start(BodyTemplate='{% if event_type == "Account/New" %}{}{% endif %}')

    outcome = await deliver(handler)

    assert outcome == Skipped("EventSender.BodyTemplate gives nothing for it")
    assert receiver.requests == []


async def test_an_event_that_a_template_does_not_fit_is_rejected_with_the_reason(start, receiver):
    outcome = await deliver(start(BodyTemplate="{{ variables.prev_imsi }}"))

    assert isinstance(outcome, Rejected)
    assert "names what this event does not have: 'dict object' has no" in outcome.reason
    assert receiver.requests == []


# ---- what it costs ----


async def test_the_plain_style_is_the_plain_sender(start, receiver):
    plain, rich = start(BodyStyle="espf", subscribers=None), start()

    assert type(plain) is EventSender
    assert type(rich) is EnrichedSender
    await deliver(plain)
    assert "pb_data" not in body(receiver)


async def test_a_request_that_waited_for_the_registry_counts_when_it_leaves(start, source):
    class Slow:
        async def details(self, wanted: list[Whose]) -> list[Parts]:
            await asyncio.sleep(0.05)
            return await source.details(wanted)

    held: list[float] = []
    slow = start(subscribers=Slow())

    await slow.deliver(BLOCKED, Attempt(1, Iteration(1, held.append)))

    assert len(held) >= 1
    assert max(held) >= 0.04


async def test_those_who_ask_at_once_are_read_together(source):
    class Counting:
        def __init__(self) -> None:
            self.portions: list[int] = []

        async def details(self, wanted: list[Whose]) -> list[Parts]:
            self.portions.append(len(wanted))
            await asyncio.sleep(0)
            return await source.details(wanted)

    counting = Counting()
    reader = DetailReader(counting)  # type: ignore[arg-type]
    asked = [Whose("account", n % 3 + 1) for n in range(100)]

    found = await asyncio.gather(*(reader.of(one) for one in asked))

    assert [one["account_info"]["i_account"] for one in found] == [one.key for one in asked]
    assert max(counting.portions) <= PORTION
    assert len(counting.portions) <= 5


async def test_one_who_gives_up_leaves_the_others_their_answers(source):
    class Slow:
        calls = 0

        async def details(self, wanted: list[Whose]) -> list[Parts]:
            self.calls += 1
            await asyncio.sleep(0.02 if self.calls == 1 else 0)
            return await source.details(wanted)

    reader = DetailReader(Slow())  # type: ignore[arg-type]
    tasks = [asyncio.ensure_future(reader.of(Whose("account", 3))) for _ in range(40)]
    await asyncio.sleep(0.005)
    for task in tasks[:35]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)

    assert sum(isinstance(one, asyncio.CancelledError) for one in found) == 35
    assert all(one["account_info"]["id"] == "300" for one in found[35:])


async def test_an_error_reaches_everyone_who_asked(source):
    class Away:
        async def details(self, _wanted: list[Whose]) -> list[Parts]:
            raise StorageError("away")

    reader = DetailReader(Away())  # type: ignore[arg-type]
    found = await asyncio.gather(
        *(reader.of(Whose("account", 1)) for _ in range(5)), return_exceptions=True
    )
    assert [str(one) for one in found] == ["away"] * 5
