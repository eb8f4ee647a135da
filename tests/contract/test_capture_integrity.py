"""What no writer can do, the bare shell included; and how triggers are installed."""

import pytest

import registry_rig
from espf.capture.install import install, is_current, remove, triggers
from espf.capture.rules import parse_rules, rules
from espf.errors import CaptureError


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        registry_rig.populate(rig)
        yield rig


REFUSED = [
    ("UPDATE accounts SET i_sim_card = 3 WHERE i_account = 1", "in use by another account"),
    ("INSERT INTO accounts (i_customer, id, i_sim_card) VALUES (1, 'x', 3)", "in use by another"),
    ("UPDATE accounts SET i_sim_card = 99 WHERE i_account = 1", "no such SIM card"),
    ("UPDATE accounts SET i_product = 99 WHERE i_account = 1", "no such product"),
    ("UPDATE accounts SET i_customer = 99 WHERE i_account = 1", "no such customer"),
    ("UPDATE accounts SET i_env = 2 WHERE i_account = 1", "environment"),
    ("INSERT INTO accounts (i_customer, id) VALUES (99, 'x')", "no such customer"),
    ("INSERT INTO accounts (i_customer, id, i_product) VALUES (1, 'x', 99)", "no such product"),
    ("INSERT INTO accounts (i_customer, id, i_sim_card) VALUES (1, 'x', 99)", "no such SIM card"),
    ("DELETE FROM sim_cards WHERE i_sim_card = 3", "in use by an account"),
    ("UPDATE sim_cards SET status = 'available' WHERE i_sim_card = 3", "in use by an account"),
    ("UPDATE sim_cards SET status = 'used' WHERE i_sim_card = 1", "No account uses"),
    ("UPDATE sim_cards SET i_sim_card = 9 WHERE i_sim_card = 3", "in use by an account"),
    ("UPDATE sim_cards SET i_sim_card = 9 WHERE i_sim_card = 1", "never changes"),
    ("UPDATE sim_cards SET imsi = '0010100099' WHERE i_sim_card = 3", "in use by an account"),
    ("UPDATE accounts SET i_account = 99 WHERE i_account = 1", "never changes"),
    ("UPDATE customers SET i_customer = 99 WHERE i_customer = 2", "never changes"),
    ("INSERT INTO sim_cards (imsi, status) VALUES ('1234567', 'used')", "cannot be in use"),
    ("DELETE FROM customers WHERE i_customer = 1", "still has accounts"),
    ("DELETE FROM products WHERE i_product = 1", "in use by accounts"),
    ("DELETE FROM environments", "not empty"),
    ("UPDATE accounts SET blocked = 'X'", "check"),
    ("UPDATE accounts SET bill_status = 'X'", "check"),
    ("UPDATE accounts SET billing_model = 3", "check"),
    ("UPDATE customers SET bill_status = 'I'", "check"),
    ("UPDATE sim_cards SET status = 'lost'", "check"),
]
OWN = {
    # A REPLACE removes the row in its way, unheard, and an SQLite column takes any value.
    "sqlite": [
        ("UPDATE OR REPLACE accounts SET i_sim_card = 3 WHERE i_account = 1", "in use by another"),
        ("INSERT OR REPLACE INTO accounts (i_customer, id) VALUES (1, '300')", "has this id"),
        ("INSERT OR REPLACE INTO sim_cards (imsi) VALUES ('001010000000003')", "has this IMSI"),
        ("UPDATE accounts SET balance = 'much'", "check"),
        ("UPDATE accounts SET balance = 9e999", "check"),
    ],
    "postgres": [
        ("INSERT INTO accounts (i_customer, id) VALUES (1, '300')", "accounts_id"),
        ("INSERT INTO sim_cards (imsi) VALUES ('001010000000003')", "sim_cards_imsi"),
        ("UPDATE accounts SET balance = 'NaN'", "check"),
        ("TRUNCATE accounts CASCADE", "use DELETE"),
        ("TRUNCATE environments CASCADE", "use DELETE"),
    ],
}


@pytest.mark.parametrize(("change", "why"), REFUSED)
def test_the_shell_is_refused_and_nothing_changes(rig, change, why):
    assert why.lower() in rig.shell(f"{change};").lower()
    assert rig.events() == []


def test_the_shell_is_refused_what_only_this_engine_knows(rig):
    for change, why in OWN[rig.engine]:
        assert why.lower() in rig.shell(f"{change};").lower(), change
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


def test_one_statement_may_move_several_cards(rig):
    rig.sql(
        "UPDATE accounts SET i_sim_card = CASE i_account WHEN 3 THEN NULL ELSE 1 END"
        " WHERE i_account IN (1, 3)"
    )
    assert rig.sql("SELECT i_sim_card, status FROM sim_cards ORDER BY i_sim_card") == [
        (1, "used"), (2, "available"), (3, "available"),
    ]  # fmt: skip


@pytest.fixture
def connection(rig):
    made = rig.connect()
    yield made
    made.close()


def drop(rig, connection):
    on = " ON accounts" if rig.engine == "postgres" else ""
    connection.execute(f"DROP TRIGGER espf_registry_card_freed{on}")


def test_installing_again_does_nothing_and_a_lost_trigger_is_replaced(rig, connection):
    wanted = triggers(rig.engine)
    assert install(connection) == []
    drop(rig, connection)
    assert not is_current(connection)
    assert install(connection) == [f"installed {len(wanted)} triggers"]
    assert is_current(connection)
    remove(connection)
    assert not is_current(connection)
    rig.sql("UPDATE accounts SET blocked = 'Y'")
    assert rig.events() == []
    install(connection)
    rig.sql("UPDATE accounts SET blocked = 'N' WHERE i_account = 1")
    assert rig.types() == ["Account/Unblocked"]


def test_rules_that_do_not_fit_the_tables_leave_the_old_triggers(rig, connection):
    wrong = parse_rules(
        'version = 1\nmoney = []\n[entity.account]\ntable = "no_table"\nkey = "i_account"\n'
        '[[rule]]\nevent = "A/B"\nentity = "account"\non = "insert"\nvariables = ["id"]'
    )
    with pytest.raises(CaptureError, match="no_table"):
        install(connection, wrong)
    assert is_current(connection)


def test_a_release_with_fewer_rules_leaves_no_trigger_behind(rig, connection):
    one = [rule for rule in rules().rule if rule.event == "Account/New"]
    fewer = rules().model_copy(update={"rule": tuple(one)})
    install(connection, fewer)
    assert is_current(connection, fewer)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 1")
    rig.sql("INSERT INTO accounts (i_customer, id) VALUES (1, 'new')")
    assert rig.types() == ["Account/New"]


def test_triggers_of_others_are_left_alone(rig, connection):
    theirs = {
        "sqlite": ["CREATE TRIGGER theirs AFTER INSERT ON products BEGIN SELECT 1; END"],
        "postgres": [
            "CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
            "CREATE TRIGGER theirs AFTER INSERT ON products FOR EACH ROW EXECUTE FUNCTION theirs()",
        ],
    }
    for statement in theirs[rig.engine]:
        connection.execute(statement)
    remove(connection)
    install(connection)
    question = {
        "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'theirs'",
        "postgres": "SELECT 1 FROM pg_trigger WHERE tgname = 'theirs'",
    }
    assert connection.execute(question[rig.engine]).fetchone()
