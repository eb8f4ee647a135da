"""The registry's services for what accounts and customers have: stored, refused and shown."""

import pytest

import registry_rig
from espf.errors import RegistryError
from espf.registry.importing import import_file
from espf.registry.services import add, list_, remove, show, update


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        registry_rig.populate(rig)
        yield rig


def test_a_number_is_in_use_while_it_has_an_owner(rig):
    made = add("did", {"number": "12065550100"})
    assert (made["status"], made["i_customer"]) == ("not_in_use", None)
    given = update("did", "number=12065550100", {"i_account": "3"})
    assert (given["status"], given["i_customer"], given["i_account"]) == ("in_use", 2, 3)
    left = update("did", 1, {"i_account": ""})
    assert (left["status"], left["i_customer"], left["i_account"]) == ("in_use", 2, None)
    moved = update("did", 1, {"i_customer": 1})
    assert (moved["i_customer"], moved["i_account"]) == (1, None)
    frozen = update("did", 1, {"status": "Frozen"})
    assert (frozen["status"], frozen["i_customer"]) == ("frozen", None)
    with pytest.raises(RegistryError, match="is frozen: set status=in_use along"):
        update("did", 1, {"i_customer": 1})
    again = update("did", 1, {"i_customer": 1, "status": "in use"})
    assert again["status"] == "in_use"
    assert remove("did", 1)["number"] == "12065550100"
    assert rig.types() == [
        "DID/New",
        "DID/Status/Assigned",
        *["DID/Status/Unassigned", "DID/Status/Assigned"] * 2,
        *["DID/Status/Unassigned", "DID/Status/Canceled"],
        *["DID/Status/Activated", "DID/Status/Assigned"],
        *["DID/Status/Unassigned", "DID/Deleted"],
    ]


def test_an_invoice_is_paid_little_by_little(rig):
    made = add("invoice", {"i_customer": 1, "invoice_number": "A-1", "amount_net": "100"})
    assert (made["status"], made["amount_due"]) == ("unpaid", 100)
    paid = {"amount_paid": "40.5", "status": "partially paid"}
    assert update("invoice", "invoice_number=A-1", paid)["amount_due"] == 59.5
    assert update("invoice", 1, {"adjustments": "-9.5"})["amount_due"] == 50
    assert update("invoice", 1, {"adjustments": "-9.5"})["amount_due"] == 50
    assert rig.types() == [
        "Invoice/New",
        "Invoice/AmountPaid/Changed",
        "Invoice/Status/Changed",
        "Invoice/Adjustments/Changed",
    ]


def test_custom_fields_hold_a_value_for_each_owner(rig):
    add("custom_field", {"object": "Account", "name": "tax"})
    value = {"i_custom_field": 1, "i_account": 3, "value": "x"}
    made = add("custom_field_value", value)
    assert (made["name"], made["object"], made["value"]) == ("tax", "account", "x")
    update("custom_field_value", 1, {"value": "x"})
    assert update("custom_field_value", 1, {"value": ""})["value"] == ""
    with pytest.raises(RegistryError, match="another record with this"):
        add("custom_field_value", value)
    assert rig.types() == ["Account/CustomField/Changed", "CustomField/Changed"] * 2
    assert remove("custom_field", "name=tax")["name"] == "tax"
    assert list_("custom_field_value") == []


def test_follow_me_and_its_numbers(rig):
    assert add("follow_me", {"i_account": 1})["enabled"] == "Y"
    assert update("follow_me", "i_account=1", {"sequence": "Random"})["sequence"] == "random"
    add("follow_me_number", {"i_account": 1, "redirect_number": "5551", "timeout": "20"})
    assert update("follow_me_number", 1, {"active": "no"})["active"] == "N"
    assert [one["redirect_number"] for one in list_("follow_me_number", {"i_account": 1})] == [
        "5551"
    ]
    remove("account", 1)
    assert (list_("follow_me"), list_("follow_me_number")) == ([], [])
    assert rig.types() == [
        "Account/FollowMe/Changed",
        "Account/FollowMe/Changed",
        "Account/FollowMeNumber/Inserted",
        "Account/FollowMeNumber/Changed",
        "Account/FollowMe/Changed",
        "Account/FollowMeNumber/Deleted",
        "Account/Status/Closed",
    ]


