"""What dispatchers derive, on both engines, from changes of a real registry."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import registry_rig
from dispatch_rig import Dispatchers, dispatchers_on, fanouts_on
from espf.dispatch import portions, statements
from espf.dispatch.derivation import derivation
from espf.dispatch.portions import Overtaken, advance
from espf.eventlog.engines import open_session
from espf.events.catalogue import Catalogue
from espf.handlers.port import Delivered, Rejected, RetryLater
from registry_rig import Rig


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with registry_rig.registry(tmp_path, request.param) as made:
        registry_rig.populate(made)
        made.subscribe(*Catalogue.load().types)
        yield made


@pytest.fixture
async def dispatchers(rig: Rig) -> AsyncIterator[Dispatchers]:
    async with dispatchers_on(rig) as made:
        yield made


def accounts(rig: Rig, number: int, *, i_customer: int = 1, i_product: int = 1) -> list[int]:
    """More accounts of a customer; their keys."""
    last = rig.sql("SELECT max(i_account) FROM accounts")[0][0]
    rows = ", ".join(f"({i_customer}, 'm{last + n}', {i_product})" for n in range(number))
    rig.sql(f"INSERT INTO accounts (i_customer, id, i_product) VALUES {rows}")
    return [key for (key,) in rig.sql("SELECT i_account FROM accounts WHERE i_account > ?", last)]


async def told(dispatchers: Dispatchers) -> dict[str, list[int]]:
    """Who got what, since the last time."""
    found: dict[str, list[int]] = {}
    for one in await dispatchers.settle():
        found.setdefault(one.event_type, []).append(one.entity_id)
    return found


async def test_who_pays_from_the_customers_funds_loses_and_gets_them_with_it(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    """Account 1 is subordinate, 2 is debit; 3 is another customer's."""
    closed, own = accounts(rig, 2)
    rig.sql("UPDATE accounts SET bill_status = 'C' WHERE i_account = ?", closed)
    rig.sql(
        "UPDATE accounts SET balance_control = 'individual', credit_limit = 5 WHERE i_account = ?",
        own,
    )
    await dispatchers.settle()
    rig.sql("UPDATE customers SET balance = 100 WHERE i_customer = 1")

    (one,) = await dispatchers.settle()

    assert (one.event_type, one.entity_id) == ("Account/ZeroAvailableFunds", 1)
    assert one.variables == {
        "i_account": 1,
        "i_customer": 1,
        "prev_available_funds": 100,
        "curr_available_funds": 0,
    }
    cause = rig.sql("SELECT event_type FROM event WHERE i_event = ?", one.caused_by)
    assert (cause, one.bulk, one.depth) == ([("Customer/ZeroAvailableFunds",)], 0, 1)
    rig.sql("UPDATE customers SET balance = 110 WHERE i_customer = 1")
    assert await told(dispatchers) == {}, "there was nothing left to lose"
    rig.sql("UPDATE customers SET balance = 50 WHERE i_customer = 1")
    assert await told(dispatchers) == {"Account/AvailableFundsAppear": [1]}


