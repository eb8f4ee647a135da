"""`espf demo`: the main job, start to end."""

import os
import signal
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from espf.demo.processes import Processes


class Engine(StrEnum):
    """What the demo plays on."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"


def demo(
    *,
    engine: Annotated[Engine, typer.Option(help="Database that it plays on.")] = Engine.SQLITE,
    lose_one: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Show the main job from start to end, on a temporary database with a real receiver.

    On postgres the demo starts a server of its own (`make demo ENGINE=postgres` installs it), or
    takes the empty database that ESPF_DATABASE_URL names. The exit status is 0 only if the receiver
    got all events, in order for each account.
    """
    from espf.demo.database import demo_database
    from espf.demo.processes import Processes

    given = os.environ.get("ESPF_DATABASE_URL")
    began = time.monotonic()
    before = signal.signal(signal.SIGTERM, _interrupted)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="espf-demo-") as name,
            demo_database(engine.value, Path(name), given) as database,
            Processes(Path(name), database) as processes,
        ):
            well = _play(processes, lose_one=lose_one)
    finally:
        signal.signal(signal.SIGTERM, before)
    typer.echo(f"Took {time.monotonic() - began:.0f} s.")
    if not well:
        raise typer.Exit(1)


def _play(processes: "Processes", *, lose_one: bool) -> bool:
    os.environ.update(processes.environment)
    os.environ.pop("ESPF_CONFIG", None)
    from espf.app import migrate_database, open_operations
    from espf.config import load_config
    from espf.demo.screen import Screen

    screen = Screen()
    screen.title("Start")
    config = load_config()
    migrate_database(config)
    from espf.demo.play import Stage, start

    start(screen, processes)
    with open_operations(config) as operations:
        stage = Stage(screen, processes, operations)
        stage.subscriber()
        stage.outage()
        if lose_one:  # to show that the record is what is judged
            lines = processes.record.read_text("utf-8").splitlines(keepends=True)
            processes.record.write_text("".join(lines[:-1]), "utf-8")
        return stage.judge()


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
