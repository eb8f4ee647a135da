"""Each rule, on a real database: the change that raises it, and what the event then says."""

import pytest

import registry_rig
from belonging_cases import BELONGINGS
from espf.capture.rules import rules
from espf.events.catalogue import Catalogue
from service_cases import CASES as SERVICES

CATALOGUE = Catalogue.load()
ACCOUNT_1 = {"i_account": 1, "i_customer": 1}
ACCOUNT_3 = {"i_account": 3, "i_customer": 2}
IMSI = "00101000000000"


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        registry_rig.populate(rig)
        yield rig


def moved(column, before, after):
    return {f"prev_{column}": before, f"curr_{column}": after}


def status(before, after):
    return moved("bill_status", before, after)


CASES = [
    # (set up, the change, events as (type, variables))
    (
        "",
        "INSERT INTO accounts (i_customer, id) VALUES (1, '9')",
        [("Account/New", {"i_account": 4, "i_customer": 1, "id": "9", "i_product": None})],
    ),
    (
        "",
        "INSERT INTO accounts (i_customer, id, i_product, i_sim_card) VALUES (1, '9', 2, 1)",
        [
            ("Account/New", {"i_account": 4, "i_customer": 1, "id": "9", "i_product": 2}),
            (
                "Account/SIMCardAssignment",
                {"i_account": 4, "i_customer": 1}
                | moved("i_sim_card", None, 1)
                | moved("imsi", None, f"{IMSI}1"),
            ),
            (
                "SIM/Status/Changed",
                {"i_sim_card": 1, "imsi": f"{IMSI}1", "i_account": 4}
                | moved("status", "available", "used"),
            ),
        ],
    ),
    ("", "UPDATE accounts SET id = '9' WHERE i_account = 1",
     [("Account/ID/Changed", ACCOUNT_1 | moved("id", "100", "9"))]),
    ("", "UPDATE accounts SET i_product = 2 WHERE i_account = 1",
     [("Account/Product/Changed", ACCOUNT_1 | moved("i_product", 1, 2))]),
    ("", "UPDATE accounts SET password = 'x' WHERE i_account = 1",
     [("Account/Password/Changed", ACCOUNT_1)]),
    ("", "UPDATE accounts SET h323_password = 'x' WHERE i_account = 1",
     [("Account/ServicePassword/Changed", ACCOUNT_1)]),
    ("", "UPDATE accounts SET activation_date = '2026-01-02' WHERE i_account = 1",
     [("Account/ActivationDate/Changed",
       ACCOUNT_1 | moved("activation_date", None, "2026-01-02"))]),
    ("", "UPDATE accounts SET expiration_date = '2026-01-02' WHERE i_account = 1",
     [("Account/ExpirationDate/Changed",
       ACCOUNT_1 | moved("expiration_date", None, "2026-01-02"))]),
    ("", "UPDATE accounts SET balance = 1.5 WHERE i_account = 3",
     [("Account/BalanceChanged", ACCOUNT_3 | {"billing_entity_id": 3} | moved("balance", 0, 1.5))]),
    ("", "UPDATE accounts SET blocked = 'Y' WHERE i_account = 1",
     [("Account/Blocked", ACCOUNT_1 | moved("blocked", "N", "Y"))]),
    ("UPDATE accounts SET blocked = 'Y'", "UPDATE accounts SET blocked = 'N' WHERE i_account = 1",
     [("Account/Unblocked", ACCOUNT_1 | moved("blocked", "Y", "N"))]),
    ("", "UPDATE accounts SET bill_status = 'S' WHERE i_account = 1",
     [("Account/Status/Suspended", ACCOUNT_1 | status("O", "S")),
      ("Account/Status/Changed", ACCOUNT_1 | status("O", "S"))]),
    ("UPDATE accounts SET bill_status = 'S'",
     "UPDATE accounts SET bill_status = 'O' WHERE i_account = 1",
     [("Account/Status/SuspensionRemoved", ACCOUNT_1 | status("S", "O")),
      ("Account/Status/Changed", ACCOUNT_1 | status("S", "O"))]),
    ("", "UPDATE accounts SET bill_status = 'C' WHERE i_account = 1",
     [("Account/Status/Closed", ACCOUNT_1 | {"id": "100"} | status("O", "C")),
      ("Account/Status/Changed", ACCOUNT_1 | status("O", "C"))]),
    ("UPDATE accounts SET bill_status = 'I'",
     "UPDATE accounts SET bill_status = 'O' WHERE i_account = 1",
     [("Account/Status/Changed", ACCOUNT_1 | status("I", "O"))]),
    ("", "DELETE FROM accounts WHERE i_account = 1",
     [("Account/Status/Closed", ACCOUNT_1 | {"id": "100"} | status("O", "C"))]),
    ("UPDATE accounts SET bill_status = 'C'", "DELETE FROM accounts WHERE i_account = 1", []),
    ("", "DELETE FROM accounts WHERE i_account = 3",
     [("Account/SIMCardAssignment",
       ACCOUNT_3 | moved("i_sim_card", 3, None) | moved("imsi", f"{IMSI}3", None)),
      ("Account/Status/Closed", ACCOUNT_3 | {"id": "300"} | status("O", "C")),
      ("SIM/Status/Changed",
       {"i_sim_card": 3, "imsi": f"{IMSI}3"} | moved("status", "used", "available"))]),
    ("", "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3",
     [("Account/SIMCardAssignment",
       ACCOUNT_3 | moved("i_sim_card", 3, 1) | moved("imsi", f"{IMSI}3", f"{IMSI}1")),
      ("SIM/Status/Changed",
       {"i_sim_card": 3, "imsi": f"{IMSI}3"} | moved("status", "used", "available")),
      ("SIM/Status/Changed",
       {"i_sim_card": 1, "imsi": f"{IMSI}1", "i_account": 3}
       | moved("status", "available", "used"))]),
    ("", "INSERT INTO customers (name) VALUES ('Cid')",
     [("Customer/New", {"i_customer": 3, "name": "Cid"})]),
    ("", "UPDATE customers SET name = 'Eve' WHERE i_customer = 1",
     [("Customer/Name/Changed", {"i_customer": 1} | moved("name", "Ann", "Eve"))]),
    ("", "UPDATE customers SET balance = 7 WHERE i_customer = 1",
     [("Customer/BalanceChanged",
       {"i_customer": 1, "billing_entity_id": 1} | moved("balance", 0, 7))]),
    ("", "UPDATE customers SET credit_limit = 0 WHERE i_customer = 1",
     [("Customer/ZeroAvailableFunds", {"i_customer": 1} | moved("available_funds", 100, 0))]),
    ("UPDATE customers SET credit_limit = 0",
     "UPDATE customers SET credit_limit = NULL WHERE i_customer = 1",
     [("Customer/AvailableFundsAppear", {"i_customer": 1} | moved("available_funds", 0, None))]),
    ("", "UPDATE customers SET blocked = 'Y' WHERE i_customer = 1",
     [("Customer/Blocked", {"i_customer": 1} | moved("blocked", "N", "Y"))]),
    ("UPDATE customers SET blocked = 'Y'",
     "UPDATE customers SET blocked = 'N' WHERE i_customer = 1",
     [("Customer/Unblocked", {"i_customer": 1} | moved("blocked", "Y", "N"))]),
    ("", "UPDATE customers SET limited = 'Y' WHERE i_customer = 1",
     [("Customer/Status/Limited", {"i_customer": 1} | moved("limited", "N", "Y")),
      ("Customer/Status/Changed", {"i_customer": 1} | status("O", "O"))]),
    *(
        (
            f"UPDATE customers SET bill_status = '{before}'",
            f"UPDATE customers SET bill_status = '{after}' WHERE i_customer = 1",
            [
                *([(f"Customer/Status/{name}", {"i_customer": 1} | status(before, after))]
                  if name else []),
                ("Customer/Status/Changed", {"i_customer": 1} | status(before, after)),
            ],
        )
        for before, after, name in [
            ("O", "S", "Suspended"), ("S", "O", "Unsuspend"), ("D", "O", "Activated"),
            ("O", "D", "Deactivated"), ("O", "E", "Exported"), ("E", "O", "Imported"),
            ("S", "C", "Closed"), ("C", "O", ""),
        ]
    ),
    ("DELETE FROM accounts", "DELETE FROM customers WHERE i_customer = 2",
     [("Customer/Status/Closed", {"i_customer": 2} | status("O", "C"))]),
    ("", "INSERT INTO sim_cards (imsi) VALUES ('123456')",
     [("SIM/New", {"i_sim_card": 4, "imsi": "123456"})]),
    ("", "UPDATE sim_cards SET ki = 'secret' WHERE i_sim_card = 1",
     [("SIM/Changed", {"i_sim_card": 1, "imsi": f"{IMSI}1"})]),
    ("", "UPDATE sim_cards SET ki = 'secret' WHERE i_sim_card = 3",
     [("SIM/Changed", {"i_sim_card": 3, "imsi": f"{IMSI}3", "i_account": 3})]),
    ("", "UPDATE sim_cards SET status = 'disposed' WHERE i_sim_card = 1",
     [("SIM/Status/Changed",
       {"i_sim_card": 1, "imsi": f"{IMSI}1"} | moved("status", "available", "disposed"))]),
    ("", "DELETE FROM sim_cards WHERE i_sim_card = 1",
     [("SIM/Deleted", {"i_sim_card": 1, "imsi": f"{IMSI}1"})]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "change", "expected"), CASES, ids=lambda case: str(case)[:60])
