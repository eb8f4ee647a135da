"""YateHSS against an HSS on loopback: each row of the domain page's tables is a case."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from espf.handlers.contract.handler import ContractHandler
from espf.handlers.port import (
    Attempt,
    Delivered,
    Iteration,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
    Unknown,
)
from registry_rig import Rig, registry
from subscriber_rig import KI, captured, equip, event, starting
from yate_server import SECRET, Yate, yate

ONE, TWO, THREE = "001010000000001", "001010000000002", "001010000000003"
BLOCKED = event("Account/Blocked", "account", 3)
OPC = "f" * 32
START = Callable[..., ContractHandler[Any]]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        equip(made)
        made.sql("UPDATE sim_cards SET opc = ?, iccid = '898' || imsi", f"sealed:{OPC}")
        made.events()
        yield made


@pytest.fixture
async def hss() -> AsyncIterator[Yate]:
    async with yate() as made:
        yield made


@pytest.fixture
async def start(rig: Rig, hss: Yate) -> AsyncIterator[START]:
    """Start handlers on the HSS with these options."""
    needed = {"URL": hss.url, "APISecret": SECRET, "RequestTimeout": 2}
    async with starting(rig, "YateHSS", needed) as made:
        yield made


@pytest.fixture
async def handler(start: START) -> ContractHandler[Any]:
    return start()


async def deliver(handler: ContractHandler[Any], of=BLOCKED, number: int = 1) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(number, Iteration(1)))


async def deliver_captured(handler: ContractHandler[Any], rig: Rig) -> list[Outcome | Skipped]:
    return [await deliver(handler, one) for one in captured(rig) if handler.screen(one) is None]


# ---- requests ----


async def test_a_new_subscriber_is_a_card_then_a_subscriber_on_it(handler, hss):
    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert hss.writes == ["set_sim_range", "set_subscriber"]
    assert hss.params("set_sim_range") == {
        "sims": [
            {
                "imsi": THREE,
                "iccid": f"898{THREE}",
                "ki": f"{KI[:-1]}3",
                "op": OPC,
                "amf": "8000",
                "amf_lte": "8000",
            }
        ],
        "use_opc": True,
        "return_ids": True,
        "cs_active": True,
        "ps_active": True,
        "lte_active": True,
    }
    assert hss.params("set_subscriber") == {
        "subscriber_id": "3",
        "msisdn": "300",
        "active": 1,
        "identities": [{"imsi": THREE}],
    }


async def test_every_request_carries_secret_node_and_content_type(handler, hss):
    await deliver(handler)

    assert hss.nodes == {"hss"}
    for headers in hss.headers:
        assert headers["x-authentication"] == SECRET
        assert headers["content-type"] == "application/json"


async def test_the_headers_name_and_the_node_are_options(start, hss):
    hss.secret_header = "mobile-api-secret"

    outcome = await deliver(start(AuthHeader="Mobile-API-Secret", Node="hlr"))

    assert isinstance(outcome, Delivered)
    assert hss.nodes == {"hlr"}


async def test_the_subscribers_parameters_are_a_template(start, hss):
    template = '{"subscriber_id":"acc-$i_account","msisdn":"$msisdn","on":"$active","$x":"$$5",'
    template += '"identities":[{"imsi":"$imsi","iccid":"${iccid}"}],"profiles":{"cs":"$cs_profile"'
    template += ',"ps":"$ps_profile"},"product":"$product","note":null}'

    await deliver(start(SubscriberTemplate=template, CSProfile="voice", SIMProfile="usim"))

    assert hss.params("set_subscriber") == {
        "subscriber_id": "acc-3",
        "msisdn": "300",
        "on": 1,
        "$x": "$5",
        "identities": [{"imsi": THREE, "iccid": f"898{THREE}"}],
        "profiles": {"cs": "voice"},
        "product": "LTE",
        "note": None,
    }
    assert hss.params("set_sim_range")["sim_profile"] == "usim"


NAMED = (
    "INSERT INTO access_policies (name) VALUES ('Fast');"
    "INSERT INTO policy_attributes (i_access_policy, group_name, name, value) VALUES"
    " (1, 'lte.wtl', 'cs_profile', 'gold'), (1, 'lte.wtl', 'eps_profile', 'lte-fast'),"
    " (1, 'lte.wtl', 'ims_profile', ''), (1, 'another', 'ps_profile', 'wrong');"
    "INSERT INTO policy_phases (i_access_policy, name) VALUES (1, 'after the quota');"
    "INSERT INTO policy_attributes"
    " (i_access_policy, i_access_policy_phase, group_name, name, value)"
    " VALUES (1, 1, 'lte.wtl', 'eps_profile', 'slow'), (1, 1, 'lte.wtl', 'ps_profile', 'slow')"
)
"""Access policy 1."""


def profiles(hss: Yate) -> dict[str, str]:
    sent = hss.params("set_subscriber").items()
    return {name: value for name, value in sent if name.endswith("_profile")}


@pytest.mark.parametrize("owner", ["accounts", "products"])
async def test_profiles_are_the_access_policys_or_else_the_options(start, hss, rig, owner):
    rig.script(f"{NAMED};UPDATE {owner} SET i_access_policy = 1")
    options = {"CSProfile": "voice", "PSProfile": "data", "IMSProfile": "volte"}

    await deliver(start(**options))

    expected = {"cs_profile": "gold", "eps_profile": "lte-fast"}
    assert profiles(hss) == expected | {"ps_profile": "data", "ims_profile": "volte"}


async def test_another_access_policy_gives_other_profiles_and_none_the_options(start, hss, rig):
    rig.script(NAMED)
    handler = start(CSProfile="voice")
    await deliver(handler)
    assert profiles(hss) == {"cs_profile": "voice"}
    rig.events()

    for policy, expected in [
        (1, {"cs_profile": "gold", "eps_profile": "lte-fast"}),
        (None, {"cs_profile": "voice"}),
    ]:
        hss.asked.clear()
        rig.sql("UPDATE accounts SET i_access_policy = ? WHERE i_account = 3", policy)
        (outcome,) = await deliver_captured(handler, rig)

        assert isinstance(outcome, Delivered)
        assert hss.writes == ["set_subscriber"]
        assert profiles(hss) == expected


async def test_what_was_accepted_is_not_sent_again(handler, hss):
    await deliver(handler)
    hss.asked.clear()

    assert isinstance(await deliver(handler), Delivered)
    assert [name for name, _ in hss.asked] == ["query_cs_reg", "query_ps_reg"]


async def test_a_block_switches_the_services_off_and_ends_a_registration(handler, hss, rig):
    await deliver(handler)
    hss.registered = {("cs", THREE), ("ps", THREE)}
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")

    assert isinstance(await deliver(handler), Delivered)

    assert hss.params("set_sim") == {
        "imsi": THREE,
        "cs_active": False,
        "ps_active": False,
        "lte_active": False,
    }
    assert hss.registered == set()


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("accounts SET blocked = 'Y'", "accounts SET blocked = 'N'"),
        ("accounts SET bill_status = 'S'", "accounts SET bill_status = 'O'"),
        ("accounts SET balance = 10", "accounts SET balance = 0"),
        ("customers SET bill_status = 'S'", "customers SET bill_status = 'O'"),
    ],
    ids=["blocked", "suspended", "no funds", "customer suspended"],
)
async def test_each_reason_blocks_and_its_end_unblocks(handler, hss, rig, change, back):
    await deliver(handler)
    rig.sql(f"UPDATE {change}")
    await deliver(handler)
    assert not any(hss.sims[THREE].services.values())

    rig.sql(f"UPDATE {back}")
    await deliver(handler)
    assert all(hss.sims[THREE].services.values())


async def test_service_comes_back_only_when_no_reason_remains(handler, hss, rig):
    rig.sql("UPDATE accounts SET blocked = 'Y', bill_status = 'S' WHERE i_account = 3")
    await deliver(handler)
    rig.sql("UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    await deliver(handler)

    assert not any(hss.sims[THREE].services.values())


async def test_only_the_services_in_scope_are_switched_off(start, hss, rig):
    handler = start(BlockScope="ps, lte")
    hss.registered = {("cs", THREE)}
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")

    assert isinstance(await deliver(handler), Delivered)
    assert hss.sims[THREE].services == {"cs": True, "ps": False, "lte": False}


async def test_a_new_number_is_a_new_msisdn_of_the_same_subscriber(handler, hss, rig):
    await deliver(handler)
    rig.sql("UPDATE accounts SET id = '4912345@msisdn' WHERE i_account = 3")

    await deliver_captured(handler, rig)

    assert hss.writes == ["set_sim_range", "set_subscriber", "set_subscriber"]
    assert hss.subscribers["3"]["msisdn"] == "4912345"


async def test_a_swap_is_made_in_the_vendors_order(handler, hss, rig):
    await deliver(handler)
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")
    rig.events()
    hss.asked.clear()
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3")

    await deliver_captured(handler, rig)

    assert hss.writes == ["set_sim_range", "set_subscriber", "del_sim"]
    assert set(hss.sims) == {ONE}
    assert hss.subscribers["3"]["identities"] == [{"imsi": ONE}]


async def test_a_closed_account_is_a_card_removed(handler, hss, rig):
    await deliver(handler)
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")

    await deliver_captured(handler, rig)

    assert hss.writes[-1] == "del_sim"
    assert hss.sims == {}
    hss.asked.clear()
    await deliver(handler)
    assert hss.writes == []


async def test_a_dry_run_has_the_hss_parse_the_requests(handler, hss):
    preview = await handler.provisioner.preview(3, [])

    assert hss.writes == ["echo:set_sim_range", "echo:set_subscriber"]
    assert hss.sims == {}
    assert [text.split(":")[0] for text in preview.steps] == [
        f"set card {THREE}",
        f"set subscriber {THREE}",
    ]
    assert preview.problems == []


async def test_imsis_of_another_hss_are_left_alone(start, hss):
    outcome = await deliver(start(IMSIPattern="00102*, 00103*"))

    assert outcome == Skipped("account 3 has no SIM card that YateHSS is concerned with", True)
    assert hss.asked == []


async def test_no_more_than_three_requests_are_open_at_once(start, hss):
    handler = start()

    async with asyncio.TaskGroup() as group:
        for account in (1, 2, 3):
            for _ in range(3):
                group.create_task(deliver(handler, event("Account/Blocked", "account", account)))

    assert hss.most_at_once <= 3
    assert len(hss.sims) == 3


# ---- answers ----

WRITE = "set_subscriber"
DONE = "read back: not done"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ((401, b""), RetryLater, "correct YateHSS.APISecret"),
        ((403, b""), RetryLater, "correct YateHSS.APISecret"),
        ((400, b""), Rejected, "HTTP 400"),
        ((405, b""), Rejected, "HTTP 405"),
        ((415, b""), Rejected, "HTTP 415"),
        ((500, b""), RetryLater, "HTTP 500"),
        ((302, b""), RetryLater, "HTTP 302"),
        ((200, {"code": 200, "message": "Engine timed out"}), Unknown, "code 200: Engine timed"),
        ((200, {"code": 201, "message": "Lock failed"}), RetryLater, "code 201: Lock failed"),
        ((200, {"code": 201, "message": "No plugin"}), RetryLater, "code 201: No plugin"),
        ((200, {"code": 300, "message": "Bad answer"}), Unknown, "code 300: Bad answer"),
        ((200, {"code": 400, "message": "Wrong"}), Rejected, "code 400: Wrong"),
        ((200, {"code": 401, "message": "Duplicate msisdn"}), Rejected, "code 401: Duplicate"),
        ((200, {"code": 401, "message": "Invalid msisdn"}), Rejected, "code 401: Invalid msisdn"),
        ((200, {"code": 401}), Rejected, "code 401: no message"),
        ((200, {"code": 404, "message": "No profile gold"}), Rejected, "code 404: No profile gold"),
        ((200, {"code": 402, "message": "Missing msisdn"}), Rejected, "code 402: Missing"),
        ((200, {"code": 501, "message": "Storage"}), RetryLater, "code 501: Storage"),
        ((200, {"code": 777}), RetryLater, "code 777: no message"),
        ((200, {"message": "hm"}), RetryLater, "without a code"),
        ((200, {"code": "0"}), RetryLater, "without a code"),
        ((200, {"code": True}), RetryLater, "without a code"),
        ((200, {"code": None}), RetryLater, "without a code"),
        ((200, b"[0]"), RetryLater, "without a code"),
        ((200, b"<html>"), RetryLater, "no JSON; check YateHSS.URL"),
        ((200, b""), RetryLater, "no JSON"),
        ((200, b"\xff\xfe\x00"), RetryLater, "no JSON"),
        ("hang", Unknown, "did not answer in time; read back: not done"),
        ("drop", Unknown, "read back: not done"),
    ],
)
async def test_each_answer_ends_in_its_class(start, hss, answer, kind, reason):
    hss.trouble[WRITE] = [answer]

    outcome = await deliver(start(RequestTimeout=0.3))

    assert isinstance(outcome, kind)
    assert reason in outcome.reason
    assert getattr(outcome, "refused", False) == (answer in [(401, b""), (403, b"")])
    # What was accepted before stays accepted, and the rest follows at the next attempt.
    hss.asked.clear()
    assert isinstance(await deliver(start(), number=2), Delivered)
    assert hss.writes == ["set_subscriber"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, b""), RetryLater),
        ((400, b""), Rejected),
        ((500, b""), RetryLater),
        ((200, {"code": 200}), RetryLater),
        ((200, {"code": 300}), RetryLater),
        ((200, {"code": 501}), RetryLater),
        ((200, b"no json"), RetryLater),
        ("hang", RetryLater),
        ("drop", RetryLater),
    ],
)
async def test_a_query_that_fails_changes_nothing(start, hss, answer, kind):
    hss.trouble["query_ps_reg"] = [answer]

    outcome = await deliver(start(RequestTimeout=0.3))

    assert isinstance(outcome, kind)
    assert hss.writes == []


async def test_an_hss_that_is_down_opens_the_breaker(start):
    outcome = await deliver(start(URL="http://127.0.0.1:1/api.php"))

    assert isinstance(outcome, RetryLater)
    assert outcome.refused


async def test_a_card_that_was_made_without_an_answer_is_found_to_be_there(start, hss):
    hss.trouble["set_sim_range"] = ["late"]

    assert isinstance(await deliver(start(RequestTimeout=0.3)), Unknown)
    assert isinstance(await deliver(start(), number=2), Delivered)

    assert hss.writes == ["set_sim_range", "set_sim_range", "set_subscriber", "set_sim"]
    assert list(hss.sims) == [THREE]


async def test_nothing_to_delete_is_deleted(handler, hss, rig):
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")
    hss.trouble["query_cs_reg"] = [(200, {"code": 404, "message": "not registered"})]
    hss.trouble["query_ps_reg"] = [(200, {"code": 404, "message": "not registered"})]

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["del_sim"]


@pytest.mark.parametrize("message", ["Unknown SIM", "No such SIM"])
async def test_a_card_that_is_gone_is_provisioned_in_full(handler, hss, rig, message):
    await deliver(handler)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    hss.sims.clear()
    hss.asked.clear()
    # The queries do not show it: the change itself does.
    for query in ("query_cs_reg", "query_ps_reg"):
        hss.trouble[query] = [(200, {"code": 404, "message": "User not registered"})] * 2
    hss.trouble["set_sim"] = [(200, {"code": 401, "message": message})]

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["set_sim", "set_sim_range", "set_subscriber"]
    assert not any(hss.sims[THREE].services.values())


async def test_other_words_for_a_card_that_is_gone_are_an_option(start, hss, rig):
    handler = start(AbsentWords="Not Found, void", ReadBack=False)
    await deliver(handler)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    hss.sims.clear()
    hss.asked.clear()
    hss.trouble["set_sim"] = [(200, {"code": 404, "message": "SIM not found"})]

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["set_sim", "set_sim_range", "set_subscriber"]


@pytest.mark.parametrize("code", [401, 404])
@pytest.mark.parametrize("request_", ["set_sim", "del_sim"])
async def test_another_mistake_in_a_change_is_not_taken_for_a_card_that_is_gone(
    handler, hss, rig, request_, code
):
    await deliver(handler)
    change = {"set_sim": "blocked = 'Y'", "del_sim": "bill_status = 'C'"}[request_]
    rig.sql(f"UPDATE accounts SET {change} WHERE i_account = 3")
    hss.asked.clear()
    hss.trouble[request_] = [(200, {"code": code, "message": "Invalid parameter"})]

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert f"{request_} with code {code}: Invalid parameter" in outcome.reason
    assert hss.writes == [request_]
    # Nothing was forgotten: when the HSS takes it, it is the only thing that is sent.
    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == [request_, request_]


@pytest.mark.parametrize("message", ["Unknown SIM", "No such SIM", "The SIM does not exist"])
async def test_a_card_that_is_to_be_removed_and_is_not_there_is_removed(handler, hss, rig, message):
    await deliver(handler)
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")
    hss.trouble["del_sim"] = [(200, {"code": 401, "message": message})]
    hss.sims.clear()
    for query in ("query_cs_reg", "query_ps_reg"):
        hss.trouble[query] = [(200, {"code": 404, "message": "User not registered"})] * 2

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes[-1] == "del_sim"


async def test_a_card_that_the_queries_do_not_know_is_provisioned_in_full(handler, hss):
    await deliver(handler)
    hss.sims.clear()
    hss.asked.clear()

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["set_sim_range", "set_subscriber"]


async def test_an_hss_that_says_yes_and_makes_no_card_is_caught(handler, hss):
    hss.deaf = {"set_sim_range", "set_subscriber"}

    assert isinstance(await deliver(handler), RetryLater)
    last = await deliver(handler, number=3)

    assert isinstance(last, Rejected)
    assert "accepted “set card 001010000000003" in last.reason


async def test_a_block_that_does_not_bite_is_caught(handler, hss, rig):
    await deliver(handler)
    hss.registered = {("cs", THREE)}
    hss.blocks_bite = False
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")

    first = await deliver(handler)
    last = await deliver(handler, number=3)

    assert isinstance(first, RetryLater)
    assert isinstance(last, Rejected)
    assert f"accepted “set services {THREE}: services=”" in last.reason


async def test_without_read_back_its_word_is_taken(start, hss):
    hss.deaf = {"set_sim_range", "set_subscriber"}

    assert isinstance(await deliver(start(ReadBack=False)), Delivered)
    assert not [name for name, _ in hss.asked if name.startswith("query")]


async def test_a_card_with_other_keys_is_not_taken_for_the_same(handler, hss, rig):
    await deliver(handler)
    rig.sql("UPDATE sim_cards SET ki = ? WHERE i_sim_card = 3", f"sealed:{KI[::-1]}")

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "has card 001010000000003 with other data and does not replace them" in outcome.reason


async def test_a_crash_between_two_steps_goes_on_with_the_second(start, hss):
    hss.trouble["set_subscriber"] = ["hang"]
    task = asyncio.ensure_future(deliver(start()))
    await hss.reached("set_subscriber")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hss.asked.clear()

    assert isinstance(await deliver(start()), Delivered)
    assert hss.writes == ["set_subscriber"]


# ---- bad data, and secrets ----


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("sim_cards SET ki = ''", "has no Ki; give it one"),
        ("sim_cards SET opc = ''", "has no OPc; give it one"),
        ("sim_cards SET ki = 'sealed:xyz'", "The Ki of SIM card"),
        ("sim_cards SET amf = 'zzzz'", "The AMF of SIM card"),
        ("accounts SET id = 'ann'", "is no number, so it has no MSISDN"),
    ],
)
async def test_data_that_do_not_suffice_are_rejected_before_any_call(
    handler, hss, rig, change, reason
):
    rig.sql(f"UPDATE {change} WHERE {'i_sim_card' if 'sim_' in change else 'i_account'} = 3")

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert reason in outcome.reason
    assert hss.asked == []


async def test_no_secret_is_stored_even_if_the_hss_echoes_it(handler, hss, rig):
    ki = f"{KI[:-1]}3"
    echo = f"bad card ki={ki.upper()} op={OPC} secret={SECRET}"
    hss.trouble["set_sim_range"] = [
        (200, {"code": 400, "message": echo}),
        (400, echo.encode()),
        (200, echo.encode()),
        (200, {"code": 200, "message": echo}),
        (200, {"code": 400, "message": f"{'x ' * 469} {echo}"}),
        (500, f"{'x ' * 482} {echo}".encode()),
        (500, f"{'x ' * 2030} {echo}".encode()),  # cut, but not within a key
    ]
    for _ in range(7):
        outcome = await deliver(handler)
        text = repr(outcome).lower()
        assert not isinstance(outcome, Delivered)
        for secret in (ki, OPC, SECRET):
            assert secret[:16] not in text
    stored = rig.sql("SELECT digest FROM provisioning_step")
    assert ki not in str(stored)
