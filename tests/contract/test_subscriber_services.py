"""What accounts are given in the end: the nearest owner wins, the same on both engines."""

import asyncio
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import registry_rig
from espf.clock import SystemClock
from espf.eventlog.statements import adapted
from espf.subscribers.asking import as_written
from espf.subscribers.engines import open_subscribers
from espf.subscribers.services import (
    AccessPolicy,
    Addon,
    Feature,
    PolicyAttribute,
    Services,
)
from registry_rig import SqliteRig
from service_cases import populate_services
from subscriber_rig import decrypt

PAST, FUTURE = "2001-01-01 00:00:00", "2999-01-01 00:00:00"


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        populate_services(rig)
        yield rig


def given_to(rig, *accounts):
    async def ask():
        source = open_subscribers(rig.url, SystemClock(), decrypt)
        try:
            return await source.services(accounts)
        finally:
            await source.close()

    return asyncio.run(ask())


def subscriber(rig, account):
    async def ask():
        source = open_subscribers(rig.url, SystemClock(), decrypt)
        try:
            return await source.of_account(account)
        finally:
            await source.close()

    return asyncio.run(ask())


def test_an_account_has_its_attributes_policy_plan_and_addons(rig):
    rig.sql("UPDATE accounts SET i_access_policy = 1, i_vd_plan = 2 WHERE i_account = 3")
    rig.sql("UPDATE products SET service_flags = 'NY' WHERE i_product = 1")
    expected = Services(
        {
            "netaccess_policy": Feature("netaccess_policy", False, {"access_policy": "7"}),
            "voicemail": Feature("voicemail", True, {}),
        },
        AccessPolicy(
            1,
            "Fast",
            (
                PolicyAttribute("lte.wtl", "cs_profile", "1"),
                PolicyAttribute("lte.wtl", "cs_profile", "2", "after the quota"),
            ),
        ),
        2,
        (Addon(3, "Music", 20),),
    )
    found = given_to(rig, 3)[3]
    assert found.features == expected.features
    assert found.access_policy.name == "Fast"
    assert set(found.access_policy.attributes) == set(expected.access_policy.attributes)
    assert (found.i_vd_plan, found.addons) == (2, expected.addons)
    assert subscriber(rig, 3).services == found


def test_a_phase_has_its_own_value_where_it_has_one(rig):
    rig.sql("UPDATE accounts SET i_access_policy = 1 WHERE i_account = 1")
    policy = given_to(rig, 1)[1].access_policy
    assert policy.value("lte.wtl", "cs_profile") == "1"
    assert policy.value("lte.wtl", "cs_profile", "after the quota") == "2"
    assert policy.value("lte.wtl", "cs_profile", "another phase") == "1"
    assert policy.value("lte.wtl", "eps_profile") is None


def test_an_account_that_is_given_nothing_has_nothing(rig):
    assert given_to(rig, 2, 99) == {}
    found = subscriber(rig, 2).services
    assert not found.on("voicemail")
    assert found.attribute("voicemail", "greeting") is None
    assert found.access_policy is None


def test_many_accounts_are_asked_for_at_once(rig):
    rig.sql("UPDATE customers SET service_flags = '^Y'")
    found = given_to(rig, 1, 2, 3)
    assert [found[account].on("voicemail") for account in (1, 2, 3)] == [True, True, True]
    assert found[3].attribute("netaccess_policy", "access_policy") == "7"


def test_an_addon_out_of_its_time_gives_nothing(rig):
    rig.sql("UPDATE products SET service_flags = '^Y', i_vd_plan = 1 WHERE i_product = 3")
    for begins, ends, there in [
        (None, None, True),
        (PAST, FUTURE, True),
        (FUTURE, None, False),
        (None, PAST, False),
    ]:
        rig.sql("UPDATE account_addons SET addon_effective_from = ?, addon_effective_to = ?",
                begins, ends)  # fmt: skip
        found = given_to(rig, 3)[3]
        assert (bool(found.addons), found.on("voicemail"), found.i_vd_plan == 1) == (there,) * 3


# ---- the rule, written a second time ----


@dataclass
class Owner:
    """What one owner has set."""

    flags: str = ""
    values: dict[tuple[int, str], str] = field(default_factory=dict)
    policy: int | None = None
    plan: int | None = None


FEATURES = {1: "netaccess_policy", 2: "voicemail"}
PRODUCTS = {1: 0, 3: 20, 4: 10, 5: 20}
"""Product 1 is the main one; 5 has the priority of 3."""
owners = st.builds(
    Owner,
    flags=st.sampled_from(["", "Y", "N", "^Y", "^N", "YN", "NY"]),
    values=st.dictionaries(
        st.tuples(st.sampled_from([1, 2]), st.sampled_from(["a", "b"])),
        st.sampled_from(["x", "y", ""]),
    ),
    policy=st.none() | st.sampled_from([1, 2]),
    plan=st.none() | st.sampled_from([1, 2]),
)
times = st.sampled_from([(None, None), (PAST, None), (FUTURE, None), (None, PAST), (PAST, FUTURE)])


def nearest(account, site, customer, products, addons):
    """Owners of account 1, the nearest first."""
    in_force = [key for key, (begins, ends) in addons.items() if begins != FUTURE and ends != PAST]
    ranked = sorted([*in_force, 1], key=lambda key: (-PRODUCTS[key], key))
    return [account, *([site] if site else []), customer, *(products[key] for key in ranked)]


