"""Who gets a derived event, as SQL that SQLite and PostgreSQL both read.

Closed accounts get nothing, and neither does an account whose own setting, or that of somebody
nearer than the cause, leaves what applies to it as it was (domain, 4). Parameters are :name.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from espf.dispatch.derivation import Derivation

FLAGS = 64


class Choice(NamedTuple):
    """A query's parts; `a` is the row that the derived event is about."""

    table: str
    key: str
    """Column of the entity's key."""
    entity: str
    candidates: str
    """Keys above :after, in order, at most :limit: a range of an index, whatever the condition."""
    condition: str
    """Which candidates get the event."""
    bound: Mapping[str, Any]


def choice(derivation: Derivation) -> Choice:
    """Who gets an event of this derivation."""
    bound: dict[str, Any] = {"owner": derivation.owner}
    kind = _SINGLE.get(derivation.scope)
    if kind is not None:
        table, key, entity = kind
        condition = f"a.{key} = :owner"
        if table == "accounts":
            condition += " AND a.bill_status <> 'C'"
        candidates = (
            f"SELECT {key} FROM {table} WHERE {key} = :owner AND {key} > :after LIMIT :limit"
        )
        return Choice(table, key, entity, candidates, condition, bound)
    scope, belongs = _SCOPES[derivation.scope]
    parts = [belongs, "a.bill_status <> 'C'", *_unchanged(derivation, bound)]
    return Choice("accounts", "i_account", "account", scope, " AND ".join(parts), bound)


_SINGLE = {
    "owner-account": ("accounts", "i_account", "account"),
    "owner-customer": ("customers", "i_customer", "customer"),
    "owner-customer-site": ("customer_sites", "i_customer_site", "customer_site"),
    "owner-product": ("products", "i_product", "product"),
}


def _keys(table: str, column: str) -> str:
    return (
        f"SELECT i_account FROM {table} WHERE {column} = :owner AND i_account > :after"
        " ORDER BY i_account LIMIT :limit"
    )


def _of(column: str) -> tuple[str, str]:
    return _keys("accounts", column), f"a.{column} = :owner"


_EITHER = (
    f"SELECT i_account FROM (SELECT * FROM ({_keys('accounts', 'i_product')}) AS main"
    f" UNION SELECT * FROM ({_keys('account_addons', 'i_product')}) AS addon) AS either"
    " ORDER BY i_account LIMIT :limit"
)
_HAS_PRODUCT = (
    "(a.i_product = :owner OR EXISTS (SELECT 1 FROM account_addons AS x"
    " WHERE x.i_account = a.i_account AND x.i_product = :owner"
    " AND COALESCE(x.addon_effective_from, '') <= :now"
    " AND (x.addon_effective_to IS NULL OR x.addon_effective_to > :now)))"
)
_SCOPES = {
    "accounts-of-product": (_EITHER, _HAS_PRODUCT),
    "accounts-of-customer": _of("i_customer"),
    "accounts-of-customer-site": _of("i_customer_site"),
    "credit-subordinate-accounts": (
        _of("i_customer")[0],
        "a.i_customer = :owner AND a.billing_model = 1 AND a.balance_control = 'subordinate'",
    ),
}

_OWN_SETTING = {
    "Account/Blocked": "a.blocked <> 'Y'",
    "Account/Unblocked": "a.blocked <> 'Y'",
    "Account/Status/Suspended": "a.bill_status <> 'S'",
    "Account/Status/SuspensionRemoved": "a.bill_status <> 'S'",
    "Account/AccessPolicy/Changed": "a.i_access_policy IS NULL",
    "Account/Discount/Changed": "a.i_vd_plan IS NULL",
}
"""Accounts with no setting of their own, by output; the others' conditions depend on the event."""

_NEARER = {
    "accounts-of-customer-site": ("i_account",),
    "accounts-of-customer": ("i_account", "i_customer_site"),
    "accounts-of-product": ("i_account", "i_customer_site", "i_customer"),
}
"""Owners of attributes that come before the scope's own (domain, 8)."""


def _unchanged(derivation: Derivation, bound: dict[str, Any]) -> list[str]:
    if derivation.output == "Account/ServiceAttribute/Changed":
        return _no_nearer_attribute(derivation, bound)
    if derivation.output == "Account/ServiceFlags/Changed":
        return _no_nearer_flags(derivation)
    own = _OWN_SETTING.get(derivation.output)
    return [] if own is None else [own]


def _no_nearer_attribute(derivation: Derivation, bound: dict[str, Any]) -> list[str]:
    feature, name = (derivation.given.get(part) for part in ("service_feature", "attribute"))
    if feature is None or name is None:
        return []  # of flags: nobody can tell whose letter comes first, and a repeat does no harm
    bound |= {"feature": feature, "attribute": name}
    return [
        f"NOT EXISTS (SELECT 1 FROM service_attributes AS v JOIN service_features AS f"
        f" ON f.i_service_feature = v.i_service_feature"
        f" WHERE v.{owner} = a.{owner} AND f.name = :feature AND v.name = :attribute)"
        for owner in _NEARER[derivation.scope]
    ]


def _no_nearer_flags(derivation: Derivation) -> list[str]:
    before, after = (
        str(derivation.given.get(f"{side}_service_flags") or "").ljust(FLAGS, "^")[:FLAGS]
        for side in ("prev", "curr")
    )
    changed = [place for place in range(FLAGS) if before[place] != after[place]]
    if not changed:
        return []
    site = (
        "(SELECT s.service_flags FROM customer_sites AS s"
        " WHERE s.i_customer_site = a.i_customer_site)"
    )
    nearer = [
        f"(substr(a.service_flags, {place + 1}, 1) IN ('Y', 'N')"
        f" OR substr(COALESCE({site}, ''), {place + 1}, 1) IN ('Y', 'N'))"
        for place in changed
    ]
    return [f"NOT ({' AND '.join(nearer)})"]
