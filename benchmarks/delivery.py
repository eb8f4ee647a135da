"""Durable delivery beside its yardsticks, in one run.

100,000 events, written by triggers on real updates of 10,000 accounts, are drained by the installed
`espf serve` to an nginx that answers 200: Basic authentication, order, retries and attempt log on,
SQLite on disk with synchronous=FULL. Beside it `wrk` and an aiohttp loop POST the same body to the
same nginx. Medians over the rounds; the ratio is taken within each round, since machines drift.

    python benchmarks/delivery.py [--rounds 3] [--events 100000]
"""

import argparse
import asyncio
import base64
import contextlib
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parent))
from receiver_nginx import Receiver, free_port, nginx, require, wrk_script

ESPF = Path(sys.executable).with_name("espf")
ACCOUNTS = 10_000
USER, KEY = "espf", "bench-key"
BUDGET_S = 240
HANDLER = """
[[handler]]
name = "bench"
type = "EventSender"
enabled = true
subscriptions = ["Account/Blocked", "Account/Unblocked"]
[handler.options]
Concurrency = 1
"EventSender.URL" = "{url}"
"EventSender.APIVersion" = 1
"EventSender.AuthMethod" = "Basic"
"EventSender.BasicAuth.User" = "{user}"
"EventSender.BasicAuth.Key" = "env:BENCH_KEY"
"EventSender.TokenRate" = 1000000
"EventSender.TokenBurstiness" = 1000000
"EventSender.Window" = {window}
"""


@dataclass(frozen=True)
class Round:
    """What one round measured."""

    wrk: float
    aiohttp: float
    espf: float
    cpu_us: float
    memory_mb: float


