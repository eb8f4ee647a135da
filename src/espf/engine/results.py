"""Turns the results of one handler into rows, and lets followers go when they are committed."""

from dataclasses import dataclass, field
from typing import assert_never

from espf.engine.item import Item
from espf.engine.runner import Runner
from espf.errors import PayloadError
from espf.eventlog.model import (
    MAX_STATUS_CHARS,
    AttemptRow,
    BreakerMove,
    OutcomeName,
    ParkRow,
    ServiceStatus,
    Settlement,
    StatusName,
    StatusRow,
    UnparkRow,
)
from espf.events.payload import account_in
from espf.handlers.port import Delivered, Outcome, Rejected, RetryLater, Skipped, Unknown

new_row = AttemptRow._make  # three times quicker than the constructor, and made for each event


@dataclass(slots=True)
class Contribution:
    """One handler's part of a settlement, and what follows from its commit."""

    runner: Runner
    settled: list[Item] = field(default_factory=list)
    parked: list[Item] = field(default_factory=list)
    passed: list[Item] = field(default_factory=list)
    """Still in flight, but parked as in progress so that the lane can move on."""
    moved: bool = False
    """A cursor moved, so there is room to read."""
    released: bool = False
    """What an outage parked is due."""
    breaker_moved: bool = False
    again: list[Item] = field(default_factory=list)
    """Failed probes of events that were not parked: they keep their place."""

    def committed(self) -> None:
        """Let the followers of everything committed go."""
        flow = self.runner.flow
        if flow.lost:
            return  # nothing of it is in memory any more
        if self.breaker_moved:
            flow.breaker_storing = False
            flow.breaker_moves += 1
        for item in self.again:
            flow.put_first(item)
        flow.lately.note((*self.parked, *self.passed))
        flow.let_go(self.settled, self.parked)
        flow.park_waiting({item.key for item in self.passed})
        if self.parked or self.released or any(item.parked for item in self.settled):
            flow.look_for_due = True
        if self.moved or self.released:
            self.runner.go_on()


def contribute(runner: Runner, settlement: Settlement) -> Contribution:
    """Move everything that the runner has finished into the settlement."""
    flow, part = runner.flow, Contribution(runner)
    finished, flow.finished = flow.finished, []
    behind, flow.behind = flow.behind, {}
    for item in finished:
        _record(runner, item, settlement, part)
    for item in behind:
        _park_behind(runner, item, settlement, part)
    touched = {item.event.lane for item in (*finished, *behind)}
    positions = flow.window.positions(runner.row.i_handler, touched)
    settlement.positions += positions
    part.moved = bool(positions)
    if flow.breaker_moved:
        flow.breaker_moved, flow.breaker_storing = False, True
        part.breaker_moved = True
        breaker = flow.breaker
        since_us = breaker.since_us if breaker.is_open else None
        move = BreakerMove(runner.row.i_handler, breaker.state, since_us, breaker.reason)
        settlement.breakers.append(move)
    if flow.release_since_us is not None:
        settlement.release.append((runner.row.i_handler, flow.release_since_us))
        flow.release_since_us = None
        part.released = True
    return part


def _record(runner: Runner, item: Item, settlement: Settlement, part: Contribution) -> None:
    outcome = item.outcome
    match outcome:
        case Delivered():
            settlement.attempts.append(_attempt(runner, item, outcome, "delivered", "finished"))
            _tell(runner, item, settlement, "OK")
            _settle(runner, item, settlement, part)
        case Rejected():
            settlement.attempts.append(_attempt(runner, item, outcome, "rejected", "failed"))
            _tell(runner, item, settlement, "FAILED", outcome.reason)
            _settle(runner, item, settlement, part)
            _log_failure(runner, item, outcome.reason)
        case Skipped():
            settlement.attempts.append(_skipped(runner, item, outcome, settlement))
            settlement.skipped.append((runner.row.i_handler, item.event.i_event))
            _settle(runner, item, settlement, part)
        case RetryLater() | Unknown():
            _try_again(runner, item, outcome, settlement, part)
        case None:
            raise AssertionError("an item without an outcome was handed over")
        case _:
            assert_never(outcome)


def _settle(runner: Runner, item: Item, settlement: Settlement, part: Contribution) -> None:
    item.done = True
    if item.parked:
        event = item.event
        settlement.unpark.append(
            UnparkRow(runner.row.i_handler, event.i_event, event.entity, event.entity_id)
        )
    part.settled.append(item)


