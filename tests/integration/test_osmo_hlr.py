"""OsmoHLR against the real osmo-hlr: what becomes of it when the registry changes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from espf.clock import SystemClock
from espf.handlers.contract.failures import NotNow, Unclear
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.options import read_options
from espf.handlers.osmo_hlr.state import HlrEntry
from espf.handlers.osmo_hlr.steps import SetService
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
from espf.handlers.types import handler_type
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from osmo_hlr_rig import OsmoHlrServer, Row, osmo_hlr
from registry_rig import Rig, registry
from subscriber_rig import KI, SEALED, captured, decrypt, equip, event

ONE, TWO, THREE = "001010000000001", "001010000000002", "001010000000003"
OPC = "f0e0d0c0b0a090807060504030201000"
BLOCKED = event("Account/Blocked", "account", 3)
TIMEOUT_S = 10
HANGS_S = 1

Handler = ContractHandler[HlrEntry]


def ki(card: int) -> str:
    return f"{KI[:-1]}{card}"


def row(card: int, msisdn: str | None, *, on: int = 1) -> Row:
    return Row(msisdn, on, on, ki(card), ki(card), OPC)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        equip(made)
        made.sql("UPDATE sim_cards SET opc = ?", f"{SEALED}{OPC}")
        made.events()
        yield made


@pytest.fixture
def hlr(tmp_path: Path) -> Iterator[OsmoHlrServer]:
    with osmo_hlr(tmp_path) as server:
        yield server


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


def start(host: str, source: SubscriberSource, **options: object) -> Handler:
    kind = handler_type("OsmoHLR")
    given = {"Host": host, "RequestTimeout": TIMEOUT_S} | options
    raw = {f"OsmoHLR.{name}": value for name, value in given.items()}
    settings = read_options(kind.settings, raw, kind.name)
    context = HandlerContext("hlr", SystemClock(), subscribers=source)
    started = kind.start(settings, frozenset(), context)
    assert isinstance(started, ContractHandler)
    return started


@pytest.fixture
async def handler(hlr: OsmoHlrServer, source: SubscriberSource) -> AsyncIterator[Handler]:
    made = start(hlr.host, source)
    yield made
    await made.close()


@pytest.fixture
async def impatient(hlr: OsmoHlrServer, source: SubscriberSource) -> AsyncIterator[Handler]:
    """For a server that hangs."""
    made = start(hlr.host, source, RequestTimeout=HANGS_S)
    yield made
    await made.close()


async def deliver(handler: Handler, of: object = BLOCKED) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(1, Iteration(1)))  # type: ignore[arg-type]


async def changed(rig: Rig, handler: Handler, *statements: str) -> list[Outcome | Skipped]:
    """Change the registry and deliver the events that capture made of it."""
    rig.script(";".join(statements))
    return [await deliver(handler, one) for one in captured(rig) if handler.screen(one) is None]


def are_delivered(outcomes: list[Outcome | Skipped]) -> bool:
    return bool(outcomes) and all(isinstance(outcome, Delivered) for outcome in outcomes)


# ---- what an account goes through ----


async def test_an_account_with_a_card_is_created_with_number_services_and_keys(rig, hlr, handler):
    rig.sql("UPDATE accounts SET i_sim_card = NULL")
    outcomes = await changed(
        rig,
        handler,
        "INSERT INTO accounts (i_customer, id, i_sim_card) VALUES (1, '79123456789@msisdn', 1)",
    )

    assert are_delivered(outcomes[-1:])
    assert hlr.rows() == {ONE: row(1, "79123456789")}


async def test_an_account_goes_from_its_first_day_to_its_last(rig, hlr, handler):
    assert are_delivered([await deliver(handler)])
    assert hlr.rows() == {THREE: row(3, "300")}

    blocked = "UPDATE accounts SET blocked = '{}' WHERE i_account = 3"
    assert are_delivered(await changed(rig, handler, blocked.format("Y")))
    assert hlr.rows() == {THREE: row(3, "300", on=0)}

    assert are_delivered(await changed(rig, handler, blocked.format("N")))
    assert hlr.rows() == {THREE: row(3, "300")}

    assert are_delivered(
        await changed(rig, handler, "UPDATE accounts SET id = '301' WHERE i_account = 3")
    )
    assert hlr.rows() == {THREE: row(3, "301")}

    swap = "UPDATE accounts SET i_sim_card = {} WHERE i_account = {}"
    outcomes = await changed(rig, handler, swap.format("NULL", 1), swap.format(1, 3))
    assert are_delivered(outcomes)
    assert hlr.rows() == {ONE: row(1, "301")}

    assert are_delivered(
        await changed(rig, handler, "UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")
    )
    assert hlr.rows() == {}


async def test_what_the_handler_reads_is_what_the_database_has(hlr, handler):
    await deliver(handler)
    found = await handler.system.read(THREE)

    assert found is not None
    assert found.aud2g is not None
    assert found.aud3g is not None
    keys = (found.aud2g.ki.reveal(), found.aud3g.k.reveal(), found.aud3g.opc.reveal())
    assert Row(found.msisdn, found.cs, found.ps, *keys) == hlr.rows()[THREE]


async def test_a_new_account_that_is_barred_gets_its_keys_with_services_off(rig, hlr, handler):
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    outcome = await deliver(handler)

    assert hlr.rows() == {THREE: row(3, "300", on=0)}
    assert isinstance(outcome, Delivered)
    steps = [line.split()[1] for line in outcome.request.splitlines()]
    assert steps == ["subscriber", "service", "service", "aud2g", "aud3g", "number"]


async def test_what_is_so_already_costs_reading_only_and_the_sequence_number_stays(hlr, handler):
    await deliver(handler)
    hlr.sql("UPDATE auc_3g SET sqn = 4711")
    hlr.stop()
    hlr.start()
    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert outcome.request == ""
    connection = hlr._open()
    assert connection.execute("SELECT sqn FROM auc_3g").fetchall() == [(4711,)]
    connection.close()


async def test_changed_keys_are_set_anew(rig, hlr, handler):
    await deliver(handler)
    rig.sql("UPDATE sim_cards SET ki = ? WHERE i_sim_card = 3", f"{SEALED}{'A' * 32}")
    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert hlr.rows() == {THREE: Row("300", 1, 1, "a" * 32, "a" * 32, OPC)}


# ---- numbers are unique there ----


async def test_accounts_that_exchange_their_numbers_both_get_them(rig, hlr, handler):
    for i_account in (1, 2):
        await deliver(handler, event("Account/Unblocked", "account", i_account))
    outcomes = await changed(
        rig,
        handler,
        "UPDATE accounts SET id = 'x' WHERE i_account = 1",
        "UPDATE accounts SET id = '100' WHERE i_account = 2",
        "UPDATE accounts SET id = '200' WHERE i_account = 1",
    )

    assert are_delivered(outcomes)
    assert hlr.rows() == {ONE: row(1, "200"), TWO: row(2, "100")}


async def test_a_number_that_a_stranger_holds_is_rejected_and_told_of(hlr, handler):
    hlr.sql("INSERT INTO subscriber (imsi, msisdn) VALUES ('999990000000001', '300')")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "999990000000001 on osmo-hlr holds what" in outcome.reason
    assert hlr.rows() == {"999990000000001": Row("300", 1, 1, None, None, None)}


async def test_two_accounts_that_stand_for_one_number_are_tried_again_and_told_of(
    rig, hlr, handler
):
    await deliver(handler)
    (outcome,) = await changed(
        rig, handler, "UPDATE accounts SET id = '300@msisdn' WHERE i_account = 1"
    )

    assert isinstance(outcome, RetryLater)
    assert f"Update MSISDN failed; {THREE} has that number" in outcome.reason
    assert hlr.rows()[THREE] == row(3, "300")
    assert hlr.rows()[ONE].msisdn is None


# ---- what the registry has ----


@pytest.mark.parametrize("key", ["ki", "opc"])
async def test_a_card_without_a_key_is_rejected_before_anything_is_sent(rig, hlr, handler, key):
    rig.sql(f"UPDATE sim_cards SET {key} = '' WHERE i_sim_card = 3")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert (
        f"SIM card {THREE} has no {'Ki' if key == 'ki' else 'OPc'}; give it one" in outcome.reason
    )
    assert hlr.rows() == {}


async def test_an_account_without_a_card_is_finished_without_a_call(rig, hlr, handler):
    hlr.stop()
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 3")

    assert await deliver(handler) == Skipped(
        "account 3 has no SIM card that osmo-hlr is concerned with", True
    )


async def test_an_id_that_is_no_number_is_rejected(rig, hlr, handler):
    rig.sql("UPDATE accounts SET id = 'ann' WHERE i_account = 3")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "The id of account 3 is no number" in outcome.reason


async def test_two_accounts_that_claim_one_card_are_rejected_and_nothing_is_sent(rig, hlr, handler):
    rig.script(
        "INSERT INTO environments (i_env, name) VALUES (2, 'other');"
        "INSERT INTO customers (i_env, name) VALUES (2, 'Eve');"
        f"INSERT INTO sim_cards (i_env, imsi) VALUES (2, '{THREE}');"
        "INSERT INTO accounts (i_env, i_customer, id, i_sim_card) VALUES (2, 3, '400', 4)"
    )
    rig.sql("UPDATE sim_cards SET ki = ?, opc = ?", f"{SEALED}{KI}", f"{SEALED}{OPC}")
    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "is claimed by the accounts 3 (environment 1) and 4 (environment 2)" in outcome.reason
    assert hlr.rows() == {}


# ---- options ----


async def test_options_say_which_services_a_subscriber_has_and_which_a_block_takes(
    rig, hlr, source
):
    handler = start(hlr.host, source, BlockScope="ps", Aud3G="milenage-if-opc", Aud2G="comp128v1")
    rig.sql("UPDATE sim_cards SET opc = '' WHERE i_sim_card = 3")
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    assert are_delivered([await deliver(handler)])
    assert hlr.rows() == {THREE: Row("300", 1, 0, ki(3), None, None)}
    await handler.close()

    handler = start(hlr.host, source, Services="ps", Aud3G="none", Aud2G="none")
    rig.sql("UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    rig.sql("UPDATE sim_cards SET ki = '' WHERE i_sim_card = 3")
    assert are_delivered([await deliver(handler)])
    assert hlr.rows() == {THREE: Row("300", 0, 1, ki(3), None, None)}
    await handler.close()


async def test_cards_of_another_hlr_are_left_alone(hlr, source):
    handler = start(hlr.host, source, IMSIPattern="99970*, 00102*")
    outcome = await deliver(handler)
    await handler.close()

    assert isinstance(outcome, Skipped)
    assert hlr.rows() == {}


# ---- a server that stops, hangs, goes away ----


async def test_a_server_that_is_stopped_and_goes_on_ends_as_the_registry_has_it(
    rig, hlr, impatient
):
    """A block is sent into a server that hangs; the unblock after it must win all the same."""
    await deliver(impatient)
    assert (await impatient.system.read(THREE)) is not None
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    work = asyncio.ensure_future(deliver(impatient))
    while hlr.rows()[THREE].cs:  # noqa: ASYNC110 - the first of the two switches is thrown
        await asyncio.sleep(0)
    hlr.pause()
    outcome = await work
    assert isinstance(outcome, Delivered | RetryLater | Unknown)

    rig.sql("UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    assert isinstance(await deliver(impatient), RetryLater)
    hlr.resume()

    assert isinstance(await deliver(impatient), Delivered)
    assert hlr.rows() == {THREE: row(3, "300")}
    await asyncio.sleep(HANGS_S)
    assert hlr.rows() == {THREE: row(3, "300")}


async def test_a_step_sent_to_a_server_that_hangs_is_unclear_and_done_by_it_later(hlr, impatient):
    await deliver(impatient)
    hlr.pause()
    with pytest.raises(Unclear, match=r"did not answer SET .*ps-enabled within 1 s"):
        await impatient.system.apply(SetService(THREE, "ps", on=False))
    assert hlr.rows()[THREE].ps == 1
    with pytest.raises(NotNow, match=r"still owes answers .*cs-enabled was not sent"):
        await impatient.system.apply(SetService(THREE, "cs", on=False))
    hlr.resume()
    found = await impatient.system.read(THREE)

    assert found is not None
    assert (found.cs, found.ps) == (True, False)
    assert are_delivered([await deliver(impatient)])
    assert hlr.rows() == {THREE: row(3, "300")}


async def test_a_server_that_is_down_is_tried_again_and_found_when_it_is_back(hlr, handler):
    await deliver(handler)
    hlr.stop()
    outcome = await deliver(handler)
    assert isinstance(outcome, RetryLater)
    assert outcome.refused or "closed" in outcome.reason
    again = await deliver(handler)
    assert isinstance(again, RetryLater)
    assert again.refused
    assert f"no connection to osmo-hlr at {hlr.host}:4259" in again.reason

    hlr.start()
    assert isinstance(await deliver(handler), Delivered)


async def test_many_subscribers_share_one_connection(rig, hlr, handler):
    rig.script(
        ";".join(
            f"INSERT INTO sim_cards (imsi, ki, opc) VALUES ('00102{n:010}', '{SEALED}{KI}', "
            f"'{SEALED}{OPC}'); INSERT INTO accounts (i_customer, id, i_sim_card) "
            f"VALUES (2, '9{n}', {n + 4})"
            for n in range(50)
        )
    )
    outcomes = await asyncio.gather(
        *(deliver(handler, event("Account/New", "account", n + 4)) for n in range(50))
    )

    assert are_delivered(outcomes)
    assert len(hlr.rows()) == 50


# ---- secrets ----


async def test_no_key_is_in_any_outcome_or_log(rig, hlr, handler, capfd):
    outcomes = [await deliver(handler)]
    hlr.sql("UPDATE auc_3g SET k = 'ff'")
    outcomes.append(await deliver(handler))
    rig.sql("UPDATE sim_cards SET ki = ? WHERE i_sim_card = 3", f"{SEALED}zz")
    outcomes.append(await deliver(handler))

    shown = repr(outcomes) + "".join(capfd.readouterr())
    assert not [text for text in (ki(3), OPC, "zz", "'ff'") if text in shown.lower()]
