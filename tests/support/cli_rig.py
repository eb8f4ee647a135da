"""What tests of the command line share: the installed command, and a migrated database to copy.

Found by pytest through `pythonpath`; import it as `cli_rig`.
"""

import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from espf.database_url import DatabaseUrl, EngineName, PostgresUrl, SqliteUrl
from espf.demo.postgres import programs

ENGINES: tuple[EngineName, ...] = ("sqlite", "postgres")
ESPF = str(Path(sys.executable).with_name("espf"))
KEY = "the-receivers-own-password"
TIMEOUT_S = 60


class Installation:
    """A database, and the command on it; on SQLite unless a PostgreSQL database is given."""

    def __init__(
        self, folder: Path, *, migrated: bool = True, postgres: PostgresUrl | None = None
    ) -> None:
        self.folder = folder
        self.database = folder / "espf.db"
        """SQLite's file."""
        self.url: DatabaseUrl = postgres or SqliteUrl(self.database)
        if migrated and postgres is None:
            self.database.write_bytes(_template())
        inherited = {name: value for name, value in os.environ.items() if "ESPF" not in name}
        self.environment = {
            **inherited,
            "ESPF_DATABASE_URL": str(self.url),
            "HSS_PASSWORD": KEY,
        }

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement beside the command."""
        if isinstance(self.url, PostgresUrl):
            with psycopg.connect(self.url.conninfo, autocommit=True) as connection:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        with contextlib.closing(sqlite3.connect(self.url.path, isolation_level=None)) as shell:
            return shell.execute(statement).fetchall()

    def stored(self) -> bytes:
        """Everything that is stored, as it lies on the disk or in a dump."""
        if isinstance(self.url, PostgresUrl):
            words = [str(programs() / "pg_dump"), f"--dbname={self.url}"]
            dump = subprocess.run(words, capture_output=True, check=True).stdout
            # A dump has a random word against injections.
            return b"".join(line for line in dump.splitlines(True) if b"restrict" not in line)
        files = (self.database, self.database.with_name("espf.db-wal"))
        return b"".join(path.read_bytes() for path in files if path.exists())

    def run(
        self,
        *words: str,
        given: str = "",
        preexec: Callable[[], None] | None = None,
        limit_s: float = TIMEOUT_S,
        **more: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [ESPF, *words],
            input=given,
            env=self.environment | more,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            preexec_fn=preexec,
        )

    def ok(self, *words: str, **more: str) -> str:
        """Run a command that must succeed; its output."""
        done = self.run(*words, **more)
        assert done.returncode == 0, f"espf {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def record(self, *words: str) -> Any:
        """What a command prints with --json."""
        return json.loads(self.ok(*words, "--json"))

    @contextlib.contextmanager
    def running(self, *words: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A command that goes on, and the line by which it said that it is ready."""
        with (self.folder / f"{words[0]}.log").open("a") as log:
            process = subprocess.Popen(
                [ESPF, *words],
                env=self.environment | more,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        try:
            yield process, _ready_line(process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(20)
            process.kill()
            process.wait()
            process.stdout.close()

    def write(self, name: str, text: str) -> str:
        """Write a file in the folder; its path."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        return str(path)


@contextlib.contextmanager
def installation(
    folder: Path, engine: EngineName, *, migrated: bool = True
) -> Iterator[Installation]:
    """An installation on either engine, its files in this folder."""
    if engine == "sqlite":
        yield Installation(folder, migrated=migrated)
        return
    import postgres_rig  # noqa: PLC0415 - it brings Django in

    with postgres_rig.clone() if migrated else postgres_rig.empty() as url:
        yield Installation(folder, migrated=migrated, postgres=url)


def handlers_toml(url: str = "http://127.0.0.1:9/", *, extra: str = "") -> str:
    """A handler of three account events with Basic authentication."""
    return f"""
[[handler]]
name = "hss"
type = "EventSender"
subscriptions = ["Account/New", "Account/Blocked", "Account/Unblocked"]
[handler.options]
"EventSender.URL" = "{url}"
"EventSender.APIVersion" = 1
"EventSender.BasicAuth.User" = "espf"
"EventSender.BasicAuth.Key" = "env:HSS_PASSWORD"
"EventSender.TokenBurstiness" = 100
{extra}
"""


def until(is_so: Callable[[], Any], what: str, limit_s: float = 20) -> Any:
    """Wait for something that another process does."""
    ends = time.monotonic() + limit_s
    while not (found := is_so()):
        assert time.monotonic() < ends, f"waited {limit_s} s in vain for {what}"
        time.sleep(0.02)
    return found


def _ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for _ in range(20):
        readable, _, _ = select.select([process.stdout], [], [], TIMEOUT_S)
        line = process.stdout.readline() if readable else ""
        if not line or line.startswith(("ready", "listening")):
            return line.strip()
    return ""


@cache
def _template() -> bytes:
    """A migrated database; made once, by the command itself."""
    with tempfile.TemporaryDirectory(prefix="espf-test-") as name:
        made = Installation(Path(name), migrated=False)
        made.ok("migrate")
        return made.database.read_bytes()
