"""An installed espf on a fresh database, with handlers; and its engine as a process."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from receiver_nginx import free_port

from support.database import Database
from support.processes import ESPF, cpu_s, memory_mb, running

USER, KEY = "espf", "bench-key"
TYPES = ("Account/Blocked", "Account/Unblocked")
BODY = (
    '{"event_type":"Account/Blocked","variables":{"i_env":1,"i_event":107615,'
    '"event_time":"2026-01-01 12:00:00","i_account":10889,"i_customer":1,'
    '"prev_blocked":"N","curr_blocked":"Y"}}'
)
"""What a request of the benchmarks' events carries; the yardsticks send the same."""
_CHUNK = 500_000


@dataclass(frozen=True)
class HandlerSpec:
    """A handler to be made: the delivery benchmark's options unless told."""

    name: str
    url: str
    window: int = 48
    concurrency: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    subscriptions: Sequence[str] = TYPES

    def toml(self) -> str:
        """The handler as `espf apply` reads it: Basic authentication, and a bucket too large."""
        options = {
            "Concurrency": self.concurrency,
            "EventSender.URL": self.url,
            "EventSender.APIVersion": 1,
            "EventSender.AuthMethod": "Basic",
            "EventSender.BasicAuth.User": USER,
            "EventSender.BasicAuth.Key": "env:BENCH_KEY",
            "EventSender.TokenRate": 1_000_000,
            "EventSender.TokenBurstiness": 1_000_000,
            "EventSender.Window": self.window,
            **self.options,
        }
        lines = [f"{json.dumps(name)} = {json.dumps(value)}" for name, value in options.items()]
        return "\n".join(
            [
                f'[[handler]]\nname = "{self.name}"\ntype = "EventSender"\nenabled = true',
                f"subscriptions = {json.dumps(list(self.subscriptions))}",
                "[handler.options]",
                *lines,
                "",
            ]
        )


class Installed:
    """An espf of which only the database and its handlers are there yet."""

    def __init__(self, folder: Path, database: Database, handlers: Sequence[HandlerSpec]) -> None:
        self.folder = folder
        self.database = database
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ESPF_")},
            "ESPF_DATABASE_URL": database.url,
            "ESPF_SECRET_KEY": "a-key-of-benchmarks-that-guards-nothing",
            "ESPF_LOG_LEVEL": "error",
            "ESPF_ADMIN_PASSWORD": "bench-password-1",
            "BENCH_KEY": KEY,
        }
        self.espf("migrate")
        self.apply(handlers)

    def apply(self, handlers: Sequence[HandlerSpec]) -> None:
        """Make the handlers, or change them."""
        file = self.folder / "handlers.toml"
        file.write_text("\n".join(handler.toml() for handler in handlers))
        if handlers:
            self.espf("apply", str(file))

    def espf(self, *words: str) -> str:
        """Run the installed command; its output."""
        done = subprocess.run(
            [str(ESPF), *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"espf {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the installed command, and go on meanwhile."""
        return subprocess.Popen([str(ESPF), *words], env=self.env, stdout=subprocess.DEVNULL)

    def add_accounts(self, accounts: int) -> None:
        """Import accounts of one customer."""
        customer = json.loads(self.espf("registry", "add", "customer", "name=Bench", "--json"))
        rows = self.folder / "accounts.csv"
        key = customer["i_customer"]
        lines = [f"{79_000_000_000 + n},{key},mobile" for n in range(accounts)]
        rows.write_text("\n".join(["id,i_customer,role", *lines]) + "\n")
        self.espf("registry", "import", "account", str(rows))

    def change_accounts(self, turns: int) -> None:
        """Block and unblock all accounts in turn, by plain SQL: an event for each."""
        shell = self.database.connect()
        for turn in range(turns):
            shell.run(f"UPDATE accounts SET blocked = '{'YN'[turn % 2]}'")
        shell.close()

    def add_events(self, events: int, accounts: int = 10_000, first_account: int = 1) -> int:
        """Write events straight into the log, as triggers would: fast. Returns the last number."""
        shell = self.database.connect()
        for start in range(0, events, _CHUNK):
            before, source = self.database.numbers(start, min(events, start + _CHUNK) - 1)
            key = f"({first_account} + i % {accounts})"
            shell.run(
                f"{before}INSERT INTO event"
                " (i_env, event_type, entity, entity_id, lane, variables, has_sim)"
                f" SELECT 1, 'Account/Blocked', 'account', {key}, {key} % 64,"
                f""" '{{"i_account":' || {key} || ',"i_customer":1,"prev_blocked":"N","""
                f""""curr_blocked":"Y"}}', 0 FROM {source}"""
            )
        last: int = shell.value("SELECT max(i_event) FROM event")
        shell.close()
        return last

    @contextlib.contextmanager
    def engine(self, name: str = "bench", *, web: bool = False) -> Iterator["Engine"]:
        """Run `espf instance`, or all of `espf serve`, until the block ends."""
        words = ["serve", "--port", str(free_port())] if web else ["instance", "--name", name]
        log = self.folder / f"{name}.log"
        with running([str(ESPF), *words], log, ready="ready:", env=self.env) as (process, _):
            yield Engine(process)


@dataclass(frozen=True)
class Engine:
    """The running engine; web processes that it started do not count."""

    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        return cpu_s(self.process.pid)

    def memory_mb(self, what: str = "VmHWM") -> float:
        return memory_mb(self.process.pid, what)
