"""Commit of a change → its request on the wire, on an idle system; and what idling costs.

A subscriber is blocked and unblocked by plain SQL every 350 ms or so while the installed
`espf serve` is idle; a raw socket server notes when each request arrives. The yardstick in the same
run is what such a change costs without espf: the commit itself and a bare POST on loopback.

    python benchmarks/latency.py [--changes 150]
"""

import argparse
import json
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from delivery import ESPF, Installation, _cpu_s
from receiver_nginx import Receiver, free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class WireClock:
    """Accepts connections and notes when the last byte of each request came in."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.arrived: dict[int, float] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        pending = b""
        while got := connection.recv(65536):
            now = time.perf_counter()
            pending += got
            head, found, body = pending.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if found and len(body) >= length:
                variables = json.loads(body or b"{}").get("variables", {})
                self.arrived[int(variables.get("i_event", 0))] = now
                pending = b""
                connection.sendall(ANSWER)


def bare_post_ms(port: int, times: int) -> list[float]:
    """A POST on a kept-alive connection, from before the send until it is noted."""
    body = b'{"event_type":"x","variables":{"i_event":0}}'
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(times):
            began = time.perf_counter()
            connection.sendall(request)
            connection.recv(1024)
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Measure on SQLite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=150)
    changes = parser.parse_args().changes
    wire = WireClock()
    with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
        espf = Installation(Path(name), Receiver(wire.port), 64)
        server = subprocess.Popen(
            [str(ESPF), "serve", "--port", str(free_port())],
            env=espf.env,
            stdout=subprocess.DEVNULL,
        )
        try:
            time.sleep(4)
            cpu, began = _cpu_s(server.pid), time.monotonic()
            time.sleep(5)
            idle = (_cpu_s(server.pid) - cpu) / (time.monotonic() - began) * 100
            taken, commits = change_and_wait(espf.path, wire, changes)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    bare = bare_post_ms(wire.port, changes)
    print(
        f"sqlite: commit to wire p50 {percentile(taken, 0.5):.1f} ms, "
        f"p99 {percentile(taken, 0.99):.1f} ms over {len(taken)} changes; "
        f"yardstick: the commit {statistics.median(commits):.1f} ms, "
        f"a bare POST {statistics.median(bare):.2f} ms; idle CPU {idle:.2f} % of a core"
    )


def change_and_wait(path: Path, wire: WireClock, changes: int) -> tuple[list[float], list[float]]:
    """Change accounts one by one: milliseconds from commit to wire, and of each commit."""
    taken, commits = [], []
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    for turn in range(changes):
        time.sleep(0.25 + random.random() * 0.2)  # longer than the engine stays wide awake
        began = time.perf_counter()
        connection.execute(
            "UPDATE accounts SET blocked = CASE blocked WHEN 'Y' THEN 'N' ELSE 'Y' END "
            "WHERE i_account = (SELECT min(i_account) + ? FROM accounts)",
            (turn % 100,),
        )
        committed = time.perf_counter()
        i_event = connection.execute("SELECT max(i_event) FROM event").fetchone()[0]
        for _ in range(5000):
            if i_event in wire.arrived:
                break
            time.sleep(0.001)
        taken.append((wire.arrived[i_event] - committed) * 1000)
        commits.append((committed - began) * 1000)
    connection.close()
    return taken, commits


if __name__ == "__main__":
    main()