def _try_again(
    runner: Runner,
    item: Item,
    outcome: RetryLater | Unknown,
    settlement: Settlement,
    part: Contribution,
) -> None:
    name: OutcomeName = "retry" if isinstance(outcome, RetryLater) else "unknown"
    ended_us = item.started_us + item.duration_us
    asked_s = outcome.retry_after_s if isinstance(outcome, RetryLater) else None
    delay_us = runner.policy.delay_us(item.attempts - item.probes, asked_s, runner.random.random)
    reason = None
    if item.probe:
        item.probes += 1
    else:
        stopped_us = runner.flow.state.stopped_total_us(ended_us) - item.stopped_base_us
        waited_us = ended_us - (item.first_attempt_us or ended_us) - stopped_us
        reason = runner.policy.gives_up(item.attempts - item.probes, waited_us, delay_us)
    if reason is not None:
        told = outcome._replace(reason=f"{outcome.reason}; {reason}")
        settlement.attempts.append(_attempt(runner, item, told, name, "failed"))
        _tell(runner, item, settlement, "FAILED", told.reason)
        _settle(runner, item, settlement, part)
        _log_failure(runner, item, told.reason)
        return
    settlement.attempts.append(_attempt(runner, item, outcome, name, "retry"))
    _tell(runner, item, settlement, "RETRY", outcome.reason)
    if item.probe and not item.parked and runner.flow.breaker.is_open:
        part.again.append(item)
        return
    # From now: if the clock was set since the attempt began, its end is told by the old one.
    due_us = settlement.now_us + delay_us
    _park(runner, item, settlement, due_us=due_us, reason=outcome.reason)
    part.parked.append(item)
    for follower in runner.flow.window.waiting(item.key):
        _park_behind(runner, follower, settlement, part)


def _park_behind(runner: Runner, item: Item, settlement: Settlement, part: Contribution) -> None:
    """Park an event that has not failed: it waits for an earlier one, or is still in flight."""
    if item.parked or item.outcome is not None:
        return
    in_flight = bool(item.started_us)
    waits = in_flight or item.behind_bulk
    _park(
        runner,
        item,
        settlement,
        due_us=None if waits else settlement.now_us,
        in_flight=in_flight,
    )
    (part.passed if in_flight else part.parked).append(item)


def _park(
    runner: Runner,
    item: Item,
    settlement: Settlement,
    *,
    due_us: int | None,
    reason: str | None = None,
    in_flight: bool = False,
) -> None:
    event = item.event
    row = ParkRow(
        i_handler=runner.row.i_handler,
        i_event=event.i_event,
        entity=event.entity,
        entity_id=event.entity_id,
        lane=event.lane,
        attempts=item.attempts,
        probes=item.probes,
        in_progress=int(in_flight),
        due_us=due_us,
        parked_us=settlement.now_us,
        first_attempt_us=item.first_attempt_us,
        stopped_base_us=item.stopped_base_us,
        coalesced=item.coalesced,
        reason=reason,
        behind_bulk=int(item.behind_bulk),
    )
    (settlement.repark if item.parked else settlement.park).append(row)
    item.parked = True
    runner.flow.left(item)


def _attempt(
    runner: Runner, item: Item, outcome: Outcome, name: OutcomeName, status: StatusName
) -> AttemptRow:
    return new_row(
        (
            runner.row.i_handler,
            item.event.i_event,
            item.attempts,
            name,
            status,
            item.started_us,
            item.duration_us,
            outcome.code,
            None if isinstance(outcome, Delivered) else outcome.reason,
            outcome.request,
            outcome.answer,
            runner.flow.instance,
        )
    )


def _skipped(runner: Runner, item: Item, outcome: Skipped, settlement: Settlement) -> AttemptRow:
    status: StatusName = "finished" if outcome.finished else "skipped"
    return AttemptRow(
        runner.row.i_handler,
        item.event.i_event,
        0,
        "skipped",
        status,
        settlement.now_us,
        0,
        None,
        outcome.reason,
        "",
        "",
        runner.flow.instance,
    )


def _tell(
    runner: Runner, item: Item, settlement: Settlement, status: ServiceStatus, message: str = ""
) -> None:
    """Have the result stand as the account's provisioning status, if the handler has a group."""
    group = runner.flow.settings.status_group
    if not group:
        return
    event = item.event
    try:
        i_account = account_in(event)
    except PayloadError:
        return  # rejected for that, and about nobody
    if i_account is not None:
        text = message[:MAX_STATUS_CHARS]
        row = StatusRow(runner.row.i_handler, i_account, group, status, text, event.i_event)
        settlement.statuses.append(row)


def _log_failure(runner: Runner, item: Item, reason: str) -> None:
    runner.flow.log.warning(
        "event.failed",
        i_event=item.event.i_event,
        event_type=item.event.event_type,
        attempt=item.attempts,
        reason=reason,
    )
