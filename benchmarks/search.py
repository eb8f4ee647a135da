"""The first page of each search filter in a log of ten million attempts, whatever is rare.

Two handlers have tried nearly every event, one had most of what it tried refused, and one that is
disabled has all its events still to come. The tables are filled by SQL, the pages are asked for as
`espf events list` and the console ask. The yardstick is one event read by its number, on the same
connection.

    python benchmarks/search.py [--engine both] [--rows 10000000] [--json FILE]
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.database import Database, databases
from support.installation import HandlerSpec, Installed
from support.report import Figure, Report, arguments, chosen

from espf.clock import SystemClock
from espf.database_url import parse_database_url
from espf.eventlog.engines import open_session
from espf.eventlog.housekeeping.blocks import note_blocks
from espf.eventlog.housekeeping.partitions import ensure_partitions
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operations import EventFilter

PAGE = 25
TARGET_MS = 100
TURNS = 7
DAYS = 80
FIRST_S = 1_780_000_000
CHUNK = 500_000
SELDOM = ("Customer/New",)
TYPES = ("Account/Blocked", "Account/Unblocked", "Account/BalanceChanged", "Account/New")
ALL = (*TYPES, *SELDOM, "SIM/New")
RARE_TYPE = "CASE WHEN i <= 40 THEN 'SIM/New' WHEN i % 4096 = 17 THEN 'Customer/New'"
ENTITY = "CASE WHEN i <= 40 THEN 'sim' WHEN i % 4096 = 17 THEN 'customer' ELSE 'account' END"
KEY = "CASE WHEN i IN (50, 60, 70) THEN 999999 WHEN i % 100 = 0 THEN 1 ELSE i * 7919 % 200000 END"
EVERYTHING = (
    "CASE WHEN i % 100 = 3 THEN 'failed' WHEN i % 50 = 7 THEN 'skipped' ELSE 'finished' END"
)
MOST = "CASE WHEN i BETWEEN 10 AND 14 THEN 'failed' WHEN i = 20 THEN 'skipped' ELSE 'finished' END"
REFUSED = "CASE WHEN i IN (105, 110, 115) THEN 'finished' ELSE 'failed' END"
REQUEST = (
    "'POST / ' || i || ' Account/Blocked i_account prev_blocked curr_blocked with its body as it"
    " was sent, shortened'"
)


class Log:
    """A log of so many attempts in a database of its own."""

    def __init__(self, database: Database, folder: Path, rows: int) -> None:
        url = "http://127.0.0.1:9/"
        self.espf = Installed(
            folder,
            database,
            [
                HandlerSpec("everything", url, subscriptions=ALL),
                HandlerSpec("most", url, subscriptions=ALL),
                HandlerSpec("refused", url, subscriptions=TYPES),
                HandlerSpec("waiting", url, subscriptions=SELDOM),
            ],
        )
        self.database = database
        self.shell = database.connect()
        self.keys = dict(self.shell.rows("SELECT name, i_handler FROM handler"))
        # 'everything' and 'most' try each event once, 'refused' each fifth.
        self.events = rows * 5 // 11

    def fill(self) -> None:
        """Everything, by SQL; what makes it durable is left to the end."""
        sqlite = self.database.engine == "sqlite"
        session = open_session(parse_database_url(self.database.url))
        ensure_partitions(session)
        self.shell.run("PRAGMA synchronous = OFF" if sqlite else "SET synchronous_commit = off")
        for index in ("attempt_status", "event_entity"):
            self.shell.run(f"DROP INDEX {index}")
        for start in range(1, self.events + 1, CHUNK):
            self._fill(start, min(self.events, start + CHUNK - 1))
        self._state()
        self.shell.run("CREATE INDEX attempt_status ON attempt (i_handler, status, i_event)")
        self.shell.run("CREATE INDEX event_entity ON event (entity_id, entity, i_event)")
        if not sqlite:
            for table in ("event", "attempt", "parked"):
                self.shell.run(f"VACUUM ANALYZE {table}")  # as autovacuum would have done long ago
            self.shell.run("CHECKPOINT")
        while note_blocks(session, self.events):
            pass
        session.close()

    def _fill(self, first: int, last: int) -> None:
        before, source = self.database.numbers(first, last)
        self.shell.run(f"{before}{self._events()} FROM {source}")
        for name, statuses, which in (
            ("everything", EVERYTHING, f"i <= {self.events - 2000}"),
            ("most", MOST, "i > 0"),
            ("refused", REFUSED, "i % 5 = 0 AND i > 100"),
        ):
            self.shell.run(
                f"{before}INSERT INTO attempt (i_handler, i_event, attempt, outcome, status,"
                " started_us, duration_us, code, reason, request, answer, instance)"
                f" SELECT {self.keys[name]}, i, 1, 'delivered', {statuses}, {FIRST_S}000000 + i,"
                f" 1500, 200, NULL, {REQUEST}, 'OK', 'bench' FROM {source} WHERE {which}"
            )

    def _events(self) -> str:
        """Types and entities of all kinds, spread over the days."""
        seconds = f"({FIRST_S} + i * {DAYS * 86400} / {self.events})"
        moment = (
            f"datetime({seconds}, 'unixepoch')"
            if self.database.engine == "sqlite"
            else f"to_char(to_timestamp({seconds}) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"
        )
        common = " ".join(f"WHEN {n} THEN '{name}'" for n, name in enumerate(TYPES))
        kind = f"{RARE_TYPE} ELSE CASE i % {len(TYPES)} {common} END END"
        return (
            "INSERT INTO event (i_event, i_env, event_type, entity, entity_id, lane, event_time,"
            f" variables) SELECT i, 1, {kind}, {ENTITY}, {KEY}, ({KEY}) % 64, {moment},"
            """ '{"i_account":' || i || ',"prev_blocked":"N","curr_blocked":"Y"}'"""
        )

    def _state(self) -> None:
        """Cursors at the end but one's; a hundred thousand events parked, few in progress."""
        for name, position in (
            ("everything", self.events - 2000), ("most", self.events),
            ("refused", self.events), ("waiting", 0),
        ):  # fmt: skip
            self.shell.run(
                f"UPDATE lane_cursor SET position = {position} WHERE i_handler = {self.keys[name]}"
            )
        self.shell.run("UPDATE handler SET enabled = 0, keep_events = 1 WHERE name = 'waiting'")
        newest = self.events - 2000
        for attempts, busy, which in (
            (2, 0, f"i_event > {newest - 4_000_000} AND i_event <= {newest} AND i_event % 40 = 1"),
            (0, 0, "i_event BETWEEN 202 AND 206"),
            (1, 1, "i_event BETWEEN 301 AND 305"),
        ):
            self.shell.run(
                "INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts,"
                f" in_progress, due_us, parked_us) SELECT {self.keys['everything']}, i_event,"
                f" entity, entity_id, lane, {attempts}, {busy}, 1, 1 FROM event WHERE {which}"
            )
        if self.database.engine == "postgres":
            self.shell.rows(f"SELECT setval('event_i_event_seq', {self.events})")


