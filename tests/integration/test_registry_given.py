"""What accounts are given, by the services: add-ons, attributes, policies, plans, sites."""

import pytest

import registry_rig
from espf.errors import RegistryError
from espf.registry.importing import import_file
from espf.registry.services import add, list_, remove, show, update
from service_cases import populate_services


@pytest.fixture(params=registry_rig.ENGINES)
def rig(request, tmp_path):
    with registry_rig.registry(tmp_path, request.param) as rig:
        populate_services(rig)
        yield rig


def test_an_addon_is_added_changed_and_removed_with_an_event_each(rig):
    made = add("assigned_addon", {"i_account": 1, "i_product": 3})
    assert made == {
        "i_account_addon": 2,
        "i_account": 1,
        "i_product": 3,
        "name": "Music",
        "description": "",
        "addon_priority": 20,
        "i_vd_plan": None,
        "addon_effective_from": None,
        "addon_effective_to": None,
    }
    changed = update("assigned_addon", 2, {"addon_effective_to": "2027-01-02"})
    assert changed["addon_effective_to"] == "2027-01-02 00:00:00"
    update("assigned_addon", 2, {"addon_effective_to": "2027-01-02 00:00"})
    remove("assigned_addon", 2)
    assert rig.types() == [
        "Account/ProductAddon/Inserted",
        "Account/ProductAddon/Changed",
        "Account/ProductAddon/Deleted",
    ]


def test_an_attribute_names_its_feature_and_takes_its_owners_environment(rig):
    rig.sql("INSERT INTO environments (name) VALUES ('second')")
    customer = add("customer", {"i_env": 2, "name": "Eve"})["i_customer"]
    made = add(
        "service_attribute",
        {"i_customer": customer, "service_feature": "voicemail", "name": "pin", "value": "1"},
    )
    assert (made["i_env"], made["service_feature"]) == (2, "voicemail")
    found = list_("service_attribute", {"service_feature": "voicemail", "i_env": 2})
    assert [one["i_customer"] for one in found] == [customer]


def test_products_and_accounts_take_plans_policies_and_flags(rig):
    product = update(
        "product", "name=LTE", {"i_vd_plan": 1, "i_access_policy": 1, "service_flags": "y^"}
    )
    assert product["service_flags"] == "Y"
    assert (product["kind"], product["addon_priority"]) == ("main", 0)
    assert add("product", {"name": "Extra", "addon_priority": "high"})["addon_priority"] == 30
    account = update("account", 1, {"i_customer_site": 1, "i_vd_plan": 2, "service_flags": "^N"})
    assert (account["i_customer_site"], account["i_vd_plan"]) == (1, 2)
    assert show("customer", 1)["service_flags"] == ""
    assert update("customer", 1, {"service_flags": "N"})["service_flags"] == "N"


def test_a_policy_has_attributes_and_phases_with_their_own(rig):
    policy = add("access_policy", {"name": "Night"})["i_access_policy"]
    phase = add("access_policy_phase", {"i_access_policy": policy, "name": "after the quota"})
    given = {"i_access_policy": policy, "group_name": "lte.wtl", "name": "cs_profile"}
    add("access_policy_attribute", given | {"value": "1"})
    add(
        "access_policy_attribute",
        given | {"value": "2", "i_access_policy_phase": phase["i_access_policy_phase"]},
    )
    assert [one["value"] for one in list_("access_policy_attribute", {"i_access_policy": 3})] == [
        "1",
        "2",
    ]
    remove("access_policy", policy)
    assert list_("access_policy_attribute", {"i_access_policy": 3}) == []


def test_many_addons_are_imported_from_a_file(rig, tmp_path):
    file = tmp_path / "addons.csv"
    file.write_text("i_account,i_product,addon_effective_from\n1,3,2026-01-01\n2,1,\n1,4,soon\n")
    report = import_file("assigned_addon", file)
    assert (report.added, report.failed_count) == (1, 2)
    assert [line for line, _ in report.failed] == [3, 4]
    assert "main product" in report.failed[0][1]


