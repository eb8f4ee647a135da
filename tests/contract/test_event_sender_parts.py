"""What an application is told beside the event of what an account is given, and of its cards.

As a receiver on loopback sees it, from the registry on either engine.
"""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import registry_rig
from enriched_rig import START, senders
from espf.clock import SystemClock
from espf.events.model import Event
from espf.handlers.event_sender.template.trial import PB_DATA
from espf.handlers.port import Attempt, Delivered, Handler, Iteration, Outcome, Skipped
from espf.subscribers.details import Whose
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from registry_rig import Rig
from service_cases import SERVICES
from subscriber_rig import captured, decrypt, equip, event

PAST, FUTURE = "2001-01-01 00:00:00", "2999-01-01 00:00:00"
ALTERED = event("Account/ServiceAttribute/Changed", "account", 3)
CARD_1, CARD_3 = "001010000000001", "001010000000003"


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with registry_rig.registry(tmp_path, request.param) as made:
        equip(made)
        made.script(SERVICES)
        made.events()
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


async def deliver(handler: Handler, of: Event = ALTERED) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(1, Iteration(1)))


async def told(handler: Handler, receiver: Any, of: Event = ALTERED) -> Any:
    """The parts that an application gets with an event."""
    assert isinstance(await deliver(handler, of), Delivered)
    return json.loads(receiver.requests[-1].body)["pb_data"]


def of_type(rig: Rig, event_type: str) -> Event:
    """The event of this type among those captured since the last look."""
    (found,) = [one for one in captured(rig) if one.event_type == event_type]
    return found


# ---- what an account is given ----


async def test_features_are_told_as_they_hold_for_the_account(start, receiver, rig):
    rig.script(
        "UPDATE customers SET service_flags = '^N' WHERE i_customer = 2;"
        "UPDATE products SET service_flags = 'YY' WHERE i_product = 1;"
        "INSERT INTO service_attributes (i_product, i_service_feature, name, value)"
        " VALUES (1, 1, 'access_policy', '9'), (1, 1, 'a_limit', '5')"
    )
    found = await told(start(), receiver)

    assert found["account_info"]["service_features"] == [
        {
            "name": "netaccess_policy",
            "effective_flag_value": "Y",
            "attributes": [
                {"name": "a_limit", "effective_value": "5"},
                {"name": "access_policy", "effective_value": "7"},
            ],
        },
        {"name": "voicemail", "effective_flag_value": "N", "attributes": []},
    ]


async def test_addons_are_told_with_their_time_until_they_are_over(start, receiver, rig):
    rig.script(
        "UPDATE products SET i_vd_plan = 2, description = 'all songs' WHERE i_product = 3;"
        "INSERT INTO products (name, addon_priority) VALUES ('Films', 30);"
        "INSERT INTO account_addons (i_account, i_product, addon_effective_from,"
        f" addon_effective_to) VALUES (3, 4, NULL, '{PAST}'), (3, 5, '{FUTURE}', NULL);"
        f"UPDATE account_addons SET addon_effective_to = '{FUTURE}' WHERE i_product = 3"
    )
    found = await told(start(), receiver)

    assert found["account_info"]["assigned_addons"] == [
        {
            "i_product": 5,
            "name": "Films",
            "description": "",
            "addon_priority": 30,
            "addon_effective_from": FUTURE,
            "addon_effective_to": None,
            "i_product_group": None,
            "i_vd_plan": None,
        },
        {
            "i_product": 3,
            "name": "Music",
            "description": "all songs",
            "addon_priority": 20,
            "addon_effective_from": None,
            "addon_effective_to": FUTURE,
            "i_product_group": None,
            "i_vd_plan": 2,
        },
    ]


async def test_the_access_policy_is_told_without_its_phases(start, receiver, rig):
    rig.script(
        "UPDATE products SET i_access_policy = 1, i_vd_plan = 1 WHERE i_product = 1;"
        "UPDATE accounts SET i_vd_plan = 2 WHERE i_account = 3;"
        "INSERT INTO policy_attributes (i_access_policy, group_name, name, value)"
        " VALUES (1, 'lte.wtl', 'eps_profile', 'fast'), (1, 'aaa', 'z', 'y')"
    )
    found = await told(start(), receiver)

    assert found["access_policy_info"] == {
        "i_access_policy": 1,
        "name": "Fast",
        "attributes": [
            {"group_name": "aaa", "name": "z", "value": "y"},
            {"group_name": "lte.wtl", "name": "cs_profile", "value": "1"},
            {"group_name": "lte.wtl", "name": "eps_profile", "value": "fast"},
        ],
    }
    assert found["account_info"]["i_vd_plan"] == 2
    assert found["product_info"]["i_vd_plan"] == 1