class Installation:
    """An espf on a fresh SQLite file with 10,000 accounts and one handler."""

    def __init__(self, folder: Path, receiver: Receiver, window: int) -> None:
        self.path = folder / "espf.db"
        self.env = {
            **os.environ,
            "ESPF_DATABASE_URL": f"sqlite:///{self.path}",
            "BENCH_KEY": KEY,
            "ESPF_ADMIN_PASSWORD": "bench-password-1",
        }
        self.espf("migrate")
        handler = folder / "handlers.toml"
        handler.write_text(HANDLER.format(url=receiver.url, user=USER, window=window))
        customer = self.espf("registry", "add", "customer", "name=Bench", "--json")
        rows = folder / "accounts.csv"
        key = _number_after(customer, '"i_customer"')
        lines = [f"{79_000_000_000 + n},{key},mobile" for n in range(ACCOUNTS)]
        rows.write_text("\n".join(["id,i_customer,role", *lines]) + "\n")
        self.espf("registry", "import", "account", str(rows))
        self.espf("apply", str(handler))

    def espf(self, *words: str) -> str:
        """Run the installed command; its output."""
        done = subprocess.run(
            [str(ESPF), *words],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"espf {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def change_accounts(self, events: int) -> int:
        """Block and unblock all accounts in turn; returns the number of the last event."""
        with sqlite3.connect(self.path, timeout=30) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            for turn in range(events // ACCOUNTS):
                letter = "NY"[(turn + 1) % 2]
                connection.execute("UPDATE accounts SET blocked = ?", (letter,))
                connection.commit()
            last: int = connection.execute("SELECT max(i_event) FROM event").fetchone()[0]
        connection.close()
        return last

    def drain(self, last: int, events: int) -> tuple[float, float, float]:
        """Run `espf serve` until all is settled: events/s, CPU us/event, MB of the engine.

        The handler is paused until the web side is up: importing Django on the other core would be
        measured otherwise, not delivery.
        """
        port = str(free_port())
        self.espf("handlers", "pause", "bench")
        server = subprocess.Popen(
            [str(ESPF), "serve", "--port", port], env=self.env, stdout=subprocess.DEVNULL
        )
        try:
            watch = sqlite3.connect(self.path, timeout=30)
            before = watch.execute("SELECT coalesce(max(i_attempt), 0) FROM attempt").fetchone()[0]
            _until_up(f"http://127.0.0.1:{port}/healthz", server)
            self.espf("handlers", "resume", "bench")
            _until(watch, f"SELECT max(i_attempt) > {before} FROM attempt", server)
            cpu_before, began_at = _cpu_s(server.pid), time.time()
            _until(watch, f"SELECT min(position) >= {last} FROM lane_cursor", server)
            ended_at, cpu = time.time(), _cpu_s(server.pid) - cpu_before
            memory_mb = _memory_mb(server.pid)
            first_us, done = watch.execute(
                "SELECT min(started_us), count(*) FROM attempt WHERE i_attempt > ?", (before,)
            ).fetchone()
            watch.close()
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
        assert done == events, f"{done} attempt rows for {events} events"
        # The CPU clock starts a little later than the first request: scale it to its own time.
        elapsed = ended_at - first_us / 1e6
        cpu *= elapsed / max(ended_at - began_at, 1e-9)
        return events / elapsed, cpu / events * 1e6, memory_mb


def _until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            time.sleep(1)
            return
        if server.poll() is not None:
            raise SystemExit(f"espf serve ended with status {server.returncode}")
        time.sleep(0.1)
    raise SystemExit("the web side of espf serve did not come up in a minute")


def _number_after(text: str, key: str) -> int:
    return int(text.split(key, 1)[1].lstrip(" :").split(",")[0].split("}")[0].split("\n")[0])


def _until(watch: sqlite3.Connection, question: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if watch.execute(question).fetchone()[0]:
            return
        if server.poll() is not None:
            raise SystemExit(f"espf serve ended with status {server.returncode}")
        time.sleep(0.02)
    raise SystemExit("espf serve did not finish in two minutes")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


async def _aiohttp_loop(url: str, body: str, requests: int, connections: int) -> float:
    headers = {"Content-Type": "application/json"}
    left = requests
    headers["Authorization"] = aiohttp.encode_basic_auth(USER, KEY)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def work() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with session.post(url, data=body.encode()) as answer:
                    await answer.read()
                    assert answer.status == 200

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(work())
        return requests / (time.perf_counter() - began)


def measure_sqlite(rounds: int, events: int, window: int) -> list[Round]:
    """All rounds on SQLite, each on the same file, which grows as in real life."""
    results: list[Round] = []
    deadline = time.monotonic() + BUDGET_S * 0.75
    with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
        folder = Path(name)
        with nginx(folder) as receiver:
            espf = Installation(folder, receiver, window)
            key = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
            body = (
                '{"event_type":"Account/Blocked","variables":{"i_event":107615,"i_env":1,'
                '"event_time":"2026-01-01 12:00:00","i_account":10889,"i_customer":1,'
                '"prev_blocked":"N","curr_blocked":"Y"}}'
            )
            script = wrk_script(folder, body, "Basic", key)
            while len(results) < rounds and time.monotonic() < deadline:
                last = espf.change_accounts(events)
                wrk = [receiver.wrk(script, 3)]
                loop = asyncio.run(_aiohttp_loop(receiver.url, body, 15_000, 64))
                count = receiver.count()
                rate, cpu_us, memory_mb = espf.drain(last, events)
                sent = receiver.count() - count - 1
                assert sent == events, f"nginx counted {sent} requests for {events} events"
                wrk.append(receiver.wrk(script, 3))
                one = Round(statistics.mean(wrk), loop, rate, cpu_us, memory_mb)
                results.append(one)
                print(
                    f"  round {len(results)}: espf {one.espf:,.0f}/s, wrk {wrk[0]:,.0f} and "
                    f"{wrk[1]:,.0f}/s, aiohttp loop {one.aiohttp:,.0f}/s, "
                    f"nginx and attempt log counted {events:,} each",
                    flush=True,
                )
    return results


def summary(engine: str, results: Sequence[Round]) -> str:
    """The line that is quoted: medians, the ratio within each round."""
    rate = statistics.median(one.espf for one in results)
    share = statistics.median(one.espf / one.wrk for one in results) * 100
    cpu_us = statistics.median(one.cpu_us for one in results)
    memory_mb = max(one.memory_mb for one in results)
    return (
        f"{engine}: {rate:,.0f} events/s, {share:.0f} % of wrk, "
        f"{cpu_us:.0f} us CPU/event, {memory_mb:.0f} MB"
    )


def main() -> None:
    """Measure every engine that is available."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--window", type=int, default=48, help="EventSender.Window")
    options = parser.parse_args()
    require("nginx", "wrk")
    results = measure_sqlite(options.rounds, options.events, options.window)
    times = statistics.median(one.espf / one.aiohttp for one in results)
    print(f"  espf delivers {times:.1f} times what an aiohttp loop sends without any log")
    print(summary("sqlite", results))


if __name__ == "__main__":
    main()
