"""Events that other programs tell of (`espf events emit`): checked, stored, sent."""

import json

import pytest

from espf.capture.origins import origins
from espf.cli.emit import KEYS, new_event
from espf.errors import ConfigError
from espf.eventlog.operations import EventFilter, HandlerChange
from espf.events.catalogue import Catalogue
from espf.handlers.event_sender.routes import Router
from espf.handlers.port import Skipped
from storage_rig import Storage

CATALOGUE = Catalogue.load()
OUTSIDE = [of for of in CATALOGUE.types.values() if origins()[of.name].how == "outside"]
SAMPLES = {
    "int": "70",
    "number": "1.5",
    "string": "12065550100",
    "date": "2026-11-24",
    "datetime": "2026-11-24 20:40:11",
}


def sample(of):
    return {name: SAMPLES[CATALOGUE.variable_type(name)] for name in of.own_variables}


async def stored(storage: Storage, *events):
    """The events as a handler reads them."""
    types = frozenset(event.event_type for event in events)
    change = HandlerChange("a", "EventSender", True, True, {}, tuple(types), types)
    i_handler = storage.add(change)
    storage.operations.emit(events)
    return (await storage.read(i_handler, 0, len(events), 100)).events


def sent(event, api_version):
    way = Router(api_version, {}, None, with_unique_id=True).choose(event)
    return way.reason if isinstance(way, Skipped) else json.loads(way(event))


async def test_every_type_from_outside_is_stored_under_its_entity_and_sent(storage: Storage):
    events = [new_event(of.name, sample(of) | {"i_env": "3"}) for of in OUTSIDE]
    assert len(events) == len(OUTSIDE) >= 14
    found = await stored(storage, *events)
    assert [event.event_type for event in found] == [of.name for of in OUTSIDE]
    for of, event in zip(OUTSIDE, found, strict=True):
        assert (event.entity, event.entity_id, event.lane, event.i_env) == (of.entity, 70, 6, 3)
        body = sent(event, 1)
        assert body["event_type"] == of.name
        assert list(body["variables"]) == list(of.variables)
        second = sent(event, 2)
        if of.v2 is None:
            assert second == f"{of.name} has no counterpart in APIVersion 2"
        else:
            assert second["event_type"] == of.v2
    payments = storage.operations.events(
        EventFilter(entity="payment_transaction", entity_id=70, statuses=["queued"]), 5
    )
    assert [one.event.event_type for one in payments] == [
        "PaymentTransaction/Status/Changed",
        "PaymentTransaction/ResultCode/Changed",
        "PaymentTransaction/New",
    ]


BODIES = [
    ("DID/Status/Assigned", {"number": "12065550100"}, {"number": "12065550100"}),
    (
        "Invoice/Status/Changed",
        {"i_customer": "7", "i_invoice": "8"},
        {"i_customer": 7, "i_invoice": 8},
    ),
    ("Subscriber/Name/Changed", {"i_subscriber": "4", "i_account": "2"}, {"i_account": 2}),
    ("Subscriber/Name/Changed", {"i_subscriber": "5", "i_customer": "2"}, {"i_customer": 2}),
    ("Account/Id/Changed", {"i_account": "64"}, {"i_account": 64}),
]


@pytest.mark.parametrize(("name", "given", "body"), BODIES)
async def test_a_type_that_capture_raises_may_be_told_by_hand(storage: Storage, name, given, body):
    (event,) = await stored(storage, new_event(name, given))
    of = CATALOGUE.require(name)
    assert (event.event_type, event.entity) == (of.name, of.entity)
    assert event.entity_id == int(given[KEYS[of.entity]])
    assert sent(event, 2)["variables"] == body | {"i_event": 1}


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("Connection/Nwe", {}, "did you mean Connection/New"),
        ("Connection/New", {}, "needs i_connection=…"),
        ("Connection/New", {"i_conection": "1"}, "did you mean i_connection"),
        ("Connection/New", {"i_connection": "x"}, "must be a whole number"),
        ("Connection/New", {"i_connection": "-1"}, "from 0"),
        ("Connection/New", {"i_connection": "1", "i_event": "5"}, "given out by the log"),
        ("Connection/New", {"i_connection": "1", "i_account": "5"}, "has no variable i_account"),
        ("Connection/New", {"i_connection": "1", "i_env": "0"}, "from 1"),
        ("DID/New", {"number": "+1206"}, "needs number=… \\(a whole number"),
        ("Invoice/New", {"i_invoice": "1"}, "needs i_customer=…"),
        ("Subscriber/Name/Changed", {"i_subscriber": "1"}, "i_customer=… or i_account=…"),
        ("Customer/Status/Exported", {"prev_bill_status": "O"}, "needs i_customer=…"),
        ("Custom/Jasper/CapReached", {"imsi": "1" * 2000, "i_account": "1"}, "1000 characters"),
        ("PaymentTransaction/New", {"i_payment_transaction": "", "i_customer": "1"}, "needs i_pay"),
    ],
)
def test_what_the_catalogue_does_not_know_is_refused(name, given, why):
    with pytest.raises(ConfigError) as caught:
        new_event(name, given)
    assert caught.match(why) or any(why in problem for problem in caught.value.problems)
