"""`espf user`: users of the console."""

import getpass
import sys
from typing import Annotated

import typer

from espf.cli.output import say

user_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Users of the console.")


@user_app.callback()
def users() -> None:
    """Users of the console."""


@user_app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name to log in with.")],
    *,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything.")] = False,
) -> None:
    """Make a user; the password is asked for, or read from standard input when that is a pipe."""
    from espf.app import check_database, open_django
    from espf.config import load_config

    config = load_config()
    check_database(config)
    password = _password()
    open_django(config)
    from espf.registry.storage import reading
    from espf.site.users import create_user

    with reading():
        create_user(name, password, admin=admin)
    say(f"The user {name} was made.")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise typer.BadParameter("The two passwords differ.")
    return password
