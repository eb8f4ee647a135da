"""What applications are told of what an account is given: add-ons, features, access policy.

Named as the billing API names it (domain, 5.2).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from espf.subscribers.services import AccessPolicy, Feature, Services


def addons_by_account(rows: Sequence[Sequence[Any]]) -> defaultdict[int, list[dict[str, Any]]]:
    """`assigned_addons` of each account, from the rows of `details_of_addons`."""
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(dict(zip(_ADDON, row[1:], strict=True)) | {"i_product_group": None})
    return found


_ADDON = (
    "i_product", "name", "description", "addon_priority", "addon_effective_from",
    "addon_effective_to", "i_vd_plan",
)  # fmt: skip
"""The columns in their order. There are no product groups here."""


def features_shown(given: Services) -> list[dict[str, Any]]:
    """`service_features`: those that some owner has switched, or set an attribute of, by name."""
    return [_feature(one) for one in given.features.values()]


def _feature(one: Feature) -> dict[str, Any]:
    attributes = sorted(one.attributes.items())
    return {
        "name": one.name,
        "effective_flag_value": "Y" if one.on else "N",
        "attributes": [{"name": name, "effective_value": value} for name, value in attributes],
    }


def policy_shown(policy: AccessPolicy) -> dict[str, Any]:
    """`access_policy_info`, with what holds outside of phases: which phase it is, is not known."""
    return {
        "i_access_policy": policy.i_access_policy,
        "name": policy.name,
        "attributes": [
            {"group_name": one.group_name, "name": one.name, "value": one.value}
            for one in sorted(policy.attributes, key=lambda one: (one.group_name, one.name))
            if one.phase is None
        ],
    }