async def test_an_account_that_is_given_nothing_has_empty_lists_and_no_policy(start, receiver):
    found = await told(start(), receiver, event("Account/Blocked", "account", 2))

    assert found["account_info"]["service_features"] == []
    assert found["account_info"]["assigned_addons"] == []
    assert "access_policy_info" not in found


async def test_those_who_are_read_together_get_their_own(source, rig):
    rig.sql("UPDATE accounts SET i_access_policy = i_account WHERE i_account < 3")
    asked = [
        Whose("account", 2),
        Whose("customer", 1),
        Whose("account", 3, prev_i_sim_card=1),
        Whose("sim", 2),
        Whose("account", 1),
        Whose("account", 3),
        Whose("account", 99),
        Whose("customer", 99),
    ]
    found = await source.details(asked)

    names = [one.get("account_info", {}).get("id") for one in found]
    assert names == ["200", None, "300", None, "100", "300", None, None]
    policies = [one.get("access_policy_info", {}).get("name") for one in found]
    assert policies == ["Slow", None, None, None, "Fast", None, None, None]
    addons = [len(one.get("account_info", {}).get("assigned_addons", [])) for one in found]
    assert addons == [0, 0, 1, 0, 0, 1, 0, 0]
    assert found[1]["customer_info"]["name"] == "Ann"
    assert [one.get("prev_sim_info", {}).get("imsi") for one in found[2:6]] == [CARD_1, *[None] * 3]
    assert found[3]["sim_info"]["imsi"] == "001010000000002"
    assert found[6:] == [{}, {}]


# ---- cards ----


async def test_a_swap_tells_the_card_that_was_taken_away(start, receiver, rig):
    rig.script(
        "INSERT INTO sim_cards (imsi, iccid) VALUES ('001010000000004', '8994');"
        "UPDATE sim_cards SET iccid = '8993' WHERE i_sim_card = 3"
    )
    rig.events()
    rig.sql("UPDATE accounts SET i_sim_card = 4 WHERE i_account = 3")
    swap = of_type(rig, "Account/SIMCardAssignment")

    for version in (1, 2):
        found = await told(start(APIVersion=version), receiver, swap)

        assert found["prev_sim_info"] == {
            "i_sim_card": 3,
            "i_account": None,
            "imsi": CARD_3,
            "iccid": "8993",
            "msisdn": None,
            "status": "available",
        }
        assert found["sim_info"] == {
            "i_sim_card": 4,
            "i_account": 3,
            "imsi": "001010000000004",
            "iccid": "8994",
            "msisdn": "300",
            "status": "used",
        }


