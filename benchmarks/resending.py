"""A million failed events counted, sent again and skipped: how long it takes, and the memory.

As `espf events retry` and `skip` do it, in portions of 500 pairs, each a transaction. The yardstick
is one statement that parks them all at once, with a lock held from its beginning to its end; the
longest transaction here is told beside it.

    python benchmarks/resending.py [--engine both] [--events 1000000] [--json FILE]
"""

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from support.database import Database, databases
from support.installation import HandlerSpec, Installed
from support.report import Figure, Report, arguments, chosen

from espf.clock import SystemClock
from espf.database_url import parse_database_url
from espf.eventlog.engines import open_session
from espf.eventlog.operating.operations import SessionOperations
from espf.eventlog.operations import EventFilter

MOST_MORE_MB = 20
PARK = (
    "INSERT INTO parked (i_handler, i_event, entity, entity_id, lane, attempts, due_us, parked_us)"
    " SELECT {key}, i_event, entity, entity_id, lane, 1, 1, 1 FROM event"
)


class Log:
    """So many events of one handler, each of them refused."""

    def __init__(self, database: Database, folder: Path, events: int) -> None:
        self.espf = Installed(folder, database, [HandlerSpec("bench", "http://127.0.0.1:9/")])
        self.shell = database.connect()
        last = self.espf.add_events(events, accounts=100_000)
        self.key = self.shell.value("SELECT i_handler FROM handler")
        self.shell.run(
            "INSERT INTO attempt (i_handler, i_event, attempt, outcome, status, started_us,"
            f" duration_us, request, answer, instance) SELECT {self.key}, i_event, 1, 'rejected',"
            " 'failed', 1, 1, '', '', 'bench' FROM event"
        )
        self.shell.run(f"UPDATE lane_cursor SET position = {last}")


def grown_mb(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that the work takes, and how much this process has grown meanwhile."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    return took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def measure(log: Log, events: int, report: Report) -> None:
    """Count, send again, skip; then the same by one statement."""
    engine, wanted = log.espf.database.engine, EventFilter(handler="bench")
    operations = SessionOperations(
        open_session(parse_database_url(log.espf.database.url)), SystemClock()
    )
    operations.would_retry(EventFilter(i_events=range(1, 1000)), 0)  # caches are filled
    now_us, longest, last = SystemClock().now_us(), [0.0], [time.monotonic()]

    def moved(_count: int, _i_event: int) -> None:
        now = time.monotonic()
        longest[0], last[0] = max(longest[0], now - last[0]), now

    works: dict[str, Callable[[], object]] = {
        "counted": lambda: operations.would_retry(wanted, now_us),
        "sent again": lambda: operations.retry(wanted, now_us, moved),
        "skipped": lambda: operations.skip(wanted, "bench", now_us),
    }
    found = {}
    for what, work in works.items():
        last[0] = time.monotonic()
        found[what] = grown_mb(work)
    operations.close()
    log.shell.run("DELETE FROM parked")
    began = time.monotonic()
    log.shell.run(PARK.format(key=log.key))
    at_once = time.monotonic() - began
    for what, (took, grown) in found.items():
        beside = f"{took / at_once:.1f} times one statement that parks all; {grown:.0f} MB more"
        report.add(
            Figure(
                engine,
                f"{events:,} failed events {what}",
                f"{took:.1f} s",
                took,
                beside,
                f"≤ {MOST_MORE_MB} MB more",
                grown <= MOST_MORE_MB,
            )
        )
    report.note(f"{engine}: the longest portion of sending again took {longest[0] * 1000:.0f} ms")


def main() -> None:
    """Measure every engine that was asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    options = parser.parse_args()
    report = Report("resending")
    for engine in chosen(options.engine):
        with (
            tempfile.TemporaryDirectory(prefix="espf-bench-") as name,
            databases(engine, Path(name)) as kind,
        ):
            log = Log(kind.make(), Path(name), options.events)
            measure(log, options.events, report)
            log.shell.close()
    report.write(options.json)


if __name__ == "__main__":
    main()
