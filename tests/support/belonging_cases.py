"""Changes of what accounts and customers have, on the population of `registry_rig`.

(set up, the change, events as (type, variables)); `BELONGINGS` is one for each reason of each rule.
"""

ACCOUNT_1 = {"i_account": 1, "i_customer": 1}
ACCOUNT_3 = {"i_account": 3, "i_customer": 2}
NUMBER = {"number": "12065550100"}

DID = "INSERT INTO dids (number) VALUES ('12065550100')"
DID_1 = (
    "INSERT INTO dids (number, i_customer, i_account, status)"
    " VALUES ('12065550100', 1, 1, 'in_use')"
)
FROZEN = "INSERT INTO dids (number, status) VALUES ('12065550100', 'frozen')"
INVOICE = "INSERT INTO invoices (i_invoice, i_customer, invoice_number) VALUES (1, 1, 'A-1')"
FIELDS = (
    "INSERT INTO custom_fields (i_custom_field, object, name)"
    " VALUES (1, 'account', 'tax'), (2, 'customer', 'tax')"
)
VALUE_3 = "INSERT INTO custom_field_values (i_custom_field, i_account, value) VALUES (1, 3, 'x')"
VALUE_C = "INSERT INTO custom_field_values (i_custom_field, i_customer, value) VALUES (2, 2, 'x')"
FOLLOW_ME = "INSERT INTO follow_me (i_account) VALUES (3)"
FOLLOWED = (
    "INSERT INTO follow_me_numbers (i_follow_me_number, i_account, redirect_number)"
    " VALUES (1, 3, '5551')"
)
DEVICES = "INSERT INTO ip_devices (i_ip_device, name) VALUES (1, 'desk'), (2, 'hall')"
ALIAS = (
    "INSERT INTO accounts (i_account, i_customer, id, billing_model, i_master_account)"
    " VALUES (4, 1, 'nick', 2, 1)"
)


def moved(column, before, after):
    return {f"prev_{column}": before, f"curr_{column}": after}


def did(name, before, after, owner=None):
    """A change of the number's status; `owner` is (i_customer, i_account)."""
    owned = {} if owner is None else {"i_customer": owner[0], "i_account": owner[1]}
    return (f"DID/Status/{name}", NUMBER | owned | moved("status", before, after))


def invoice(name, column, before, after):
    keys = {"i_customer": 1, "i_invoice": 1}
    return (f"Invoice/{name}/Changed", keys | moved(column, before, after))


def custom(owner_type, owner_id, field):
    owner = {"owner_type": owner_type, "owner_id": owner_id}
    return ("CustomField/Changed", owner | {"i_custom_field": field})


OF_ACCOUNT_3 = [
    ("Account/CustomField/Changed", ACCOUNT_3 | {"i_custom_field": 1}),
    custom("account", 3, 1),
]
OF_CUSTOMER_2 = [
    ("Customer/CustomField/Changed", {"i_customer": 2, "i_custom_field": 2}),
    custom("customer", 2, 2),
]
FREED = did("Unassigned", "in_use", "not_in_use", (1, 1))

