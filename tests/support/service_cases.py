"""Changes of products, add-ons, attributes, sites and policies, and the events that each raises.

Import it as `service_cases`.
"""

from typing import Any

from registry_rig import POPULATION, Rig

SERVICES = """
INSERT INTO vd_plans (name) VALUES ('Family'), ('Night');
INSERT INTO access_policies (name) VALUES ('Fast'), ('Slow');
INSERT INTO policy_phases (i_access_policy, name) VALUES (1, 'after the quota');
INSERT INTO policy_attributes (i_access_policy, group_name, name, value)
  VALUES (1, 'lte.wtl', 'cs_profile', '1');
INSERT INTO policy_attributes
  (i_access_policy, i_access_policy_phase, group_name, name, value)
  VALUES (1, 1, 'lte.wtl', 'cs_profile', '2');
INSERT INTO products (name, addon_priority) VALUES ('Music', 20), ('Roaming', 10);
INSERT INTO services (name) VALUES ('Internet access'), ('Messages');
INSERT INTO accessibility (i_product, i_service) VALUES (1, 1);
INSERT INTO customer_sites (i_customer, name) VALUES (1, 'North'), (1, 'South'), (2, 'East');
INSERT INTO service_features (name) VALUES ('voicemail');
INSERT INTO account_addons (i_account, i_product) VALUES (3, 3);
INSERT INTO service_attributes (i_account, i_service_feature, name, value)
  VALUES (3, 1, 'access_policy', '7');
INSERT INTO service_attributes (i_customer_site, i_service_feature, name, value)
  VALUES (1, 2, 'greeting', 'hello');
"""
"""Beside `POPULATION`: products 3 and 4 are add-ons, account 3 has the first; customer 1 has sites
1 and 2, customer 2 has site 3; features are 1 netaccess_policy and 2 voicemail."""

Expected = list[tuple[str, dict[str, Any]]]


def populate_services(rig: Rig) -> None:
    """Both populations, and their events taken."""
    rig.script(POPULATION + SERVICES)
    rig.events()


def _moved(column: str, before: object, after: object) -> dict[str, Any]:
    return {f"prev_{column}": before, f"curr_{column}": after}


def _raw(
    owner: str, key: int, feature: str = "", attribute: str = ""
) -> tuple[str, dict[str, Any]]:
    named = {"service_feature": feature, "attribute": attribute} if feature else {}
    return ("ServiceAttribute/Changed", {"owner_type": owner, "owner_id": key} | named)


_ONE = {"i_account": 1, "i_customer": 1}
_THREE = {"i_account": 3, "i_customer": 2}
_FLAGS: list[tuple[str, str, str, Expected]] = [
    # (table, key, owner, what its flags raise beside)
    ("accounts", "i_account", "account",
     [("Account/ServiceFlags/Changed", _ONE | _moved("service_flags", "", "^Y"))]),
    ("customers", "i_customer", "customer",
     [("Customer/ServiceFlags/Changed", {"i_customer": 1} | _moved("service_flags", "", "^Y"))]),
    ("products", "i_product", "product", []),
    ("customer_sites", "i_customer_site", "customer_site", []),
]  # fmt: skip