def test_a_change_raises_its_events_in_order_with_their_variables(rig, before, change, expected):
    if before:
        rig.sql(before)
        rig.events()
    rig.sql(change)
    found = rig.events()
    assert [(event.event_type, event.variables) for event in found] == expected
    for event in found:
        order = CATALOGUE.require(event.event_type).own_variables
        assert list(event.variables) == [name for name in order if name in event.variables]


@pytest.mark.parametrize(("before", "change", "expected"), CASES, ids=lambda case: str(case)[:60])
def test_without_a_subscription_there_is_no_row(rig, before, change, expected):
    rig.sql("DELETE FROM capture_gate")
    if before:
        rig.sql(before)
    rig.sql(change)
    assert rig.events() == []


def test_the_cases_raise_every_type_that_the_rules_know():
    cases = [*CASES, *BELONGINGS, *SERVICES]
    raised = {name for _, _, expected in cases for name, _ in expected}
    funds = {"Account/ZeroAvailableFunds", "Account/AvailableFundsAppear"}  # in test_capture_funds
    assert raised | funds == rules().event_types


def test_a_write_by_the_plain_shell_is_captured(rig):
    assert rig.shell("UPDATE accounts SET blocked = 'Y' WHERE id = '300';") == ""
    [event] = rig.events()
    assert event.event_type == "Account/Blocked"
    assert (event.entity, event.entity_id, event.lane, event.i_env) == ("account", 3, 3, 1)
    assert event.has_sim == 1


