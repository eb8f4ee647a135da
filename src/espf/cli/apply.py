"""`espf apply`: handlers, options and subscriptions as a file."""

import os
from pathlib import Path
from typing import Annotated

import typer

from espf.cli.handlers import passed_text
from espf.cli.output import say, warn


def apply(
    file: Annotated[Path, typer.Argument(help="handlers.toml", metavar="FILE")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")
    ] = False,
) -> None:
    """Make the handlers what FILE says; prints what changes.

    All of it is applied, or nothing. Handlers that FILE does not name stay as they are.
    """
    from espf.app import open_operations
    from espf.config import load_config, read_toml
    from espf.handlers.configuration import read_configuration
    from espf.handlers.differences import differences
    from espf.starting import open_box

    config = load_config()
    document = read_toml(file)
    wanted = read_configuration(document, file.parent, os.environ)
    with open_operations(config) as operations:
        found = differences(
            wanted,
            operations.handlers(),
            operations.provisioning(),
            open_box(config, claim=not dry_run),
        )
        passed = []
        if found and not dry_run:
            before = {row.name: operations.passed_by(row.name) for row in operations.handlers()}
            operations.apply(found.changes, found.provisioning)
            for name, known in before.items():
                passed += [(name, one) for one in operations.passed_by(name)[len(known) :]]
    for text in wanted.warnings:
        warn(f"Warning: {text}")
    for line in found.lines:
        say(line)
    for name, one in passed:
        say(f"{name}:{passed_text(name, one)}")
    if not found:
        say("Nothing to change.")
    elif dry_run:
        say("Nothing was changed: --dry-run.")
