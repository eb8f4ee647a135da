"""PyHSS against an HSS on loopback: what is asked of it, and each trap of its API (domain, 6.5)."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from espf.clock import SystemClock
from espf.handlers.contract.audit import Audit
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.options import read_options
from espf.handlers.port import (
    Attempt,
    Delivered,
    HandlerContext,
    Iteration,
    Outcome,
    Rejected,
    RetryLater,
    Skipped,
    Unknown,
)
from espf.handlers.pyhss.client import PAGE, PyhssClient
from espf.handlers.pyhss.settings import PyhssSettings
from pyhss_server import KEY, PyHss, pyhss
from registry_rig import Rig, registry
from subscriber_rig import KI, captured, equip, event, starting

ONE, TWO, THREE = "001010000000001", "001010000000002", "001010000000003"
BLOCKED = event("Account/Blocked", "account", 3)
OPC = "f" * 32
KI_THREE = f"{KI[:-1]}3"
START = Callable[..., ContractHandler[Any]]
REAL = "PYHSS_URL"
"""Names a real PyHSS; PYHSS_KEY its key, PYHSS_APN the id of an APN there (1)."""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        equip(made)
        made.sql("UPDATE sim_cards SET opc = ?, iccid = '8988' || imsi", f"sealed:{OPC}")
        made.events()
        yield made


@pytest.fixture
async def hss() -> AsyncIterator[PyHss]:
    async with pyhss() as made:
        yield made


@pytest.fixture
async def start(rig: Rig, hss: PyHss) -> AsyncIterator[START]:
    """Start handlers on the HSS with these options."""
    needed = {"URL": hss.url, "ProvisioningKey": KEY, "DefaultAPN": 1, "RequestTimeout": 2}
    async with starting(rig, "PyHSS", needed) as made:
        yield made


@pytest.fixture
async def handler(start: START) -> ContractHandler[Any]:
    return start()


@pytest.fixture
async def voice(start: START) -> ContractHandler[Any]:
    return start(IMS=True)


async def deliver(handler: ContractHandler[Any], of=BLOCKED, number: int = 1) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(number, Iteration(1)))


async def deliver_captured(handler: ContractHandler[Any], rig: Rig) -> list[Outcome | Skipped]:
    return [await deliver(handler, one) for one in captured(rig) if handler.screen(one) is None]


# ---- requests ----


async def test_a_new_subscriber_is_a_card_then_a_subscriber_on_it(handler, hss):
    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert hss.writes == ["PUT auc", "PUT subscriber"]
    assert hss.body("PUT auc") == {
        "imsi": THREE,
        "iccid": f"8988{THREE}",
        "amf": "8000",
        "ki": KI_THREE,
        "opc": OPC,
        "sqn": 100,
    }
    assert hss.body("PUT subscriber") == {
        "imsi": THREE,
        "enabled": True,
        "msisdn": "300",
        "default_apn": 1,
        "apn_list": "1",
        "ue_ambr_dl": 999_999,
        "ue_ambr_ul": 999_999,
        "auc_id": hss.row("auc", THREE)["auc_id"],
    }


async def test_with_voice_it_is_an_ims_subscriber_as_well(start, hss):
    await deliver(start(IMS=True, IFCPath="gold.xml", ShTemplatePath="sh.xml"))

    assert hss.writes == ["PUT auc", "PUT subscriber", "PUT ims_subscriber"]
    assert hss.body("PUT ims_subscriber") == {
        "imsi": THREE,
        "msisdn": "300",
        "msisdn_list": "300",
        "ifc_path": "gold.xml",
        "sh_template_path": "sh.xml",
    }


async def test_the_key_goes_along_and_only_a_body_is_called_json(handler, hss):
    await deliver(handler)

    assert {headers["provisioning-key"] for headers in hss.headers} == {KEY}
    for (name, _), headers in zip(hss.asked, hss.headers, strict=True):
        assert ("content-type" in headers) == (not name.startswith("GET"))


async def test_an_hss_that_asks_for_no_key_is_given_none(start, hss):
    hss.locked = False
    handler = start(ProvisioningKey="")

    assert isinstance(await deliver(handler), Delivered)
    assert not any("provisioning-key" in headers for headers in hss.headers)


async def test_a_path_in_the_url_is_kept(start, hss):
    hss.prefix = "/gateway/hss"

    assert isinstance(await deliver(start(URL=f"{hss.url}/gateway/hss/")), Delivered)


async def test_what_is_as_it_should_be_is_read_and_left(voice, hss):
    await deliver(voice)
    hss.asked.clear()

    assert isinstance(await deliver(voice), Delivered)
    assert hss.writes == []


@pytest.mark.parametrize("shows_keys", [True, False])
async def test_another_key_of_a_card_is_sent_and_nothing_else(handler, hss, rig, shows_keys):
    hss.shows_keys = shows_keys
    await deliver(handler)
    hss.asked.clear()
    rig.sql("UPDATE sim_cards SET ki = ? WHERE i_sim_card = 3", f"sealed:{KI[::-1]}")

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["PATCH auc"]
    assert hss.body("PATCH auc") == {"ki": KI[::-1], "opc": OPC}
    assert hss.row("auc", THREE)["sqn"] == 100


async def test_a_card_that_was_there_before_gets_its_keys_once(handler, hss):
    hss.sql.execute(
        "INSERT INTO auc (imsi, ki, opc, amf, sqn) VALUES (?, 'x', 'y', '8000', 7)", (THREE,)
    )

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["PATCH auc", "PUT subscriber"]
    card = hss.row("auc", THREE)
    assert (card["ki"], card["opc"], card["sqn"]) == (KI_THREE, OPC, 7)


async def test_a_card_that_was_made_anew_by_hand_gets_its_keys_again(handler, hss):
    await deliver(handler)
    hss.sql.execute("UPDATE auc SET auc_id = 77, ki = 'x'")
    hss.sql.execute("UPDATE subscriber SET auc_id = 77")

    assert isinstance(await deliver(handler), Delivered)
    assert hss.row("auc", THREE)["ki"] == KI_THREE


async def test_a_card_without_an_imsi_is_found_by_its_subscriber(handler, hss):
    hss.sql.execute("INSERT INTO auc (auc_id, ki, opc, amf) VALUES (9, 'x', 'y', '8000')")
    hss.sql.execute(
        "INSERT INTO subscriber (imsi, auc_id, default_apn, apn_list, msisdn, nam)"
        " VALUES (?, 9, 1, '1', '300', 2)",
        (THREE,),
    )

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["PATCH auc"]
    assert (hss.row("auc", THREE)["auc_id"], hss.row("auc", THREE)["ki"]) == (9, KI_THREE)
    assert hss.row("subscriber", THREE)["nam"] == 2


async def test_a_subscriber_on_another_card_is_put_on_its_own(handler, hss):
    await deliver(handler)
    hss.sql.execute("INSERT INTO auc (auc_id, imsi, ki, opc, amf) VALUES (9, '9', 'x', 'y', '1')")
    hss.sql.execute("UPDATE subscriber SET auc_id = 9")

    assert isinstance(await deliver(handler), Delivered)
    assert hss.row("subscriber", THREE)["auc_id"] == hss.row("auc", THREE)["auc_id"]


# ---- blocks ----


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
async def test_each_reason_disables_and_its_end_enables(handler, hss, rig, change, back):
    await deliver(handler)
    rig.sql(f"UPDATE {change}")
    await deliver(handler)
    assert hss.row("subscriber", THREE)["enabled"] is False
    assert hss.body("PATCH subscriber") == {"enabled": False}

    rig.sql(f"UPDATE {back}")
    await deliver(handler)
    assert hss.row("subscriber", THREE)["enabled"] is True


async def test_service_comes_back_only_when_no_reason_remains(handler, hss, rig):
    rig.sql("UPDATE accounts SET blocked = 'Y', bill_status = 'S' WHERE i_account = 3")
    await deliver(handler)
    rig.sql("UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    await deliver(handler)

    assert hss.row("subscriber", THREE)["enabled"] is False


async def test_a_block_sends_the_phone_out_of_the_network(handler, hss, rig):
    await deliver(handler)
    hss.attach(THREE)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")

    assert isinstance(await deliver(handler), Delivered)
    assert hss.cancelled == [(THREE, "mme01")]
    rig.sql("UPDATE accounts SET id = '301' WHERE i_account = 3")
    await deliver(handler)
    assert hss.cancelled == [(THREE, "mme01")]


# ---- numbers, products, swaps, ends ----


async def test_a_new_number_is_changed_in_both_places(voice, hss, rig):
    await deliver(voice)
    rig.sql("UPDATE accounts SET id = '4912345@msisdn' WHERE i_account = 3")

    await deliver_captured(voice, rig)

    assert hss.row("subscriber", THREE)["msisdn"] == "4912345"
    voice_row = hss.row("ims_subscriber", THREE)
    assert (voice_row["msisdn"], voice_row["msisdn_list"]) == ("4912345", "4912345")


async def test_two_numbers_change_places(voice, hss, rig):
    for account in (1, 2):
        await deliver(voice, event("Account/Blocked", "account", account))
    rig.sql("UPDATE accounts SET id = 'x' WHERE i_account = 1")
    rig.sql("UPDATE accounts SET id = '100' WHERE i_account = 2")
    rig.sql("UPDATE accounts SET id = '200' WHERE i_account = 1")

    outcome = await deliver(voice, event("Account/ID/Changed", "account", 2))

    assert isinstance(outcome, Delivered)
    numbers = {row["imsi"]: row["msisdn"] for row in hss.rows("ims_subscriber")}
    assert numbers == {ONE: "200", TWO: "100"}


async def test_a_number_that_a_stranger_has_is_said_to_be_his(handler, hss):
    hss.sql.execute(
        "INSERT INTO subscriber (imsi, auc_id, default_apn, apn_list, msisdn)"
        " VALUES ('999990000000009', 1, 1, '1', '300')"
    )

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("999990000000009 on PyHSS holds what")
    assert hss.writes == []


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"subscriber_id": 1}, Delivered, ""),
        ({"subscriber_id": 1, "imsi": None}, Delivered, ""),
        ({"subscriber_id": 1, "imsi": 7}, RetryLater, "imsi"),
    ],
)
async def test_a_row_that_names_no_imsi_holds_no_number_against_anyone(
    voice, hss, row, kind, reason
):
    """Neither as a rival that is asked about, nor as the holder that a duplicate names."""
    hss.trouble["GET ims_subscriber"] = [(200, None), (200, row)]

    outcome = await deliver(voice)

    assert isinstance(outcome, kind)
    assert reason in getattr(outcome, "reason", "")


async def test_a_number_that_somebody_without_an_imsi_has_is_taken(voice, hss):
    taken = "UNIQUE constraint failed: ims_subscriber.msisdn"
    hss.trouble["PUT ims_subscriber"] = [(400, FAILED | {"reason": taken})]
    nobody = (200, {"ims_subscriber_id": 1})
    hss.trouble["GET ims_subscriber"] = [(200, None), (200, None), nobody, nobody]

    outcome = await deliver(voice)

    assert isinstance(outcome, RetryLater)
    assert "its msisdn is taken" in outcome.reason


async def test_a_product_is_apns_and_rates(start, hss, rig):
    products = '{"LTE XL":{"apn_list":"1,2","ue_ambr_dl":50000000},"other":{"default_apn":1}}'
    handler = start(APNList="1, 2,1", Products=products.replace("1,2", "2, 1"), AMBRUplink=5)
    await deliver(handler)
    row = hss.row("subscriber", THREE)
    assert (row["apn_list"], row["ue_ambr_dl"], row["ue_ambr_ul"]) == ("1,2", 999_999, 5)

    rig.sql("UPDATE accounts SET i_product = 2 WHERE i_account = 3")
    await deliver_captured(handler, rig)

    assert hss.body("PATCH subscriber") == {"apn_list": "2,1", "ue_ambr_dl": 50_000_000}


def swap(rig: Rig) -> None:
    """Account 3 gets card 1, which account 1 gave back."""
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")
    rig.events()
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3")


async def test_a_swap_moves_the_subscriber_to_the_new_card(voice, hss, rig):
    await deliver(voice)
    hss.attach(THREE)
    hss.sql.execute("UPDATE subscriber SET roaming_rule_list = '4,5', nam = 2")
    keys = {table: hss.row(table, THREE)[f"{table}_id"] for table in ("subscriber", "auc")}
    swap(rig)
    hss.asked.clear()

    await deliver_captured(voice, rig)

    assert hss.writes == [
        "PUT auc",
        "PATCH subscriber",
        "PATCH subscriber",
        "PATCH ims_subscriber",
        "DELETE auc",
    ]
    assert hss.cancelled == [(THREE, "mme01")]
    assert [row["imsi"] for row in hss.rows("auc")] == [ONE]
    (row,) = hss.rows("subscriber")
    assert (row["subscriber_id"], row["roaming_rule_list"], row["nam"]) == (
        keys["subscriber"],
        "4,5",
        2,
    )
    assert (row["imsi"], row["enabled"], row["serving_mme"]) == (ONE, True, None)
    assert row["auc_id"] == hss.row("auc", ONE)["auc_id"] != keys["auc"]
    assert hss.row("ims_subscriber", ONE)["msisdn"] == "300"


@pytest.mark.parametrize(
    "after", ["PUT auc", "PATCH subscriber", "PATCH ims_subscriber", "DELETE auc"]
)
async def test_a_swap_that_is_cut_short_goes_on_where_it_was(start, hss, rig, after):
    voice = start(IMS=True, RequestTimeout=0.3)
    await deliver(voice)
    swap(rig)
    (moved,) = [one for one in captured(rig) if voice.screen(one) is None]
    hss.trouble[after] = ["late"]
    task = asyncio.ensure_future(deliver(voice, moved))
    hss.asked.clear()
    await hss.reached(after)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hss.asked.clear()

    assert isinstance(await deliver(start(IMS=True), moved, 2), Delivered)
    assert after not in hss.writes
    for table in ("auc", "subscriber", "ims_subscriber"):
        assert [row["imsi"] for row in hss.rows(table)] == [ONE]


async def test_a_closed_account_leaves_nothing(voice, hss, rig):
    await deliver(voice)
    hss.attach(THREE)
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")
    hss.asked.clear()

    await deliver_captured(voice, rig)

    assert hss.writes == [
        "PATCH subscriber",
        "DELETE ims_subscriber",
        "DELETE subscriber",
        "DELETE auc",
    ]
    assert hss.cancelled == [(THREE, "mme01")]
    assert not any(hss.rows(table) for table in ("auc", "subscriber", "ims_subscriber"))
    hss.asked.clear()
    assert isinstance(await deliver(voice), Delivered)
    assert hss.writes == []
    assert rig.sql("SELECT * FROM provisioning_step") == []


async def test_imsis_of_another_hss_are_left_alone(start, hss):
    outcome = await deliver(start(IMSIPattern="00102*, 00103*"))

    assert outcome == Skipped("account 3 has no SIM card that PyHSS is concerned with", True)
    assert hss.asked == []


# ---- traps ----


@pytest.mark.parametrize("says_500", [False, True])
async def test_what_is_not_found_is_made(start, hss, says_500):
    hss.says_500 = says_500

    assert isinstance(await deliver(start(IMS=True)), Delivered)


WRITE = "PUT subscriber"
FAILED = {"result": "Failed"}
INTERNAL = "An internal server error occurred: "
FOREIGN = "(psycopg2.errors.ForeignKeyViolation) … violates foreign key constraint"


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ((401, {"Result": "Unauthorized"}), RetryLater, "correct PyHSS.ProvisioningKey"),
        ((404, {"Result": "Not Found"}), RetryLater, "check PyHSS.URL"),
        ((404, b"<html>"), RetryLater, "check PyHSS.URL"),
        ((400, FAILED | {"reason": FOREIGN}), Rejected, "violates foreign key constraint"),
        ((400, FAILED | {"reason": "… (OperationalError) database is locked"}), RetryLater, "lock"),
        ((400, b"<html>"), Rejected, "HTTP 400"),
        ((415, b""), Rejected, "HTTP 415"),
        ((429, b""), RetryLater, "HTTP 429"),
        ((302, b""), RetryLater, "HTTP 302"),
        ((500, FAILED | {"reason": f"{INTERNAL}400 Bad Request: no JSON"}), Rejected, "no JSON"),
        (
            (500, FAILED | {"reason": f"{INTERNAL}'x' is an invalid keyword argument for AUC"}),
            Rejected,
            "keyword argument",
        ),
        ((500, FAILED | {"reason": f"{INTERNAL}redis is away"}), Unknown, "redis is away; read"),
        ((500, b""), Unknown, "read back: not done"),
        ((503, b"busy"), Unknown, "read back: not done"),
        ((200, b"<html>"), Unknown, "no JSON; check PyHSS.URL; read back: not done"),
        ((200, []), Unknown, "no row; read back: not done"),
        ((200, "ok"), Unknown, "no row; read back: not done"),
        ("hang", Unknown, "did not answer in time; read back: not done"),
        ("drop", Unknown, "read back: not done"),
    ],
)
async def test_each_answer_ends_in_its_class(start, hss, answer, kind, reason):
    hss.trouble[WRITE] = [answer]

    outcome = await deliver(start(RequestTimeout=0.3))

    assert isinstance(outcome, kind)
    assert reason in outcome.reason
    assert getattr(outcome, "refused", False) == (
        isinstance(answer, tuple) and answer[0] in (401, 404)
    )
    # The card that was made before stays, and the rest follows at the next attempt.
    hss.asked.clear()
    assert isinstance(await deliver(start(), number=2), Delivered)
    assert hss.writes == ["PUT subscriber"]


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"Result": "Unauthorized"}),
        (404, {"Result": "Not Found"}),
        (500, FAILED | {"reason": "redis is away"}),
        (200, b"<html>"),
        (200, []),
        (200, {"subscriber_id": "1"}),
        (200, {"subscriber_id": 1, "enabled": "yes", "auc_id": 1}),
        "hang",
        "drop",
    ],
)
async def test_a_read_that_fails_changes_nothing(start, hss, answer):
    hss.trouble["GET subscriber"] = [answer]

    assert isinstance(await deliver(start(RequestTimeout=0.3)), RetryLater)
    assert hss.writes == []


async def test_an_hss_that_is_down_opens_the_breaker(start):
    outcome = await deliver(start(URL="http://127.0.0.1:1"))

    assert isinstance(outcome, RetryLater)
    assert outcome.refused


@pytest.mark.parametrize("request_", ["PUT auc", "PUT subscriber", "PUT ims_subscriber"])
async def test_what_was_done_without_an_answer_is_found_to_be_done(start, hss, request_):
    hss.trouble[request_] = ["late"]

    outcome = await deliver(start(IMS=True, RequestTimeout=0.3))

    assert isinstance(outcome, Delivered)
    for table in ("auc", "subscriber", "ims_subscriber"):
        assert [row["imsi"] for row in hss.rows(table)] == [THREE]


async def test_a_duplicate_of_the_same_imsi_is_compared_and_set_right(handler, hss):
    """As after an answer that was lost: the look before showed nothing yet."""
    hss.sql.execute("INSERT INTO auc (imsi, ki, opc, amf) VALUES (?, 'x', 'y', '8000')", (THREE,))
    hss.trouble["GET auc"] = [(200, None)]

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes == ["PUT auc", "PUT subscriber", "PATCH auc"]
    assert hss.row("auc", THREE)["ki"] == KI_THREE


async def test_an_iccid_of_another_card_is_rejected_with_the_reason(handler, hss):
    hss.sql.execute(
        "INSERT INTO auc (imsi, iccid, ki, opc, amf) VALUES ('9', ?, 'x', 'y', '8000')",
        (f"8988{THREE}",),
    )

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "another card there has its ICCID" in outcome.reason


@pytest.mark.parametrize(
    "text",
    [
        "(sqlite3.IntegrityError) UNIQUE constraint failed: ims_subscriber.msisdn",
        "(pymysql.err.IntegrityError) (1062, \"Duplicate entry '300' for key 'msisdn'\")",
        "(pymysql.err.IntegrityError) (1062, \"Duplicate entry '3' for key 'ims.msisdn'\")",
        "(psycopg2.errors.UniqueViolation) …\nDETAIL:  Key (msisdn)=(300) already exists.",
    ],
)
async def test_a_number_that_is_taken_is_tried_again_on_every_database(voice, hss, text):
    hss.trouble["PUT ims_subscriber"] = [(400, FAILED | {"reason": text})]

    outcome = await deliver(voice)

    assert isinstance(outcome, RetryLater)
    assert "its msisdn is taken. An id must stand for a number of one account" in outcome.reason


@pytest.mark.parametrize("request_", ["PUT auc", "PUT subscriber"])
@pytest.mark.parametrize("how", ["deaf", "null"])
async def test_an_hss_that_says_yes_and_does_nothing_is_caught(handler, hss, request_, how):
    if how == "deaf":
        hss.deaf = {request_}
    else:  # what its database refuses in other words than it looks for
        hss.trouble[request_] = [(200, None)] * 4

    first, last = await deliver(handler), await deliver(handler, number=3)

    assert isinstance(first, RetryLater)
    assert isinstance(last, Rejected)
    assert "2 times and does not have it when it is read back" in last.reason
    assert ("it did nothing" in last.answer) == (how == "null")


async def test_a_column_that_a_patch_does_not_know_is_caught(handler, hss, rig):
    """Unknown columns are ignored and answered with the row: only reading tells."""
    await deliver(handler)
    hss.sql.execute("ALTER TABLE subscriber RENAME COLUMN ue_ambr_dl TO ambr_dl")
    outcome = await deliver(handler, number=3)

    assert isinstance(outcome, Rejected)
    assert "accepted “change subscriber 001010000000003: row=ue_ambr_dl=999999" in outcome.reason


async def test_a_subscriber_that_somebody_removes_meanwhile_is_made_again(handler, hss, rig):
    await deliver(handler)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    stale = hss.row("subscriber", THREE)
    hss.sql.execute("DELETE FROM subscriber")
    hss.trouble["GET subscriber"] = [(200, stale)]

    assert isinstance(await deliver(handler), Delivered)
    assert hss.writes[-2:] == ["PATCH subscriber", "PUT subscriber"]


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


async def test_no_secret_is_stored_however_the_hss_repeats_it(start, hss, rig):
    """A duplicate's text holds the statement's parameters; that of PostgreSQL the row."""
    handler = start(RequestTimeout=0.3)
    echo = f"ki={KI_THREE.upper()} opc={OPC} key={KEY}"
    hss.sql.execute(
        "INSERT INTO auc (imsi, iccid, ki, opc, amf) VALUES ('9', ?, 'x', 'y', '8000')",
        (f"8988{THREE}",),
    )
    hss.trouble["PUT auc"] = [
        (400, FAILED | {"reason": f"null value\nDETAIL:  Failing row contains ({echo})."}),
        (500, FAILED | {"reason": f"{INTERNAL}{echo}"}),
        (400, {"reason": echo}),
        (200, echo),
        (400, {"reason": f"{'x ' * 236} {echo}"}),
        (400, {"reason": f"{'x ' * 1990} {echo}"}),  # cut, but not within a key
    ]
    for _ in range(7):
        outcome = await deliver(handler)
        assert not isinstance(outcome, Delivered)
        for secret in (KI_THREE, OPC, KEY):
            assert secret[:16] not in repr(outcome).lower()
        assert "parameters" not in repr(outcome)
    stored = rig.sql("SELECT digest FROM provisioning_step")
    assert KI_THREE not in str(stored)


# ---- audits and dry runs come with the contract ----


async def test_an_audit_finds_every_difference_also_beyond_the_first_page(handler, hss):
    for account in (1, 2, 3):
        await deliver(handler, event("Account/Blocked", "account", account))
    hss.sql.execute("UPDATE subscriber SET enabled = 0 WHERE imsi = ?", (TWO,))
    hss.sql.execute("DELETE FROM auc WHERE imsi = ?", (THREE,))
    hss.sql.execute("DELETE FROM subscriber WHERE imsi = ?", (THREE,))
    strangers = [(f"99999{n:010}",) for n in range(PAGE + 1)]
    hss.sql.executemany(
        "INSERT INTO subscriber (imsi, auc_id, default_apn, apn_list) VALUES (?, 1, 1, '1')",
        strangers,
    )

    report = await Audit(handler.provisioner.looker, 4).run(lambda _: None)

    assert report.listed
    assert report.counts == {"right": 1, "different": 1, "missing": 1, "extra": PAGE + 1}
    different = next(one for one in report.findings if one.verdict == "different")
    assert different.details == f"change subscriber {TWO}: row=enabled=True, on_its_card=False"


@pytest.mark.parametrize("rows", [3, PAGE])
async def test_a_release_without_pages_is_listed_once(start, hss, rows):
    hss.pages = False
    hss.sql.executemany(
        "INSERT INTO subscriber (imsi, auc_id, default_apn, apn_list) VALUES (?, 1, 1, '1')",
        [(f"99999{n:010}",) for n in range(rows)],
    )
    listed = [imsi async for imsi, _ in start().system.list_all()]

    assert len(listed) == len(set(listed)) == rows


async def test_a_dry_run_changes_nothing_and_looks_for_the_apns(start, hss):
    preview = await start(APNList="1,7").provisioner.preview(3, [])

    assert hss.writes == []
    assert [text.partition(":")[0] for text in preview.steps] == [
        f"create card {THREE}",
        f"create subscriber {THREE}",
    ]
    assert KI_THREE not in str(preview)
    assert "PyHSS has no APN 7" in preview.problems[0]


# ---- the same life on this server and on a real one ----


@pytest.fixture(params=["here", pytest.param("real", marks=pytest.mark.outside(REAL))])
async def somewhere(request, hss) -> dict[str, object]:
    """Options of a handler on this server, or on a real PyHSS."""
    if request.param == "here":
        return {"URL": hss.url, "ProvisioningKey": KEY, "DefaultAPN": 1}
    key = os.environ.get("PYHSS_KEY", "")
    apn = int(os.environ.get("PYHSS_APN", "1"))
    return {"URL": os.environ[REAL], "ProvisioningKey": key, "DefaultAPN": apn}


async def test_a_subscribers_life_is_followed(somewhere, rig):
    options = {f"PyHSS.{name}": value for name, value in somewhere.items()}
    settings = read_options(PyhssSettings, options, "PyHSS")
    client = PyhssClient(settings, HandlerContext("look", SystemClock()))

    async def has(imsi: str) -> tuple[Any, ...] | None:
        line = await client.find("subscriber", f"imsi/{imsi}")
        voice = await client.find("ims_subscriber", f"ims_subscriber_imsi/{imsi}")
        card = await client.find("auc", f"imsi/{imsi}")
        if line is None or voice is None or card is None:
            assert line is voice is card is None
            return None
        assert line["auc_id"] == card["auc_id"]
        return line["enabled"], line["msisdn"], voice["msisdn"]

    async with starting(rig, "PyHSS", somewhere | {"IMS": True}) as start:
        handler = start()

        async def follow(change: str, delivered: int = 1) -> None:
            rig.sql(f"UPDATE accounts SET {change} WHERE i_account = 3")
            outcomes = await deliver_captured(handler, rig)
            assert [type(one) for one in outcomes] == [Delivered] * delivered, outcomes

        try:
            assert isinstance(await deliver(handler), Delivered)
            assert await has(THREE) == (True, "300", "300")
            await follow("blocked = 'Y'")
            assert await has(THREE) == (False, "300", "300")
            await follow("blocked = 'N'")
            await follow("id = '301'")
            assert await has(THREE) == (True, "301", "301")
            rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")
            rig.events()
            await follow("i_sim_card = 1")
            assert (await has(ONE), await has(THREE)) == ((True, "301", "301"), None)
        finally:
            await follow("bill_status = 'C'", 2)
            assert (await has(ONE), await has(THREE)) == (None, None)
            await client.close()
