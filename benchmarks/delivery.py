"""Durable delivery beside its yardsticks, in one run.

Events written by triggers on real updates of 10,000 accounts are drained by the installed
`espf serve` to an nginx that answers 200: Basic authentication, order, retries and attempt log on;
SQLite with synchronous=FULL, PostgreSQL with fsync. Beside it, to the same nginx and with the same
body: `wrk`, an aiohttp loop without any log, Celery + Redis + requests, and PgQueuer + aiohttp on
the same PostgreSQL. Medians over the rounds; each ratio is taken within its round, since machines
drift.

    python benchmarks/delivery.py [--engine both] [--rounds 3] [--events 100000] [--json FILE]
"""

import base64
import contextlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from receiver_nginx import Receiver, free_port, wrk_script
from support.database import Database, SqliteDatabase, databases
from support.installation import BODY, KEY, USER, Engine, HandlerSpec, Installed
from support.processes import ESPF, cpu_s, running, wait_until
from support.receivers import Counter, quick_receiver
from support.report import Figure, Report, arguments, chosen
from yardsticks import aiohttp_loop, celery_redis, pgqueuer_aiohttp

__all__ = ["ACCOUNTS", "ESPF", "Installation", "cpu_s"]

ACCOUNTS = 10_000
HANDLER = "bench"
WRK_S = 3
AIOHTTP_REQUESTS = 15_000
CELERY_TASKS = 3_000
PGQUEUER_JOBS = 30_000


class Installation(Installed):
    """An espf with 10,000 accounts and one handler; on SQLite unless told."""

    def __init__(
        self,
        folder: Path,
        receiver: Receiver | str,
        window: int = 48,
        database: Database | None = None,
    ) -> None:
        url = receiver if isinstance(receiver, str) else receiver.url
        super().__init__(folder, database or SqliteDatabase(folder), ())
        self.path = folder / "espf.db"
        self.add_accounts(ACCOUNTS)
        self.apply([HandlerSpec(HANDLER, url, window)])


@dataclass(frozen=True)
class Drained:
    """One drain of one engine."""

    rate: float
    engine_us: float
    """CPU microseconds of the engine for each event."""
    database_us: float
    """The same of the database's own processes."""
    memory_mb: float


@dataclass
class Round:
    """What one round measured: 0 or nothing where a yardstick is missing."""

    espf: dict[str, Drained] = field(default_factory=dict)
    wrk: dict[str, float] = field(default_factory=dict)
    """Beside each engine: the mean of just before and just after it."""
    aiohttp: float = 0.0
    celery: float = 0.0
    pgqueuer: float = 0.0