def filters(events: int) -> Iterator[tuple[str, EventFilter]]:
    """Each filter alone, for what there is much of and what there is hardly any of."""
    middle_us = (FIRST_S + DAYS * 43_200) * 1_000_000
    yield "no filter", EventFilter()
    yield "i_event", EventFilter(i_events=[events // 3])
    for name in ("everything", "most", "refused", "waiting"):
        yield f"handler {name}", EventFilter(handler=name)
    yield "type, common", EventFilter(event_types=[TYPES[0]])
    yield "type, one in 4,096", EventFilter(event_types=list(SELDOM))
    yield "type, the oldest 40 only", EventFilter(event_types=["SIM/New"])
    yield "type, all of a pattern", EventFilter(event_types=list(TYPES))
    yield "entity, common kind", EventFilter(entity="account")
    yield "entity, rare kind", EventFilter(entity="sim")
    yield "entity, of 50,000 events", EventFilter(entity="account", entity_id=1)
    yield "entity, of 3 events", EventFilter(entity="account", entity_id=999_999)
    for status in ("finished", "failed", "skipped", "retry", "queued", "in_progress"):
        yield f"status {status}", EventFilter(statuses=[status])  # type: ignore[list-item]
    yield "status failed of most (5)", EventFilter(statuses=["failed"], handler="most")
    yield "status finished of refused (3)", EventFilter(statuses=["finished"], handler="refused")
    yield "status retry of most (none)", EventFilter(statuses=["retry"], handler="most")
    yield "since, last day", EventFilter(since_us=(FIRST_S + (DAYS - 1) * 86_400) * 1_000_000)
    yield "until, first day", EventFilter(until_us=(FIRST_S + 86_400) * 1_000_000)
    yield "a minute in the middle", EventFilter(since_us=middle_us, until_us=middle_us + 60_000_000)
    yield "since tomorrow (none)", EventFilter(since_us=(FIRST_S + 10**8) * 1_000_000)
    yield (
        "two at once, failed of a rare type",
        EventFilter(statuses=["failed"], event_types=list(SELDOM)),
    )
    yield (
        "failed of most, common type",
        EventFilter(statuses=["failed"], handler="most", event_types=[TYPES[0]]),
    )


def taken_ms(work: Callable[[], object]) -> tuple[float, float]:
    """Median and worst of several turns after one that warms up."""
    work()
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), max(times)


def measure(log: Log, report: Report) -> None:
    """Each filter's first page, and what `espf handlers list` asks."""
    engine = log.database.engine
    session = open_session(parse_database_url(log.database.url))
    operations = SessionOperations(session, SystemClock())
    yard, _ = taken_ms(lambda: session.run("event", {"i_event": log.events // 2}).fetchall())
    report.note(f"{engine}: one event by its number {yard:.3f} ms")
    for what, wanted in filters(log.events):
        count = len(operations.events(wanted, PAGE))
        _conclude(report, engine, f"search, {what} ({count})", yard,
                  lambda wanted=wanted: operations.events(wanted, PAGE))  # fmt: skip
    _conclude(report, engine, "handlers list", yard, operations.health)
    operations.close()


def _conclude(
    report: Report, engine: str, what: str, yard: float, work: Callable[[], object]
) -> None:
    median, worst = taken_ms(work)
    alone = "two at once" not in what  # the design speaks of each filter alone
    report.add(
        Figure(
            engine,
            what,
            f"{median:.1f} ms",
            median,
            f"worst {worst:.1f} ms; {median / yard:,.0f} times one event by its number",
            f"≤ {TARGET_MS} ms" if alone else "",
            median <= TARGET_MS if alone else None,
        )
    )


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    report = Report("search")
    for engine in chosen(options.engine):
        with (
            tempfile.TemporaryDirectory(prefix="espf-bench-") as name,
            databases(engine, Path(name)) as kind,
        ):
            began = time.monotonic()
            log = Log(kind.make(), Path(name), options.rows)
            log.fill()
            attempts = log.shell.value("SELECT count(*) FROM attempt")
            report.note(f"{engine}: {attempts:,} attempts in {time.monotonic() - began:.0f} s")
            measure(log, report)
            log.shell.close()
    report.write(options.json)


if __name__ == "__main__":
    main()