def test_text_and_money_are_what_they_were(rig):
    odd = 'a"b\\c/\b\f\n\r\t\x01\x7f \u2028 ü 😀'
    rig.sql("UPDATE accounts SET id = ?, balance = ? WHERE i_account = 3", odd, 9999999999.99999)
    renamed, moved, zero = rig.events()
    assert renamed.variables["curr_id"] == odd
    assert moved.variables["curr_balance"] == 9999999999.99999
    assert zero.variables["curr_available_funds"] == -9999999989.99999
    for balance, shown in [(7, 7), (0.1, 0.1), (-0.00001, -0.00001), (100000, 100000), (0, 0)]:
        rig.sql("UPDATE accounts SET balance = ? WHERE i_account = 3", balance)
        assert rig.events()[0].variables["curr_balance"] == shown


def test_a_rolled_back_change_leaves_no_event(rig):
    rig.shell("BEGIN; UPDATE accounts SET blocked = 'Y'; ROLLBACK;")
    assert rig.events() == []


def test_writing_the_same_values_again_raises_nothing(rig):
    for table in ("accounts", "customers", "sim_cards"):
        same = ", ".join(f"{name} = {name}" for name in rig.columns(table))
        rig.sql(f"UPDATE {table} SET {same}")
    assert rig.events() == []


def test_only_the_subscribed_types_of_one_change_are_written(rig):
    rig.subscribe("Account/Status/Changed")
    rig.sql("UPDATE accounts SET bill_status = 'C', blocked = 'Y' WHERE i_account = 1")
    assert rig.types() == ["Account/Status/Changed"]


def test_one_update_of_many_columns_raises_its_events_in_the_order_of_the_rules(rig):
    rig.sql(
        "UPDATE accounts SET bill_status = 'C', blocked = 'Y', balance = 20, i_sim_card = 1,"
        " h323_password = 'b', password = 'a', i_product = 2, id = '9',"
        " expiration_date = '2026-02-02', activation_date = '2026-01-01' WHERE i_account = 3"
    )
    assert rig.types() == [
        "Account/ID/Changed",
        "Account/SIMCardAssignment",
        "Account/Product/Changed",
        "Account/Password/Changed",
        "Account/ServicePassword/Changed",
        "Account/ActivationDate/Changed",
        "Account/ExpirationDate/Changed",
        "Account/BalanceChanged",
        "Account/ZeroAvailableFunds",
        "Account/Blocked",
        "Account/Status/Closed",
        "Account/Status/Changed",
        "SIM/Status/Changed",
        "SIM/Status/Changed",
    ]


