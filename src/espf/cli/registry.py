"""`espf registry`: customers, accounts, products, SIM cards and what belongs to them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espf.cli.output import fields, print_json, say, table, when
from espf.cli.pairs import pairs

if TYPE_CHECKING:
    from espf.registry.importing import ImportReport

registry_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Customers, accounts, products, SIM cards and what belongs to them.",
)

_LISTED = {
    "customer": ("i_customer", "name", "status", "balance", "credit_limit", "available_funds"),
    "account": ("i_account", "id", "i_customer", "product_name", "role", "status", "imsi"),
    "product": ("i_product", "name", "kind", "addon_priority", "description"),
    "sim_card": ("i_sim_card", "imsi", "iccid", "status", "msisdn"),
    "did": ("i_did", "number", "status", "i_customer", "i_account"),
    "invoice": ("i_invoice", "invoice_number", "i_customer", "status", "amount_due", "amount_paid"),
    "custom_field": ("i_custom_field", "object", "name"),
    "custom_field_value": ("i_custom_field_value", "name", "i_account", "i_customer", "value"),
    "follow_me": ("i_follow_me", "i_account", "enabled", "sequence", "timeout"),
    "follow_me_number": ("i_follow_me_number", "i_account", "redirect_number", "timeout", "active"),
    "ip_device_profile": ("i_ip_device_profile", "name", "description"),
    "ip_device": ("i_ip_device", "name", "mac", "i_ip_device_profile"),
    "assigned_addon": (
        "i_account_addon",
        "i_account",
        "i_product",
        "name",
        "addon_priority",
        "addon_effective_from",
        "addon_effective_to",
    ),
    "customer_site": ("i_customer_site", "i_customer", "name", "service_flags"),
    "service_feature": ("i_service_feature", "name"),
    "service_attribute": (
        "i_service_attribute",
        "i_account",
        "i_customer_site",
        "i_customer",
        "i_product",
        "service_feature",
        "name",
        "value",
    ),
    "access_policy": ("i_access_policy", "name", "description"),
    "access_policy_phase": ("i_access_policy_phase", "i_access_policy", "name", "description"),
    "access_policy_attribute": (
        "i_access_policy_attribute",
        "i_access_policy",
        "i_access_policy_phase",
        "group_name",
        "name",
        "value",
    ),
    "vd_plan": ("i_vd_plan", "name", "description"),
    "service": ("i_service", "name"),
    "accessibility": ("i_accessibility", "i_product", "i_service"),
    "environment": ("i_env", "name"),
}
"""Columns that `list` shows of each entity."""
Entity = Annotated[str, typer.Argument(help=f"One of {', '.join(_LISTED)}.")]
Key = Annotated[str, typer.Argument(help="The numeric i_… key, or id=…, imsi=…, name=…, number=….")]
Fields = Annotated[
    list[str] | None, typer.Argument(metavar="FIELD=VALUE", help="Fields by the API's names.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the bare record.")]


def _open() -> None:
    """Start Django on the database, which must be there and migrated."""
    from espf.app import check_database, open_django
    from espf.config import load_config

    config = load_config()
    check_database(config)
    open_django(config)


def _print(record: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        fields(record)


@registry_app.command()
def add(entity: Entity, values: Fields = None, *, as_json: AsJson = False) -> None:
    """Add a record; an account's imsi=… gives it that SIM card."""
    given = pairs(values)
    _open()
    from espf.registry import services

    _print(services.add(entity, given), as_json)


@registry_app.command()
def update(entity: Entity, key: Key, values: Fields = None, *, as_json: AsJson = False) -> None:
    """Change fields of a record; an account's imsi=… swaps its SIM card, empty takes it away."""
    given = pairs(values)
    _open()
    from espf.registry import services

    _print(services.update(entity, key, given), as_json)


@registry_app.command()
def show(entity: Entity, key: Key, *, as_json: AsJson = False) -> None:
    """Show one record; of an account also how it is provisioned, by service group."""
    _open()
    from espf.registry import services

    record = services.show(entity, key)
    if entity != "account":
        _print(record, as_json)
        return
    statuses = _statuses(record)
    if as_json:
        print_json({**record, "provisioning": statuses})
        return
    fields(record)
    if statuses:
        say()
        heads = ("group", "status", "set", "message")
        table(heads, [[one[head] for head in heads] for one in statuses])


