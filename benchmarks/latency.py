"""Commit of a change → its request on the wire, on an idle system; and what idling costs.

A subscriber is blocked and unblocked by plain SQL every 350 ms or so while the installed
`espf serve` is idle; a raw socket server notes when each request arrives. The yardstick in the same
run is what such a change costs without espf: the commit itself and a bare POST on loopback.

    python benchmarks/latency.py [--engine both] [--changes 150] [--idle-s 10] [--json FILE]
"""

import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from delivery import Installation
from support.database import databases
from support.installation import Engine
from support.report import Figure, Report, arguments, chosen

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


def measure(engine: str, report: Report, changes: int, idle_s: float) -> None:
    """All of one engine."""
    wire = WireClock()  # a fresh one: each database counts its events from 1
    with (
        tempfile.TemporaryDirectory(prefix="espf-bench-") as name,
        databases(engine, Path(name)) as kind,
    ):
        espf = Installation(Path(name), f"http://127.0.0.1:{wire.port}/", 64, kind.make())
        with espf.engine(web=True) as running:
            time.sleep(4)
            idle = idle_cpu(running, espf, idle_s)
            taken, commits = change_and_wait(espf, wire, changes)
    bare = statistics.median(bare_post_ms(wire.port, changes))
    commit = statistics.median(commits)
    beside = f"the commit {commit:.1f} ms, a bare POST {bare:.2f} ms; {len(taken)} changes"
    for share, most in ((0.5, 15), (0.99, 40)):
        ms = percentile(taken, share)
        report.add(
            Figure(
                engine,
                f"commit to wire, p{share * 100:.0f}",
                f"{ms:.1f} ms",
                ms,
                beside,
                f"≤ {most} ms",
                ms <= most,
            )
        )
    of_engine, of_database = idle
    beside = "" if engine == "sqlite" else f"and the database {of_database:.2f} %"
    report.add(
        Figure(
            engine,
            "idle CPU",
            f"{of_engine:.2f} % of a core",
            of_engine,
            beside,
            "≤ 1 %",
            of_engine <= 1,
        )
    )


def idle_cpu(engine: Engine, espf: Installation, seconds: float) -> tuple[float, float]:
    """CPU of engine and database while nothing happens, in per cent of a core."""
    began = time.monotonic()
    engine_s, database_s = engine.cpu_s(), espf.database.server_cpu_s()
    time.sleep(seconds)
    took = time.monotonic() - began
    return (
        (engine.cpu_s() - engine_s) / took * 100,
        (espf.database.server_cpu_s() - database_s) / took * 100,
    )


def change_and_wait(
    espf: Installation, wire: WireClock, changes: int
) -> tuple[list[float], list[float]]:
    """Change accounts one by one: milliseconds from commit to wire, and of each commit."""
    taken, commits = [], []
    shell = espf.database.connect()
    for turn in range(changes):
        time.sleep(0.25 + random.random() * 0.2)  # longer than the engine stays wide awake
        began = time.perf_counter()
        shell.run(
            "UPDATE accounts SET blocked = CASE blocked WHEN 'Y' THEN 'N' ELSE 'Y' END"
            f" WHERE i_account = (SELECT min(i_account) + {turn % 100} FROM accounts)"
        )
        committed = time.perf_counter()
        i_event = shell.value("SELECT max(i_event) FROM event")
        for _ in range(5000):
            if i_event in wire.arrived:
                break
            time.sleep(0.001)
        if i_event not in wire.arrived:
            raise SystemExit(
                f"{espf.database.engine}: event {i_event} did not come in five seconds"
            )
        taken.append((wire.arrived[i_event] - committed) * 1000)
        commits.append((committed - began) * 1000)
    shell.close()
    return taken, commits


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--changes", type=int, default=150)
    parser.add_argument("--idle-s", type=float, default=10)
    options = parser.parse_args()
    report = Report("latency")
    for engine in chosen(options.engine):
        measure(engine, report, options.changes, options.idle_s)
    report.write(options.json)


if __name__ == "__main__":
    main()
