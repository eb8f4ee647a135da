"""What is PostgreSQL's alone: concurrent writers, other roles, plans, its own statements."""

import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

import registry_rig
from espf.capture.install import install, is_current


@pytest.fixture
def rig(tmp_path):
    with registry_rig.registry(tmp_path, "postgres") as rig:
        registry_rig.populate(rig)
        yield rig


@pytest.fixture
def connection(rig):
    with rig.connect() as made:
        yield made


@contextmanager
def waiting(rig, connection, statement):
    """Another session runs the statement, and has to wait for what is done inside; its errors."""
    said = []

    def run():
        with rig.connect() as other:
            try:
                other.execute(statement)
            except psycopg.Error as error:
                said.append(str(error).splitlines()[0])

    thread = threading.Thread(target=run)
    thread.start()
    question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    ends = time.monotonic() + 10
    while rig.sql(question) == [(0,)]:
        assert time.monotonic() < ends, f"{statement} did not wait: {said}"
        time.sleep(0.01)
    yield said
    connection.execute("COMMIT")
    thread.join()


RACES = [
    # (what one session has done and not yet committed, what another does, what it is told)
    (
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1",
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 2",
        "in use by another account",
    ),
    (
        "INSERT INTO accounts (i_customer, id, i_sim_card) VALUES (1, 'x', 1)",
        "INSERT INTO accounts (i_customer, id, i_sim_card) VALUES (1, 'y', 1)",
        "in use by another account",
    ),
    (
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1",
        "UPDATE sim_cards SET status = 'disposed' WHERE i_sim_card = 1",
        "in use by an account",
    ),
    (
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1",
        "UPDATE sim_cards SET imsi = '0010109' WHERE i_sim_card = 1",
        "in use by an account",
    ),
    (
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1",
        "DELETE FROM sim_cards WHERE i_sim_card = 1",
        "in use by an account",
    ),
    (
        "UPDATE sim_cards SET status = 'disposed' WHERE i_sim_card = 1",
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1",
        "disposed of",
    ),
    (
        "DELETE FROM sim_cards WHERE i_sim_card = 1",
        "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 1",
        "no such SIM card",
    ),
    (
        "DELETE FROM customers WHERE name = 'Cid'",
        "INSERT INTO accounts (i_customer, id) VALUES (3, 'x')",
        "no such customer",
    ),
    (
        "INSERT INTO accounts (i_customer, id) VALUES (3, 'x')",
        "DELETE FROM customers WHERE name = 'Cid'",
        "still has accounts",
    ),
    (
        "DELETE FROM products WHERE i_product = 2",
        "UPDATE accounts SET i_product = 2",
        "no such product",
    ),
    (
        "UPDATE accounts SET i_product = 2 WHERE i_account = 1",
        "DELETE FROM products WHERE i_product = 2",
        "in use by accounts",
    ),
    (
        "UPDATE products SET addon_priority = 10 WHERE i_product = 2",
        "UPDATE accounts SET i_product = 2 WHERE i_account = 1",
        "or it is an add-on",
    ),
    (
        "UPDATE accounts SET i_product = 2 WHERE i_account = 1",
        "UPDATE products SET addon_priority = 10 WHERE i_product = 2",
        "as their main product",
    ),
    (
        "DELETE FROM vd_plans",
        "UPDATE accounts SET i_vd_plan = 1 WHERE i_account = 1",
        "no such discount plan",
    ),
    (
        "INSERT INTO sim_cards (imsi) VALUES ('1234567')",
        "INSERT INTO sim_cards (imsi) VALUES ('1234567')",
        "sim_cards_imsi",
    ),
    (
        "DELETE FROM accounts WHERE i_account = 1",
        "INSERT INTO follow_me_numbers (i_account, redirect_number) VALUES (1, '5551')",
        "no such account",
    ),
    (
        "UPDATE accounts SET i_customer = 2 WHERE i_account = 1",
        "INSERT INTO dids (number, i_customer, i_account, status) VALUES ('1206', 1, 1, 'in_use')",
        "belongs to another customer",
    ),
    (
        "INSERT INTO dids (number, i_customer, status) VALUES ('1206', 3, 'in_use')",
        "DELETE FROM customers WHERE name = 'Cid'",
        "still has DID numbers",
    ),
    (
        (
            "INSERT INTO ip_devices (i_ip_device, name) VALUES (7, 'desk');"
            "UPDATE accounts SET i_ip_device = 7"
        ),
        "INSERT INTO ip_devices (name) VALUES ('desk')",
        "ip_devices_name",
    ),
]


@pytest.mark.parametrize(("first", "second", "told"), RACES, ids=lambda text: text[:40])
def test_who_comes_second_waits_and_is_refused(rig, connection, first, second, told):
    rig.sql("INSERT INTO customers (name) VALUES ('Cid')")
    rig.sql("INSERT INTO vd_plans (name) VALUES ('Family')")
    connection.execute("BEGIN")
    connection.execute(first)
    with waiting(rig, connection, second) as said:
        pass
    assert told in "".join(said)
    assert rig.sql(
        "SELECT status FROM sim_cards AS s WHERE (status = 'used')"
        " <> EXISTS (SELECT 1 FROM accounts WHERE accounts.i_sim_card = s.i_sim_card)"
    ) == []  # fmt: skip