REFUSED = [
    ("assigned_addon", {"i_account": 1, "i_product": 1}, "i_product", "is a main product"),
    ("assigned_addon", {"i_account": 9, "i_product": 3}, "i_account", "no account 9"),
    ("assigned_addon", {"i_account": 3, "i_product": 3}, None, "There is another"),
    (
        "assigned_addon",
        {
            "i_account": 1,
            "i_product": 3,
            "addon_effective_from": "2026-01-02",
            "addon_effective_to": "2026-01-01",
        },
        "addon_effective_to",
        "not after",
    ),
    (
        "assigned_addon",
        {"i_account": 1, "i_product": 3, "addon_effective_from": "2026-02-30"},
        "addon_effective_from",
        "must be a moment",
    ),
    ("product", {"name": "x", "addon_priority": 7}, "addon_priority", "above_medium"),
    ("product", {"name": "x", "i_vd_plan": 9}, None, "no such discount plan"),
    ("product", {"name": "x", "service_flags": "YES"}, "service_flags", "letters"),
    ("account", {"id": "9", "i_customer": 2, "i_customer_site": 1}, None, "has no such site"),
    ("service_attribute", {"service_feature": "voicemail", "name": "a"}, None, "one owner"),
    (
        "service_attribute",
        {"service_feature": "voicemail", "name": "a", "i_account": 1, "i_product": 1},
        None,
        "one owner",
    ),
    (
        "service_attribute",
        {"service_feature": "fax", "name": "a", "i_account": 1},
        "service_feature",
        "add service_feature",
    ),
    (
        "access_policy_attribute",
        {"i_access_policy": 2, "i_access_policy_phase": 1, "group_name": "a", "name": "b"},
        "i_access_policy_phase",
        "another access policy",
    ),
    ("access_policy_phase", {"i_access_policy": 9, "name": "x"}, None, "no such access policy"),
    ("accessibility", {"i_product": 1, "i_service": 1}, None, "There is another"),
    ("customer_site", {"i_customer": 9, "name": "x"}, "i_customer", "no customer 9"),
    ("service_feature", {"name": "voicemail"}, None, "There is another"),
]


@pytest.mark.parametrize(("entity", "fields", "field", "why"), REFUSED)
def test_bad_input_is_refused_with_what_and_how_to_mend_it(rig, entity, fields, field, why):
    with pytest.raises(RegistryError, match=why) as caught:
        add(entity, fields)
    if field is not None:
        assert caught.value.field == field
    assert rig.events() == []


def test_what_is_fixed_is_not_changed(rig):
    for entity, key, fields in [
        ("assigned_addon", 1, {"i_product": 4}),
        ("service_attribute", 1, {"service_feature": "voicemail"}),
        ("customer_site", 1, {"i_customer": 2}),
        ("service_feature", 1, {"name": "other"}),
        ("access_policy_attribute", 1, {"i_access_policy": 2}),
    ]:
        with pytest.raises(RegistryError, match="is fixed when the record is made"):
            update(entity, key, fields)
    assert rig.events() == []


def test_what_is_in_use_is_not_removed(rig):
    update("account", 1, {"i_vd_plan": 1, "i_access_policy": 1, "i_customer_site": 1})
    rig.events()
    for entity, key in [
        ("vd_plan", 1),
        ("access_policy", 1),
        ("customer_site", 1),
        ("product", 3),
        ("service", 1),
        ("service_feature", 1),
    ]:
        with pytest.raises(RegistryError, match=r"first|in use"):
            remove(entity, key)
    assert rig.events() == []


def test_there_are_no_more_features_than_letters(rig):
    rig.sql("INSERT INTO service_features (i_service_feature, name) VALUES (64, 'last')")
    with pytest.raises(RegistryError, match="64 service features"):
        add("service_feature", {"name": "one more"})
