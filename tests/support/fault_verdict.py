"""What a fault did to the events: lost, out of order, sent again, and how soon all was well again.

The receiver and the database's tables tell it, nothing in between. Import it as `fault_verdict`.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from fault_load import serial_moment
from fault_receiver import Arrival

VERDICTS: list["Verdict"] = []
"""Those of this run, for its summary."""


@dataclass(frozen=True)
class Verdict:
    """The summary's line of one fault."""

    fault: str
    tried: int
    sent: int
    """Events, once for each handler."""
    lost: int
    """Never accepted by the receiver, or never recorded as finished."""
    disordered: int
    """Requests that came after one for a later event of the same account and handler."""
    twice: int
    """Recorded more than once."""
    uncaught: int
    """Changes of accounts that left no event."""
    repeats: int
    strangers: int
    """Repeats under another number, and requests for events that were never committed."""
    examples: tuple[tuple[str, int, int, int], ...]
    """Of what is lost: handler, i_event, how often it was accepted, how often recorded."""
    recovery_s: float
    """Longest time from a fault's end until all was delivered that had been written by then."""

    def holds(self, within_s: float) -> None:
        """Fail unless nothing was lost or reordered, and all was well within that time."""
        print(self.line)
        assert self.lost == 0, f"{self.fault}: {self.lost} of {self.sent} lost {self.examples}"
        assert self.disordered == 0, f"{self.fault}: {self.disordered} out of order"
        assert self.twice == 0, f"{self.fault}: {self.twice} recorded more than once"
        assert self.uncaught == 0, f"{self.fault}: {self.uncaught} changes without an event"
        assert self.strangers == 0, f"{self.fault}: {self.strangers} requests of no event"
        assert self.recovery_s <= within_s, f"{self.fault}: {self.recovery_s:.1f} s to recover"

    @property
    def line(self) -> str:
        same = "same i_event" if not self.strangers else f"{self.strangers} OTHER i_event"
        return (
            f"{self.fault:<58}{self.tried:>6}{self.sent:>9}{self.lost:>6}{self.disordered:>10}"
            f"{self.twice:>7}{self.uncaught:>9}{self.repeats:>9}  {same:<14}{self.recovery_s:>8.1f}"
        )


def total() -> str:
    """The summary's last line: all faults together."""

    def all_of(field: str) -> int:
        return sum(getattr(verdict, field) for verdict in VERDICTS)

    return (
        f"{all_of('tried')} faults of {len(VERDICTS)} kinds, {all_of('sent')} events sent,"
        f" {all_of('lost')} lost, {all_of('disordered')} out of order,"
        f" {all_of('repeats')} sent again, {all_of('twice')} recorded twice,"
        f" {all_of('uncaught')} changes without an event"
    )


HEAD = (
    f"{'fault':<58}{'tried':>6}{'sent':>9}{'lost':>6}{'disorder':>10}{'twice':>7}{'uncaught':>9}"
    f"{'repeats':>9}"
    f"  {'with':<14}{'back s':>8}"
)


def judge(
    fault: str,
    tried: int,
    *,
    handlers: Sequence[str],
    events: Mapping[int, int],
    finished: Mapping[tuple[str, int], int],
    arrivals: Sequence[Arrival],
    changes: Iterable[tuple[int, str, str]],
    accounts: Mapping[int, str],
    healed_s: Iterable[float],
) -> Verdict:
    """Compare what was committed with what arrived.

    `events`: number → account; `changes` as captured, in order: account, id before and after;
    `accounts`: account → its id now.
    """
    wanted = {(handler, i_event) for handler in handlers for i_event in events}
    accepted = Counter((one.handler, one.i_event) for one in arrivals if one.accepted)
    lost = [pair for pair in sorted(wanted) if not accepted[pair] or not finished.get(pair)]
    made = Verdict(
        fault,
        tried,
        sent=len(wanted),
        lost=len(lost),
        disordered=_disordered(arrivals),
        twice=sum(count > 1 for count in finished.values()),
        uncaught=_uncaught(changes, accounts),
        repeats=sum(accepted.values()) - len(accepted),
        strangers=_strangers(arrivals, events),
        examples=tuple((*pair, accepted[pair], finished.get(pair, 0)) for pair in lost[:8]),
        recovery_s=_recovery_s(arrivals, healed_s),
    )
    VERDICTS.append(made)
    return made


def _disordered(arrivals: Sequence[Arrival]) -> int:
    newest: dict[tuple[str, int], int] = defaultdict(int)
    found = 0
    for one in arrivals:
        key = (one.handler, one.account)
        found += one.i_event < newest[key]
        newest[key] = max(newest[key], one.i_event)
    return found


def _uncaught(changes: Iterable[tuple[int, str, str]], accounts: Mapping[int, str]) -> int:
    """Each event begins where the one before it ended, and the last one tells what is now."""
    known = {account: f"a{account}" for account in accounts}
    found = 0
    for account, before, after in changes:
        found += known[account] != before
        known[account] = after
    return found + sum(known[account] != now for account, now in accounts.items())


def _strangers(arrivals: Sequence[Arrival], events: Mapping[int, int]) -> int:
    number_of: dict[str, int] = {}
    found = 0
    for one in arrivals:
        known = number_of.setdefault(one.serial, one.i_event) == one.i_event
        found += not known or events.get(one.i_event) != one.account
    return found


def _recovery_s(arrivals: Sequence[Arrival], healed_s: Iterable[float]) -> float:
    first: dict[tuple[str, str], float] = {}
    for one in arrivals:
        if one.accepted:
            first.setdefault((one.handler, one.serial), one.at_s)
    by_writing = sorted((serial_moment(serial), at_s) for (_, serial), at_s in first.items())
    written = [moment for moment, _ in by_writing]
    last_until = list(accumulate((at_s for _, at_s in by_writing), max))
    worst = 0.0
    for moment in healed_s:
        place = bisect_right(written, moment)
        if place:
            worst = max(worst, last_until[place - 1] - moment)
    return worst