BELONGINGS = [
    ("", DID, [("DID/New", NUMBER)]),
    ("", DID_1, [("DID/New", NUMBER), did("Assigned", None, "in_use", (1, 1))]),
    (
        DID,
        "UPDATE dids SET i_customer = 2, status = 'in_use'",
        [did("Assigned", "not_in_use", "in_use", (2, None))],
    ),
    (
        DID_1,
        "UPDATE dids SET i_customer = 2, i_account = 3",
        [
            did("Unassigned", "in_use", "in_use", (1, 1)),
            did("Assigned", "in_use", "in_use", (2, 3)),
        ],
    ),
    (
        DID_1,
        "UPDATE dids SET i_customer = NULL, i_account = NULL, status = 'not_in_use'",
        [FREED],
    ),
    (
        DID_1,
        "UPDATE dids SET i_customer = NULL, i_account = NULL, status = 'frozen'",
        [
            did("Unassigned", "in_use", "frozen", (1, 1)),
            did("Canceled", "in_use", "frozen"),
        ],
    ),
    (FROZEN, "UPDATE dids SET status = 'not_in_use'", [did("Activated", "frozen", "not_in_use")]),
    (
        FROZEN,
        "UPDATE dids SET status = 'in_use', i_customer = 1",
        [did("Activated", "frozen", "in_use"), did("Assigned", "frozen", "in_use", (1, None))],
    ),
    (FROZEN, "UPDATE dids SET status = 'moved'", [did("Moved", "frozen", "moved")]),
    (DID, "DELETE FROM dids", [("DID/Deleted", NUMBER)]),
    (
        DID_1,
        "DELETE FROM dids",
        [did("Unassigned", "in_use", None, (1, 1)), ("DID/Deleted", NUMBER)],
    ),
    (
        DID_1,
        "DELETE FROM accounts WHERE i_account = 1",
        [
            FREED,
            (
                "Account/Status/Closed",
                ACCOUNT_1 | {"id": "100"} | moved("bill_status", "O", "C"),
            ),
        ],
    ),
    (
        DID_1,
        "UPDATE accounts SET i_customer = 2 WHERE i_account = 1",
        [
            did("Unassigned", "in_use", "in_use", (1, 1)),
            did("Assigned", "in_use", "in_use", (2, 1)),
        ],
    ),
    ("", INVOICE, [("Invoice/New", {"i_customer": 1, "i_invoice": 1})]),
    (
        INVOICE,
        "UPDATE invoices SET amount_paid = 40.5, status = 'partially_paid'",
        [
            invoice("AmountPaid", "amount_paid", 0, 40.5),
            invoice("Status", "status", "unpaid", "partially_paid"),
        ],
    ),
    (
        INVOICE,
        "UPDATE invoices SET adjustments = -5",
        [invoice("Adjustments", "adjustments", 0, -5)],
    ),
    (FIELDS, VALUE_3, OF_ACCOUNT_3),
    (f"{FIELDS};{VALUE_3}", "UPDATE custom_field_values SET value = 'y'", OF_ACCOUNT_3),
    (f"{FIELDS};{VALUE_3}", "UPDATE custom_field_values SET value = ''", OF_ACCOUNT_3),
    (f"{FIELDS};{VALUE_3}", "DELETE FROM custom_field_values", OF_ACCOUNT_3),
    (FIELDS, VALUE_C, OF_CUSTOMER_2),
    (f"{FIELDS};{VALUE_C}", "UPDATE custom_field_values SET value = 'y'", OF_CUSTOMER_2),
    (f"{FIELDS};{VALUE_C}", "DELETE FROM custom_fields WHERE i_custom_field = 2", OF_CUSTOMER_2),
    ("", FOLLOW_ME, [("Account/FollowMe/Changed", ACCOUNT_3)]),
    (FOLLOW_ME, "UPDATE follow_me SET timeout = 10", [("Account/FollowMe/Changed", ACCOUNT_3)]),
    (FOLLOW_ME, "UPDATE follow_me SET enabled = 'N'", [("Account/FollowMe/Changed", ACCOUNT_3)]),
    (FOLLOW_ME, "DELETE FROM follow_me", [("Account/FollowMe/Changed", ACCOUNT_3)]),
    *(
        (
            "" if name == "Inserted" else FOLLOWED,
            change,
            [(f"Account/FollowMeNumber/{name}", ACCOUNT_3 | {"i_follow_me_number": 1})],
        )
        for name, change in [
            ("Inserted", FOLLOWED),
            ("Changed", "UPDATE follow_me_numbers SET redirect_number = '5552'"),
            ("Changed", "UPDATE follow_me_numbers SET active = 'N'"),
            ("Deleted", "DELETE FROM follow_me_numbers"),
        ]
    ),
    (
        (f"{FIELDS};{VALUE_3};{FOLLOW_ME};{FOLLOWED};DELETE FROM sim_cards WHERE i_sim_card < 3;"
        "UPDATE accounts SET i_sim_card = NULL, bill_status = 'C'"),
        "DELETE FROM accounts WHERE i_account = 3",
        [
            *OF_ACCOUNT_3,
            ("Account/FollowMe/Changed", ACCOUNT_3),
            ("Account/FollowMeNumber/Deleted", ACCOUNT_3 | {"i_follow_me_number": 1}),
        ],
    ),
    ("", "INSERT INTO ip_device_profiles (name) VALUES ('desk phone')",
     [("IPDeviceProfile/New", {"i_ip_device_profile": 1})]),
    (
        DEVICES,
        "INSERT INTO accounts (i_customer, id, i_ip_device) VALUES (1, '9', 2)",
        [
            ("Account/New", {"i_account": 4, "i_customer": 1, "id": "9", "i_product": None}),
            (
                "Account/IPDeviceAssignment",
                {"i_account": 4, "i_customer": 1} | moved("i_ip_device", None, 2),
            ),
        ],
    ),
    (
        f"{DEVICES};UPDATE accounts SET i_ip_device = 1",
        "UPDATE accounts SET i_ip_device = 2 WHERE i_account = 1",
        [("Account/IPDeviceAssignment", ACCOUNT_1 | moved("i_ip_device", 1, 2))],
    ),
    (
        f"{DEVICES};UPDATE accounts SET i_ip_device = 1, bill_status = 'C'",
        "DELETE FROM accounts WHERE i_account = 1",
        [("Account/IPDeviceAssignment", ACCOUNT_1 | moved("i_ip_device", 1, None))],
    ),
    *(
        (
            ALIAS,
            change,
            [
                (
                    "Account/Alias/Delete",
                    {"i_account": 4, "i_customer": 1, "i_master_account": 1, "id": "nick"},
                ),
                *(
                    (
                        f"Account/Status/{name}",
                        {"i_account": 4, "i_customer": 1}
                        | ({"id": "nick"} if name == "Closed" else {})
                        | moved("bill_status", "O", "C"),
                    )
                    for name in names
                ),
            ],
        )
        for change, names in [
            ("DELETE FROM accounts WHERE i_account = 4", ["Closed"]),
            ("UPDATE accounts SET bill_status = 'C' WHERE i_account = 4", ["Closed", "Changed"]),
        ]
    ),
    *(
        (
            "",
            f"UPDATE {table} SET {column} = 'x' WHERE {key} = 2",
            [(f"Subscriber/{name}/Changed", {"i_subscriber": number, key: 2})],
        )
        for table, key, number in [("accounts", "i_account", 4), ("customers", "i_customer", 5)]
        for name, columns in {
            "Name": ("firstname", "lastname", "companyname"),
            "Address": ("baddr1", "city", "state", "zip", "country"),
            "ContactInfo": ("email", "phone1"),
        }.items()
        for column in columns
    ),
]  # fmt: skip

