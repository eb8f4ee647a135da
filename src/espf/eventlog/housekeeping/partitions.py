"""Partitions of `event` and `attempt` on PostgreSQL: made ahead, dropped behind.

Numbers for which there is no partition go into the default one: nothing is lost, nothing waits.
Every lock here is given up after a moment. Who writes is held up no longer than that, and a reader
with an old transaction only delays what is done here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from espf.errors import LockTaken
from espf.eventlog.operating.search.blocks import BLOCK, Stretch
from espf.eventlog.operating.session import Session

SIZE = 1024 * BLOCK
"""Numbers of one partition, 4,194,304."""
AHEAD = 8
"""Partitions beyond the one in use: room for 33 million events while nobody keeps house."""
LOCK_WAIT_MS = 100
TABLES = ("event", "attempt")


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one table."""

    table: str
    slot: int

    @property
    def name(self) -> str:
        """Such as event_p12."""
        return f"{self.table}_p{self.slot}"

    @property
    def numbers(self) -> Stretch:
        """The event numbers that it holds."""
        return numbers_of(self.slot)


def numbers_of(slot: int) -> Stretch:
    """The event numbers of a slot."""
    return Stretch(slot * SIZE, (slot + 1) * SIZE - 1)


def slot_of(i_event: int) -> int:
    """The slot in which an event's number lies."""
    return i_event // SIZE


def partitions_of(session: Session) -> tuple[set[Partition], set[Partition]]:
    """Those in place, and what is left of some that were to be dropped. None on SQLite."""
    if session.dialect != "postgres":
        return set(), set()
    found: tuple[set[Partition], set[Partition]] = (set(), set())
    for name, in_place in session.run("partitions"):
        table, _, slot = name.partition("_p")
        found[0 if in_place else 1].add(Partition(table, int(slot)))
    return found


def ensure_partitions(session: Session) -> int:
    """Make those that are missing, up to `AHEAD` beyond the one in use; returns how many."""
    if session.dialect != "postgres":
        return 0
    last = session.run("last_drawn").fetchone()[0]
    in_place, _ = partitions_of(session)
    made = 0
    for table in TABLES:
        if not _take_promise_back(session, table):
            continue  # the next call tries again
        wanted = [Partition(table, slot_of(last) + number) for number in range(AHEAD + 1)]
        missing = [one for one in wanted if one not in in_place]
        if missing:
            made += _make_all(session, table, missing, last)
    return made


def _make_all(session: Session, table: str, missing: list[Partition], last: int) -> int:
    """Make them; a range of which the default partition holds rows stays there."""
    if not session.query(f"SELECT EXISTS (SELECT 1 FROM {table}_default)", {}).fetchone()[0]:  # noqa: S608 - our own words
        return sum(_make(session, one) for one in missing)
    # So far ahead that no number gets there while the promise holds.
    ahead = [one for one in missing if one.numbers.low - last > SIZE // 2]
    if not ahead:
        return 0
    with suppress(LockTaken), _promised(session, table, ahead[0].numbers.low):
        return sum(_make(session, one) for one in ahead)
    return 0


def _make(session: Session, one: Partition) -> int:
    """Make it beside the table and attach it, which holds up nobody who writes."""
    with suppress(LockTaken), session.changing():
        _wait_shortly(session)
        session.query(
            f"CREATE TABLE {one.name} (LIKE {one.table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)",
            {},
        )
        session.query(
            f"ALTER TABLE {one.table} ATTACH PARTITION {one.name} "
            f"FOR VALUES FROM ({one.numbers.low}) TO ({one.numbers.high + 1})",
            {},
        )
        return 1
    return 0


@contextmanager
def _promised(session: Session, table: str, end: int) -> Iterator[None]:
    """Have the default partition promise that it holds no number from `end` on.

    Otherwise each new partition has it searched, and whoever writes there waits meanwhile. The
    search for the promise itself holds up nobody. Raises LockTaken if somebody uses the partition
    for longer than we wait; who does so at the end has it taken back by a later call.
    """
    default = f"{table}_default"
    with session.changing():
        _wait_shortly(session)
        promise = f"CONSTRAINT {default}_end CHECK (i_event < {end}) NOT VALID"
        session.query(f"ALTER TABLE {default} ADD {promise}", {})
    try:
        session.query(f"ALTER TABLE {default} VALIDATE CONSTRAINT {default}_end", {})
        yield
    finally:
        _take_promise_back(session, table)


def _take_promise_back(session: Session, table: str) -> bool:
    """Whether there is none any more: one that stays would refuse events one day."""
    default = f"{table}_default"
    if not session.run("promise", {"name": f"{default}_end"}).fetchone()[0]:
        return True
    with suppress(LockTaken), session.changing():
        _wait_shortly(session)
        session.query(f"ALTER TABLE {default} DROP CONSTRAINT IF EXISTS {default}_end", {})
        return True
    return False


def detach(session: Session, one: Partition, check: Callable[[Partition], None]) -> None:
    """Take it out of its table, in the caller's transaction, if `check` does not raise.

    Raises LockTaken if somebody uses the table for longer than we wait.
    """
    _wait_shortly(session)
    check(one)
    session.query(f"ALTER TABLE {one.table} DETACH PARTITION {one.name}", {})


def remove_detached(session: Session, one: Partition) -> bool:
    """Remove what was taken out; False if somebody still reads it.

    Not in the same step: removing gigabytes takes the file system a while.
    """
    with suppress(LockTaken), session.changing():
        _wait_shortly(session)
        session.query(f"DROP TABLE IF EXISTS {one.name}", {})
        return True
    return False


def _wait_shortly(session: Session) -> None:
    session.query(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}", {})
