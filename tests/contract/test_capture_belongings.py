"""What accounts and customers have, on a real database: what is told of it, and what is refused."""

import pytest

import registry_rig
from belonging_cases import (
    ALIAS,
    BELONGINGS,
    DEVICES,
    DID_1,
    FIELDS,
    FOLLOW_ME,
    INVOICE,
    NO_CHANGE,
    VALUE_3,
)
from espf.cli.emit import entity_id
from espf.events.catalogue import Catalogue

CATALOGUE = Catalogue.load()


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        registry_rig.populate(rig)
        yield rig


def prepare(rig, before):
    if before:
        rig.script(before)
        rig.events()


@pytest.mark.parametrize(("before", "change", "expected"), BELONGINGS, ids=lambda c: str(c)[:60])
def test_a_change_raises_its_events_in_order_with_their_variables(rig, before, change, expected):
    prepare(rig, before)
    assert rig.shell(f"{change};") == ""
    found = rig.events()
    assert [(event.event_type, event.variables) for event in found] == expected
    for event in found:
        of = CATALOGUE.require(event.event_type)
        assert event.entity == of.entity
        assert event.entity_id == entity_id(of, event.variables)  # what emit would write
        assert event.lane == event.entity_id % 64
        assert list(event.variables) == [n for n in of.own_variables if n in event.variables]


def test_without_a_subscription_there_is_no_row(rig):
    rig.sql("DELETE FROM capture_gate")
    for before, change, _ in BELONGINGS:
        assert rig.tried([*filter(None, before.split(";")), change]) == {}, change


def test_what_is_no_change_raises_nothing(rig):
    for before, change in NO_CHANGE:
        prepared = list(filter(None, before.split(";")))
        assert rig.tried([*prepared, change]) == rig.tried(prepared), change


def test_events_go_by_the_key_of_whom_they_are_about(rig):
    rig.script(f"{FIELDS};{VALUE_3};{FOLLOW_ME};{DID_1};{INVOICE}")
    rig.sql("UPDATE customers SET firstname = 'x' WHERE i_customer = 2")
    found = {(event.event_type, event.entity, event.entity_id) for event in rig.events()}
    assert found == {
        ("Account/CustomField/Changed", "account", 3),
        ("CustomField/Changed", "custom_field", 1),
        ("Account/FollowMe/Changed", "account", 3),
        ("DID/New", "did", 12065550100),
        ("DID/Status/Assigned", "did", 12065550100),
        ("Invoice/New", "invoice", 1),
        ("Subscriber/Name/Changed", "subscriber", 5),
    }


def test_an_account_with_a_card_has_one_for_what_it_has_too(rig):
    rig.script(f"{FIELDS};{VALUE_3}")
    rig.sql("INSERT INTO custom_field_values (i_custom_field, i_account, value) VALUES (1, 1, 'x')")
    found = [(e.entity_id, e.has_sim) for e in rig.events() if e.entity == "account"]
    assert found == [(3, 1), (1, 0)]


def test_events_belong_to_the_environment_of_their_account(rig):
    rig.script(
        "INSERT INTO environments (name) VALUES ('two');"
        "INSERT INTO customers (i_env, name) VALUES (2, 'Cid');"
        "INSERT INTO accounts (i_env, i_customer, id) VALUES (2, 3, 'c');"
        "INSERT INTO custom_fields (i_env, object, name) VALUES (2, 'account', 'tax')"
    )
    rig.events()
    rig.script(
        "INSERT INTO custom_field_values (i_custom_field, i_account, value) VALUES (1, 4, 'x');"
        "INSERT INTO follow_me_numbers (i_account, redirect_number) VALUES (4, '5551')"
    )
    assert {event.i_env for event in rig.events()} == {2}


def test_a_custom_fields_value_is_in_no_event(rig):
    rig.script(f"{FIELDS};{VALUE_3};UPDATE custom_field_values SET value = 'unheard of'")
    assert not any("unheard" in str(event) for event in rig.events())