async def test_a_derived_event_is_sent_like_one_that_capture_wrote(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    rig.sql("UPDATE accounts SET id = ? WHERE i_account = 3", 'a"b\\ü c')
    await dispatchers.settle()
    rig.sql("UPDATE customers SET bill_status = 'C' WHERE i_customer = 2")
    await dispatchers.settle()

    ((variables, has_sim, lane, i_env),) = rig.sql(
        "SELECT variables, has_sim, lane, i_env FROM event"
        " WHERE event_type = 'Account/Status/Closed' AND caused_by IS NOT NULL"
    )
    assert variables == (
        '{"i_account":3,"i_customer":2,"id":"a\\"b\\\\ü c","prev_bill_status":"O",'
        '"curr_bill_status":"C"}'
    )
    assert (has_sim, lane, i_env) == (1, 3, 1)


@pytest.mark.parametrize(
    ("change", "types"),
    [
        ("blocked = 'Y'", ["Account/Blocked"]),
        ("bill_status = 'S'", ["Account/Status/Suspended", "Account/Status/Changed"]),
        ("bill_status = 'C'", ["Account/Status/Closed", "Account/Status/Changed"]),
        (
            "service_flags = 'Y'",
            ["Account/ServiceFlags/Changed", "Account/ServiceAttribute/Changed"],
        ),
    ],
)
async def test_what_happens_to_a_customer_happens_to_its_accounts(
    rig: Rig, dispatchers: Dispatchers, change: str, types: list[str]
) -> None:
    await dispatchers.settle()
    rig.sql(f"UPDATE customers SET {change} WHERE i_customer = 1")

    found = await told(dispatchers)

    of_accounts = {name: keys for name, keys in found.items() if name.startswith("Account/")}
    assert of_accounts == {name: [1, 2] for name in types}


async def test_a_limited_customer_has_two_events_and_its_accounts_hear_of_each(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    rig.sql("UPDATE customers SET limited = 'Y' WHERE i_customer = 1")

    derived = await dispatchers.settle()

    causes = [
        rig.sql("SELECT event_type FROM event WHERE i_event = ?", one.caused_by)[0][0]
        for one in derived
    ]
    assert [(one.event_type, one.entity_id) for one in derived] == [
        ("Account/Status/Changed", key) for key in (1, 2, 1, 2)
    ]
    assert causes == ["Customer/Status/Limited"] * 2 + ["Customer/Status/Changed"] * 2


async def test_an_account_that_is_so_by_itself_hears_nothing(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    blocked, suspended = accounts(rig, 2)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = ?", blocked)
    rig.sql("UPDATE accounts SET bill_status = 'S' WHERE i_account = ?", suspended)
    await dispatchers.settle()
    for value in ("Y", "N"):
        rig.sql("UPDATE customers SET blocked = ? WHERE i_customer = 1", value)
    for value in ("S", "O"):
        rig.sql("UPDATE customers SET bill_status = ? WHERE i_customer = 1", value)

    found = await told(dispatchers)

    assert found["Account/Blocked"] == found["Account/Unblocked"] == [1, 2, suspended]
    assert found["Account/Status/Suspended"] == [1, 2, blocked]
    assert found["Account/Status/SuspensionRemoved"] == [1, 2, blocked]


async def test_a_product_is_had_as_main_one_or_as_an_add_on_in_force(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    rig.sql("INSERT INTO access_policies (name) VALUES ('gold')")
    rig.sql("INSERT INTO products (name, addon_priority) VALUES ('More', 20)")
    main, addon, over, both, own = accounts(rig, 5, i_product=2)
    more = rig.sql("SELECT i_product FROM products WHERE name = 'More'")[0][0]
    given = "INSERT INTO account_addons (i_account, i_product, addon_effective_to) VALUES (?, ?, ?)"
    rig.sql(given, addon, more, None)
    rig.sql(given, both, more, "2999-01-01 00:00:00")
    rig.sql(given, over, more, "2020-01-01 00:00:00")
    rig.sql(given, own, more, None)
    rig.sql("UPDATE accounts SET i_access_policy = 1 WHERE i_account = ?", own)
    await dispatchers.settle()
    rig.sql("UPDATE products SET i_access_policy = 1 WHERE i_product = ?", more)
    assert await told(dispatchers) == {"Account/AccessPolicy/Changed": [addon, both]}
    rig.sql("UPDATE products SET i_access_policy = 1 WHERE i_product = 2")

    (first, *others) = await dispatchers.settle()

    assert [first.entity_id, *(one.entity_id for one in others)] == [main, addon, over, both]
    assert first.variables == {
        "i_account": main,
        "i_customer": 1,
        "prev_i_access_policy": None,
        "curr_i_access_policy": 1,
    }


async def test_an_attribute_goes_down_to_those_for_whom_nobody_nearer_has_set_it(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    rig.sql("INSERT INTO customer_sites (i_customer, name) VALUES (1, 'north')")
    feature = rig.sql("SELECT i_service_feature FROM service_features ORDER BY 1 LIMIT 1")[0][0]
    plain, with_own, of_site = accounts(rig, 3)
    rig.sql("UPDATE accounts SET i_customer_site = 1 WHERE i_account = ?", of_site)
    attribute = (
        "INSERT INTO service_attributes ({}, i_service_feature, name, value)"
        " VALUES (?, ?, 'speed', ?)"
    )
    rig.sql(attribute.format("i_account"), with_own, feature, "own")
    assert await told(dispatchers) == {"Account/ServiceAttribute/Changed": [with_own]}
    rig.sql(attribute.format("i_customer_site"), 1, feature, "site")
    assert await told(dispatchers) == {
        "CustomerSite/ServiceAttribute/Changed": [1],
        "Account/ServiceAttribute/Changed": [of_site],
    }
    rig.sql(attribute.format("i_customer"), 1, feature, "customer")
    assert await told(dispatchers) == {
        "Customer/ServiceAttribute/Changed": [1],
        "Account/ServiceAttribute/Changed": [1, 2, plain],
    }
    rig.sql(attribute.format("i_product"), 1, feature, "product")

    derived = await dispatchers.settle()

    assert [(one.event_type, one.entity_id, one.depth) for one in derived] == [
        ("Product/ServiceAttribute/Changed", 1, 1),
        ("Account/ServiceAttribute/Changed", 3, 2),
    ]
    assert derived[1].variables["attribute"] == "speed"


async def test_a_letter_of_ones_own_or_of_ones_site_comes_before_the_customers(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    rig.sql("INSERT INTO customer_sites (i_customer, name, service_flags) VALUES (1, 'n', '^N')")
    own, of_site, other = accounts(rig, 3)
    rig.sql("UPDATE accounts SET service_flags = '^Y' WHERE i_account = ?", own)
    rig.sql("UPDATE accounts SET service_flags = 'Y' WHERE i_account = ?", other)
    rig.sql("UPDATE accounts SET i_customer_site = 1 WHERE i_account = ?", of_site)
    await dispatchers.settle()
    rig.sql("UPDATE customers SET service_flags = '^Y' WHERE i_customer = 1")

    found = await told(dispatchers)

    assert found["Account/ServiceFlags/Changed"] == [1, 2, other]


async def test_what_nobody_wants_is_not_derived(rig: Rig, dispatchers: Dispatchers) -> None:
    rig.subscribe("Customer/Blocked")
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")

    assert await dispatchers.settle() == []
    (answer,) = dispatchers.answers
    assert isinstance(answer, Delivered)
    assert answer.answer == "0 derived; nobody is subscribed to Account/Blocked"


async def test_each_gets_one_however_often_it_is_asked_and_by_whom(
    rig: Rig, dispatchers: Dispatchers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Portions of five; two dispatchers at once, stopped and begun anew in between."""
    monkeypatch.setattr(portions, "PORTION", 5)
    monkeypatch.setattr(statements, "PORTION", 5)
    keys = [1, 2, *accounts(rig, 70)]
    await dispatchers.settle()
    last = dispatchers.since(0)[-1].i_event
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")
    (cause,) = dispatchers.since(last)
    first = derivation("CustomerToAccountsDispatcher", cause)
    assert first is not None
    assert (await dispatchers.fanouts.advance(first)).derived == 5
    others = [fanouts_on(rig), fanouts_on(rig)]

    async def go_on(fanouts: object) -> None:
        while not (await fanouts.advance(first)).done:  # type: ignore[attr-defined]
            pass

    await asyncio.gather(*(go_on(one) for one in others))
    for one in others:
        await one.close()
    again = await dispatchers.deliver("CustomerToAccountsDispatcher", cause)

    derived = dispatchers.derived(last)
    assert Counter(one.entity_id for one in derived) == dict.fromkeys(keys, 1)
    assert {one.caused_by for one in derived} == {cause.i_event}
    assert isinstance(again, Delivered)
    assert again.answer == "72 derived"


@pytest.mark.parametrize(("number", "bulk"), [(60, 0), (70, 1)])
async def test_many_are_bulk_and_a_few_are_not(
    rig: Rig, dispatchers: Dispatchers, number: int, bulk: int
) -> None:
    accounts(rig, number)
    await dispatchers.settle()
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")

    derived = await dispatchers.settle()

    assert {one.bulk for one in derived} == {bulk}
    assert len(derived) == number + 2


async def test_who_is_overtaken_has_derived_nothing(rig: Rig, dispatchers: Dispatchers) -> None:
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")
    cause = dispatchers.since(0)[-1]
    wanted = derivation("CustomerToAccountsDispatcher", cause)
    assert wanted is not None
    session = open_session(rig.url)
    rig.sql("INSERT INTO fanout VALUES (?, 'Account/Blocked', 1, 0, 1, 0)", cause.i_event)
    query = session.query

    def as_before(text: str, bound: dict[str, object]) -> object:
        if text == statements.STANDING:
            return query("SELECT 0, true, NULL, NULL, NULL, NULL", {})
        return query(text, bound)

    session.query = as_before  # type: ignore[assignment,method-assign]
    with pytest.raises(Overtaken):
        advance(session, wanted, 0)
    session.close()

    assert dispatchers.derived() == []


async def test_a_cycle_ends(rig: Rig, dispatchers: Dispatchers) -> None:
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")
    rig.sql("UPDATE event SET depth = 8 WHERE event_type = 'Customer/Blocked'")

    assert await dispatchers.settle() == []
    (answer,) = dispatchers.answers
    assert isinstance(answer, Rejected)
    assert "derived in 8 steps" in answer.reason


async def test_an_event_that_cannot_be_read_is_refused_with_its_number(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    feature = rig.sql("SELECT i_service_feature FROM service_features ORDER BY 1 LIMIT 1")[0][0]
    rig.sql(
        "INSERT INTO service_attributes (i_product, i_service_feature, name) VALUES (1, ?, 'x')",
        feature,
    )
    broken = dispatchers.since(0)[-1]._replace(variables='{"owner_type":"product","owner_id":"x"}')

    answer = await dispatchers.deliver("ServiceAttributeDispatcher", broken)

    assert isinstance(answer, Rejected)
    assert f"Event {broken.i_event}: owner_id is 'x'" in answer.reason


async def test_a_database_that_is_away_is_tried_again_from_where_it_stood(
    rig: Rig, dispatchers: Dispatchers
) -> None:
    rig.sql("UPDATE customers SET blocked = 'Y' WHERE i_customer = 1")
    cause = dispatchers.since(0)[-1]
    rig.sql("ALTER TABLE fanout RENAME TO elsewhere")
    first = await dispatchers.deliver("CustomerToAccountsDispatcher", cause)
    rig.sql("ALTER TABLE elsewhere RENAME TO fanout")
    second = await dispatchers.deliver("CustomerToAccountsDispatcher", cause)

    assert isinstance(first, RetryLater)
    assert isinstance(second, Delivered)
    assert [one.entity_id for one in dispatchers.derived()] == [1, 2]