NO_CHANGE = [
    (DID_1, "UPDATE dids SET description = 'nobody is told'"),
    (DID_1, "UPDATE dids SET i_customer = i_customer, i_account = i_account, status = status"),
    (INVOICE, "UPDATE invoices SET amount_net = 7, due_date = '2026-12-24'"),
    (INVOICE, "UPDATE invoices SET amount_paid = 0.000001, adjustments = 0"),
    (INVOICE, "DELETE FROM invoices"),
    (f"{FIELDS};{VALUE_3}", "UPDATE custom_field_values SET value = 'x'"),
    (FIELDS, "INSERT INTO custom_field_values (i_custom_field, i_account) VALUES (1, 3)"),
    (FIELDS, "UPDATE custom_fields SET name = 'vat'"),
    (FOLLOW_ME, "UPDATE follow_me SET enabled = 'Y', sequence = 'order'"),
    (FOLLOWED, "UPDATE follow_me_numbers SET redirect_number = '5551'"),
    (DEVICES, "UPDATE ip_devices SET name = 'door', mac = NULL WHERE i_ip_device = 1"),
    (DEVICES, "UPDATE accounts SET i_ip_device = NULL"),
    (ALIAS, "UPDATE accounts SET i_master_account = 1 WHERE i_account = 4"),
    ("", "UPDATE accounts SET firstname = '', city = '', email = ''"),
    ("", "UPDATE customers SET firstname = '', city = '', email = ''"),
]
"""Changes that are none, or that nobody is told of."""
