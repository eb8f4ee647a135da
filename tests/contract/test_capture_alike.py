"""Both engines tell the same of the same changes, whatever they are, and refuse the same."""

import sqlite3
from collections import defaultdict
from contextlib import ExitStack

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import registry_rig


@pytest.fixture
def rigs(tmp_path):
    with ExitStack() as stack:
        found = [
            stack.enter_context(registry_rig.registry(tmp_path, engine))
            for engine in registry_rig.ENGINES
        ]
        for rig in found:
            rig.sql("INSERT INTO services (name) VALUES ('calls')")
        yield found


def one_of(*values):
    return st.sampled_from(values)


money = one_of("0", "5", "-0.00001", "10", "99.99999", "100", "1234567.1")
limit = money | st.just("NULL")
dates = one_of("NULL", "'2026-01-02'", "'2026-12-31'")
flags = one_of("''", "'Y'", "'^N'", "'^'", "'x'")
few_keys = one_of("1", "2", "NULL", "9")
moments = one_of("NULL", "'2026-01-02 00:00:00'", "'2027-01-02 00:00:00'", "'soon'")
COLUMNS = {
    "accounts": {
        "blocked": one_of("'Y'", "'N'", "'X'"),
        "bill_status": one_of("'O'", "'S'", "'I'", "'C'"),
        "balance": money,
        "credit_limit": limit,
        "i_product": one_of("1", "2", "NULL", "9"),
        "i_customer": one_of("1", "2", "9"),
        "i_sim_card": one_of("1", "2", "3", "NULL", "9"),
        "id": one_of("'100'", "'x'", "'ü\"\\'", "''"),
        "activation_date": dates,
        "expiration_date": dates,
        "password": one_of("'a'", "'b'"),
        "h323_password": one_of("'a'", "'b'"),
        "billing_model": one_of("-1", "1", "2"),
        "balance_control": one_of("'subordinate'", "'individual'"),
        "firstname": one_of("'a'", "'b'"),
        "city": one_of("'a'", "'b'"),
        "i_ip_device": one_of("1", "2", "NULL", "9"),
        "i_account": one_of("i_account", "77"),
        "service_flags": flags,
        "i_vd_plan": few_keys,
        "i_access_policy": few_keys,
        "i_customer_site": few_keys,
    },
    "customers": {
        "service_flags": flags,
        "name": one_of("'Ann'", "'Eve'"),
        "balance": money,
        "credit_limit": limit,
        "blocked": one_of("'Y'", "'N'"),
        "limited": one_of("'Y'", "'N'"),
        "bill_status": one_of("'O'", "'S'", "'C'", "'D'", "'E'"),
        "firstname": one_of("'a'", "'b'"),
    },
    "sim_cards": {
        "ki": one_of("'a'", "'b'"),
        "status": one_of("'available'", "'reserved'", "'used'", "'disposed'"),
        "imsi": one_of("'123456'", "'001010000000001'"),
        "iccid": one_of("NULL", "'12345678'"),
        "i_customer": one_of("NULL", "1"),
        "hlr_name": one_of("'a'", "'b'"),
    },
    "dids": {
        "i_customer": one_of("1", "2", "NULL", "9"),
        "i_account": one_of("1", "2", "3", "NULL", "9"),
        "status": one_of("'in_use'", "'in_use'", "'not_in_use'", "'frozen'", "'moved'"),
        "description": one_of("'a'", "'b'"),
        "number": one_of("number", "'7'"),
    },
    "invoices": {"amount_paid": money, "adjustments": money, "status": one_of("'paid'", "'void'")},
    "custom_field_values": {"value": one_of("''", "'a'", "'b'"), "i_account": one_of("1", "3")},
    "follow_me_numbers": {
        "redirect_number": one_of("'1'", "'2'"),
        "active": one_of("'Y'", "'N'", "'X'"),
    },
    "products": {
        "service_flags": flags,
        "i_vd_plan": few_keys,
        "i_access_policy": few_keys,
        "addon_priority": one_of("0", "10", "20", "7"),
        "name": one_of("name || 'x'"),
    },
    "customer_sites": {"service_flags": flags, "i_customer": few_keys, "name": one_of("'x'")},
    "account_addons": {
        "addon_effective_from": moments,
        "addon_effective_to": moments,
        "i_account": one_of("i_account", "2"),
    },
    "service_attributes": {"value": one_of("''", "'a'", "'b'"), "name": one_of("'a'", "'b'")},
    "policy_phases": {"name": one_of("'a'", "'b'")},
    "policy_attributes": {"value": one_of("''", "'a'"), "name": one_of("'a'", "'b'")},
}
KEYS = {
    "accounts": "i_account",
    "customers": "i_customer",
    "sim_cards": "i_sim_card",
    "dids": "i_did",
    "invoices": "i_invoice",
    "custom_field_values": "i_custom_field_value",
    "follow_me_numbers": "i_follow_me_number",
    "products": "i_product",
    "customer_sites": "i_customer_site",
    "account_addons": "i_account_addon",
    "service_attributes": "i_service_attribute",
    "policy_phases": "i_access_policy_phase",
    "policy_attributes": "i_access_policy_attribute",
}
BELONGINGS = sorted(KEYS.keys() - {"accounts", "customers", "sim_cards"})
NEW = one_of(
    "INSERT INTO accounts (i_account, i_customer, id) VALUES (4, 1, 'new')",
    "INSERT INTO accounts (i_account, i_customer, id, i_sim_card) VALUES (5, 2, 'card', 1)",
    "INSERT INTO accounts (i_account, i_customer, id) VALUES (6, 1, 'a'), (7, 2, 'b')",
    "INSERT INTO customers (i_customer, name) VALUES (3, 'Cid')",
    "INSERT INTO sim_cards (i_sim_card, imsi, status) VALUES (4, '123456', 'reserved')",
    "INSERT INTO dids (i_did, number) VALUES (4, '1004'), (5, '1005')",
    "INSERT INTO dids (i_did, number, i_customer, status) VALUES (6, '1006', 9, 'in_use')",
    "INSERT INTO custom_field_values (i_custom_field_value, i_custom_field, i_account, value)"
    " VALUES (4, 1, 2, 'a')",
    "INSERT INTO custom_field_values (i_custom_field_value, i_custom_field, i_customer, value)"
    " VALUES (5, 1, 1, 'a')",
    "INSERT INTO account_addons (i_account_addon, i_account, i_product) VALUES (4, 2, 3)",
    "INSERT INTO account_addons (i_account_addon, i_account, i_product) VALUES (5, 2, 1)",
    "INSERT INTO service_attributes (i_service_attribute, i_customer, i_service_feature, name)"
    " VALUES (4, 2, 1, 'c')",
    "INSERT INTO policy_attributes (i_access_policy_attribute, i_access_policy, group_name, name)"
    " VALUES (4, 1, 'g', 'd')",
    "INSERT INTO accessibility (i_accessibility, i_product, i_service) VALUES (1, 1, 1)",
    "DELETE FROM accessibility",
)
SERVICES = """
INSERT INTO vd_plans (i_vd_plan, name) VALUES (1, 'a'), (2, 'b');
INSERT INTO access_policies (i_access_policy, name) VALUES (1, 'a'), (2, 'b');
INSERT INTO policy_phases (i_access_policy_phase, i_access_policy, name)
  VALUES (1, 1, 'p'), (2, 2, 'p');
INSERT INTO policy_attributes
  (i_access_policy_attribute, i_access_policy, i_access_policy_phase, group_name, name)
  VALUES (1, 1, NULL, 'g', 'a'), (2, 1, 1, 'g', 'a'), (3, 2, NULL, 'g', 'b');
INSERT INTO products (i_product, name, addon_priority)
  VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 20), (4, 'd', 10);
"""
GIVEN = """
INSERT INTO customer_sites (i_customer_site, i_customer, name) VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO account_addons (i_account_addon, i_account, i_product)
  VALUES (1, 1, 3), (2, 3, 3), (3, 3, 4);
INSERT INTO service_attributes (i_service_attribute, i_account, i_service_feature, name)
  VALUES (1, 3, 1, 'a');
INSERT INTO service_attributes (i_service_attribute, i_customer_site, i_service_feature, name)
  VALUES (2, 1, 1, 'a');
INSERT INTO service_attributes (i_service_attribute, i_product, i_service_feature, name)
  VALUES (3, 1, 1, 'a');
"""
EMPTY = """
DELETE FROM accounts; DELETE FROM sim_cards; DELETE FROM customer_sites; DELETE FROM customers;
DELETE FROM products; DELETE FROM access_policies; DELETE FROM vd_plans;
"""


