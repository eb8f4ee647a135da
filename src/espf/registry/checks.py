"""Rules of the registry that take more than one value: what may follow what (domain, 8).

Each check takes the values to store, by the model's attribute, and completes them. What must hold
for any writer is a constraint or a trigger; these say it earlier and better.
"""

from espf.errors import RegistryError
from espf.registry.belongings import IpDevice
from espf.registry.models import Account, Customer, Product, SimCard
from espf.registry.tables import table
from espf.registry.values import Value
from espf.subscribers.status import ALIAS, CREDIT, DEBIT

Values = dict[str, Value]
_BLANK: Values = {"billing_model": CREDIT, "activation_date": None, "expiration_date": None}


def new_account(values: Values) -> None:
    """Complete a new account: environment, balance control, card."""
    customer = _customer_of(values["customer_id"])
    if values.setdefault("env_id", customer.env_id) != customer.env_id:
        raise RegistryError("The customer belongs to another environment.", "i_env")
    if customer.bill_status == "C":
        raise RegistryError(f"Customer {customer.pk} is closed.", "i_customer")
    _alias(values, customer.pk)
    credit = values.get("billing_model", CREDIT) == CREDIT
    values.setdefault("balance_control", "subordinate" if credit else "individual")
    _account_agrees(_BLANK | values, values)
    _check_product(values, customer.env_id)
    _check_device(values, customer.env_id)
    _card(values, customer.env_id, customer.pk)


def changed_account(current: Account, values: Values) -> None:
    """Check what an update does to an account; `imsi` becomes the card."""
    _same("i_env", values.get("env_id", current.env_id), current.env_id)
    _same(
        "billing_model", values.get("billing_model", current.billing_model), current.billing_model
    )
    _still_open("Account", current.pk, current.bill_status, values)
    if values.get("bill_status") == "I" and current.bill_status != "I":
        raise RegistryError("An account is inactive only until its first use.", "bill_status")
    _account_agrees({name: getattr(current, name) for name in _BLANK} | values, values)
    owner = values.get("customer_id", current.customer_id)
    if owner != current.customer_id and _customer_of(owner).env_id != current.env_id:
        raise RegistryError("The customer belongs to another environment.", "i_customer")
    if current.master_id is not None:
        _same("i_master_account", values.get("master_id", current.master_id), current.master_id)
    else:
        _alias(values, owner, current.billing_model)
    _check_product(values, current.env_id)
    _check_device(values, current.env_id)
    if values.get("imsi") and "C" in {current.bill_status, values.get("bill_status")}:
        raise RegistryError(f"Account {current.pk} is closed; it takes no SIM card.", "imsi")
    _card(values, current.env_id, owner, current)


def changed_customer(current: Customer, values: Values) -> None:
    """Check what an update does to a customer."""
    _same("i_env", values.get("env_id", current.env_id), current.env_id)
    _still_open("Customer", current.pk, current.bill_status, values)


def card(current: SimCard | None, values: Values) -> None:
    """Check a new or changed card: `used` follows the assignment."""
    status = values.get("status")
    used = current is not None and current.status == "used"
    if current is not None:
        _same("i_env", values.get("env_id", current.env_id), current.env_id)
        if used and values.get("imsi", current.imsi) != current.imsi:
            # The account would change its IMSI, and no system that follows it would hear of it.
            raise RegistryError(
                "The IMSI of a card in use is fixed: take it away from its account first "
                "(imsi= on update).",
                "imsi",
            )
    if status is not None and (status == "used") != used:
        raise RegistryError(
            "The SIM card is in use by an account: take it away there first (imsi= on update)."
            if used
            else "A card becomes used when an account takes it (imsi=… there).",
            "status",
        )
    if values.get("customer_id") is not None:
        owner = _customer_of(values["customer_id"])
        if owner.env_id != values.get("env_id", current.env_id if current else owner.env_id):
            raise RegistryError("The customer belongs to another environment.", "i_customer")
        values.setdefault("env_id", owner.env_id)


def _account_agrees(after: Values, values: Values) -> None:
    if values.get("bill_status") == "S" and after["billing_model"] != DEBIT:
        raise RegistryError(
            "Only a debit account can be suspended by itself; suspend the customer.", "bill_status"
        )
    begins, ends = after["activation_date"], after["expiration_date"]
    moved = "activation_date" in values or "expiration_date" in values
    if moved and begins is not None and ends is not None and str(ends) < str(begins):
        raise RegistryError("expiration_date is before activation_date.", "expiration_date")


def _card(values: Values, i_env: int, i_customer: object, current: Account | None = None) -> None:
    if "imsi" not in values:
        return
    imsi = values.pop("imsi")
    if imsi is None:
        values["sim_card_id"] = None
        return
    found = table(SimCard).get(env_id=i_env, imsi=imsi)
    if found is None:
        raise RegistryError(f"There is no SIM card with IMSI {imsi} in this environment.", "imsi")
    if current is None or current.sim_card_id != found.pk:
        _check_free(found, i_customer)
    values["sim_card_id"] = found.pk


def _check_free(found: SimCard, i_customer: object) -> None:
    if found.status == "used":
        raise RegistryError(f"SIM card {found.imsi} is in use by another account.", "imsi")
    if found.status == "disposed":
        raise RegistryError(f"SIM card {found.imsi} is disposed of.", "imsi")
    if found.status == "reserved" and found.customer_id not in {None, i_customer}:
        raise RegistryError(f"SIM card {found.imsi} is reserved for another customer.", "imsi")


def _alias(values: Values, i_customer: object, present: int = ALIAS) -> None:
    """An account with a master is an alias of it."""
    key = values.get("master_id")
    if not isinstance(key, int):
        return
    if values.setdefault("billing_model", present) != ALIAS:
        raise RegistryError(
            "Only an alias (billing_model=alias) has an i_master_account.", "billing_model"
        )
    master = table(Account).get(i_account=key)
    if master is None or master.customer_id != i_customer or master.billing_model == ALIAS:
        raise RegistryError(
            f"Account {key} is not one of this customer, or is an alias itself.",
            "i_master_account",
        )


def _check_device(values: Values, i_env: int) -> None:
    key = values.get("ip_device_id")
    if isinstance(key, int) and not table(IpDevice).get(i_ip_device=key, env_id=i_env):
        raise RegistryError(f"There is no ip_device {key} in this environment.", "i_ip_device")


def _check_product(values: Values, i_env: int) -> None:
    key = values.get("product_id")
    if isinstance(key, int) and not table(Product).get(i_product=key, env_id=i_env):
        raise RegistryError(f"There is no product {key} in this environment.", "i_product")


def _customer_of(key: object) -> Customer:
    found = table(Customer).get(i_customer=key) if isinstance(key, int) else None
    if found is None:
        raise RegistryError(f"There is no customer {key}.", "i_customer")
    return found


def _same(name: str, wanted: object, present: object) -> None:
    if wanted != present:
        raise RegistryError(f"{name} is fixed when the record is made.", name)


def _still_open(what: str, key: int, status: str, values: Values) -> None:
    if status == "C" and values.get("bill_status", "C") != "C":
        raise RegistryError(f"{what} {key} is closed and cannot be reopened.", "bill_status")
