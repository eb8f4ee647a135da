"""Products, add-ons, attributes, sites, policies: which change raises what, and what is refused."""

import pytest

import registry_rig
from espf.events.catalogue import Catalogue
from service_cases import CASES, UNHEARD, populate_services

CATALOGUE = Catalogue.load()


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        populate_services(rig)
        yield rig


@pytest.mark.parametrize(("before", "change", "expected"), CASES, ids=lambda case: str(case)[:60])
def test_a_change_raises_its_events_in_order_with_their_variables(rig, before, change, expected):
    if before:
        rig.script(before)
        rig.events()
    rig.sql(change)
    found = rig.events()
    assert [(event.event_type, event.variables) for event in found] == expected
    for event in found:
        catalogued = CATALOGUE.require(event.event_type)
        assert event.entity == catalogued.entity
        order = catalogued.own_variables
        assert list(event.variables) == [name for name in order if name in event.variables]
        assert event.lane == event.entity_id % 64
        assert event.i_env == 1


@pytest.mark.parametrize("change", UNHEARD, ids=lambda change: change[:50])
def test_a_change_that_concerns_no_subscriber_raises_nothing(rig, change):
    rig.sql(change)
    assert rig.events() == []


TABLES = [
    "products",
    "customer_sites",
    "service_attributes",
    "account_addons",
    "access_policies",
    "policy_phases",
    "policy_attributes",
    "accessibility",
]


@pytest.mark.parametrize("table", TABLES)
def test_writing_the_same_values_again_raises_nothing(rig, table):
    same = ", ".join(f"{name} = {name}" for name in rig.columns(table))
    rig.sql(f"UPDATE {table} SET {same}")
    assert rig.events() == []


def test_the_events_of_an_addon_are_its_accounts_and_know_of_its_card(rig):
    rig.sql("DELETE FROM account_addons")
    rig.sql("INSERT INTO account_addons (i_account, i_product) VALUES (1, 3)")
    found = [(event.entity, event.entity_id, event.has_sim) for event in rig.events()]
    assert found == [("account", 3, 1), ("account", 1, 0)]


def test_no_value_of_an_attribute_is_part_of_an_event(rig):
    rig.sql("UPDATE service_attributes SET value = 'top-secret'")
    found = rig.events()
    assert len(found) == 2
    assert "top-secret" not in str(found)


def test_the_bare_shell_is_captured_too(rig):
    assert rig.shell("UPDATE service_attributes SET value = 'x' WHERE i_account = 3;") == ""
    [event] = rig.events()
    assert (event.event_type, event.entity_id) == ("ServiceAttribute/Changed", 3)


def test_an_environment_of_its_own_is_told_with_the_events(rig):
    rig.script(
        "INSERT INTO environments (name) VALUES ('second');"
        "INSERT INTO customers (i_env, name) VALUES (2, 'Eve');"
        "INSERT INTO products (i_env, name, addon_priority) VALUES (2, 'Extra', 10);"
        "INSERT INTO accounts (i_env, i_customer, id) VALUES (2, 3, '900');"
        "INSERT INTO account_addons (i_account, i_product) VALUES (4, 5);"
        "INSERT INTO service_attributes (i_env, i_account, i_service_feature, name)"
        " VALUES (2, 4, 1, 'a')"
    )
    ours = [
        event for event in rig.events() if event.event_type not in {"Customer/New", "Account/New"}
    ]
    assert [event.i_env for event in ours] == [2, 2]


REFUSED = [
    ("INSERT INTO account_addons (i_account, i_product) VALUES (1, 1)", "no such add-on product"),
    ("INSERT INTO account_addons (i_account, i_product) VALUES (9, 3)", "no such"),
    (("INSERT INTO account_addons (i_account, i_product, addon_effective_from, addon_effective_to)"
     " VALUES (1, 3, '2026-01-02 00:00:00', '2026-01-01 00:00:00')"), "check"),
    (("INSERT INTO account_addons (i_account, i_product, addon_effective_from)"
     " VALUES (1, 3, 'soon')"), "check"),
    ("UPDATE account_addons SET i_account = 1", "never change"),
    ("UPDATE accounts SET i_product = 3 WHERE i_account = 1", "or it is an add-on"),
    ("INSERT INTO accounts (i_customer, id, i_product) VALUES (1, 'x', 3)", "or it is an add-on"),
    ("UPDATE products SET addon_priority = 10 WHERE i_product = 1", "as their main product"),
    ("UPDATE products SET addon_priority = 0 WHERE i_product = 3", "as an add-on"),
    ("UPDATE products SET addon_priority = 7 WHERE i_product = 3", "check"),
    ("DELETE FROM products WHERE i_product = 3", "add-on of accounts"),
    ("UPDATE accounts SET i_customer_site = 3 WHERE i_account = 1", "has no such site"),
    ("INSERT INTO accounts (i_customer, id, i_customer_site) VALUES (2, 'x', 1)", "no such site"),
    ("DELETE FROM customers WHERE i_customer = 1", "still has"),
    ("UPDATE accounts SET i_vd_plan = 9 WHERE i_account = 1", "no such discount plan"),
    ("UPDATE products SET i_access_policy = 9", "no such access policy"),
    ("UPDATE accounts SET service_flags = 'yes'", "check"),
    ("UPDATE accounts SET service_flags = 'Y^'", "check"),
    ("INSERT INTO service_attributes (i_service_feature, name) VALUES (1, 'a')", "check"),
    (("INSERT INTO service_attributes (i_account, i_customer, i_service_feature, name)"
     " VALUES (1, 1, 1, 'a')"), "check"),
    ("INSERT INTO service_attributes (i_account, i_service_feature, name) VALUES (9, 1, 'a')",
     "no such account"),
    ("INSERT INTO service_attributes (i_account, i_service_feature, name) VALUES (1, 9, 'a')",
     "no such service feature"),
    ("UPDATE service_attributes SET name = 'other'", "never change"),
    ("DELETE FROM service_features WHERE i_service_feature = 1", "remove them first"),
    ("UPDATE service_features SET name = 'other'", "never change"),
    (("INSERT INTO policy_attributes (i_access_policy, i_access_policy_phase, group_name, name)"
     " VALUES (2, 1, 'a', 'b')"), "no such phase"),
    ("DELETE FROM services WHERE i_service = 1", "have access"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "why"), REFUSED)
