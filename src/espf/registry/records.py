"""Records as they are shown: JSON-able, under the API's names, without any secret."""

from datetime import UTC, date, datetime

from django.db.models import Model

from espf.clock import Clock, SystemClock
from espf.registry.belonging_records import belonging
from espf.registry.models import Account, Customer, Environment, Product, SimCard
from espf.registry.service_records import SERVICE_RELATED, service_record
from espf.registry.shown import Shown, day, number
from espf.subscribers.status import (
    AccountState,
    CustomerState,
    account_funds,
    account_status,
    customer_funds,
    customer_status,
)

RELATED: dict[str, tuple[str, ...]] = {
    "account": ("customer", "sim_card", "product"),
    "sim_card": ("account",),
    "custom_field_value": ("custom_field",),
    **SERVICE_RELATED,
}
"""What is read together with each entity."""


def record(row: Model, clock: Clock | None = None) -> dict[str, Shown]:
    """The record of a row; `clock` says which day it is for the effective status."""
    match row:
        case Account():
            return _account(row, _today(clock or SystemClock()))
        case Customer():
            return _customer(row)
        case SimCard():
            return _sim_card(row)
        case Product():
            return {
                "i_product": row.pk,
                "i_env": row.env_id,
                "name": row.name,
                "description": row.description,
                "kind": "add-on" if row.addon_priority else "main",
                "addon_priority": row.addon_priority,
                "i_vd_plan": row.vd_plan_id,
                "i_access_policy": row.access_policy_id,
                "service_flags": row.service_flags,
            }
        case Environment():
            return {"i_env": row.pk, "name": row.name}
    return service_record(row) or belonging(row)


def customer_state(row: Customer) -> CustomerState:
    """What of a stored customer decides its status."""
    return CustomerState(row.bill_status, row.blocked, row.limited, row.balance, row.credit_limit)


def account_state(row: Account) -> AccountState:
    """What of a stored account decides its status."""
    return AccountState(
        row.bill_status,
        row.blocked,
        row.billing_model,
        row.balance_control,
        row.balance,
        row.credit_limit,
        row.activation_date,
        row.expiration_date,
    )


def _account(row: Account, today: date) -> dict[str, Shown]:
    state, customer = account_state(row), customer_state(row.customer)
    return {
        "i_account": row.pk,
        "i_env": row.env_id,
        "i_customer": row.customer_id,
        "i_product": row.product_id,
        "product_name": row.product.name if row.product else None,
        "i_master_account": row.master_id,
        "i_ip_device": row.ip_device_id,
        "i_customer_site": row.customer_site_id,
        "i_vd_plan": row.vd_plan_id,
        "i_access_policy": row.access_policy_id,
        "service_flags": row.service_flags,
        "id": row.visible_id,
        "role": row.role,
        "billing_model": row.billing_model,
        "balance_control": row.balance_control,
        "bill_status": row.bill_status,
        "status": account_status(state, customer, today),
        "blocked": row.blocked,
        "balance": number(row.balance),
        "credit_limit": number(row.credit_limit),
        "available_funds": number(account_funds(state, customer)),
        "activation_date": day(row.activation_date),
        "expiration_date": day(row.expiration_date),
        "i_sim_card": row.sim_card_id,
        "imsi": row.sim_card.imsi if row.sim_card else None,
        **_personal(row),
        "time_zone_name": row.time_zone_name,
        "has_password": bool(row.password),
        "has_h323_password": bool(row.h323_password),
    }


def _customer(row: Customer) -> dict[str, Shown]:
    state = customer_state(row)
    return {
        "i_customer": row.pk,
        "i_env": row.env_id,
        "name": row.name,
        "bill_status": row.bill_status,
        "status": customer_status(state),
        "blocked": row.blocked,
        "limited": row.limited,
        "service_flags": row.service_flags,
        "balance": number(row.balance),
        "credit_limit": number(row.credit_limit),
        "available_funds": number(customer_funds(state)),
        **_personal(row),
    }


def _personal(row: Account | Customer) -> dict[str, Shown]:
    return {
        "companyname": row.companyname,
        "firstname": row.firstname,
        "lastname": row.lastname,
        "email": row.email,
        "phone1": row.phone1,
        "baddr1": row.baddr1,
        "city": row.city,
        "state": row.state,
        "zip": row.zip,
        "country": row.country,
    }


def _sim_card(row: SimCard) -> dict[str, Shown]:
    account = getattr(row, "account", None)
    return {
        "i_sim_card": row.pk,
        "i_env": row.env_id,
        "imsi": row.imsi,
        "iccid": row.iccid,
        "status": row.status,
        "i_customer": row.customer_id,
        "i_account": account.pk if account else None,
        "msisdn": account.visible_id if account else None,
        "amf": row.amf,
        "hlr_name": row.hlr_name,
        "has_ki": bool(row.ki),
        "has_opc": bool(row.opc),
        "has_pin": bool(row.pin),
        "has_puk1": bool(row.puk1),
        "has_puk2": bool(row.puk2),
        "has_activation_code": bool(row.activation_code),
    }


def _today(clock: Clock) -> date:
    return datetime.fromtimestamp(clock.now_us() / 1_000_000, UTC).date()