def test_a_device_is_given_to_an_account_and_taken_away(rig):
    add("ip_device_profile", {"name": "desk phone"})
    made = add("ip_device", {"name": "d1", "mac": "00:1a:2b:3c:4d:5e", "i_ip_device_profile": 1})
    assert made["mac"] == "001A2B3C4D5E"
    assert show("ip_device", "mac=001A2B3C4D5E")["name"] == "d1"
    assert update("account", 1, {"i_ip_device": 1})["i_ip_device"] == 1
    with pytest.raises(RegistryError, match="still in use by Account 1"):
        remove("ip_device", 1)
    with pytest.raises(RegistryError, match="still in use by IpDevice 1"):
        remove("ip_device_profile", 1)
    assert update("account", 1, {"i_ip_device": ""})["i_ip_device"] is None
    assert remove("ip_device", 1)["i_ip_device"] == 1
    assert rig.types() == ["IPDeviceProfile/New", *["Account/IPDeviceAssignment"] * 2]


def test_an_alias_belongs_to_an_account(rig):
    made = add("account", {"id": "nick", "i_customer": 1, "i_master_account": 1})
    assert (made["billing_model"], made["i_master_account"]) == (2, 1)
    for fields, why in [
        ({"i_customer": 2, "i_master_account": 1}, "not one of this customer"),
        ({"i_customer": 1, "i_master_account": 4}, "is an alias itself"),
        ({"i_customer": 1, "i_master_account": 99}, "not one of this customer"),
        ({"i_customer": 1, "i_master_account": 1, "billing_model": "debit"}, "Only an alias"),
    ]:
        with pytest.raises(RegistryError, match=why):
            add("account", {"id": "other"} | fields)
    with pytest.raises(RegistryError, match="i_master_account is fixed"):
        update("account", 4, {"i_master_account": 2})
    with pytest.raises(RegistryError, match="still in use by Account 4"):
        remove("account", 1)
    remove("account", 4)
    assert rig.types() == ["Account/New", "Account/Alias/Delete", "Account/Status/Closed"]


@pytest.mark.parametrize("entity", ["account", "customer"])
def test_personal_data_is_told_by_kind(rig, entity):
    personal = {"firstname": "Ann", "companyname": "A & Co"}
    address = {"baddr1": "Main St 1", "city": "Oslo", "state": "O", "zip": "0150", "country": "NO"}
    contact = {"email": "a@b.example", "phone1": "555"}
    shown = update(entity, 2, personal | address | contact)
    assert {name: shown[name] for name in personal | address | contact} == (
        personal | address | contact
    )
    update(entity, 2, personal | address | contact)
    assert rig.types() == [
        "Subscriber/Name/Changed",
        "Subscriber/Address/Changed",
        "Subscriber/ContactInfo/Changed",
    ]


