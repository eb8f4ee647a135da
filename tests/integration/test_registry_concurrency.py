"""Two who change the same record on PostgreSQL: the second waits, and sees what the first did."""

import threading
import time

import psycopg
import pytest
from django.db import connections

import registry_rig
from espf.errors import RegistryError, StorageError
from espf.registry.money import charge
from espf.registry.services import add, remove, show, update
from espf.registry.storage import one_change

CARDS = ("001010000000001", "001010000000002")


@pytest.fixture
def rig(tmp_path):
    with registry_rig.registry(tmp_path, "postgres") as rig:
        add("customer", {"name": "Ann", "credit_limit": "10"})
        for imsi in CARDS:
            add("sim_card", {"imsi": imsi})
        add("account", {"id": "1", "i_customer": 1, "balance_control": "individual"})
        add("account", {"id": "2", "i_customer": 1})
        rig.events()
        yield rig


@pytest.fixture
def behind(rig):
    """Do something while another transaction has done `first` and commits it a moment later."""

    def doing(first, action):
        refused = []

        def run():
            try:
                action()
            except (RegistryError, StorageError) as error:
                refused.append(str(error))
            finally:
                connections.close_all()

        with psycopg.connect(rig.url.conninfo) as other:
            other.execute(first)
            thread = threading.Thread(target=run)
            thread.start()
            question = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            ends = time.monotonic() + 10
            while rig.sql(question) == [(0,)]:
                assert time.monotonic() < ends, f"nothing waited: {refused}"
                time.sleep(0.01)
        thread.join()
        return "".join(refused)

    return doing


def test_what_another_closed_meanwhile_is_not_charged(behind):
    said = behind(
        "UPDATE accounts SET bill_status = 'C' WHERE i_account = 1", lambda: charge("account", 1, 5)
    )
    assert "closed and cannot be charged" in said
    assert show("account", 1)["balance"] == 0


def test_money_moves_where_the_account_has_it_now(behind):
    moved = "UPDATE accounts SET balance_control = 'subordinate' WHERE i_account = 1"
    assert behind(moved, lambda: charge("account", 1, 5)) == ""
    assert (show("customer", 1)["balance"], show("account", 1)["balance"]) == (5, 0)


def test_a_card_that_another_gave_away_meanwhile_is_in_use(behind):
    given = "UPDATE accounts SET i_sim_card = 1 WHERE i_account = 2"
    said = behind(given, lambda: update("account", 1, {"imsi": CARDS[0]}))
    assert said == "The SIM card is in use by another account."
    assert show("account", 1)["imsi"] is None


def test_an_id_that_another_took_meanwhile_is_taken(behind):
    said = behind(
        "INSERT INTO accounts (i_customer, id) VALUES (1, '3')",
        lambda: add("account", {"id": "3", "i_customer": 1}),
    )
    assert said == "Another account of this environment has this id."


def test_a_customer_who_went_meanwhile_gets_no_account(behind, rig):
    rig.sql("INSERT INTO customers (name) VALUES ('Bob')")
    said = behind(
        "DELETE FROM customers WHERE name = 'Bob'",
        lambda: add("account", {"id": "3", "i_customer": 2}),
    )
    assert said == "There is no such customer in this environment."


def test_a_customer_who_got_an_account_meanwhile_stays(behind, rig):
    rig.sql("INSERT INTO customers (name) VALUES ('Bob')")
    said = behind(
        "INSERT INTO accounts (i_customer, id) VALUES (2, '3')", lambda: remove("customer", 2)
    )
    assert said == "The customer still has accounts: remove or move them first."


def test_two_who_wait_for_each_other_are_told_to_try_again(rig):
    with psycopg.connect(rig.url.conninfo) as other:
        other.execute("SET deadlock_timeout = '60s'")  # it is ours that gives in
        other.execute("UPDATE customers SET firstname = 'x'")

        def theirs():
            time.sleep(0.2)
            other.execute("UPDATE accounts SET firstname = 'x' WHERE i_account = 1")

        thread = threading.Thread(target=theirs)

        def ours():
            with one_change():
                update("account", 1, {"firstname": "y"})
                thread.start()
                update("customer", 1, {"firstname": "y"})

        with pytest.raises(StorageError, match="try again"):
            ours()
        thread.join()
