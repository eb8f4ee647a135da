"""What no writer can do, the bare sqlite3 shell included; and how triggers are installed."""

import sqlite3

import pytest

import registry_rig
from espf.capture.install import install, is_current, remove, triggers
from espf.capture.rules import parse_rules
from espf.errors import CaptureError


@pytest.fixture
def rig(tmp_path):
    with registry_rig.registry(tmp_path) as rig:
        registry_rig.populate(rig)
        yield rig


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE accounts SET i_sim_card = 3 WHERE i_account = 1", "in use by another account"),
        ("UPDATE OR REPLACE accounts SET i_sim_card = 3 WHERE i_account = 1", "in use by another"),
        (
            "INSERT OR REPLACE INTO accounts (i_customer, id, i_sim_card) VALUES (1, 'x', 3)",
            "in use",
        ),
        ("INSERT OR REPLACE INTO accounts (i_customer, id) VALUES (1, '300')", "has this id"),
        ("UPDATE accounts SET i_sim_card = 99 WHERE i_account = 1", "no such SIM card"),
        ("UPDATE accounts SET i_product = 99 WHERE i_account = 1", "no such product"),
        ("UPDATE accounts SET i_customer = 99 WHERE i_account = 1", "no such customer"),
        ("UPDATE accounts SET i_env = 2 WHERE i_account = 1", "environment"),
        ("INSERT INTO accounts (i_customer, id) VALUES (99, 'x')", "no such customer"),
        ("INSERT INTO accounts (i_customer, id, i_product) VALUES (1, 'x', 99)", "no such product"),
        ("DELETE FROM sim_cards WHERE i_sim_card = 3", "in use by an account"),
        ("UPDATE sim_cards SET status = 'available' WHERE i_sim_card = 3", "in use by an account"),
        ("UPDATE sim_cards SET status = 'used' WHERE i_sim_card = 1", "No account uses"),
        ("UPDATE sim_cards SET i_sim_card = 9 WHERE i_sim_card = 3", "in use by an account"),
        ("UPDATE sim_cards SET imsi = '0010100099' WHERE i_sim_card = 3", "in use by an account"),
        ("UPDATE accounts SET i_account = 99 WHERE i_account = 1", "never changes"),
        ("UPDATE customers SET i_customer = 99 WHERE i_customer = 2", "never changes"),
        ("INSERT INTO sim_cards (imsi, status) VALUES ('1234567', 'used')", "cannot be in use"),
        ("INSERT OR REPLACE INTO sim_cards (imsi) VALUES ('001010000000003')", "has this IMSI"),
        ("DELETE FROM customers WHERE i_customer = 1", "still has accounts"),
        ("DELETE FROM products WHERE i_product = 1", "in use by accounts"),
        ("DELETE FROM environments", "not empty"),
        ("UPDATE accounts SET blocked = 'X'", "CHECK"),
        ("UPDATE accounts SET bill_status = 'X'", "CHECK"),
        ("UPDATE accounts SET billing_model = 3", "CHECK"),
        ("UPDATE accounts SET balance = 'much'", "CHECK"),
        ("UPDATE accounts SET balance = 9e999", "CHECK"),
        ("UPDATE customers SET bill_status = 'I'", "CHECK"),
        ("UPDATE sim_cards SET status = 'lost'", "CHECK"),
    ],
)
def test_the_shell_is_refused_and_nothing_changes(rig, change, why):
    assert why in rig.shell(f"{change};")
    assert rig.events() == []


def test_a_cards_status_follows_its_assignment_for_the_shell_too(rig):
    rig.shell("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 3;")
    assert rig.sql("SELECT status FROM sim_cards ORDER BY i_sim_card") == [
        ("used",), ("available",), ("available",),
    ]  # fmt: skip
    rig.shell("DELETE FROM accounts WHERE i_account = 3;")
    assert rig.sql("SELECT DISTINCT status FROM sim_cards") == [("available",)]


def test_a_disposed_card_cannot_be_given_to_an_account(rig):
    rig.sql("UPDATE sim_cards SET status = 'disposed' WHERE i_sim_card = 1")
    assert "disposed" in rig.shell("UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1;")


def test_installing_again_does_nothing_and_a_lost_trigger_is_replaced(rig):
    connection = sqlite3.connect(rig.path, isolation_level=None)
    assert install(connection) == []
    connection.execute("DROP TRIGGER espf_registry_card_freed")
    assert not is_current(connection)
    assert install(connection) == [f"installed {len(triggers())} triggers"]
    assert is_current(connection)
    remove(connection)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE type='trigger'") \
        .fetchone() == (0,)  # fmt: skip
    connection.close()


def test_rules_that_do_not_fit_the_tables_leave_the_old_triggers(rig):
    wrong = parse_rules(
        'version = 1\nmoney = []\n[entity.account]\ntable = "no_table"\nkey = "i_account"\n'
        '[[rule]]\nevent = "A/B"\nentity = "account"\non = "insert"\nvariables = ["id"]'
    )
    connection = sqlite3.connect(rig.path, isolation_level=None)
    with pytest.raises(CaptureError, match="no_table"):
        install(connection, wrong)
    assert is_current(connection)
    connection.close()


def test_triggers_of_others_are_left_alone(rig):
    connection = sqlite3.connect(rig.path, isolation_level=None)
    connection.execute("CREATE TRIGGER theirs AFTER INSERT ON products BEGIN SELECT 1; END")
    remove(connection)
    install(connection)
    assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'theirs'").fetchone()
    connection.close()