def test_the_order_is_the_same_for_a_process_that_reads_the_schema_anew(rig):
    change = "UPDATE accounts SET bill_status = 'S', blocked = 'Y', id = 'q' WHERE i_account = 3;"
    assert rig.shell(change) == ""
    assert rig.types() == [
        "Account/ID/Changed",
        "Account/Blocked",
        "Account/Status/Suspended",
        "Account/Status/Changed",
    ]


def test_has_sim_holds_before_or_after_the_change(rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 3")
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 3")
    rig.sql("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3")
    found = [(event.event_type, event.has_sim) for event in rig.events() if event.entity != "sim"]
    assert found == [
        ("Account/SIMCardAssignment", 1),
        ("Account/Blocked", 0),
        ("Account/SIMCardAssignment", 1),
    ]


def test_the_lane_is_the_key_modulo_64(rig):
    rig.sql("INSERT INTO customers (i_customer, name) VALUES (64 * 7 + 5, 'lane')")
    assert [event.lane for event in rig.events()] == [5]


def test_keys_are_never_reused(rig):
    rig.sql("DELETE FROM accounts WHERE i_account = 3")
    rig.sql("INSERT INTO accounts (i_customer, id) VALUES (1, 'new')")
    assert rig.sql("SELECT max(i_account) FROM accounts") == [(4,)]


MANY = 40
BULK = [
    (
        "INSERT INTO accounts (i_account, i_customer, id, i_product, i_sim_card)"
        " SELECT 1000 + i_sim_card, 1, imsi, 2, i_sim_card FROM sim_cards WHERE i_sim_card > 10"
    ),
    "UPDATE accounts SET blocked = 'Y' WHERE i_account > 10",
    (
        "UPDATE accounts SET balance = balance - i_account % 7, bill_status = 'S', i_product = 2,"
        " expiration_date = '2026-01-02', credit_limit = i_account % 5, password = 'new',"
        " id = id || 'x',"
        " balance_control = 'individual',"
        " billing_model = CASE i_account % 3 WHEN 0 THEN -1 ELSE 1 END"
        " WHERE i_account > 5"
    ),
    "UPDATE accounts SET i_sim_card = NULL WHERE i_account > 10",
    "UPDATE accounts SET time_zone_name = 'nobody is told'",
    (
        "UPDATE sim_cards SET ki = 'secret', status = 'disposed' WHERE i_sim_card > 3"
        " AND status = 'available'"
    ),
    "DELETE FROM accounts WHERE i_account > 10",
    "UPDATE customers SET balance = 200, blocked = 'Y', limited = 'Y', bill_status = 'D'",
    "DELETE FROM sim_cards WHERE status = 'available'",
]


@pytest.mark.parametrize("change", BULK, ids=lambda change: change[:50])
def test_a_statement_with_many_rows_raises_what_one_for_each_would(rig, change):
    """For each entity, in the same order."""
    marks = range(100, 100 + MANY)
    rig.script(
        ";".join(f"INSERT INTO sim_cards (imsi) VALUES ('00102000000{n}')" for n in marks)
        + ";"
        + ";".join(f"INSERT INTO customers (name, credit_limit) VALUES ('{n}', 100)" for n in marks)
    )
    if not change.startswith("INSERT"):
        rig.sql(
            "INSERT INTO accounts (i_customer, id, i_product, i_sim_card)"
            " SELECT i_sim_card - 1, imsi, 1, CASE i_sim_card % 2 WHEN 0 THEN i_sim_card END"
            " FROM sim_cards WHERE i_sim_card > 3"
        )
    rig.events()
    at_once, one_by_one = rig.tried([change]), rig.tried(single_statements(rig, change))
    assert at_once == one_by_one
    assert ("nobody" in change) == (not at_once)


def single_statements(rig, change):
    """The change for each row alone."""
    table = next(name for name in ("accounts", "sim_cards", "customers") if name in change)
    key = {"accounts": "i_account", "sim_cards": "i_sim_card", "customers": "i_customer"}[table]
    if change.startswith("INSERT"):
        table, key = "sim_cards", "i_sim_card"
    joined = " AND" if " WHERE " in change else " WHERE"
    keys = rig.sql(f"SELECT {key} FROM {table} ORDER BY {key}")
    return [f"{change}{joined} {key} = {number}" for (number,) in keys]