BULK = [
    "UPDATE dids SET i_customer = NULL, i_account = NULL, status = 'frozen'",
    "UPDATE dids SET i_customer = 2, i_account = CASE WHEN i_did % 2 = 0 THEN 3 END",
    "DELETE FROM dids",
    "UPDATE invoices SET amount_paid = i_invoice, adjustments = 1, status = 'paid'",
    "UPDATE custom_field_values SET value = 'y'",
    "DELETE FROM custom_field_values",
    "UPDATE follow_me_numbers SET redirect_number = '1'",
    "DELETE FROM follow_me_numbers",
    "UPDATE accounts SET firstname = 'x', city = 'y', email = 'z', i_ip_device = 1, blocked = 'Y'",
    "UPDATE customers SET firstname = 'x', city = 'y', email = 'z', blocked = 'Y'",
]


@pytest.mark.parametrize("change", BULK, ids=lambda change: change[:50])
def test_a_statement_with_many_rows_raises_what_one_for_each_would(rig, change):
    marks = range(100, 140)
    rows = [
        f"INSERT INTO customers (name) VALUES ('{n}');"
        f"INSERT INTO accounts (i_customer, id) VALUES (1, 'n{n}');"
        "INSERT INTO dids (number, i_customer, i_account, status)"
        f" VALUES ('{n}', 1, {1 + n % 2}, 'in_use');"
        f"INSERT INTO invoices (i_customer, invoice_number) VALUES (1, '{n}');"
        f"INSERT INTO custom_fields (object, name) VALUES ('account', '{n}');"
        "INSERT INTO custom_field_values (i_custom_field, i_account, value)"
        f" VALUES ({n - 99}, 3, 'x');"
        f"INSERT INTO follow_me_numbers (i_account, redirect_number) VALUES (3, '{n}')"
        for n in marks
    ]
    rig.script(f"{';'.join(rows)};{DEVICES}")
    rig.events()
    table, key = next(
        (table, key)
        for table, key in {
            "dids": "i_did",
            "invoices": "i_invoice",
            "custom_field_values": "i_custom_field_value",
            "follow_me_numbers": "i_follow_me_number",
            "accounts": "i_account",
            "customers": "i_customer",
        }.items()
        if f" {table}" in change
    )
    keys = [key for (key,) in rig.sql(f"SELECT {key} FROM {table} ORDER BY {key}")]
    assert len(keys) >= 40
    at_once = rig.tried([change])
    assert at_once
    assert at_once == rig.tried([f"{change} WHERE {key} = {number}" for number in keys])


