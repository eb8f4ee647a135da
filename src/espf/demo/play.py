"""Plays the demo: the subscriber's life, an outage, the recovery, and the judgement."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from espf.clock import SystemClock
from espf.demo.configuration import HANDLER, handlers_toml
from espf.demo.processes import Processes, wait_until
from espf.demo.screen import Screen
from espf.demo.script import INVENTORY, MORE_SUBSCRIBERS, OUTAGE, SUBSCRIBER, Step
from espf.demo.verdict import faults, read_record
from espf.eventlog.operations import EventFilter, HandlerHealth, Operations
from espf.events.model import Event
from espf.registry import money, services

STEP_S = 10.0
SETTLE_S = 0.3
"""The engine is ready, its handler connects yet: latencies shown are of a running system."""
_ALL = EventFilter()
_MANY = 10_000


@dataclass(slots=True)
class Stage:
    """Where the demo has come to."""

    screen: Screen
    processes: Processes
    operations: Operations
    attempts_seen: int = 0

    def subscriber(self) -> None:
        """The handbook's test, one change after the other."""
        self.screen.title("A subscriber's life")
        for step in (*INVENTORY, *SUBSCRIBER):
            self._change(step)

    def outage(self) -> None:
        """The receiver stops; changes go on; it comes back."""
        self.screen.title("More subscribers")
        for step in MORE_SUBSCRIBERS:
            self._change(step)
        self.screen.title("The receiver goes down")
        self.processes.stop("receiver")
        self.screen.say("Its process is stopped. The billing goes on as if nothing had happened:")
        for step in OUTAGE:
            self.screen.command(str(step))
            apply_step(step)
        wait_until("the breaker to open", lambda: self._health().breaker == "open", STEP_S)
        self._print_attempts(None)
        self.screen.queue(self._health())
        self.screen.title("The receiver comes back")
        self.processes.start_receiver()
        self.screen.say("It is started again. What waited arrives, in order for each account:")
        ends = time.monotonic() + STEP_S
        while self._health().backlog and time.monotonic() < ends:
            self._print_attempts(None)
            time.sleep(0.02)
        self._print_attempts(None)
        self.screen.queue(self._health())

    def judge(self) -> bool:
        """Compare the receiver's record with the log."""
        self.screen.title("What the receiver has")
        arrivals = read_record(self.processes.record)
        events = self._events(0)
        found = faults(events, arrivals)
        self.screen.verdict(found, len(events), len(arrivals) - len({one[0] for one in arrivals}))
        return not found

    def _change(self, step: Step) -> None:
        self.screen.command(str(step))
        last = max((event.i_event for event in self._events(0)), default=0)
        apply_step(step)
        committed_us = SystemClock().now_us()
        if not self._events(last):
            self.screen.quiet()
            return
        wait_until("the event's answer", lambda: self._health().backlog == 0, STEP_S)
        self._print_attempts(committed_us)

    def _print_attempts(self, committed_us: int | None) -> None:
        found = self.operations.newer_attempts(self.attempts_seen, _MANY)
        if not found:
            return
        self.attempts_seen = found[-1][0]
        events = {event.i_event: event for event in self._events(0)}
        for _, attempt in found:
            waited_us = None if committed_us is None else attempt.started_us - committed_us
            waited_ms = None if waited_us is None else max(0, waited_us) / 1000
            self.screen.attempt(events[attempt.i_event], attempt, waited_ms)

    def _events(self, after: int) -> list[Event]:
        return [one.event for one in self.operations.newer(_ALL, after, _MANY)]

    def _health(self) -> HandlerHealth:
        return next(one for one in self.operations.health() if one.handler.name == HANDLER)


def apply_step(step: Step) -> None:
    """Make the change by the functions that the command calls."""
    if step.verb == "add":
        services.add(step.entity, step.fields)
    elif step.key is None:
        raise ValueError(step)
    elif step.verb == "update":
        services.update(step.entity, step.key, step.fields)
    else:
        move = money.topup if step.verb == "topup" else money.charge
        move(step.entity, step.key, step.fields["amount"])


def start(screen: Screen, processes: Processes) -> None:
    """Receiver, handler and engine."""
    screen.say(processes.database.described)
    url = processes.start_receiver()
    screen.say(f"A receiving application, `espf receiver`, on {url}")
    file = processes.folder / "handlers.toml"
    file.write_text(handlers_toml(url), "utf-8")
    screen.command("espf apply handlers.toml")
    _print_indented(screen, processes.run("apply", str(file)).splitlines())
    pid = processes.start_engine()
    screen.say(f"An engine, `espf instance`, as process {pid}")
    time.sleep(SETTLE_S)


def _print_indented(screen: Screen, lines: Iterable[str]) -> None:
    for line in lines:
        screen.say(f"    {line}")