def first(values):
    return next((value for value in values if value is not None), None)


def expected_of(chain):
    """By looking at one owner after the other."""
    letters = {
        number: first(
            owner.flags[number - 1]
            for owner in chain
            if owner.flags[number - 1 : number] in {"Y", "N"}
        )
        for number in FEATURES
    }
    names = {key for owner in chain for key in owner.values}
    values = {key: first(owner.values.get(key) for owner in chain) for key in names}
    features = {
        name: (
            letters[number] == "Y",
            {attribute: value for (of, attribute), value in values.items() if of == number},
        )
        for number, name in FEATURES.items()
        if letters[number] or any(of == number for of, _ in values)
    }
    products_and_account = [owner for owner in chain if owner.policy or owner.plan]
    return (
        features,
        first(owner.policy for owner in products_and_account),
        first(owner.plan for owner in products_and_account),
    )


def write(rig, account, site, customer, products, addons):
    def attributes(column, key, owner):
        return [
            f"INSERT INTO service_attributes ({column}, i_service_feature, name, value)"
            f" VALUES ({key}, {number}, '{name}', '{value}')"
            for (number, name), value in owner.values.items()
        ]

    def null(value):
        return "NULL" if value is None else f"'{value}'"

    lines = ["DELETE FROM service_attributes", "DELETE FROM account_addons"]
    lines += [
        (
            f"UPDATE accounts SET service_flags = '{account.flags}',"
            f" i_vd_plan = {null(account.plan)}, i_access_policy = {null(account.policy)},"
            f" i_customer_site = {1 if site else 'NULL'}"
            " WHERE i_account = 1"
        ),
        f"UPDATE customers SET service_flags = '{customer.flags}' WHERE i_customer = 1",
        *attributes("i_account", 1, account),
        *attributes("i_customer", 1, customer),
    ]
    if site:
        lines += [
            f"UPDATE customer_sites SET service_flags = '{site.flags}' WHERE i_customer_site = 1",
            *attributes("i_customer_site", 1, site),
        ]
    for key, owner in products.items():
        lines += [
            (
                f"UPDATE products SET service_flags = '{owner.flags}',"
                f" i_vd_plan = {null(owner.plan)}, i_access_policy = {null(owner.policy)}"
                f" WHERE i_product = {key}"
            ),
            *attributes("i_product", key, owner),
        ]
    lines += [
        "INSERT INTO account_addons (i_account, i_product, addon_effective_from,"
        f" addon_effective_to) VALUES (1, {key}, {null(begins)}, {null(ends)})"
        for key, (begins, ends) in addons.items()
    ]
    rig.script(";".join(lines))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    account=owners,
    site=st.none() | owners,
    customer=owners,
    products=st.fixed_dictionaries(dict.fromkeys(PRODUCTS, owners)),
    addons=st.dictionaries(st.sampled_from([3, 4, 5]), times),
)
def test_the_nearest_owner_wins_whatever_is_set_where(
    rig, account, site, customer, products, addons
):
    if rig.sql("SELECT 1 FROM products WHERE i_product = 5") == []:
        rig.sql("INSERT INTO products (name, addon_priority) VALUES ('Films', 20)")
        rig.sql("DELETE FROM capture_gate")
    # Sites and customers have neither policy nor plan.
    for owner in filter(None, (site, customer)):
        owner.policy = owner.plan = None
    write(rig, account, site, customer, products, addons)

    found = given_to(rig, 1).get(1, Services())

    features, policy, plan = expected_of(nearest(account, site, customer, products, addons))
    assert {name: (of.on, dict(of.attributes)) for name, of in found.features.items()} == features
    assert (found.access_policy.i_access_policy if found.access_policy else None) == policy
    assert found.i_vd_plan == plan


def test_no_growing_table_is_read_whole(rig):
    growing = "accounts|account_addons|service_attributes|customer_sites|customers"
    if not isinstance(rig, SqliteRig):
        rig.script(
            "INSERT INTO accounts (i_customer, id)"
            " SELECT 1, 5000 + n FROM generate_series(1, 3000) n;"
            "INSERT INTO account_addons (i_account, i_product) SELECT i_account, 4 FROM accounts;"
            "INSERT INTO customers (name) SELECT 'c' || n FROM generate_series(1, 3000) n;"
            "INSERT INTO service_attributes (i_customer, i_service_feature, name)"
            " SELECT i_customer, 1, 'z' FROM customers;"
            "ANALYZE accounts; ANALYZE account_addons; ANALYZE service_attributes;"
            "ANALYZE customers"
        )
    text = adapted(as_written()["services"], rig.engine)
    connection = rig.connect()
    if isinstance(rig, SqliteRig):
        bound = {"keys": "[1]", "now": PAST}
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", bound)]
        wrong = re.compile(rf"^SCAN ({growing}|x|v|s|c)\b(?! USING)")
    else:
        plan = [row[0] for row in connection.execute(f"EXPLAIN {text}", {"keys": [1], "now": PAST})]
        wrong = re.compile(rf"Seq Scan on ({growing.replace('|customer_sites', '')})\b")
    connection.close()
    assert plan
    assert [line for line in plan if wrong.search(line)] == []