CASES: list[tuple[str, str, Expected]] = [
    # (set up, the change, events as (type, variables))
    # ---- add-ons ----
    ("", "INSERT INTO account_addons (i_account, i_product) VALUES (1, 3)",
     [("Account/ProductAddon/Inserted", _ONE | {"i_product": 3})]),
    ("", "UPDATE account_addons SET addon_effective_to = '2027-01-01 00:00:00'",
     [("Account/ProductAddon/Changed", _THREE | {"i_product": 3})]),
    ("", "DELETE FROM account_addons",
     [("Account/ProductAddon/Deleted", _THREE | {"i_product": 3})]),
    ("DELETE FROM service_attributes", "DELETE FROM accounts WHERE i_account = 3",
     [("Account/ProductAddon/Deleted", _THREE | {"i_product": 3}),
      ("Account/SIMCardAssignment",
       _THREE | _moved("i_sim_card", 3, None) | _moved("imsi", "001010000000003", None)),
      ("Account/Status/Closed", _THREE | {"id": "300"} | _moved("bill_status", "O", "C")),
      ("SIM/Status/Changed",
       {"i_sim_card": 3, "imsi": "001010000000003"} | _moved("status", "used", "available"))]),
    # ---- discounts ----
    ("", "UPDATE accounts SET i_vd_plan = 1 WHERE i_account = 1",
     [("Account/Discount/Changed", _ONE | _moved("i_vd_plan", None, 1))]),
    ("UPDATE products SET i_vd_plan = 1 WHERE i_product = 1",
     "UPDATE accounts SET i_vd_plan = 1 WHERE i_account = 1", []),
    ("UPDATE products SET i_vd_plan = 1 WHERE i_product = 1",
     "UPDATE accounts SET i_vd_plan = 2 WHERE i_account = 1",
     [("Account/Discount/Changed", _ONE | _moved("i_vd_plan", 1, 2))]),
    ("UPDATE products SET i_vd_plan = 2 WHERE i_product = 2",
     "UPDATE accounts SET i_product = 2 WHERE i_account = 1",
     [("Account/Product/Changed", _ONE | _moved("i_product", 1, 2)),
      ("Account/Discount/Changed", _ONE | _moved("i_vd_plan", None, 2))]),
    ("", "UPDATE products SET i_vd_plan = 1 WHERE i_product = 1",
     [("Product/Discount/Changed", {"i_product": 1} | _moved("i_vd_plan", None, 1))]),
    # ---- access policies ----
    ("", "UPDATE accounts SET i_access_policy = 1 WHERE i_account = 1",
     [("Account/AccessPolicy/Changed", _ONE | _moved("i_access_policy", None, 1))]),
    ("UPDATE products SET i_access_policy = 1",
     "UPDATE accounts SET i_access_policy = 1, i_product = 2 WHERE i_account = 1",
     [("Account/Product/Changed", _ONE | _moved("i_product", 1, 2))]),
    ("UPDATE products SET i_access_policy = 3 - i_product WHERE i_product < 3",
     "UPDATE accounts SET i_product = 2 WHERE i_account = 1",
     [("Account/Product/Changed", _ONE | _moved("i_product", 1, 2)),
      ("Account/AccessPolicy/Changed", _ONE | _moved("i_access_policy", 2, 1))]),
    ("UPDATE products SET i_access_policy = 1; UPDATE accounts SET i_access_policy = 2",
     "UPDATE accounts SET i_access_policy = NULL WHERE i_account = 1",
     [("Account/AccessPolicy/Changed", _ONE | _moved("i_access_policy", 2, 1))]),
    ("", "UPDATE products SET i_access_policy = 1 WHERE i_product = 1",
     [("Product/AccessPolicy/Changed", {"i_product": 1} | _moved("i_access_policy", None, 1))]),
    ("", "INSERT INTO access_policies (name) VALUES ('New')", []),
    ("", "UPDATE access_policies SET name = 'Quick' WHERE i_access_policy = 1",
     [("AccessPolicy/Changed", {"i_access_policy": 1})]),
    ("", "INSERT INTO policy_attributes (i_access_policy, group_name, name) VALUES (2, 'a', 'b')",
     [("AccessPolicy/Changed", {"i_access_policy": 2})]),
    ("", "UPDATE policy_attributes SET value = '9' WHERE i_access_policy_phase IS NULL",
     [("AccessPolicy/Changed", {"i_access_policy": 1})]),
    ("", "DELETE FROM policy_attributes WHERE i_access_policy_phase IS NULL",
     [("AccessPolicy/Changed", {"i_access_policy": 1})]),
    ("", "INSERT INTO policy_phases (i_access_policy, name) VALUES (2, 'night')",
     [("AccessPolicy/Phase/New", {"i_access_policy": 2, "i_access_policy_phase": 2})]),
    ("", "UPDATE policy_phases SET name = 'night'",
     [("AccessPolicy/Phase/Changed", {"i_access_policy": 1, "i_access_policy_phase": 1})]),
    ("", ("INSERT INTO policy_attributes (i_access_policy, i_access_policy_phase, group_name, name)"
     " VALUES (1, 1, 'a', 'b')"),
     [("AccessPolicy/Phase/Changed", {"i_access_policy": 1, "i_access_policy_phase": 1})]),
    ("", "UPDATE policy_attributes SET value = '9' WHERE i_access_policy_phase = 1",
     [("AccessPolicy/Phase/Changed", {"i_access_policy": 1, "i_access_policy_phase": 1})]),
    ("", "DELETE FROM policy_attributes WHERE i_access_policy_phase = 1",
     [("AccessPolicy/Phase/Changed", {"i_access_policy": 1, "i_access_policy_phase": 1})]),
    ("DELETE FROM policy_attributes", "DELETE FROM policy_phases",
     [("AccessPolicy/Phase/Deleted", {"i_access_policy": 1, "i_access_policy_phase": 1})]),
    # ---- services of products ----
    ("", "INSERT INTO accessibility (i_product, i_service) VALUES (2, 1)",
     [("Accessibility/Inserted", {"i_product": 2, "i_service": 1})]),
    ("", "DELETE FROM accessibility",
     [("Accessibility/Deleted", {"i_product": 1, "i_service": 1})]),
    # ---- attributes ----
    *(
        ("",
         (f"INSERT INTO service_attributes ({key}, i_service_feature, name, value)"
         " VALUES (2, 2, 'greeting', 'secret')"),
         [_raw(owner, 2, "voicemail", "greeting")])
        for _, key, owner, _ in _FLAGS
    ),
    ("", "UPDATE service_attributes SET value = '8' WHERE i_account = 3",
     [_raw("account", 3, "netaccess_policy", "access_policy")]),
    ("", "DELETE FROM service_attributes WHERE i_customer_site = 1",
     [_raw("customer_site", 1, "voicemail", "greeting")]),
    *(
        ("",
         f"UPDATE {table} SET service_flags = '^Y' WHERE {key} = 1",
         [*beside, _raw(owner, 1)])
        for table, key, owner, beside in _FLAGS
    ),
    # ---- sites ----
    ("", "UPDATE accounts SET i_customer_site = 1 WHERE i_account = 1",
     [("Account/ServiceAttribute/Changed", _ONE)]),
    ("", "UPDATE accounts SET i_customer_site = 2 WHERE i_account = 1", []),
    ("UPDATE customer_sites SET service_flags = 'N' WHERE i_customer_site = 2",
     "UPDATE accounts SET i_customer_site = 2 WHERE i_account = 1",
     [("Account/ServiceAttribute/Changed", _ONE)]),
    ("", "UPDATE accounts SET i_customer = 1 WHERE i_account = 3", []),
    ("UPDATE customers SET service_flags = 'Y' WHERE i_customer = 1",
     "UPDATE accounts SET i_customer = 1 WHERE i_account = 3",
     [("Account/ServiceAttribute/Changed", {"i_account": 3, "i_customer": 1})]),
    ("INSERT INTO service_attributes (i_customer, i_service_feature, name) VALUES (2, 1, 'a')",
     "UPDATE accounts SET i_customer = 1 WHERE i_account = 3",
     [("Account/ServiceAttribute/Changed", {"i_account": 3, "i_customer": 1})]),
]  # fmt: skip

UNHEARD = [
    "UPDATE products SET name = 'Other', description = 'other' WHERE i_product = 1",
    "UPDATE products SET addon_priority = 30 WHERE i_product = 3",
    "UPDATE vd_plans SET name = 'Other' WHERE i_vd_plan = 1",
    "UPDATE services SET name = 'Other' WHERE i_service = 1",
    "UPDATE customer_sites SET name = 'Other' WHERE i_customer_site = 1",
    "INSERT INTO customer_sites (i_customer, name, service_flags) VALUES (1, 'West', 'Y')",
    "INSERT INTO products (name, service_flags, i_vd_plan) VALUES ('Third', 'Y', 1)",
    "INSERT INTO vd_plans (name) VALUES ('Third')",
]
"""Changes that concern no account, and no type of the catalogue."""
