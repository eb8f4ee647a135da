"""`espf groups`: service groups, in which accounts have a provisioning status."""

from typing import Annotated

import typer

from espf.cli.output import fields, print_json, say, table

groups_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Service groups, in which accounts have a provisioning status.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print a bare array.")]
OneAsJson = Annotated[bool, typer.Option("--json", help="Print the bare record.")]


@groups_app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the groups: the predefined ones, and those that were created."""
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        found = operations.groups()
    if as_json:
        print_json([group._asdict() for group in found])
    else:
        table(("i_group", "name", "is_custom"), found)


@groups_app.command()
def create(
    name: Annotated[str, typer.Argument(help="At most 64 characters.")],
    *,
    as_json: OneAsJson = False,
) -> None:
    """Create a group; its number is 1001 or above."""
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        group = operations.create_group(name)
    if as_json:
        print_json(group._asdict())
    else:
        fields(group._asdict())


@groups_app.command()
def delete(
    group: Annotated[str, typer.Argument(help="Name or number of a group that was created.")],
) -> None:
    """Delete a group, and every account's status in it."""
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        gone = operations.delete_group(group)
    say(f"The group {gone.name} ({gone.i_group}) is gone, with all statuses in it.")
