"""Tries a body template on an event of every type, so that mistakes show before any is sent."""

from collections.abc import Iterator
from typing import Any

from espf.errors import PayloadError
from espf.events.catalogue import Catalogue, EventType
from espf.handlers.event_sender.template.body import BodyTemplate, NotThere

_ADDON = {
    "i_product": 2, "name": "Music", "description": "", "addon_priority": 20,
    "addon_effective_from": None, "addon_effective_to": None, "i_product_group": None,
    "i_vd_plan": None,
}  # fmt: skip
_FEATURE = {
    "name": "netaccess_policy", "effective_flag_value": "Y",
    "attributes": [{"name": "access_policy", "effective_value": "1"}],
}  # fmt: skip
_ACCOUNT = {
    "i_env": 1, "i_account": 1, "i_customer": 1, "i_product": 1, "i_master_account": None,
    "i_vd_plan": None, "id": "4912345", "role": "mobile", "billing_model": 1,
    "balance_control": "subordinate", "bill_status": "O", "firstname": "", "lastname": "",
    "email": "", "phone1": "", "zip": "", "time_zone_name": "", "product_name": "LTE",
    "status": "active", "blocked": False, "balance": 0.5, "credit_limit": None,
    "available_funds": None, "activation_date": None, "expiration_date": None,
    "assigned_addons": [_ADDON], "service_features": [_FEATURE],
}  # fmt: skip
_CUSTOMER = {
    "i_customer": 1, "name": "Ann", "bill_status": "O", "status": "active", "blocked": False,
    "balance": 0.5, "credit_limit": None, "available_funds": None,
}  # fmt: skip
_POLICY = {
    "i_access_policy": 1, "name": "Fast",
    "attributes": [{"group_name": "lte.wtl", "name": "cs_profile", "value": "voice"}],
}  # fmt: skip
_CARD = {
    "i_sim_card": 1, "i_account": 1, "imsi": "001010000000001", "iccid": None,
    "msisdn": "4912345", "status": "used",
}  # fmt: skip
_FREE_CARD = _CARD | {"i_sim_card": 2, "i_account": None, "msisdn": None, "status": "available"}
PB_DATA = {
    "account_info": _ACCOUNT,
    "customer_info": _CUSTOMER,
    "product_info": {
        "i_product": 1, "name": "LTE", "description": "", "i_vd_plan": None, "addon_priority": 0,
    },
    "access_policy_info": _POLICY,
    "sim_info": _CARD,
    "prev_sim_info": _FREE_CARD,
}  # fmt: skip
"""Every part of an account, as `espf.subscribers.details` names it."""


def try_out(template: BodyTemplate) -> None:
    """Raise ValueError, fit to follow the option's name, if it gives no JSON for some type.

    What is not there in an event of one type is no mistake: the handler may not be subscribed to
    it. It is one if it is so for all of them.
    """
    missing: list[str] = []
    given = 0
    for name, values in _samples():
        try:
            given += template.render(values) is not None
        except NotThere as error:
            missing.append(f"{error.told} (tried on {name})")
        except PayloadError as error:
            told = str(error).partition(" ")[2]
            raise ValueError(f"{told.rstrip('.')} (tried on {name}).") from None
    if not given:
        why = f": {missing[0]}" if missing else ""
        raise ValueError(f"gives nothing for any event type{why}.")


def _samples() -> Iterator[tuple[str, dict[str, Any]]]:
    for of in Catalogue.load().types.values():
        yield of.name, _values(of.name, _variables(of))
    for v2 in Catalogue.load().v2.values():
        yield v2.name, _values(v2.name, {name: _value(name) for name in v2.variables})


def _variables(of: EventType) -> dict[str, Any]:
    always = {"i_env": 1, "i_event": 1, "event_time": "2026-01-01 00:00:00"}
    return always | {name: _value(name) for name in of.own_variables}


def _value(name: str) -> Any:
    kind = Catalogue.load().variable_type(name)
    return {"int": 1, "number": 0.5}.get(kind, "x")


def _values(name: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_type": name,
        "variables": variables,
        "i_event": 1,
        "event_id": "00000000-0000-5000-8000-000000000000",
        "event_time": "2026-01-01 00:00:00",
        "handler_id": "handler",
        "data": {"event_type": name, "variables": variables},
        "pb_data": PB_DATA,
    }