def test_the_shell_is_refused_and_nothing_changes(rig, change, why):
    assert why.lower() in rig.shell(f"{change};").lower()
    assert rig.events() == []


def test_what_is_in_use_cannot_be_removed(rig):
    rig.sql("UPDATE accounts SET i_vd_plan = 1, i_access_policy = 1, i_customer_site = 1"
            " WHERE i_account = 1")  # fmt: skip
    rig.sql("UPDATE products SET i_vd_plan = 2, i_access_policy = 2")
    rig.events()
    for table, key, number in [
        ("vd_plans", "i_vd_plan", 1),
        ("vd_plans", "i_vd_plan", 2),
        ("access_policies", "i_access_policy", 1),
        ("access_policies", "i_access_policy", 2),
        ("customer_sites", "i_customer_site", 1),
    ]:
        assert "first" in rig.shell(f"DELETE FROM {table} WHERE {key} = {number};")
    assert rig.events() == []


def test_what_belongs_to_a_removed_record_goes_with_it(rig):
    rig.sql("DELETE FROM access_policies WHERE i_access_policy = 1")
    rig.sql("DELETE FROM accounts WHERE i_account = 3")
    rig.sql("DELETE FROM customer_sites WHERE i_customer_site = 1")
    for table in ("policy_phases", "policy_attributes", "service_attributes", "account_addons"):
        assert rig.sql(f"SELECT count(*) FROM {table}") == [(0,)]


MANY = 40
BULK = {
    "accounts": [
        (
            "UPDATE accounts SET i_product = 2, i_vd_plan = i_account % 3, service_flags = '^Y',"
            " i_access_policy = CASE i_account % 2 WHEN 0 THEN 1 END WHERE i_account > 3"
        ),
        (
            "UPDATE accounts SET i_customer_site = CASE i_account % 3 WHEN 0 THEN 1"
            " WHEN 1 THEN 2 END WHERE i_account > 3"
        ),
        "UPDATE accounts SET i_customer = 2 WHERE i_account > 3",
    ],
    "account_addons": [
        (
            "INSERT INTO account_addons (i_account, i_product)"
            " SELECT i_account, 4 FROM accounts WHERE i_account > 3"
        ),
        "UPDATE account_addons SET addon_effective_to = '2030-01-01 00:00:00'",
        "DELETE FROM account_addons",
    ],
    "service_attributes": [
        (
            "INSERT INTO service_attributes (i_account, i_service_feature, name)"
            " SELECT i_account, 1 + i_account % 2, 'a' FROM accounts WHERE i_account > 3"
        ),
        "UPDATE service_attributes SET value = 'other'",
        "DELETE FROM service_attributes",
    ],
    "products": [
        "UPDATE products SET service_flags = 'N', i_vd_plan = 1, i_access_policy = 2",
    ],
    "policy_attributes": [
        "UPDATE policy_attributes SET value = 'other'",
        "DELETE FROM policy_attributes",
    ],
}
KEYS = {
    "accounts": "i_account",
    "account_addons": "i_account_addon",
    "service_attributes": "i_service_attribute",
    "products": "i_product",
    "policy_attributes": "i_access_policy_attribute",
}


@pytest.mark.parametrize(
    ("table", "change"),
    [(table, change) for table, changes in BULK.items() for change in changes],
    ids=lambda text: text[:50],
)
def test_a_statement_with_many_rows_raises_what_one_for_each_would(rig, table, change):
    """For each entity, in the same order."""
    rig.script(
        "INSERT INTO vd_plans (i_vd_plan, name) VALUES (0, 'none');"
        "INSERT INTO service_attributes (i_customer, i_service_feature, name) VALUES (2, 1, 'z');"
        + ";".join(
            "INSERT INTO accounts (i_account, i_customer, id, i_product)"
            f" VALUES ({n}, 1, 'n{n}', 1);"
            f"INSERT INTO products (name) VALUES ('p{n}');"
            f"INSERT INTO account_addons (i_account, i_product) VALUES ({n}, 3);"
            f"INSERT INTO service_attributes (i_account, i_service_feature, name)"
            f" VALUES ({n}, 2, 'b');"
            f"INSERT INTO policy_attributes (i_access_policy, group_name, name)"
            f" VALUES (2, 'g', 'n{n}')"
            for n in range(100, 100 + MANY)
        )
    )
    rig.events()
    source = "accounts" if change.startswith("INSERT") else table
    key, joined = KEYS[source], " AND" if " WHERE " in change else " WHERE"
    numbers = [number for (number,) in rig.sql(f"SELECT {key} FROM {source} ORDER BY {key}")]
    at_once = rig.tried([change])
    assert at_once == rig.tried([f"{change}{joined} {key} = {number}" for number in numbers])
    assert at_once
