"""Records of what accounts and customers have; see `records`."""

from django.db.models import Model

from espf.registry.belongings import (
    CustomField,
    CustomFieldValue,
    Did,
    FollowMe,
    FollowMeNumber,
    Invoice,
    IpDevice,
    IpDeviceProfile,
)
from espf.registry.shown import Shown, day, number


def belonging(row: Model) -> dict[str, Shown]:
    """The record of a row."""
    match row:
        case Did():
            return _did(row)
        case Invoice():
            return _invoice(row)
        case CustomField() | CustomFieldValue():
            return _custom(row)
        case FollowMe() | FollowMeNumber():
            return _follow_me(row)
        case IpDevice() | IpDeviceProfile():
            return _device(row)
    raise TypeError(f"no record of {type(row).__name__}")


def _did(row: Did) -> dict[str, Shown]:
    return {
        "i_did": row.pk,
        "i_env": row.env_id,
        "number": row.number,
        "status": row.status,
        "i_customer": row.customer_id,
        "i_account": row.account_id,
        "description": row.description,
    }


def _invoice(row: Invoice) -> dict[str, Shown]:
    return {
        "i_invoice": row.pk,
        "i_env": row.env_id,
        "i_customer": row.customer_id,
        "invoice_number": row.invoice_number,
        "status": row.status,
        "amount_net": number(row.amount_net),
        "adjustments": number(row.adjustments),
        "amount_paid": number(row.amount_paid),
        "amount_due": number(row.amount_net + row.adjustments - row.amount_paid),
        "issue_date": day(row.issue_date),
        "due_date": day(row.due_date),
    }


def _custom(row: CustomField | CustomFieldValue) -> dict[str, Shown]:
    if isinstance(row, CustomField):
        return {
            "i_custom_field": row.pk,
            "i_env": row.env_id,
            "object": row.object,
            "name": row.name,
        }
    return {
        "i_custom_field_value": row.pk,
        "i_custom_field": row.custom_field_id,
        "name": row.custom_field.name,
        "object": row.custom_field.object,
        "i_account": row.account_id,
        "i_customer": row.customer_id,
        "value": row.value,
    }


def _follow_me(row: FollowMe | FollowMeNumber) -> dict[str, Shown]:
    if isinstance(row, FollowMe):
        return {
            "i_follow_me": row.pk,
            "i_account": row.account_id,
            "enabled": row.enabled,
            "sequence": row.sequence,
            "timeout": row.timeout,
            "max_forwards": row.max_forwards,
        }
    return {
        "i_follow_me_number": row.pk,
        "i_account": row.account_id,
        "i_follow_me_order": row.i_follow_me_order,
        "redirect_number": row.redirect_number,
        "name": row.name,
        "timeout": row.timeout,
        "active": row.active,
    }


def _device(row: IpDevice | IpDeviceProfile) -> dict[str, Shown]:
    if isinstance(row, IpDeviceProfile):
        return {
            "i_ip_device_profile": row.pk,
            "i_env": row.env_id,
            "name": row.name,
            "description": row.description,
        }
    return {
        "i_ip_device": row.pk,
        "i_env": row.env_id,
        "name": row.name,
        "mac": row.mac,
        "i_ip_device_profile": row.profile_id,
    }