def test_a_writer_needs_rights_on_its_own_tables_only(rig, connection):
    connection.execute("DROP ROLE IF EXISTS billing")
    connection.execute("CREATE ROLE billing")
    connection.execute("GRANT SELECT, UPDATE ON accounts TO billing")
    connection.execute("SET ROLE billing")
    connection.execute("UPDATE accounts SET blocked = 'Y', i_sim_card = 1 WHERE i_account = 3")
    assert rig.types() == [
        "Account/SIMCardAssignment",
        "Account/Blocked",
        "SIM/Status/Changed",
        "SIM/Status/Changed",
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("INSERT INTO event (i_env) VALUES (1)")
    connection.execute("RESET ROLE")
    connection.execute("DROP OWNED BY billing")


def test_tables_of_the_writers_own_do_not_stand_in_the_way(rig, connection):
    connection.execute("CREATE TEMP TABLE event (i_event bigint)")
    connection.execute("CREATE TEMP TABLE capture_gate (event_type text)")
    connection.execute("SET search_path = pg_temp, public")
    connection.execute("UPDATE public.accounts SET blocked = 'Y' WHERE i_account = 1")
    assert rig.types() == ["Account/Blocked"]


def test_statements_that_sqlite_does_not_have_are_captured(rig, connection):
    connection.execute(
        "INSERT INTO accounts (i_customer, id) VALUES (1, '100'), (1, 'new')"
        " ON CONFLICT (i_env, id) DO UPDATE SET blocked = 'Y'"
    )
    assert sorted(rig.types()) == ["Account/Blocked", "Account/New"]
    connection.execute(
        "MERGE INTO accounts AS a USING (VALUES ('100'), ('200')) AS v (id) ON a.id = v.id"
        " WHEN MATCHED AND a.blocked = 'Y' THEN UPDATE SET blocked = 'N' WHEN MATCHED THEN DELETE"
    )
    assert sorted(rig.types()) == ["Account/Status/Closed", "Account/Unblocked"]
    with connection.cursor().copy("COPY accounts (i_customer, id) FROM STDIN") as copy:
        copy.write(b"1\tcopied\n")
    assert rig.types() == ["Account/New"]
    connection.execute(
        "WITH gone AS (DELETE FROM accounts WHERE id = 'copied' RETURNING i_customer)"
        " UPDATE accounts SET blocked = 'Y' WHERE id = '300'"
    )
    assert sorted(rig.types()) == ["Account/Blocked", "Account/Status/Closed"]


def test_a_session_of_small_updates_can_make_a_large_one(rig, connection):
    """A plan kept from one row would compare each of 6,000 with each other: for minutes."""
    connection.execute(
        "INSERT INTO accounts (i_customer, id)"
        " SELECT 1, 'n' || n FROM generate_series(1, 6000) AS n"
    )
    for n in range(20):
        connection.execute("UPDATE accounts SET balance = %s WHERE id = 'n1'", [n])
    connection.execute("ANALYZE accounts")
    rig.events()
    began = time.monotonic()
    connection.execute("UPDATE accounts SET blocked = 'Y' WHERE id LIKE 'n%'")
    assert time.monotonic() - began < 5
    assert len(rig.types()) == 6000


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE accounts DISABLE TRIGGER espf_capture_accounts_update",
        (
            "CREATE OR REPLACE FUNCTION espf_capture_accounts_update() RETURNS trigger"
            " LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        ),
        "DROP TRIGGER espf_registry_card_given ON accounts",
        (
            "CREATE TRIGGER espf_capture_99_old AFTER INSERT ON products"
            " FOR EACH STATEMENT EXECUTE FUNCTION espf_capture_accounts_insert()"
        ),
    ],
)
def test_a_trigger_that_somebody_changed_is_noticed_and_mended(rig, connection, change):
    connection.execute(change)
    assert not is_current(connection)
    assert len(install(connection)) == 1
    assert is_current(connection)
    rig.sql("UPDATE accounts SET blocked = 'Y' WHERE i_account = 1")
    assert rig.types() == ["Account/Blocked"]


def test_triggers_are_current_for_whoever_looks(rig, connection):
    connection.execute("SET search_path = public, pg_catalog")
    assert is_current(connection)


def test_installing_again_takes_a_schema_of_its_own(rig, connection):
    """The tables may be in any schema that the owner's search path finds first."""
    connection.execute("ALTER SCHEMA public RENAME TO billing")
    connection.execute("SET search_path = billing")
    assert len(install(connection)) == 1
    connection.execute("SET search_path = pg_catalog")
    connection.execute("UPDATE billing.accounts SET blocked = 'Y' WHERE i_account = 1")
    [(found,)] = connection.execute("SELECT event_type FROM billing.event ORDER BY i_event DESC"
                                    " LIMIT 1").fetchall()  # fmt: skip
    assert found == "Account/Blocked"
