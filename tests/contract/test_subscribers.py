"""Subscribers by current data, and the steps that are kept: the same on both engines."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import registry_rig
from espf.clock import SystemClock
from espf.errors import StorageError
from espf.eventlog.statements import adapted
from espf.subscribers.asking import as_written
from espf.subscribers.engines import open_steps, open_subscribers
from espf.subscribers.model import Subscriber
from espf.subscribers.port import SubscriberSource
from espf.subscribers.steps import ResyncMark, StepMemory, StepStore
from registry_rig import Rig, SqliteRig
from subscriber_rig import KI, decrypt, equip

THREE = "001010000000003"
TODAY = datetime.now(UTC).date()
DAY = timedelta(days=1)


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with registry_rig.registry(tmp_path, request.param) as made:
        equip(made)
        yield made


@pytest.fixture
async def source(rig: Rig) -> AsyncIterator[SubscriberSource]:
    made = open_subscribers(rig.url, SystemClock(), decrypt)
    yield made
    await made.close()


async def third(source: SubscriberSource) -> Subscriber:
    found = await source.of_account(3)
    assert found is not None
    return found


# ---- one subscriber ----


async def test_a_subscriber_has_all_that_handlers_need(source, rig):
    rig.script(
        "UPDATE accounts SET id = '4912345@msisdn', role = 'mobile', h323_password = 'sealed:two',"
        " password = 'sealed:one', activation_date = '2026-01-02', expiration_date = '2100-01-01'"
        " WHERE i_account = 3;"
        f"UPDATE sim_cards SET opc = 'sealed:{KI}', iccid = '8999', amf = '9001', pin = 'sealed:1',"
        " puk1 = 'sealed:2', puk2 = 'sealed:3', activation_code = 'sealed:4' WHERE i_sim_card = 3"
    )

    found = await third(source)

    assert (found.i_env, found.i_account, found.i_customer, found.i_product) == (1, 3, 2, 1)
    assert (found.id, found.msisdn, found.role, found.product) == (
        "4912345@msisdn",
        "4912345",
        "mobile",
        "LTE",
    )
    assert (found.activation_date, found.expiration_date) == (date(2026, 1, 2), date(2100, 1, 1))
    assert [secret.reveal() for secret in found.secrets] == [
        "one",
        "two",
        f"{KI[:-1]}3",
        KI,
        "1",
        "2",
        "3",
        "4",
    ]
    assert found.sim is not None
    assert (found.sim.imsi, found.sim.iccid, found.sim.amf) == (THREE, "8999", "9001")


async def test_nothing_of_a_secret_shows_by_accident(source):
    found = await third(source)

    assert KI[:-1] not in f"{found} {found!r} {found.sim!r} {found.secrets!r}"


async def test_data_are_read_anew_at_each_call(source, rig):
    assert (await third(source)).barred == frozenset()

    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")

    assert (await third(source)).barred == {"blocked"}


async def test_there_is_none_for_an_account_that_is_gone(source, rig):
    rig.sql("DELETE FROM accounts WHERE i_account = 3")

    assert await source.of_account(3) is None
    assert await source.by_imsi(THREE) == []


@pytest.mark.parametrize(
    ("change", "barred"),
    [
        ("accounts SET blocked = 'Y'", {"blocked"}),
        ("accounts SET bill_status = 'S'", {"suspended"}),
        ("accounts SET bill_status = 'I'", {"inactive"}),
        (f"accounts SET activation_date = '{TODAY + DAY}'", {"not_yet_active"}),
        (f"accounts SET activation_date = '{TODAY - DAY}'", set()),
        (f"accounts SET expiration_date = '{TODAY - DAY}'", {"expired"}),
        ("accounts SET balance = 10", {"credit_exceeded"}),
        ("accounts SET balance = 9.99999", set()),
        ("customers SET blocked = 'Y'", {"customer_blocked"}),
        ("customers SET bill_status = 'S'", {"customer_suspended"}),
        ("customers SET limited = 'Y'", {"customer_limited"}),
        ("customers SET bill_status = 'D'", {"customer_provisionally_terminated"}),
        ("customers SET bill_status = 'E'", {"customer_exported"}),
        ("customers SET credit_limit = 0", set()),
    ],
)
async def test_every_reason_alone_bars_service(source, rig, change, barred):
    rig.sql(f"UPDATE {change}")

    assert (await third(source)).barred == barred
    assert not (await third(source)).closed


async def test_all_reasons_are_there_not_only_the_strongest(source, rig):
    rig.sql("UPDATE accounts SET blocked = 'Y', bill_status = 'S'")
    rig.sql("UPDATE customers SET blocked = 'Y', limited = 'Y'")

    assert (await third(source)).barred == {
        "blocked",
        "suspended",
        "customer_blocked",
        "customer_limited",
    }


@pytest.mark.parametrize(("account", "barred"), [(1, True), (2, False), (3, False)])
async def test_a_customer_without_funds_bars_subordinate_credit_accounts_only(
    source, rig, account, barred
):
    rig.sql("UPDATE customers SET credit_limit = 5, balance = 5")

    found = await source.of_account(account)

    assert ("customer_has_no_available_funds" in found.barred) == barred


@pytest.mark.parametrize("table", ["accounts", "customers"])
async def test_closed_is_what_it_or_its_customer_is(source, rig, table):
    rig.sql(f"UPDATE {table} SET bill_status = 'C'")

    found = await third(source)

    assert found.closed
    assert found.barred == {"closed"}


# ---- several ----


async def test_two_environments_may_claim_one_imsi_and_one_id(source, rig):
    rig.script(
        "INSERT INTO environments (name) VALUES ('second');"
        "INSERT INTO customers (i_env, name) VALUES (2, 'Eve');"
        f"INSERT INTO sim_cards (i_env, imsi) VALUES (2, '{THREE}');"
        "INSERT INTO accounts (i_env, i_customer, id, i_sim_card) VALUES (2, 3, '300', 4)"
    )

    assert [one.i_account for one in await source.by_imsi(THREE)] == [3, 4]
    assert [one.i_account for one in await source.by_id("300")] == [3, 4]


async def test_a_card_is_known_whether_it_is_in_use_or_not(source, rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 3")

    assert await source.has_card(THREE)
    assert not await source.has_card("999999999999999")
    assert await source.by_imsi(THREE) == []


async def test_pages_give_every_account_once_in_order(source, rig):
    found, after = [], 0
    while page := await source.pages(after, 2):
        found += [one.i_account for one in page]
        after = page[-1].i_account

    assert found == [1, 2, 3]
    assert await source.count() == 3


async def test_pages_of_a_product_are_of_that_product(source, rig):
    rig.sql("UPDATE accounts SET i_product = 2 WHERE i_account = 2")

    assert [one.i_account for one in await source.pages(0, 10, i_product=1)] == [1, 3]
    assert await source.count(i_product=2) == 1


# ---- what can be wrong ----


async def test_a_secret_of_another_key_is_told_of_when_it_is_used(source, rig):
    rig.sql("UPDATE sim_cards SET ki = 'of another key'")

    found = await third(source)

    assert found.sim.ki
    with pytest.raises(StorageError, match="cannot be decrypted"):
        found.sim.ki.reveal()


async def test_a_date_that_is_none_is_told_of_with_its_account(source, rig):
    if not isinstance(rig, SqliteRig):
        return  # PostgreSQL stores no such date
    rig.sql("UPDATE accounts SET expiration_date = 'soon' WHERE i_account = 3")

    with pytest.raises(StorageError, match="Account 3 has a date or an amount"):
        await source.of_account(3)


HOT = (
    "of_account", "of_imsi", "of_id", "of_page", "has_card", "details_of_accounts",
    "details_of_customers", "details_of_cards", "details_of_addons",
)  # fmt: skip
BOUND = {"i_account": 1, "imsi": THREE, "id": "300", "after": 1, "limit": 10, "now": "2026"}


@pytest.mark.parametrize("name", HOT)
def test_no_look_up_reads_a_table_whole(rig, name):
    if not isinstance(rig, SqliteRig):
        many(rig)
    text = as_written()[name]
    connection = rig.connect()
    if isinstance(rig, SqliteRig):
        bound: dict[str, object] = BOUND | {"keys": "[1]"}
        rows = connection.execute(f"EXPLAIN QUERY PLAN {adapted(text, 'sqlite')}", bound).fetchall()
        plan = [row[3] for row in rows]
    else:
        bound = BOUND | {"keys": [1]}
        plan = [row[0] for row in connection.execute(f"EXPLAIN {adapted(text, 'postgres')}", bound)]
    connection.close()

    assert plan
    growing = re.compile(
        r"^SCAN ([asxc]|customers)\b|Seq Scan on (accounts|sim_cards|customers|account_addons)"
    )
    assert not [line for line in plan if growing.search(line)]


def many(rig: Rig) -> None:
    """So many rows that reading them all is not the quickest."""
    rig.script(
        "INSERT INTO products (name, addon_priority) VALUES ('Music', 20);"
        "INSERT INTO sim_cards (imsi) SELECT 2000000000 + n FROM generate_series(1, 3000) n;"
        "INSERT INTO accounts (i_customer, id) SELECT 1, 5000 + n FROM generate_series(1, 3000) n;"
        "INSERT INTO customers (name) SELECT 'c' || n FROM generate_series(1, 3000) n;"
        "INSERT INTO account_addons (i_account, i_product) SELECT i_account, 3 FROM accounts;"
        "ANALYZE accounts; ANALYZE sim_cards; ANALYZE customers; ANALYZE account_addons"
    )


# ---- steps ----


@pytest.fixture
async def steps(rig: Rig) -> AsyncIterator[StepStore]:
    for name in ("one", "two"):
        rig.sql(
            "INSERT INTO handler (name, type, options, subscriptions, created_us, updated_us)"
            " VALUES (?, 'X', '{}', '[]', 0, 0)",
            name,
        )
    made = open_steps(rig.url)
    yield made
    await made.close()


async def test_parts_are_kept_for_each_handler_and_identity(steps, rig):
    await steps.note(1, THREE, {"card": "a", "flags": "b"})
    await steps.note(1, THREE, {"flags": "c"})
    await steps.note(2, THREE, {"card": "d"})

    assert await steps.parts(1, THREE) == {"card": "a", "flags": "c"}
    assert await steps.parts(2, THREE) == {"card": "d"}
    assert await steps.parts(1, "another") == {}

    await steps.forget(1, THREE)
    assert await steps.parts(1, THREE) == {}
    assert await steps.parts(2, THREE) == {"card": "d"}


async def test_parts_outlive_the_process(steps, rig):
    await steps.note(1, THREE, {"card": "a"})
    another = open_steps(rig.url)

    assert await another.parts(1, THREE) == {"card": "a"}
    await another.close()


async def test_a_resync_mark_is_kept_until_it_is_through(steps):
    assert await steps.mark(1, "all") is None

    await steps.set_mark(1, "all", ResyncMark(10, 10, 1, 7))
    await steps.set_mark(1, "all", ResyncMark(20, 19, 2, 7))
    assert await steps.mark(1, "all") == ResyncMark(20, 19, 2, 7)
    assert await steps.mark(1, "product 1") is None

    await steps.set_mark(1, "all", None)
    assert await steps.mark(1, "all") is None


def test_digests_are_keyed(steps):
    one, another = (StepMemory(steps, 1, lambda key=key: key) for key in (b"1", b"2"))

    assert one.digest("1234") == one.digest("1234") != another.digest("1234")
    assert "1234" not in one.digest("1234")
