"""Bodies: joined texts that must be the JSON that a serializer would make."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espf.errors import PayloadError
from espf.events.catalogue import Catalogue
from espf.events.model import Event
from espf.events.payload import holds_account, v1_renderer, v2_renderer

CATALOGUE = Catalogue.load()
IDS = st.integers(1, 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def event(event_type: str = "Account/Blocked", variables: str = "{}", **changed: object) -> Event:
    entity = CATALOGUE.types[event_type].entity
    made = Event(7615, 3, event_type, entity, 1000889, 9, "2018-04-12 15:24:00", variables, False)
    return made._replace(**changed)


def v2_body(name: str, of: Event, *, with_unique_id: bool = True) -> dict[str, object]:
    event_type = CATALOGUE.types[of.event_type]
    render = v2_renderer(CATALOGUE.v2[name], event_type, with_unique_id=with_unique_id)
    text = render(of)
    body = json.loads(text)
    assert text == json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    assert list(body) == ["event_type", "variables"]
    assert body["event_type"] == name
    variables = body["variables"]
    assert isinstance(variables, dict)
    return variables


def test_version_1_is_exactly_this_text() -> None:
    text = v1_renderer("Account/Blocked")(event(variables='{"i_account":1000889}'))
    assert text == (
        '{"event_type":"Account/Blocked","variables":{"i_env":3,"i_event":7615,'
        '"event_time":"2018-04-12 15:24:00","i_account":1000889}}'
    )


def test_without_own_variables_the_common_ones_remain() -> None:
    text = v1_renderer("Account/Blocked")(event())
    assert list(json.loads(text)["variables"]) == ["i_env", "i_event", "event_time"]


@pytest.mark.parametrize("variables", ["{}", '{"i_account":5}'])
def test_without_unique_id_only_i_event_is_left_out(variables: str) -> None:
    made = event(variables=variables)
    with_id = json.loads(v1_renderer("Account/Blocked")(made))
    without = json.loads(v1_renderer("Account/Blocked", with_unique_id=False)(made))
    del with_id["variables"]["i_event"]
    assert without == with_id


def test_an_older_name_can_be_sent() -> None:
    text = v1_renderer("Account/Id/Changed")(event("Account/ID/Changed"))
    assert json.loads(text)["event_type"] == "Account/Id/Changed"


@given(IDS, IDS, TEXTS, TEXTS, st.booleans(), st.sampled_from([(",", ":"), (", ", ": ")]))
def test_version_1_equals_what_a_serializer_makes(
    i_event: int, i_customer: int, old: str, new: str, ascii_only: bool, spacing: tuple[str, str]
) -> None:
    own = {"i_customer": i_customer, "prev_name": old, "curr_name": new, "n": 1.5, "none": None}
    variables = json.dumps(own, ensure_ascii=ascii_only, separators=spacing)
    made = event("Customer/Name/Changed", variables, i_event=i_event)
    common = {"i_env": 3, "i_event": i_event, "event_time": "2018-04-12 15:24:00"}
    body = v1_renderer("Customer/Name/Changed")(made).encode()
    assert json.loads(body) == {
        "event_type": "Customer/Name/Changed",
        "variables": common | own,
    }


@given(IDS, IDS)
def test_a_subscriber_is_named_by_the_entitys_key(i_account: int, i_event: int) -> None:
    made = event(entity_id=i_account, i_event=i_event)
    assert v2_body("Subscriber/Updated", made) == {"i_account": i_account, "i_event": i_event}


def test_a_customer_is_named_by_the_entitys_key() -> None:
    made = event("Customer/Blocked", entity_id=55)
    assert v2_body("Customer/Updated", made) == {"i_customer": 55, "i_event": 7615}
    assert v2_body("Customer/Updated", made, with_unique_id=False) == {"i_customer": 55}


def test_the_customer_of_a_site_comes_from_the_variables() -> None:
    made = event("CustomerSite/ServiceAttribute/Changed", '{"i_customer":55,"i_customer_site":9}')
    assert v2_body("Customer/Updated", made) == {"i_customer": 55, "i_event": 7615}


def test_a_personal_record_belongs_to_a_customer_or_an_account() -> None:
    of_account = event("Subscriber/Name/Changed", '{"i_subscriber":4,"i_account":1000889}')
    of_customer = event("Subscriber/Name/Changed", '{"i_customer":55,"i_account":null}')
    assert holds_account(of_account)
    assert not holds_account(of_customer)
    assert not holds_account(event("Subscriber/Name/Changed"))
    assert v2_body("Subscriber/Updated", of_account) == {"i_account": 1000889, "i_event": 7615}
    assert v2_body("Customer/Updated", of_customer) == {"i_customer": 55, "i_event": 7615}


@pytest.mark.parametrize("i_customer", ["55", '"55"'])
def test_ids_are_sent_as_numbers_even_if_they_came_as_text(i_customer: str) -> None:
    made = event("Invoice/New", f'{{"i_customer":{i_customer},"i_invoice":77}}')
    expected = {"i_customer": 55, "i_invoice": 77, "i_event": 7615}
    assert v2_body("Invoice/Created", made) == expected
    assert list(v2_body("Invoice/Created", made)) == ["i_customer", "i_invoice", "i_event"]
    assert "i_event" not in v2_body("Invoice/Created", made, with_unique_id=False)


@given(TEXTS)
def test_a_did_is_named_by_its_number_as_text(number: str) -> None:
    made = event("DID/New", json.dumps({"number": number}))
    assert v2_body("DID/Created", made) == {"number": number, "i_event": 7615}


def test_a_did_number_that_came_as_a_number_is_sent_as_text() -> None:
    assert v2_body("DID/Created", event("DID/New", '{"number":12125551234}'))["number"] == (
        "12125551234"
    )


def test_a_sim_event_of_an_account_names_the_account() -> None:
    made = event(variables='{"i_account":1000889,"prev_blocked":"N","curr_blocked":"Y"}')
    expected = {
        "i_env": 3,
        "i_event": 7615,
        "i_account": 1000889,
        "event_time": "2018-04-12 15:24:00",
    }
    assert v2_body("SIM/Updated", made) == expected
    del expected["i_event"]
    assert v2_body("SIM/Updated", made, with_unique_id=False) == expected


def test_a_change_of_a_cards_status_carries_both() -> None:
    variables = '{"i_sim_card":1,"i_account":1,"prev_status":"available","curr_status":"used"}'
    assert v2_body("SIM/Updated", event("SIM/Status/Changed", variables)) == {
        "i_env": 3,
        "i_event": 7615,
        "i_account": 1,
        "event_time": "2018-04-12 15:24:00",
        "prev_status": "available",
        "curr_status": "used",
    }


@pytest.mark.parametrize("variables", ['{"i_sim_card":1}', '{"i_sim_card":1,"i_account":null}'])
def test_a_free_card_has_no_account(variables: str) -> None:
    made = event("SIM/New", variables)
    assert "i_account" not in v2_body("SIM/Created", made)
    assert list(v2_body("SIM/Created", made, with_unique_id=False)) == ["i_env", "event_time"]


def test_every_type_has_a_version_2_body_with_the_published_variables() -> None:
    own = {
        "i_account": 1,
        "i_customer": 2,
        "i_invoice": 3,
        "number": "4",
        "prev_status": "a",
        "curr_status": "b",
    }
    for of in CATALOGUE.types.values():
        for name in of.v2_names:
            v2 = CATALOGUE.v2[name]
            variables = v2_body(name, event(of.name, json.dumps(own)))
            assert set(v2.variables) <= variables.keys() <= {*v2.variables, *v2.optional}


@pytest.mark.parametrize(
    "variables",
    ["{}", '{"number":null}', '{"number":true}', '{"number":[1]}', "[]", "nonsense", '{"number":'],
)
def test_an_event_that_lacks_what_the_body_needs_is_refused(variables: str) -> None:
    render = v2_renderer(CATALOGUE.v2["DID/Created"], CATALOGUE.types["DID/New"])
    with pytest.raises(PayloadError, match=r"Event 7615 \(DID/New\)"):
        render(event("DID/New", variables))


@pytest.mark.parametrize("i_customer", ["true", '"x"', "1.5", "{}"])
def test_an_id_that_is_no_number_is_refused(i_customer: str) -> None:
    render = v2_renderer(CATALOGUE.v2["Invoice/Created"], CATALOGUE.types["Invoice/New"])
    with pytest.raises(PayloadError, match="no usable i_customer"):
        render(event("Invoice/New", f'{{"i_customer":{i_customer},"i_invoice":1}}'))


def test_published_payloads_are_what_we_send() -> None:
    text = v2_renderer(CATALOGUE.v2["Subscriber/Created"], CATALOGUE.types["Account/New"])(
        event("Account/New")
    )
    assert json.loads(text) == {
        "event_type": "Subscriber/Created",
        "variables": {"i_account": 1000889, "i_event": 7615},
    }