REFUSED = [
    ("", "INSERT INTO dids (number) VALUES ('+1206')", "3 to 18 digits"),
    ("", "INSERT INTO dids (number) VALUES ('12')", "3 to 18 digits"),
    ("", "INSERT INTO dids (number, i_customer) VALUES ('1206', 1)", "dids_owner"),
    ("", "INSERT INTO dids (number, status) VALUES ('1206', 'in_use')", "dids_owner"),
    ("", "INSERT INTO dids (i_env, number) VALUES (9, '1206')", "no such environment"),
    (
        "",
        "INSERT INTO dids (number, i_customer, i_account, status) VALUES ('1206', 2, 1, 'in_use')",
        "belongs to another customer",
    ),
    (DID_1, "UPDATE dids SET i_account = 3", "belongs to another customer"),
    (DID_1, "UPDATE dids SET i_account = 99", "no such account"),
    (DID_1, "UPDATE dids SET number = '1207'", "number never change"),
    (DID_1, "UPDATE dids SET i_did = 7", "never change"),
    (INVOICE, "UPDATE invoices SET i_customer = 2", "never change"),
    (INVOICE, "UPDATE invoices SET status = 'lost'", "invoices_status"),
    (INVOICE, "INSERT INTO invoices (i_customer, invoice_number) VALUES (9, 'B')", "no such cust"),
    (FIELDS, "UPDATE custom_fields SET object = 'customer'", "never change"),
    (
        FIELDS,
        "INSERT INTO custom_field_values (i_custom_field, i_account) VALUES (2, 3)",
        "of another object",
    ),
    (
        FIELDS,
        "INSERT INTO custom_field_values (i_custom_field, i_account) VALUES (9, 3)",
        "no such custom field",
    ),
    (f"{FIELDS};{VALUE_3}", "UPDATE custom_field_values SET i_account = 1", "never change"),
    (FOLLOW_ME, "UPDATE follow_me SET i_account = 1", "never change"),
    ("", "INSERT INTO follow_me_numbers (i_account, redirect_number) VALUES (9, '1')", "no such"),
    (DEVICES, "UPDATE accounts SET i_ip_device = 9", "no such IP device"),
    (
        f"{DEVICES};UPDATE accounts SET i_ip_device = 1",
        "DELETE FROM ip_devices",
        "in use by an account",
    ),
    (ALIAS, "DELETE FROM accounts WHERE i_account = 1", "still has aliases"),
    (ALIAS, "UPDATE accounts SET i_master_account = 2 WHERE i_account = 4", "for good"),
    (ALIAS, "UPDATE accounts SET billing_model = 1 WHERE i_account = 4", "Only an alias"),
    ("", "UPDATE accounts SET i_master_account = 1 WHERE i_account = 2", "Only an alias"),
    (
        ALIAS,
        (
            "INSERT INTO accounts (i_customer, id, billing_model, i_master_account)"
            " VALUES (1, 'n2', 2, 4)"
        ),
        "no alias itself",
    ),
    (
        (
            "DELETE FROM accounts WHERE i_customer = 1;"
            "INSERT INTO dids (number, i_customer, status) VALUES ('1206', 1, 'in_use')"
        ),
        "DELETE FROM customers WHERE i_customer = 1",
        "still has DID numbers",
    ),
    (
        f"DELETE FROM accounts WHERE i_customer = 1;{INVOICE}",
        "DELETE FROM customers WHERE i_customer = 1",
        "still has invoices",
    ),
    (
        (
            "INSERT INTO environments (name) VALUES ('two');"
            "INSERT INTO dids (i_env, number) VALUES (2, '1206')"
        ),
        "DELETE FROM environments WHERE i_env = 2",
        "not empty",
    ),
]
OWN = {
    # A REPLACE removes the row in its way, unheard.
    "sqlite": [
        (DID_1, "INSERT OR REPLACE INTO dids (number) VALUES ('12065550100')", "with this number"),
        (
            "INSERT INTO dids (i_did, number) VALUES (7, '1206')",
            "INSERT OR REPLACE INTO dids (i_did, number) VALUES (7, '1207')",
            "with this i_did",
        ),
        ("", "INSERT INTO dids (number) VALUES ('1234567890123456789')", "3 to 18 digits"),
        (
            FOLLOW_ME,
            "INSERT OR REPLACE INTO follow_me (i_account) VALUES (3)",
            "with this i_account",
        ),
    ],
    "postgres": [
        ("", "TRUNCATE dids", "use DELETE"),
        ("", "TRUNCATE custom_fields CASCADE", "use DELETE"),
    ],
}


@pytest.mark.parametrize(("before", "change", "why"), REFUSED, ids=lambda text: text[:60])
def test_the_shell_is_refused_and_nothing_changes(rig, before, change, why):
    prepare(rig, before)
    assert why.lower() in rig.shell(f"{change};").lower()
    assert rig.events() == []


def test_the_shell_is_refused_what_only_this_engine_knows(rig):
    for before, change, why in OWN[rig.engine]:
        rig.script("DELETE FROM dids; DELETE FROM follow_me")
        prepare(rig, before)
        rig.events()
        assert why.lower() in rig.shell(f"{change};").lower(), change
    assert rig.events() == []


def test_aliases_and_numbers_go_to_another_customer_with_their_account(rig):
    rig.script(f"{ALIAS};{DID_1};INSERT INTO dids (number, i_customer, i_account, status)"
               " VALUES ('1206', 1, 4, 'in_use')")  # fmt: skip
    assert rig.shell("UPDATE accounts SET i_customer = 2 WHERE i_account = 1;") == ""
    assert rig.sql("SELECT DISTINCT i_customer FROM dids") == [(2,)]
    assert rig.sql("SELECT i_customer FROM accounts WHERE i_account = 4") == [(2,)]
