"""Handlers of the contract on a real registry: what becomes of events, whatever the system does."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from espf.clock import SystemClock
from espf.errors import HandlerError
from espf.events.model import Event
from espf.handlers.contract.failures import NotNow, Refused, Unclear
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.contract.step import Answer, Step
from espf.handlers.contract.types import HSS_TYPES
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
from espf.subscribers.engines import open_subscribers
from espf.subscribers.port import SubscriberSource
from espf.subscribers.secret import Secret
from registry_rig import Rig, registry
from subscriber_rig import KI, Entry, Hss, captured, decrypt, equip, event, started

ONE, TWO, THREE = "001010000000001", "001010000000002", "001010000000003"
BLOCKED = event("Account/Blocked", "account", 3)


def key(card: int) -> Secret:
    return Secret(f"{KI[:-1]}{card}")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        equip(made)
        yield made


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


@pytest.fixture
def hss() -> Hss:
    return Hss()


@pytest.fixture
def handler(hss: Hss, source: SubscriberSource) -> ContractHandler[Entry]:
    return started(hss, source)


async def deliver(
    handler: ContractHandler[Entry], of: Event = BLOCKED, number: int = 1
) -> Outcome | Skipped:
    return await handler.deliver(of, Attempt(number, Iteration(1)))


async def deliver_captured(handler: ContractHandler[Entry], rig: Rig) -> list[Outcome | Skipped]:
    return [await deliver(handler, one) for one in captured(rig) if handler.screen(one) is None]


# ---- state, not events ----


async def test_an_event_sends_all_that_is_missing_and_reads_it_back(handler, hss):
    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert hss.entries == {THREE: Entry(key(3), "300", active=True)}
    assert outcome.request.splitlines() == [
        f"create entry {THREE}: ki=…",
        f"set number {THREE}: msisdn=300",
        f"set service {THREE}: active=True",
    ]
    assert outcome.answer.endswith("read back: as it should be")


async def test_what_is_so_already_is_delivered_without_a_step(handler, hss):
    hss.entries[THREE] = Entry(key(3), "300", active=True)

    outcome = await deliver(handler)

    assert outcome == Delivered("", None, "already as it should be; read and compared")
    assert hss.steps == []


async def test_only_the_difference_is_sent(handler, hss, rig):
    hss.entries[THREE] = Entry(key(3), "300", active=True)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")

    await deliver(handler)

    assert hss.steps == [f"set service {THREE}: active=False"]


async def test_a_block_holds_while_any_reason_remains(handler, hss, rig):
    hss.entries[THREE] = Entry(key(3), "300", active=True)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 2")
    await deliver(handler)
    assert not hss.entries[THREE].active

    rig.sql("UPDATE accounts SET blocked = 'N' WHERE i_account = 3")
    await deliver(handler, event("Account/Unblocked", "account", 3))
    assert not hss.entries[THREE].active

    rig.sql("UPDATE customers SET blocked = 'N' WHERE i_customer = 2")
    await deliver(handler, event("Account/Unblocked", "account", 3))
    assert hss.entries[THREE].active


async def test_a_closed_account_is_removed(handler, hss, rig):
    hss.entries[THREE] = Entry(key(3), "300", active=True)
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 3")

    outcomes = await deliver_captured(handler, rig)

    assert hss.entries == {}
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)


async def test_a_deleted_account_is_found_by_what_its_events_name(handler, hss, rig):
    hss.entries[THREE] = Entry(key(3), "300", active=True)
    rig.sql("DELETE FROM accounts WHERE i_account = 3")

    await deliver_captured(handler, rig)

    assert hss.entries == {}


async def test_a_swap_makes_the_new_card_before_the_number_moves_and_takes_the_old_one_away(
    handler, hss, rig
):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")
    rig.events()
    hss.entries[THREE] = Entry(key(3), "300", active=True)
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3")

    await deliver_captured(handler, rig)

    assert hss.entries == {ONE: Entry(key(1), "300", active=True)}
    assert hss.steps == [
        f"create entry {ONE}: ki=…",
        f"remove entry {THREE}",
        f"set number {ONE}: msisdn=300",
        f"set service {ONE}: active=True",
    ]


async def test_cards_that_change_places_end_with_their_new_owners(handler, hss, rig):
    hss.entries[ONE] = Entry(key(1), "100", active=True)
    hss.entries[TWO] = Entry(key(2), "200", active=True)
    rig.script(
        "UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1;"
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 2;"
        "UPDATE accounts SET i_sim_card = 2 WHERE i_account = 1"
    )

    outcomes = await deliver_captured(handler, rig)

    assert hss.entries[ONE].msisdn == "200"
    assert hss.entries[TWO].msisdn == "100"
    assert all(isinstance(outcome, Delivered) for outcome in outcomes)


async def test_numbers_that_change_places_are_both_set_right_by_the_first_event(handler, hss, rig):
    hss.entries[ONE] = Entry(key(1), "100", active=True)
    hss.entries[TWO] = Entry(key(2), "200", active=True)
    rig.script(
        "UPDATE accounts SET id = 'x' WHERE i_account = 1;"
        "UPDATE accounts SET id = '100' WHERE i_account = 2;"
        "UPDATE accounts SET id = '200' WHERE i_account = 1"
    )

    outcome = await deliver(handler, captured(rig)[-1])

    assert isinstance(outcome, Delivered)
    assert (hss.entries[ONE].msisdn, hss.entries[TWO].msisdn) == ("200", "100")


async def test_a_stranger_that_holds_the_number_is_left_alone_and_told_of(handler, hss):
    hss.entries["999990000000001"] = stranger = Entry(key(9), "300", active=True)

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert "999990000000001 on the HSS holds what" in outcome.reason
    assert hss.entries == {"999990000000001": stranger}


async def test_a_card_of_the_inventory_that_holds_the_number_is_set_right(handler, hss, rig):
    rig.sql("INSERT INTO sim_cards (imsi) VALUES ('001010000000009')")
    hss.entries["001010000000009"] = Entry(key(9), "300", active=True)

    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert set(hss.entries) == {THREE}


# ---- what the registry has ----


async def test_an_account_without_a_card_ends_finished_without_a_call(handler, hss, rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 3")

    outcome = await deliver(handler)

    assert outcome == Skipped("account 3 has no SIM card that the HSS is concerned with", True)
    assert hss.calls == []


async def test_an_account_that_is_gone_ends_finished_without_a_call(handler, hss):
    outcome = await deliver(handler, event("Account/Blocked", "account", 77))

    assert isinstance(outcome, Skipped)
    assert outcome.finished
    assert hss.calls == []


async def test_a_type_that_changes_nothing_there_ends_finished_without_a_call(handler):
    skipped = handler.screen(event("Account/Password/Changed", "account", 3))

    assert skipped == Skipped("it changes nothing on the HSS", True)


async def test_a_card_without_ki_is_rejected_with_what_to_do(handler, hss, rig):
    rig.sql("UPDATE sim_cards SET ki = '' WHERE i_sim_card = 3")

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert outcome.reason == (
        f"SIM card {THREE} has no Ki; give it one "
        f"(`espf registry update sim_card imsi={THREE} ki=…`)."
    )
    assert hss.calls == []


async def test_the_old_card_goes_even_if_the_new_one_cannot_come(handler, hss, rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")
    rig.sql("UPDATE sim_cards SET ki = '' WHERE i_sim_card = 1")
    rig.events()
    hss.entries[THREE] = Entry(key(3), "300", active=True)
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3")

    (outcome,) = [one for one in await deliver_captured(handler, rig) if isinstance(one, Rejected)]

    assert "has no Ki" in outcome.reason
    assert hss.entries == {}


async def test_two_accounts_that_claim_one_imsi_are_both_rejected_until_one_gives_it_up(
    handler, hss, rig
):
    rig.script(
        "INSERT INTO environments (name) VALUES ('second');"
        "INSERT INTO customers (i_env, name) VALUES (2, 'Eve');"
        f"INSERT INTO sim_cards (i_env, imsi, ki) VALUES (2, '{THREE}', 'sealed:{KI}');"
        "INSERT INTO accounts (i_env, i_customer, id, i_sim_card) VALUES (2, 3, '300', 4)"
    )

    for account in (3, 4):
        outcome = await deliver(handler, event("Account/Blocked", "account", account))
        assert isinstance(outcome, Rejected)
        assert outcome.reason.startswith(
            f"{THREE} is claimed by the accounts 3 (environment 1) and 4 (environment 2)"
        )
    assert hss.calls == []

    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = 4")
    assert isinstance(await deliver(handler), Delivered)
    assert hss.entries[THREE].ki == key(3)


async def test_a_secret_of_another_key_is_tried_again_later(handler, hss, rig):
    rig.sql("UPDATE sim_cards SET ki = 'of another key' WHERE i_sim_card = 3")

    outcome = await deliver(handler)

    assert isinstance(outcome, RetryLater)
    assert "cannot be decrypted with the present key" in outcome.reason
    assert hss.calls == []


async def test_without_a_registry_there_is_no_handler(hss):
    with pytest.raises(HandlerError, match="needs the registry"):
        ContractHandler(hss, HSS_TYPES, HandlerContext("hss", SystemClock()))


# ---- what the system does ----


async def test_a_system_that_is_busy_is_tried_again_and_begins_with_what_is_missing(handler, hss):
    hss.on_apply = [None, NotNow("busy", code=7, retry_after_s=3)]

    outcome = await deliver(handler)

    assert isinstance(outcome, RetryLater)
    assert (outcome.reason, outcome.code, outcome.retry_after_s) == ("busy", 7, 3)
    hss.calls.clear()
    assert isinstance(await deliver(handler), Delivered)
    assert hss.steps == [f"set number {THREE}: msisdn=300", f"set service {THREE}: active=True"]


async def test_a_step_without_an_answer_is_read_back_before_anything_is_repeated(handler, hss):
    hss.on_apply = [None, "late"]

    outcome = await deliver(handler)

    assert isinstance(outcome, Delivered)
    assert hss.steps.count(f"set number {THREE}: msisdn=300") == 1
    assert hss.entries[THREE] == Entry(key(3), "300", active=True)


async def test_a_step_without_an_answer_that_did_nothing_is_unknown_and_not_repeated_at_once(
    handler, hss
):
    hss.on_apply = [None, "hang"]

    outcome = await deliver(handler)

    assert outcome[1:3] == ("the HSS did not answer within 0.05 s; read back: not done", 0)
    assert isinstance(outcome, Unknown)
    assert hss.steps.count(f"set number {THREE}: msisdn=300") == 1


async def test_an_unclear_step_that_cannot_be_read_back_is_unknown(handler, hss):
    hss.on_apply = [Unclear("engine unreachable", code=200)]
    hss.on_read = [None, NotNow("down")]

    outcome = await deliver(handler)

    assert isinstance(outcome, Unknown)
    assert outcome.reason == "engine unreachable; reading back failed as well: down"


@pytest.mark.parametrize("failure", ["hang", NotNow("no connection", refused=True), Unclear("?")])
async def test_a_read_that_fails_has_no_effect_and_is_tried_again(handler, hss, failure):
    hss.on_read = [failure]

    outcome = await deliver(handler)

    assert isinstance(outcome, RetryLater)
    assert outcome.refused == (getattr(failure, "refused", False))
    assert hss.steps == []


async def test_what_is_refused_is_rejected_with_the_systems_words(handler, hss):
    hss.on_apply = [Refused("no such profile", code=402, answer="missing profile")]

    outcome = await deliver(handler)

    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.code, outcome.answer) == (
        "no such profile",
        402,
        "missing profile",
    )


async def test_a_system_that_says_yes_and_does_nothing_is_tried_again_then_rejected(handler, hss):
    hss.deaf = True

    first, second, third = [await deliver(handler, number=number) for number in (1, 2, 3)]

    assert isinstance(first, RetryLater)
    assert isinstance(second, RetryLater)
    assert isinstance(third, Rejected)
    assert third.reason.startswith(
        f"the HSS accepted “create entry {THREE}: ki=…” 2 times and does not have it"
    )
    assert "espf handlers resync" in third.reason


async def test_a_step_lost_once_is_taken_once_more(handler, hss):
    hss.on_apply = [None, "deaf"]

    assert isinstance(await deliver(handler), Delivered)
    assert hss.entries[THREE] == Entry(key(3), "300", active=True)


async def test_no_step_leaves_when_the_lease_has_ended(hss, source):
    context = HandlerContext("hss", SystemClock(), may_send=lambda: False, subscribers=source)
    handler = ContractHandler(hss, HSS_TYPES, context)

    outcome = await deliver(handler)

    assert isinstance(outcome, RetryLater)
    assert hss.steps == []


async def test_data_that_change_under_way_are_what_counts(handler, hss, rig):
    async def close_meanwhile(step: Step, _apply=hss.apply) -> Answer | None:
        rig.sql("UPDATE accounts SET bill_status = 'C'")
        return await _apply(step)

    hss.apply = close_meanwhile

    assert isinstance(await deliver(handler), Delivered)
    assert hss.entries == {}


# ---- one subscriber at a time ----


async def test_events_of_account_and_card_never_work_on_one_subscriber_at_once(handler, hss, rig):
    of_card = event("SIM/Changed", "sim", 3, f'{{"i_sim_card":3,"imsi":"{THREE}","i_account":3}}')

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(deliver(handler, one)) for one in [BLOCKED, of_card] * 10]

    assert all(isinstance(task.result(), Delivered) for task in tasks)
    assert len(hss.steps) == 3


async def test_different_subscribers_are_worked_on_side_by_side(handler, hss, rig):
    under_way = 0
    most = 0

    async def slow(identity: str, _read=hss.read) -> Entry | None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await _read(identity)

    hss.read = slow
    async with asyncio.TaskGroup() as group:
        for account in (1, 2, 3):
            group.create_task(deliver(handler, event("Account/Blocked", "account", account)))

    assert most == 3


async def test_an_attempt_that_is_cancelled_frees_its_subscriber(handler, hss):
    hss.on_apply = ["hang"]
    task = asyncio.ensure_future(deliver(handler))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert isinstance(await deliver(handler), Delivered)


# ---- no secret anywhere ----


async def test_secrets_that_a_system_echoes_are_stored_nowhere(handler, hss, rig, capfd):
    rig.sql("UPDATE sim_cards SET pin = 'sealed:1234', puk1 = 'sealed:87654321'")
    ki = key(3).reveal()
    echo = f"bad key {ki.upper()} (pin 1234, puk 87654321) for {ki}, imsi {THREE}"
    for failure in (Refused, NotNow, Unclear):
        hss.on_apply = [failure(echo, answer=echo)]
        outcome = await deliver(handler)
        for text in (str(outcome), repr(outcome)):
            assert ki not in text.lower()
            assert "1234 " not in text.replace(THREE, "")
            assert "87654321" not in text
    assert THREE in str(outcome)


async def test_a_bug_of_the_handler_ends_the_attempt_and_shows_no_value(handler, hss, capfd):
    ki = key(3).reveal()
    for place in ("on_read", "on_apply"):
        setattr(hss, place, [ValueError(f"cannot convert {ki}")])
        outcome = await deliver(handler)
        kind = RetryLater if place == "on_read" else Unknown
        assert isinstance(outcome, kind)
        assert outcome.reason.startswith("the handler of the HSS failed with ValueError at ")
        assert ki not in str(outcome)
    logged = capfd.readouterr()
    assert "handler.broken" in logged.out + logged.err
    assert ki not in logged.out + logged.err


async def test_variables_that_are_no_json_are_rejected(handler):
    outcome = await deliver(handler, event("SIM/Changed", "sim", 3, "no json"))

    assert isinstance(outcome, Rejected)
    assert "not a JSON object" in outcome.reason
