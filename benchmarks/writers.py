"""Several writers on one SQLite file: the engine drains, a file is imported, a shell edits.

For `--seconds` the installed `espf serve` delivers a steady load while `espf registry import` runs
in a loop and single accounts are updated by plain SQL. Counts "database is locked" (there must be
none) and how long an edit takes, beside the same edits on the same file with nobody else writing.

    python benchmarks/writers.py [--seconds 300]
"""

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from delivery import ACCOUNTS, ESPF, Installation
from latency import percentile
from receiver_nginx import free_port, nginx, require


class Importing:
    """Imports 2,000 accounts again and again, each time as updates of the same rows."""

    def __init__(self, espf: Installation, folder: Path) -> None:
        self.rows = self.failed = 0
        self._espf = espf
        self._file = folder / "again.csv"
        lines = [f"{n},name{n}" for n in range(1, 2001)]
        self._file.write_text("\n".join(["i_account,firstname", *lines]) + "\n")
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        while not self.stop.is_set():
            done = subprocess.run(
                [str(ESPF), "registry", "import", "account", str(self._file)],
                env=self._espf.env,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            self.rows += 2000
            if done.returncode:
                self.failed += 1
                print(done.stdout[-300:], done.stderr[-300:])


def edits(path: Path, seconds: float) -> tuple[list[float], int]:
    """Single edits with the pauses of a person's clicks: milliseconds each, and locked ones."""
    taken: list[float] = []
    locked = 0
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    ends = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < ends:
        turn += 1
        began = time.perf_counter()
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "UPDATE accounts SET blocked = CASE blocked WHEN 'Y' THEN 'N' ELSE 'Y' END "
                "WHERE i_account BETWEEN ? AND ?",
                (turn * 40 % ACCOUNTS, turn * 40 % ACCOUNTS + 39),
            )
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            locked += 1
            print(error)
        taken.append((time.perf_counter() - began) * 1000)
        time.sleep(random.uniform(0.005, 0.015))
    connection.close()
    return taken, locked


def main() -> None:
    """Measure with and without company."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    seconds = parser.parse_args().seconds
    require("nginx", "wrk")
    with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
        folder = Path(name)
        with nginx(folder) as receiver:
            espf = Installation(folder, receiver, 64)
            alone, _ = edits(espf.path, min(20, seconds / 5))
            server = subprocess.Popen(
                [str(ESPF), "serve", "--port", str(free_port())],
                env=espf.env,
                stdout=subprocess.DEVNULL,
            )
            try:
                time.sleep(3)
                importing = Importing(espf, folder)
                together, locked = edits(espf.path, seconds)
                importing.stop.set()
                importing.thread.join()
                time.sleep(3)
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(30)
            sent = receiver.count()
    print(
        f"sqlite, {seconds:.0f} s: {len(together):,} edits of 40 accounts, {importing.rows:,} rows "
        f"imported, {sent:,} events delivered at the same time; locked {locked + importing.failed}"
    )
    print(
        f"an edit: p50 {percentile(together, 0.5):.1f} ms, p99 {percentile(together, 0.99):.1f} ms;"
        f" alone: p50 {percentile(alone, 0.5):.1f} ms, p99 {percentile(alone, 0.99):.1f} ms"
    )


if __name__ == "__main__":
    main()
