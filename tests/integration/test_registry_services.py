"""The registry's services on a real database: what is stored, refused and shown."""

import threading
from datetime import UTC, datetime

import pytest
from django.db import connections

import registry_rig
from espf.errors import ConfigError, RegistryError
from espf.registry import services
from espf.registry.fields import ACCOUNT
from espf.registry.lookup import find
from espf.registry.money import charge, topup
from espf.registry.records import record
from espf.registry.services import add, list_, remove, show, update

IMSI = "001010000000001"
KI = "00112233445566778899AABBCCDDEEFF"


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        add("customer", {"name": "Ann", "credit_limit": "10"})
        add("product", {"name": "LTE"})
        add("sim_card", {"imsi": IMSI, "ki": KI, "opc": KI.lower()})
        add("sim_card", {"imsi": "001010000000002"})
        rig.events()
        yield rig


def mobile(**more):
    return add(
        "account",
        {"id": "79123456789@msisdn", "i_customer": 1, "i_product": "1", "role": "Mobile"} | more,
    )


def test_the_handbooks_mobile_account(rig):
    account = mobile(imsi=IMSI, password="geheim", activation_date="2026-01-01")
    assert account["role"] == "mobile"
    assert account["balance_control"] == "subordinate"
    assert account["available_funds"] == 10
    assert (account["i_env"], account["imsi"], account["has_password"]) == (1, IMSI, True)
    card = show("sim_card", f"imsi={IMSI}")
    assert (card["status"], card["i_account"]) == ("used", 1)
    assert card["msisdn"] == "79123456789@msisdn"
    assert rig.types() == ["Account/New", "Account/SIMCardAssignment", "SIM/Status/Changed"]


def test_no_secret_is_shown_or_stored_in_plain(rig):
    mobile(password="geheim1", h323_password="geheim2")
    shown = str([show("account", 1), show("sim_card", 1), list_("account"), list_("sim_card")])
    stored = rig.stored()
    for secret in ("geheim1", "geheim2", KI):
        assert secret not in shown
        assert secret.encode() not in stored
    [sealed] = rig.sql("SELECT password FROM accounts")
    assert services.secret_box().decrypt(*sealed) == "geheim1"


def test_the_msisdn_follows_the_account_id(rig):
    mobile(imsi=IMSI)
    update("account", 1, {"id": "555"})
    assert show("sim_card", 1)["msisdn"] == "555"


def test_a_sim_swap_is_one_event_of_the_account(rig):
    mobile(imsi=IMSI)
    rig.events()
    assert update("account", f"imsi={IMSI}", {"imsi": "001010000000002"})["i_sim_card"] == 2
    assert rig.types() == ["Account/SIMCardAssignment", "SIM/Status/Changed", "SIM/Status/Changed"]
    assert update("account", 1, {"imsi": ""})["imsi"] is None
    assert {card["status"] for card in list_("sim_card")} == {"available"}


def test_values_that_are_there_already_are_not_written(rig):
    mobile(imsi=IMSI, password="same", blocked="Y")
    rig.events()
    again = {"imsi": IMSI, "password": "same", "blocked": "y", "id": "79123456789@msisdn"}
    update("account", 1, again | {"i_customer": "1", "role": "mobile", "billing_model": "credit"})
    assert rig.events() == []


