"""The command `espf`: joins the commands, and turns errors into messages and an exit status.

0 done, 1 failed, 2 wrong use. A traceback is shown only with `--debug`.
"""

import io
import os
import sys
import traceback
from typing import Annotated

import typer
from typer.main import get_command

from espf import __version__
from espf.cli.apply import apply
from espf.cli.audit import audit
from espf.cli.demo import demo
from espf.cli.doctor import doctor
from espf.cli.emit import emit
from espf.cli.events import events_app
from espf.cli.groups import groups_app
from espf.cli.handlers import handlers_app
from espf.cli.migrate import first_start, migrate
from espf.cli.output import warn
from espf.cli.receiver import receiver
from espf.cli.registry import registry_app
from espf.cli.resync import resync
from espf.cli.retention import retention_app
from espf.cli.serve import instance, serve, web
from espf.cli.tail import tail
from espf.cli.user import user_app
from espf.errors import ProvisioningError

DEBUG = "--debug"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"espf {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Carry each change of a subscriber to the systems that must follow it.

    ESPF_DATABASE_URL names the database (sqlite:///espf.db unless told), ESPF_CONFIG a TOML file
    with settings.
    """


app.command()(serve)
app.command()(demo)
app.command()(web)
app.command()(instance)
app.command()(migrate)
app.command("first-start", hidden=True)(first_start)
app.command()(apply)
handlers_app.command()(audit)
handlers_app.command()(resync)
app.add_typer(handlers_app, name="handlers")
events_app.command()(tail)
events_app.command()(emit)
app.add_typer(events_app, name="events")
app.add_typer(retention_app, name="retention")
app.add_typer(registry_app, name="registry")
app.add_typer(groups_app, name="groups")
app.add_typer(user_app, name="user")
app.command()(receiver)
app.command()(doctor)


def main() -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    debug, arguments = _without_debug(arguments)
    if wrong := next((text for text in arguments if not _is_text(text)), None):
        warn(f"The argument {wrong!r} is not valid UTF-8.")
        return 2
    try:
        return _status(arguments)
    except BrokenPipeError:
        return _quiet_about_the_pipe()
    except Exception as error:  # noqa: BLE001 - the last resort: one line, no traceback
        if debug:
            traceback.print_exc()
        warn(_told(error))
    return 1


def _told(error: Exception) -> str:
    match error:
        case ProvisioningError():
            return str(error)
        case OSError(strerror=str(reason)):
            where = f" ({error.filename})" if error.filename else ""
            return f"The system refused to read or write{where}: {reason}."
        case _:
            name = type(error).__name__
            return f"Unexpected error: {name}. Run with {DEBUG} to see where it is from."


def _status(arguments: list[str]) -> int:
    try:
        get_command(app).main(arguments, prog_name="espf")
    except SystemExit as ended:
        sys.stdout.flush()
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _without_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """The option counts anywhere before `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [text for text in arguments[:end] if text != DEBUG]
    return len(kept) < end, kept + arguments[end:]


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _quiet_about_the_pipe() -> int:
    """Nobody reads any more, as after `| head`: end without a word."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return 1


if __name__ == "__main__":
    main()
