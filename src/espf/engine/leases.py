"""Keeps this instance's lanes: renews them, takes what is free, gives up what is others' share.

No wall clock is trusted. An owner moves a counter; who would take its lanes must have seen the
counter stand still for the lease time by its own boot-time clock. The owner believes in its lease
for less than that, counted from before it asked, so it stops sending before anyone can take over.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import NamedTuple

import orjson
import structlog

from espf.clock import Clock
from espf.engine.flow import Lease
from espf.engine.runner import Runner
from espf.engine.sharing import Plan, Unit, plan
from espf.errors import StorageError
from espf.eventlog.model import BULK_FROM, InstanceRow, LaneLease, LaneRow
from espf.eventlog.port import EventLog

OWNERS_SHARE = 0.75
"""Of the lease time, that its owner believes in: clocks may differ by that much, and more."""
TICKS = 6
"""Renewals in a lease time."""
BEAT_S = 10.0
"""How often an instance that shares with nobody says that it lives."""

_log = structlog.get_logger("espf.engine")


class Watched(NamedTuple):
    """What stood still, and since when (boot-time clock, seconds)."""

    what: tuple[object, ...]
    since_s: float
    moved: bool = False
    """Whether it ever moved while we watched."""


class LeaseKeeper:
    """One for each instance. `run` it for as long as the instance runs."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        me: InstanceRow,
        lease_s: float,
        runners: Callable[[], Mapping[int, Runner]],
        *,
        unable: Callable[[], Iterable[int]],
        metrics: Callable[[], str],
        lost: Callable[[int], None],
        hand_over: Callable[[int, list[int]], None],
        beside: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        """`lost` is told of a handler whose lanes another took, `hand_over` of lanes to give up.

        `beside` runs something while the keeper goes on.
        """
        self.lease = Lease()
        if not log.exclusive:
            self.lease.ends_s = -1.0
        self._log = log
        self._clock = clock
        self._me = me
        self._lease_s = lease_s
        self._runners = runners
        self._unable = unable
        self._metrics = metrics
        self._lost = lost
        self._hand_over = hand_over
        self._beside = beside
        self._arriving: dict[tuple[int, int], asyncio.Task[None]] = {}
        """Lanes that are ours, and that their handler is still to learn of."""
        self._lanes: dict[tuple[int, int], Watched] = {}
        self._beats: dict[str, Watched] = {}
        self._looked_s = -math.inf
        """When we last saw everybody's counters."""
        self._now = asyncio.Event()
        self.is_first = False
        """Of the living instances, the one that does what one alone should do."""
        self._next_beat_s = -1.0

    def soon(self) -> None:
        """Something changed that may free lanes, or want some."""
        self._now.set()

    async def run(self) -> None:
        """Tick for ever; a database that is away only makes the lease end."""
        pause_s = BEAT_S if self._log.exclusive else self._lease_s / TICKS
        while True:
            self._now.clear()
            try:
                await self._tick()
            except StorageError as error:
                _log.error("lease.not_renewed", error=str(error))
            try:
                async with asyncio.timeout(pause_s):
                    await self._now.wait()
            except TimeoutError:
                pass

    async def _tick(self) -> None:
        if self._log.exclusive:
            self._compare(await self._log.lanes())
            if self._clock.monotonic() >= self._next_beat_s:
                self._next_beat_s = self._clock.monotonic() + BEAT_S
                await self._beat()
            return
        self._start_over_if_blind()
        await self._renew()
        living = await self._beat()
        self.is_first = self._me.token == min(living)
        rows = await self._log.lanes()
        self._looked_s = self._clock.monotonic()
        await self._follow(self._planned(rows, living, self._looked_s), rows)

    def _start_over_if_blind(self) -> None:
        """What we saw stand still while the database was away may have had no way to move."""
        now_s = self._clock.monotonic()
        if now_s - self._looked_s > self._lease_s / 2:
            self._lanes.clear()
            self._beats = {t: seen._replace(since_s=now_s) for t, seen in self._beats.items()}

    async def _beat(self) -> dict[str, set[int]]:
        """Say that we live; the living by token, each with the handlers that it cannot run."""
        me = self._me._replace(
            beat_us=self._clock.now_us(),
            unable=orjson.dumps(sorted(self._unable())).decode(),
            metrics=self._metrics(),
        )
        beats = await self._log.beat(me)
        now_s = self._clock.monotonic()
        living = {
            one.token: set(orjson.loads(one.unable))
            for one in beats
            if one.token == me.token or self._alive(one.token, one.beats, now_s)
        }
        there = {one.token for one in beats}
        self._beats = {token: seen for token, seen in self._beats.items() if token in there}
        return living

    async def _renew(self) -> None:
        asked_s = self._clock.monotonic()
        rows = await self._log.renew_lanes(self._me.token)
        lapsed = self.lease.ends_s < self._clock.monotonic()
        self._compare(rows)
        self.lease.ends_s = asked_s + self._lease_s * OWNERS_SHARE
        if lapsed:
            for runner in self._runners().values():
                runner.go_on()

    def _compare(self, rows: list[LaneRow]) -> None:
        """A fence that moved without us: an operator did it, or another instance took over."""
        fences = {
            (row.i_handler, row.lane): row.fence for row in rows if row.owner == self._me.token
        }
        for i_handler, runner in self._runners().items():
            held = (one for one in runner.flow.window.leases if one.lane < BULK_FROM)
            if any(fences.get((i_handler, lease.lane)) != lease.fence for lease in held):
                runner.flow.log.warning("lease.lost")
                self._lost(i_handler)

    def _alive(self, token: str, beats: int, now_s: float) -> bool:
        seen = self._beats.get(token)
        if seen is None or seen.what != (beats,):
            # Who is new to us may be long dead: it counts once its counter has moved.
            self._beats[token] = Watched((beats,), now_s, moved=seen is not None)
            return seen is not None
        return seen.moved and now_s - seen.since_s < self._lease_s

    def _expired(self, row: LaneRow, now_s: float) -> bool:
        key, what = (row.i_handler, row.lane), (row.owner, row.fence, row.renewals)
        seen = self._lanes.get(key)
        if seen is None or seen.what != what:
            self._lanes[key] = Watched(what, now_s)
            return False
        return now_s - seen.since_s >= self._lease_s

    # ---- shares ----

    def _planned(self, rows: list[LaneRow], living: Mapping[str, set[int]], now_s: float) -> Plan:
        runners, me = self._runners(), self._me.token
        able = {
            i_handler: [t for t in living if i_handler not in living[t]] for i_handler in runners
        }
        by_handler: dict[int, list[LaneRow]] = {}
        for row in rows:
            expired = self._expired(row, now_s)
            if row.i_handler in runners:
                free = row.owner is None or expired
                by_handler.setdefault(row.i_handler, []).append(
                    row._replace(owner=None) if free else row
                )
        lanes: list[Unit] = []
        wholes: list[Unit] = []
        for i_handler, own in sorted(by_handler.items()):
            held = self._known(i_handler, runners[i_handler])
            # What the database says is ours and we do not know of, we lost: it is free.
            each = [
                (row.lane, None if row.owner == me and row.lane not in held else row.owner)
                for row in own
            ]
            if runners[i_handler].flow.settings.leased_whole:
                wholes.append(Unit(i_handler, tuple(each)))
            else:
                lanes += [Unit(i_handler, (one,)) for one in each]
        return plan(me, lanes, wholes, able)

    async def _follow(self, made: Plan, rows: list[LaneRow]) -> None:
        for i_handler, lanes in made.leave.items():
            there = [lane for lane in lanes if (i_handler, lane) not in self._arriving]
            self._hand_over(i_handler, there + [lane + BULK_FROM for lane in there])
        seen = {(row.i_handler, row.lane): row for row in rows}
        for i_handler, lanes in made.take.items():
            await self.take(i_handler, [seen[i_handler, lane] for lane in lanes])
        await self._give_back(made, rows)

    async def _give_back(self, made: Plan, rows: list[LaneRow]) -> None:
        """Lanes that are ours by the database only, and others' share: they wait for us in vain.

        An operator's replay moved their fences while we gave them up.
        """
        for i_handler, runner in self._runners().items():
            known = self._known(i_handler, runner) | set(made.take.get(i_handler, ()))
            leases = [
                LaneLease(row.lane, 0, row.fence)
                for row in rows
                if row.i_handler == i_handler
                and row.owner == self._me.token
                and row.lane not in known
            ]
            if leases:
                await self._log.release_lanes(i_handler, self._me.token, leases)

    def _known(self, i_handler: int, runner: Runner) -> set[int]:
        arriving = {lane for of, lane in self._arriving if of == i_handler}
        return arriving | {lease.lane for lease in runner.flow.window.leases}

    async def take(self, i_handler: int, rows: list[LaneRow]) -> asyncio.Task[None] | None:
        """Own lanes that are still as they were seen; their handler learns of them in a task.

        Its reading may be slow, and the lease of everything else must not end by that.
        """
        runner = self._runners().get(i_handler)
        if runner is None or runner.flow.stopping or not rows:
            return None
        leases = await self._log.take_lanes(i_handler, self._me.token, rows)
        if not leases:
            return None
        runner.flow.log.info("lanes.taken", lanes=len(leases))
        task = self._beside(self._arrive(i_handler, runner, leases))
        self._arriving |= {(i_handler, lease.lane): task for lease in leases}
        return task

    async def _arrive(self, i_handler: int, runner: Runner, leases: list[LaneLease]) -> None:
        try:
            await runner.add_lanes(leases)
            if self._runners().get(i_handler) is not runner:  # it ended meanwhile
                await self._log.release_lanes(i_handler, self._me.token, leases)
        except StorageError as error:  # ours by the database only: taken again at the next tick
            runner.flow.log.warning("lanes.not_read", error=str(error))
        finally:
            for lease in leases:
                self._arriving.pop((i_handler, lease.lane), None)

    def stop(self) -> None:
        """End what still runs beside."""
        for task in set(self._arriving.values()):
            task.cancel()

    async def take_all(self, i_handler: int) -> None:
        """Own every lane of a handler, where nobody else can."""
        rows = await self._log.lanes()
        task = await self.take(i_handler, [row for row in rows if row.i_handler == i_handler])
        if task is not None:
            await task
