"""`espf doctor`: what is wrong, and how to mend it."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from espf.cli.output import print_json, say

if TYPE_CHECKING:
    from espf.cli.diagnosis.finding import Finding
    from espf.config import Config

_NO_SETTINGS = {"ESPF_CONFIG", "ESPF_RECEIVER_KEY"}
_MARKS = {"ok": "ok   ", "warn": "warn ", "wrong": "WRONG"}


def doctor(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print a bare array.")] = False
) -> None:
    """Say what is wrong, and how to mend it; the exit status is 1 if something is."""
    found = list(_examine())
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        for one in found:
            _print(one)
    if any(one.verdict == "wrong" for one in found):
        raise typer.Exit(1)


def _print(one: "Finding") -> None:
    head, *rest = one.message.splitlines()
    say(f"{_MARKS[one.verdict]}  {one.check}: {head}")
    for line in [*rest, *([f"→ {one.mend}"] if one.mend else [])]:
        say(f"         {line}")


def _examine() -> "Iterator[Finding]":
    from espf.cli.diagnosis.finding import ok, warn, wrong
    from espf.cli.diagnosis.key import check_key
    from espf.config import Config, load_config
    from espf.errors import ConfigError

    try:
        config = load_config()
    except ConfigError as error:
        yield wrong("configuration", str(error), "Correct ESPF_CONFIG's file or the variables.")
        return
    yield ok("configuration", f"The database is {config.database.shown}.")
    known = {f"ESPF_{name.upper()}" for name in Config.model_fields} | _NO_SETTINGS
    for name in sorted(name for name in os.environ if name.startswith("ESPF_")):
        if name not in known:
            yield warn("configuration", f"{name} is no setting and has no effect.", "Remove it.")
    found = list(_of_database(config))
    yield from found
    yield check_key(config)
    if found[0].verdict != "wrong":
        yield from _of_use(config)


def _of_database(config: "Config") -> "Iterator[Finding]":
    from espf.clock import SystemClock
    from espf.database_url import SqliteUrl

    if isinstance(config.database, SqliteUrl):
        from espf.cli.diagnosis.sqlite import check_file

        return check_file(config.database)
    from espf.cli.diagnosis.postgres import check_server

    return check_server(config.database, SystemClock())


def _of_use(config: "Config") -> "Iterator[Finding]":
    from espf.app import open_operations
    from espf.cli.diagnosis.handlers import check_handlers
    from espf.cli.diagnosis.key import check_use
    from espf.clock import SystemClock
    from espf.database_url import SqliteUrl

    yield check_use(config)
    with open_operations(config) as operations:
        health = operations.health()
        groups = frozenset(group.name for group in operations.groups())
        needed = any(one.handler.enabled for one in health)
        if isinstance(config.database, SqliteUrl):
            from espf.cli.diagnosis.sqlite import check_engine

            yield check_engine(config.database, needed)
        else:
            from espf.cli.diagnosis.postgres import check_instances, check_vitals

            vitals = operations.vitals()
            yield from check_vitals(vitals)
            yield from check_instances(vitals, operations.vitals, config.lease_s, needed=needed)
    yield from check_handlers(config, health, groups, SystemClock().now_us())