class Bench:
    """The receiver and the yardsticks, with one installation of each engine."""

    def __init__(self, folder: Path, url: str, port: int, report: Report) -> None:
        self.folder = folder
        self.url = url
        self.count = Counter(port)
        self.report = report
        self._receiver = Receiver(port)
        key = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
        self._script = wrk_script(folder, BODY, "Basic", key)
        self._wrk_missing = (
            "" if shutil.which("wrk") else "wrk is not installed (apt-get install wrk)"
        )
        self.celery_missing = celery_redis.missing()
        self.pgqueuer_missing = pgqueuer_aiohttp.missing()
        for missing in (self._wrk_missing, self.celery_missing, self.pgqueuer_missing):
            if missing:
                report.note(f"left out: {missing}")

    def wrk(self) -> float:
        """Requests a second of wrk, 0 if it is not installed."""
        return 0.0 if self._wrk_missing else self._receiver.wrk(self._script, WRK_S)

    def drain(self, espf: Installation, events: int, *, straight: bool) -> Drained:
        """Change accounts, then run `espf serve` until all is settled.

        The handler is paused until the web side is up: importing Django on the other core would be
        measured otherwise, not delivery.
        """
        espf.espf("handlers", "pause", HANDLER)
        shell = espf.database.connect()
        before = shell.value("SELECT coalesce(max(i_event), 0) FROM event")
        if straight:
            espf.add_events(events)
        else:
            espf.change_accounts(events // ACCOUNTS)
        last = shell.value("SELECT max(i_event) FROM event")
        if (last or 0) - before < events:
            raise SystemExit(f"{espf.database.engine}: the triggers wrote too few events")
        port = str(free_port())
        words = [str(ESPF), "serve", "--port", port]
        log = self.folder / f"{espf.database.engine}.log"
        with running(words, log, ready="ready:", env=espf.env) as (process, _):
            engine = Engine(process)
            _until_up(f"http://127.0.0.1:{port}/healthz", process)
            count, began = self.count(), _costs(engine, espf.database)
            espf.espf("handlers", "resume", HANDLER)
            wait_until("the first event", lambda: self.count() > count, process, every_s=0.005)
            settled = f"SELECT min(position) >= {last} FROM lane_cursor WHERE lane < 64"
            wait_until("the last event", lambda: bool(shell.value(settled)), process)
            ended_at, ended = time.time(), _costs(engine, espf.database)
            memory_mb = engine.memory_mb()
        first_us, done = shell.rows(
            f"SELECT min(started_us), count(*) FROM attempt WHERE i_event > {last - events}"
        )[0]
        shell.close()
        sent = self.count() - count
        assert done == sent == events, f"{done} attempts and {sent} requests for {events} events"
        return Drained(
            events / (ended_at - first_us / 1e6),
            (ended[0] - began[0]) / events * 1e6,
            (ended[1] - began[1]) / events * 1e6,
            memory_mb,
        )

    def round(
        self, installations: list[Installation], server: Any, events: int, *, straight: bool
    ) -> Round:
        """All once."""
        one = Round()
        one.aiohttp = aiohttp_loop.measure(self.url, AIOHTTP_REQUESTS)
        if not self.celery_missing:
            one.celery = celery_redis.measure(self._fresh(), self.url, self.count, CELERY_TASKS)
        if server is not None and not self.pgqueuer_missing:
            one.pgqueuer = pgqueuer_aiohttp.measure(
                server, self._fresh(), self.url, self.count, PGQUEUER_JOBS
            )
        before = self.wrk()
        for espf in installations:
            engine = espf.database.engine
            one.espf[engine] = self.drain(espf, events, straight=straight)
            after = self.wrk()
            one.wrk[engine] = statistics.mean((before, after))
            before = after
        return one

    def _fresh(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


def _costs(engine: Engine, database: Database) -> tuple[float, float]:
    return engine.cpu_s(), database.server_cpu_s()


def _until_up(url: str, server: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return True
        return False

    wait_until("the web side", answers, server, every_s=0.1)
    time.sleep(1)


@contextlib.contextmanager
def installed(
    engines: list[str], folder: Path, url: str, window: int
) -> Iterator[tuple[list[Installation], Any]]:
    """An installation of each engine, and the PostgreSQL server if there is one."""
    with contextlib.ExitStack() as stack:
        made, server = [], None
        for engine in engines:
            there = folder / engine
            there.mkdir()
            kind = stack.enter_context(databases(engine, there))
            server = kind.server or server
            made.append(Installation(there, url, window, kind.make()))
        yield made, server


def summarise(report: Report, engine: str, rounds: list[Round]) -> None:
    """The figures of one engine: medians, and ratios within each round."""
    mine = [one.espf[engine] for one in rounds]
    report.add(Figure(engine, "delivery", *_events(statistics.median(one.rate for one in mine))))
    against: list[tuple[str, str, float, Callable[[float], str], str, Callable[[Round], float]]] = [
        ("wrk", "≥ 30 %, goal 40 %", 0.3, lambda r: f"{r * 100:.0f} %", "requests/s", _wrk(engine)),
        ("Celery + Redis + requests", "≥ 50 times", 50, _times, "tasks/s", lambda r: r.celery),
        ("an aiohttp loop without any log", "", 0, _times, "requests/s", lambda r: r.aiohttp),
        ("PgQueuer + aiohttp", "", 0, _times, "jobs/s", lambda r: r.pgqueuer),
    ]
    for name, target, least, shown, unit, of in against:
        if not all(of(one) for one in rounds):
            continue
        ratio = statistics.median(one.espf[engine].rate / of(one) for one in rounds)
        beside = f"{statistics.median(map(of, rounds)):,.0f} {unit}"
        holds = ratio >= least if target else None
        report.add(
            Figure(engine, f"delivery, of {name}", shown(ratio), ratio, beside, target, holds)
        )
    engine_us = statistics.median(one.engine_us for one in mine)
    report.add(_cpu(engine, "the engine", engine_us, 40))
    if engine != "sqlite":
        database_us = statistics.median(one.database_us for one in mine)
        report.add(_cpu(engine, "the database", database_us, 10))
    memory_mb = max(one.memory_mb for one in mine)
    report.add(Figure(engine, "most memory of the engine", f"{memory_mb:.0f} MB", memory_mb))


def _wrk(engine: str) -> Callable[[Round], float]:
    return lambda one: one.wrk[engine]


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times"


def _events(rate: float) -> tuple[str, float]:
    return f"{rate:,.0f} events/s", rate


def _cpu(engine: str, whose: str, us: float, most: float) -> Figure:
    return Figure(
        engine, f"CPU of {whose}", f"{us:.0f} us an event", us, "", f"≤ {most} us", us <= most
    )


def _say(report: Report, number: int, one: Round) -> None:
    for engine, drained in one.espf.items():
        report.round(
            f"round {number}, {engine}: {drained.rate:,.0f} events/s, "
            f"wrk {one.wrk[engine]:,.0f}/s, aiohttp loop {one.aiohttp:,.0f}/s, "
            f"Celery {one.celery:,.0f}/s, "
            f"PgQueuer {one.pgqueuer:,.0f}/s",
            engine=engine,
            espf=drained.rate,
            wrk=one.wrk[engine],
            aiohttp=one.aiohttp,
            celery=one.celery,
            pgqueuer=one.pgqueuer,
        )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--window", type=int, default=48, help="EventSender.Window")
    parser.add_argument(
        "--straight", action="store_true", help="write events into the log, without triggers"
    )
    options = parser.parse_args()
    engines = list(chosen(options.engine))
    report, rounds = Report("delivery"), []
    with tempfile.TemporaryDirectory(prefix="espf-bench-") as name:
        folder = Path(name)
        with (
            quick_receiver(folder, report.note) as (url, port),
            installed(engines, folder, url, options.window) as (installations, server),
        ):
            bench = Bench(folder, url, port, report)
            for number in range(1, options.rounds + 1):
                one = bench.round(installations, server, options.events, straight=options.straight)
                rounds.append(one)
                _say(report, number, one)
    for engine in engines:
        summarise(report, engine, rounds)
    report.write(options.json)


if __name__ == "__main__":
    main()