async def test_a_card_that_another_account_holds_by_now_is_told_as_its(start, receiver, rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 3")
    taken = of_type(rig, "Account/SIMCardAssignment")
    rig.script(
        "UPDATE accounts SET i_sim_card = 3, id = '4912345@msisdn' WHERE i_account = 1",
    )
    found = await told(start(), receiver, taken)

    assert "sim_info" not in found
    assert found["prev_sim_info"]["i_account"] == 1
    assert found["prev_sim_info"]["msisdn"] == "4912345"
    assert found["prev_sim_info"]["status"] == "used"


async def test_the_card_of_an_account_that_is_gone_is_told(start, receiver, rig):
    rig.script("DELETE FROM service_attributes; DELETE FROM accounts WHERE i_account = 3")
    taken = of_type(rig, "Account/SIMCardAssignment")
    found = await told(start(), receiver, taken)

    assert list(found) == ["prev_sim_info"]
    assert found["prev_sim_info"]["imsi"] == CARD_3

    rig.sql("DELETE FROM sim_cards WHERE i_sim_card = 3")
    assert await told(start(), receiver, taken) == {}


async def test_no_other_event_tells_of_a_card_that_was_taken(start, receiver, rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 2 AND i_sim_card IS NULL")
    rig.events()
    rig.script(
        "UPDATE accounts SET i_sim_card = NULL WHERE i_account = 3;"
        "UPDATE accounts SET i_sim_card = 1, blocked = 'Y' WHERE i_account = 1"
    )
    events = [one for one in captured(rig) if one.entity_id == 1 and one.entity == "account"]

    assert {one.event_type for one in events} >= {"Account/SIMCardAssignment", "Account/Blocked"}
    for one in events:
        assert "prev_sim_info" not in await told(start(), receiver, one)


async def test_an_event_of_a_card_that_nobody_holds_tells_the_card(start, receiver, rig):
    rig.sql("INSERT INTO sim_cards (imsi) VALUES ('001010000000004')")
    new = of_type(rig, "SIM/New")
    found = await told(start(APIVersion=2), receiver, new)

    assert json.loads(receiver.requests[-1].body)["data"]["event_type"] == "SIM/Created"
    assert found == {
        "sim_info": {
            "i_sim_card": 4,
            "i_account": None,
            "imsi": "001010000000004",
            "iccid": None,
            "msisdn": None,
            "status": "available",
        }
    }
    rig.sql("DELETE FROM sim_cards WHERE i_sim_card = 4")
    assert await told(start(), receiver, new) == {}


# ---- secrets, templates ----


async def test_no_secret_of_account_or_cards_is_in_any_part(start, receiver, rig):
    secrets = ("ki", "opc", "pin", "puk1", "puk2", "activation_code")
    settings = ", ".join(f"{one} = 'sealed:hidden-{one}'" for one in secrets)
    rig.script(
        f"UPDATE sim_cards SET {settings};"
        "UPDATE accounts SET password = 'sealed:hidden-p', h323_password = 'sealed:hidden-h',"
        " i_access_policy = 1;"
        "UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1"
    )
    rig.events()
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3")
    swap = of_type(rig, "Account/SIMCardAssignment")
    found = await told(start(), receiver, swap)

    assert found.keys() == PB_DATA.keys()
    text = receiver.requests[-1].body.decode().lower()
    for secret in ("hidden", "sealed", "password", *(f'"{one}"' for one in secrets)):
        assert secret not in text


def shape(value: object) -> object:
    """The names in it, without the values."""
    match value:
        case dict():
            return {name: shape(one) for name, one in value.items()}
        case list():
            return [shape(one) for one in value[:1]]
        case _:
            return None


async def test_templates_are_tried_with_all_that_there_can_be(start, receiver, rig):
    rig.sql("UPDATE accounts SET i_access_policy = 1, i_sim_card = NULL WHERE i_account = 1")
    rig.events()
    rig.sql("UPDATE accounts SET i_access_policy = 1, i_sim_card = 1 WHERE i_account = 3")
    found = await told(start(), receiver, of_type(rig, "Account/SIMCardAssignment"))

    assert shape(found) == shape(PB_DATA)


async def test_a_template_shows_addons_features_policy_and_the_card_taken(start, receiver, rig):
    rig.sql("UPDATE accounts SET i_access_policy = 1, i_sim_card = NULL WHERE i_account = 3")
    text = """{
      "addons": [{% for one in pb_data.account_info.assigned_addons %}{{ one.name }}
        {%- if not loop.last %},{% endif %}{% endfor %}],
      "features": {{ pb_data.account_info.service_features }},
      "cs": {% for one in pb_data.access_policy_info.attributes if one.name == "cs_profile" -%}
        {{ one.value }}{% else %}null{% endfor %},
      "remove": {{ pb_data.prev_sim_info.imsi | default(none) }}
    }"""
    handler = start(BodyTemplate=text)
    await deliver(handler, of_type(rig, "Account/SIMCardAssignment"))

    assert json.loads(receiver.requests[-1].body) == {
        "addons": ["Music"],
        "features": [
            {
                "name": "netaccess_policy",
                "effective_flag_value": "N",
                "attributes": [{"name": "access_policy", "effective_value": "7"}],
            }
        ],
        "cs": "1",
        "remove": CARD_3,
    }