@pytest.mark.parametrize(
    ("entity", "fields", "why"),
    [
        ("did", {}, "did needs number"),
        ("did", {"number": "+1206"}, "number must have 3 to 18 digits"),
        ("did", {"number": "1206", "status": "lost"}, "status must be one of not_in_use, in_use"),
        ("did", {"number": "1206", "status": "in_use"}, "in use exactly while it has an owner"),
        ("did", {"number": "1206", "status": "frozen", "i_customer": 1}, "in use exactly while"),
        ("did", {"number": "1206", "i_account": 99}, "There is no account 99"),
        ("did", {"number": "1206", "i_customer": 2, "i_account": 1}, "belongs to another customer"),
        ("did", {"number": "1206", "i_customer": 1, "i_env": 2}, "another environment"),
        ("did", {"numbr": "1206"}, "did you mean number"),
        ("invoice", {"i_customer": 1}, "invoice needs invoice_number"),
        ("invoice", {"i_customer": 9, "invoice_number": "A"}, "no customer 9"),
        ("invoice", {"i_customer": 1, "invoice_number": "A", "amount_net": "x"}, "an amount"),
        ("invoice", {"i_customer": 1, "invoice_number": "A", "amount_due": 1}, "less amount_paid"),
        ("custom_field", {"name": "tax"}, "needs object"),
        ("custom_field", {"name": "tax", "object": "sim"}, "must be one of account, customer"),
        ("custom_field_value", {"i_custom_field": 9, "i_account": 1}, "no custom_field 9"),
        ("custom_field_value", {"i_custom_field": 1, "i_customer": 1}, "give i_account and not"),
        ("custom_field_value", {"i_custom_field": 1}, "give i_account and not i_customer"),
        ("custom_field_value", {"i_custom_field": 1, "name": "tax"}, "give the field's"),
        ("follow_me", {"i_account": 9}, "no account 9"),
        ("follow_me", {"i_account": 1, "timeout": 0}, "must be from 1 to 600"),
        ("follow_me_number", {"i_account": 1}, "needs redirect_number"),
        ("ip_device", {"name": "d", "mac": "00:1a"}, "MAC address, 12 hexadecimal digits"),
        ("ip_device", {"name": "d", "i_ip_device_profile": 9}, "no ip_device_profile 9"),
        ("account", {"id": "x", "i_customer": 1, "i_ip_device": 9}, "no ip_device 9"),
        ("account", {"id": "x", "i_customer": 1, "country": "NOR"}, "at most 2"),
    ],
)
def test_bad_input_is_refused_with_the_reason_and_nothing_is_stored(rig, entity, fields, why):
    rig.script(
        "INSERT INTO custom_fields (i_custom_field, object, name) VALUES (1, 'account', 't')"
    )
    before = list_(entity)
    with pytest.raises(RegistryError, match=why):
        add(entity, fields)
    assert (list_(entity), rig.events()) == (before, [])


FIXED = [
    ("did", {"number": "1206"}, {"number": "1207"}, "number is fixed"),
    ("invoice", {"i_customer": 1, "invoice_number": "A"}, {"i_customer": 2}, "i_customer is fixed"),
    ("custom_field", {"object": "account", "name": "t"}, {"object": "customer"}, "object is fixed"),
    ("follow_me", {"i_account": 1}, {"i_account": 2}, "i_account is fixed"),
    ("ip_device", {"name": "d"}, {"i_env": 2}, "i_env is fixed"),
]


@pytest.mark.parametrize(("entity", "fields", "change", "why"), FIXED)
def test_what_is_fixed_stays_and_may_be_given_again(rig, entity, fields, change, why):
    made = add(entity, fields)
    with pytest.raises(RegistryError, match=why):
        update(entity, 1, change)
    assert update(entity, 1, fields) == made


def test_what_others_need_cannot_be_removed(rig):
    add("invoice", {"i_customer": 1, "invoice_number": "A"})
    for account in (1, 2):
        remove("account", account)
    with pytest.raises(RegistryError, match="still in use by Invoice 1"):
        remove("customer", 1)
    remove("invoice", 1)
    assert remove("customer", 1)["name"] == "Ann"


def test_every_entity_can_be_imported(rig, tmp_path):
    files = {
        "did": "number,i_account,status\n1206,1,\n1207,,frozen\n12x,,\n",
        "invoice": "invoice_number,i_customer,amount_net\nA-1,1,10\nA-2,2,20\nA-1,2,30\n",
        "custom_field": "object,name\naccount,tax\ncustomer,tax\nsim,tax\n",
        "custom_field_value": "i_custom_field,i_account,value\n1,1,x\n1,2,y\n2,3,z\n",
        "follow_me": "i_account,enabled\n1,Y\n2,N\n1,Y\n",
        "follow_me_number": "i_account,redirect_number\n1,5551\n1,5552\n9,5553\n",
        "ip_device_profile": "name\ndesk\nhall\ndesk\n",
        "ip_device": "name,i_ip_device_profile\nd1,1\nd2,2\nd3,3\n",
    }
    for entity, text in files.items():
        path = tmp_path / f"{entity}.csv"
        path.write_text(text)
        report = import_file(entity, path)
        assert (report.added, [line for line, _ in report.failed]) == (2, [4]), entity
        assert len(list_(entity)) == 2
    path.write_text("i_ip_device,name,mac\n1,d1,001a2b3c4d5e\n")
    assert import_file("ip_device", path).updated == 1