def test_a_password_written_by_a_shell_is_replaced_by_the_next_one(rig):
    mobile()
    rig.sql("UPDATE accounts SET password = 'by hand'")
    update("account", 1, {"password": "new"})
    assert rig.types().count("Account/Password/Changed") == 2


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"imsi": "12345"}, "imsi must have 6 to 15 digits"),
        ({"imsi": "999999"}, "no SIM card with IMSI 999999"),
        ({"id": "x" * 65}, "at most 64"),
        ({"id": ""}, "id cannot be empty"),
        ({"id": "a\0b"}, "control character"),
        ({"id": ["x"]}, "must be text"),
        ({"i_customer": "abc"}, "i_customer must be a whole number"),
        ({"i_customer": 99}, "no customer 99"),
        ({"i_product": 99}, "no product 99"),
        ({"i_env": 7}, "another environment"),
        ({"role": "king"}, "must be one of universal"),
        ({"blocked": "X"}, "Y \\(yes\\), N \\(no\\)"),
        ({"bill_status": "S"}, "Only a debit account"),
        ({"billing_model": 3}, "billing_model must be one of"),
        ({"opening_balance": "1.000001"}, "more than 5 decimals"),
        ({"credit_limit": "NaN"}, "amount"),
        ({"activation_date": "tomorrow"}, "YYYY-MM-DD"),
        ({"activation_date": "2026-02-02", "expiration_date": "2026-02-01"}, "is before"),
        ({"blokced": "Y"}, "did you mean blocked"),
        ({"password_": "geheim"}, "did you mean password"),
        ({"i_sim_card": 1}, "give the card's imsi"),
        ({"balance": 5}, "topup and charge"),
        ({"firstname": "y" * 1_000_000}, "at most 255"),
    ],
)
def test_a_wrong_account_is_refused_with_the_reason_and_nothing_is_stored(rig, fields, why):
    with pytest.raises(RegistryError, match=why) as error:
        mobile(**fields)
    assert "geheim" not in str(error.value)
    assert len(str(error.value)) < 500
    assert (list_("account"), rig.events()) == ([], [])


def test_what_is_needed_is_asked_for(rig):
    for entity, name in [("account", "id"), ("customer", "name"), ("sim_card", "imsi")]:
        with pytest.raises(RegistryError, match=f"{entity} needs {name}"):
            add(entity, {})


def test_a_duplicate_id_a_used_card_and_a_disposed_one_are_refused(rig):
    mobile(imsi=IMSI)
    with pytest.raises(RegistryError, match="has this id"):
        mobile()
    with pytest.raises(RegistryError, match="in use by another account"):
        mobile(id="2", imsi=IMSI)
    update("sim_card", 2, {"status": "disposed"})
    with pytest.raises(RegistryError, match="disposed"):
        mobile(id="2", imsi="001010000000002")
    with pytest.raises(RegistryError, match="another record with this name"):
        add("customer", {"name": "Ann"})


def test_the_imsi_of_a_card_in_use_is_fixed(rig):
    key = mobile(imsi=IMSI)["i_sim_card"]
    with pytest.raises(RegistryError, match="IMSI of a card in use is fixed"):
        update("sim_card", key, {"imsi": "001010000000099"})
    update("account", 1, {"imsi": ""})
    assert update("sim_card", key, {"imsi": "001010000000099"})["imsi"] == "001010000000099"


def test_a_card_reserved_for_one_customer_is_not_given_to_another(rig):
    add("customer", {"name": "Bob"})
    update("sim_card", 1, {"status": "reserved", "i_customer": 2})
    with pytest.raises(RegistryError, match="reserved for another"):
        mobile(imsi=IMSI)
    assert mobile(i_customer=2, imsi=IMSI)["imsi"] == IMSI


def test_what_others_need_cannot_be_removed(rig):
    mobile(imsi=IMSI)
    for entity, why in [
        ("customer", "in use by Account 1"),
        ("product", "in use by Account 1"),
        ("sim_card", "in use by an account"),
        ("environment", "in use by"),
    ]:
        with pytest.raises(RegistryError, match=why):
            remove(entity, 1)
    assert remove("account", 1)["id"] == "79123456789@msisdn"
    assert remove("sim_card", 1)["status"] == "available"
    for entity in ("customer", "product"):
        remove(entity, 1)
    assert list_("customer") == []


def test_what_is_closed_stays_closed(rig):
    mobile()
    update("account", 1, {"bill_status": "terminated"})
    assert show("account", 1)["status"] == "closed"
    with pytest.raises(RegistryError, match="cannot be reopened"):
        update("account", 1, {"bill_status": "O"})
    with pytest.raises(RegistryError, match="takes no SIM card"):
        update("account", 1, {"imsi": IMSI})
    with pytest.raises(RegistryError, match="closed and cannot be charged"):
        charge("account", 1, 1)
    update("customer", 1, {"bill_status": "C"})
    with pytest.raises(RegistryError, match="cannot be reopened"):
        update("customer", 1, {"bill_status": "O"})
    with pytest.raises(RegistryError, match="Customer 1 is closed"):
        mobile(id="2")