def _statuses(account: Mapping[str, object]) -> list[dict[str, object]]:
    from espf.app import open_operations
    from espf.config import load_config

    i_account = account["i_account"]
    assert isinstance(i_account, int)
    with open_operations(load_config()) as operations:
        found = operations.statuses(i_account)
    return [
        {
            "i_group": one.i_group,
            "group": one.group,
            "status": one.status,
            "message": one.message,
            "set": when(one.set_us),
        }
        for one in found
    ]


@registry_app.command()
def status(
    key: Annotated[str, typer.Argument(help="An account's i_account, or id=….")],
    group: Annotated[str, typer.Argument(help="Name or number of a service group.")],
    value: Annotated[
        str, typer.Argument(metavar="STATUS", help="OK, IN_PROGRESS, RETRY or FAILED.")
    ],
    *,
    message: Annotated[str, typer.Option(help="At most 4000 characters.")] = "",
) -> None:
    """Set an account's provisioning status; results of events until now do not replace it."""
    _open()
    from espf.app import open_operations
    from espf.config import load_config
    from espf.registry import services

    i_account = services.show("account", key)["i_account"]
    assert isinstance(i_account, int)
    with open_operations(load_config()) as operations:
        operations.set_status(i_account, group, value, message)
    say(f"Account {i_account}: {value} in {group}.")


@registry_app.command()
def remove(entity: Entity, key: Key, *, as_json: AsJson = False) -> None:
    """Remove a record that nothing else needs; prints what it was."""
    _open()
    from espf.registry import services

    _print(services.remove(entity, key), as_json)


@registry_app.command("list")
def list_(
    entity: Entity,
    filters: Fields = None,
    *,
    limit: Annotated[int, typer.Option(help="Most records.", min=1, max=1000)] = 100,
    after: Annotated[int, typer.Option(help="Only keys above this one.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a bare array.")] = False,
) -> None:
    """List records by key, those whose fields have the given values."""
    given = pairs(filters)
    _open()
    from espf.registry import services

    records = services.list_(entity, given, limit, after)
    if as_json:
        print_json(records)
        return
    heads = _LISTED[entity]
    table(heads, [[record[head] for head in heads] for record in records])


@registry_app.command("import")
def import_(
    entity: Entity,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header, or JSON lines.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Apply the rows of FILE in their order.

    A row with the entity's key updates that record, one without adds one. A bad row is named by its
    line and stops nothing else; the exit status is 1 then.
    """
    _open()
    from espf.cli.progress import import_progress
    from espf.registry.importing import import_file

    with import_progress(file.name) as progress:
        report = import_file(entity, file, progress)
    _print_report(report, as_json)
    if report.failed_count:
        raise typer.Exit(1)


def _print_report(report: "ImportReport", as_json: bool) -> None:
    if as_json:
        failed = [{"line": line, "message": message} for line, message in report.failed]
        counts = {name: getattr(report, name) for name in ("added", "updated", "failed_count")}
        print_json({**counts, "failed": failed})
        return
    for line, message in report.failed:
        say(f"line {line}: {message}")
    if report.failed_count > len(report.failed):
        say(f"… and {report.failed_count - len(report.failed)} more")
    say(f"{report.added} added, {report.updated} updated, {report.failed_count} failed")


Amount = Annotated[str, typer.Argument(help="Above zero, such as 12.50.")]


@registry_app.command()
def topup(entity: Entity, key: Key, amount: Amount, *, as_json: AsJson = False) -> None:
    """Give money to a customer or account."""
    _move("topup", entity, key, amount, as_json)


@registry_app.command()
def charge(entity: Entity, key: Key, amount: Amount, *, as_json: AsJson = False) -> None:
    """Take money from a customer or account."""
    _move("charge", entity, key, amount, as_json)


def _move(how: str, entity: str, key: str, amount: str, as_json: bool) -> None:
    _open()
    from espf.registry import money

    move: Callable[[str, str, object], Mapping[str, Any]] = getattr(money, how)
    _print(move(entity, key, amount), as_json)