@st.composite
def changes(draw):
    table = draw(one_of("accounts", "accounts", "customers", "sim_cards", *BELONGINGS))
    where = draw(one_of(f"WHERE {KEYS[table]} = {{}}", f"WHERE {KEYS[table]} > {{}}", ""))
    where = where.format(draw(st.integers(1, 4)))
    if draw(st.integers(0, 5)) == 0:
        return f"DELETE FROM {table} {where}"
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS[table])), min_size=1, max_size=4))
    new = (f"{name} = {draw(COLUMNS[table][name])}" for name in dict.fromkeys(names))
    return f"UPDATE {table} SET {', '.join(new)} {where}"


def told(rig, statement):
    """What the statement raised for each entity in order, or that it was refused."""
    try:
        rig.sql(statement)
    except (sqlite3.IntegrityError, psycopg.IntegrityError):
        return "refused"
    found = defaultdict(list)
    for event in rig.events():
        found[event.entity, event.entity_id].append((event.event_type, event.variables, *event[4:]))
    return found


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(statements=st.lists(changes() | NEW, min_size=1, max_size=15))
def test_the_same_changes_raise_the_same_events_on_both_engines(rigs, statements):
    for rig in rigs:
        rig.script("DELETE FROM dids; DELETE FROM invoices; DELETE FROM custom_fields")
        rig.script(EMPTY + SERVICES)
        rig.script("DELETE FROM ip_devices")
        rig.script(
            "INSERT INTO customers (i_customer, name, credit_limit)"
            " VALUES (1, 'Ann', 100), (2, 'Bob', NULL);"
            "INSERT INTO sim_cards (i_sim_card, imsi)"
            " VALUES (1, '001010000000001'), (2, '001010000000002'), (3, '001010000000003');"
            "INSERT INTO accounts (i_account, i_customer, id, i_product) VALUES (1, 1, '100', 1);"
            "INSERT INTO accounts (i_account, i_customer, id, billing_model, balance)"
            " VALUES (2, 1, '200', -1, 5);"
            "INSERT INTO accounts (i_account, i_customer, id, i_sim_card, balance_control,"
            " credit_limit) VALUES (3, 2, '300', 3, 'individual', 10);"
            "INSERT INTO ip_devices (i_ip_device, name) VALUES (1, 'desk'), (2, 'hall');"
            "INSERT INTO dids (i_did, number) VALUES (1, '1001');"
            "INSERT INTO dids (i_did, number, i_customer, i_account, status)"
            " VALUES (2, '1002', 1, 1, 'in_use'), (3, '1003', 2, NULL, 'in_use');"
            "INSERT INTO invoices (i_invoice, i_customer, invoice_number)"
            " VALUES (1, 1, 'A'), (2, 1, 'B'), (3, 2, 'C');"
            "INSERT INTO custom_fields (i_custom_field, object, name) VALUES (1, 'account', 'tax');"
            "INSERT INTO custom_field_values"
            " (i_custom_field_value, i_custom_field, i_account, value)"
            " VALUES (1, 1, 1, 'a'), (2, 1, 3, '');"
            "INSERT INTO follow_me_numbers (i_follow_me_number, i_account, redirect_number)"
            " VALUES (1, 1, '1'), (2, 3, '2'), (3, 3, '3')"
        )
        rig.script(GIVEN)
        rig.events()
    for statement in statements:
        on_sqlite, on_postgres = (told(rig, statement) for rig in rigs)
        assert on_postgres == on_sqlite, statement