def test_keys_and_their_mistakes(rig):
    mobile(imsi=IMSI)
    for key in (1, "1", "id=79123456789@msisdn", f"imsi={IMSI}", "i_account=1"):
        assert show("account", key)["i_account"] == 1
    assert show("customer", "name=Ann")["i_customer"] == 1
    for key, why in [
        ("abc", "i_account, or id=… or imsi=…"),
        ("2", "no account 2"),
        ("name=x", "no key of account"),
        ("-1", "from 1"),
        ("9" * 30, "whole number"),
        ("id=" + "x" * 10_000, "at most 255"),
    ]:
        with pytest.raises(RegistryError, match=why):
            show("account", key)
    with pytest.raises(RegistryError, match="is no entity"):
        show("acount", 1)


def test_a_list_is_filtered_and_paged(rig):
    for number in range(5):
        mobile(id=str(number), blocked="Y" if number % 2 else "N")
    assert [row["id"] for row in list_("account", {"blocked": "y"})] == ["1", "3"]
    assert [row["id"] for row in list_("account", {}, limit=2, after=2)] == ["2", "3"]
    assert list_("account", {"imsi": IMSI}) == []
    assert len(list_("sim_card", {"iccid": ""})) == 2
    with pytest.raises(RegistryError, match="cannot be filtered by 'password'"):
        list_("account", {"password": "x"})


def test_an_environment_is_a_tenant_of_its_own(rig):
    add("environment", {"name": "second"})
    other = add("customer", {"name": "Ann", "i_env": 2})
    account = mobile(i_customer=other["i_customer"], i_product=None)
    assert account["i_env"] == 2
    with pytest.raises(RegistryError, match="More than one customer"):
        show("customer", "name=Ann")
    with pytest.raises(RegistryError, match="no product 1 in this environment"):
        update("account", account["i_account"], {"i_product": 1})


def test_money_is_exact(rig):
    debit = mobile(billing_model=-1, opening_balance="0.3")
    assert (debit["balance"], debit["balance_control"]) == (0.3, "individual")
    charge("account", 1, "0.1")
    assert charge("account", 1, 0.2)["balance"] == 0
    assert rig.types()[-2:] == ["Account/BalanceChanged", "Account/ZeroAvailableFunds"]
    for _ in range(10):
        topup("account", 1, "0.00001")
    assert rig.sql("SELECT balance = 0.0001 FROM accounts") == [(1,)]


def test_a_credit_account_owes_and_a_subordinate_one_moves_its_customers_balance(rig):
    mobile(balance_control="individual", credit_limit=5)
    assert charge("account", 1, 2)["balance"] == 2
    assert topup("account", 1, 3)["available_funds"] == 6
    mobile(id="sub")
    assert charge("account", "id=sub", 4)["available_funds"] == 6
    assert show("customer", 1)["balance"] == 4
    assert show("account", "id=sub")["balance"] == 0
    assert topup("customer", "name=Ann", "4")["balance"] == 0


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "inf", "0.000001", "10000000000", "x", None])
def test_an_amount_that_is_none_moves_nothing(rig, amount):
    with pytest.raises(RegistryError, match="amount"):
        topup("customer", 1, amount)
    assert rig.events() == []


def test_a_balance_cannot_outgrow_what_is_stored_exactly(rig):
    mobile(billing_model="debit", opening_balance="9999999999")
    with pytest.raises(RegistryError, match="nothing was moved"):
        topup("account", 1, "1")
    with pytest.raises(RegistryError, match="has no balance"):
        topup("sim_card", 1, "1")
    mobile(id="alias", billing_model="alias")
    with pytest.raises(RegistryError, match="holds no money"):
        topup("account", "id=alias", "1")


def test_charges_at_once_are_all_counted(rig):
    def many():
        for _ in range(10):
            charge("customer", 1, "0.1")
        connections.close_all()

    threads = [threading.Thread(target=many) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert show("customer", 1)["balance"] == 3


def test_the_effective_status_knows_what_day_it_is(rig):
    class Clock:
        def now_us(self):
            return int(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1_000_000)

        def monotonic(self):
            return 0.0

    mobile(activation_date="2026-03-02")
    assert record(find(ACCOUNT, 1), Clock())["status"] == "not_yet_active"


def test_a_lost_key_is_said_and_nothing_is_stored(rig, monkeypatch):
    monkeypatch.setenv("ESPF_SECRET_KEY_FILE", "/nowhere/key")
    with pytest.raises(ConfigError, match="/nowhere/key"):
        mobile(password="x")
    assert list_("account") == []
