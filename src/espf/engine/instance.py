"""One engine process: polls the log, runs the enabled handlers, follows their configuration."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random

import structlog

from espf.clock import Clock
from espf.engine.flow import Flow
from espf.engine.housekeeper import KeepHouse, keep_house_for_ever
from espf.engine.leases import LeaseKeeper
from espf.engine.meters import Meters
from espf.engine.patience import until_stored
from espf.engine.runner import Runner
from espf.engine.settler import Settler
from espf.engine.wall import WallClock
from espf.errors import ConfigError, HandlerError, StorageError
from espf.eventlog.model import HandlerRow, InstanceRow, LaneLease, Standing
from espf.eventlog.port import EventLog
from espf.handlers.port import Handler
from espf.handlers.settings import HandlerSettings

BUSY_POLL_S = 0.005
IDLE_POLL_S = 0.02
LOST_PAUSE_S = 1.0
TRY_AGAIN_S = 10.0
"""After which a handler that could not be started is tried again: a file of it may be there."""
LAST_SETTLEMENT_S = 5.0
"""How long, beyond the grace period, a stop waits for the database to take the last results."""
BUSY_FOR_POLLS = 40
"""Polls without a change after which the log counts as idle."""

StartHandler = Callable[[HandlerRow, Callable[[], bool]], tuple[Handler, HandlerSettings]]
"""Makes a running handler from its row, and from what says whether it may send.

Raises ConfigError or HandlerError.
"""
DEFAULT_LEASE_S = 6.0

_log = structlog.get_logger("espf.engine")


class Instance:
    """Runs every enabled handler until told to stop."""

    def __init__(
        self,
        me: InstanceRow,
        log: EventLog,
        clock: Clock,
        start_handler: StartHandler,
        *,
        grace_s: float = 10.0,
        lease_s: float = DEFAULT_LEASE_S,
        keep_house: KeepHouse | None = None,
        random: Random | None = None,
    ) -> None:
        self.name = me.name
        self._token = me.token
        self._log = log
        self._clock = clock
        self._start_handler = start_handler
        self._grace_s = grace_s
        self._keep_house = keep_house
        self._random = random or Random()  # noqa: S311 - jitter, not a secret
        self._runners: dict[int, Runner] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._lost: set[int] = set()
        """Handlers whose lanes another owner took: they start over from what the log says."""
        self.meters = Meters()
        self._settler = Settler(
            log,
            clock,
            me.token,
            lambda: list(self._runners.values()),
            self._lanes_lost,
            self.meters,
        )
        self._keeper = LeaseKeeper(
            log,
            clock,
            me,
            lease_s,
            self._sharing,
            unable=lambda: self._unusable,
            metrics=self.meters.to_json,
            lost=self._lanes_lost,
            hand_over=self._hand_over,
            beside=self._beside,
        )
        self._handing_over: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._config_version = -1
        self._state_version = -1
        self._unusable: dict[int, str] = {}
        """Handlers that could not be started, and why."""
        self._try_again_s = math.inf
        self._standing = Standing(0, -1, -1)
        self._horizon = 0
        self._wall = WallClock(clock)
        self._moved = True
        """Something was committed that was not followed yet."""

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set, then finish within the grace period.

        Raises whatever is a bug: it must be seen, and a supervisor starts the process again.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            settling = group.create_task(self._settler.run())
            polling = group.create_task(self._poll(group))
            others = [group.create_task(self._keeper.run())]
            if self._keep_house is not None:
                others.append(group.create_task(keep_house_for_ever(self._keep_house)))
            _log.info("instance.started")
            await stop.wait()
            polling.cancel()
            await self._end_all(group)
            for task in (settling, *others, *self._handing_over.values()):
                task.cancel()
            self._keeper.stop()
            await self._say_goodbye()
        for runner in self._runners.values():  # those that did not end in time
            await runner.handler.close()
        _log.info("instance.stopped")

    async def _say_goodbye(self) -> None:
        """What is still ours is free at once; if the database is away, when the lease ends."""
        try:
            async with asyncio.timeout(LAST_SETTLEMENT_S):
                await self._log.leave(self._token)
        except (StorageError, TimeoutError) as error:
            _log.warning("instance.left_without_a_word", error=str(error))

    async def _end_all(self, group: asyncio.TaskGroup) -> None:
        for i_handler in list(self._runners):
            self._end(group, i_handler)
        ending = list(self._ending.values())
        try:
            async with asyncio.timeout(self._grace_s + LAST_SETTLEMENT_S):
                for task in ending:
                    await task
        except TimeoutError:
            # A full disk must not keep a stop waiting: what is not stored is tried again.
            _log.error("instance.stopped_unsettled")
            for task in ending:
                task.cancel()

    async def _poll(self, group: asyncio.TaskGroup) -> None:
        quiet = 0
        while True:
            # All that an idle system does, 50 times a second: keep it short.
            await self._follow_clock()
            standing = await until_stored("polling", self._log.poll)
            due = self._clock.monotonic() >= self._try_again_s
            if standing is not None:
                self._standing = standing
            if standing is not None or self._moved or due:
                quiet = 0
                await until_stored("polling", lambda: self._look(group))
            else:
                quiet += 1
            await asyncio.sleep(BUSY_POLL_S if quiet < BUSY_FOR_POLLS else IDLE_POLL_S)

    async def _follow_clock(self) -> None:
        """Notice when somebody sets the wall clock: due times and ages are told by it."""
        jump = self._wall.look()
        if jump is None:
            return
        _log.warning("clock.jumped", by_s=round(jump.by_us / 1_000_000, 1))
        await self._settler.alone(lambda: self._move_times(jump.by_us, jump.since_us))
        self._wall.moved()

    async def _move_times(self, by_us: int, since_us: int) -> None:
        for runner in list(self._runners.values()):
            await runner.clock_jumped(by_us, since_us)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        self._moved = False
        try:
            await self._follow(group, self._standing)
        except BaseException:
            self._moved = True
            raise

    async def _follow(self, group: asyncio.TaskGroup, standing: Standing) -> None:
        if standing.horizon < self._horizon:
            # A server that lost its newest transactions, or a restored backup: start from cursors.
            _log.error("log.went_back", horizon=standing.horizon, was=self._horizon)
            self._lost |= self._runners.keys()
        self._horizon = standing.horizon
        for i_handler in self._lost & self._runners.keys() - self._ending.keys():
            self._runners[i_handler].flow.lost = True  # a settlement on its way wakes nobody
            self._ending[i_handler] = group.create_task(self._dropped(i_handler))
        self._lost.clear()
        trying = self._clock.monotonic() >= self._try_again_s
        if trying or standing.config_version != self._config_version:
            self._config_version = standing.config_version
            try:
                await self._configure(group)
            except BaseException:
                self._config_version = -1
                raise
        if standing.state_version != self._state_version:
            self._state_version = standing.state_version
            await self._follow_states()
        for runner in self._runners.values():
            runner.log_moved(standing.horizon)

    async def _follow_states(self) -> None:
        try:
            for runner in list(self._runners.values()):
                await runner.follow_state()
        except BaseException:
            self._state_version = -1
            raise

    # ---- configuration ----

    async def _configure(self, group: asyncio.TaskGroup) -> None:
        self._try_again_s = math.inf
        wanted = {row.i_handler: row for row in await self._log.handlers() if row.enabled}
        for i_handler, runner in list(self._runners.items()):
            if not _same_but_pause(wanted.get(i_handler), runner.row):
                self._end(group, i_handler)
        for i_handler, row in wanted.items():
            running = self._runners.get(i_handler)
            if running is None:
                await self._start(group, row)
            elif i_handler not in self._ending:
                if running.flow.paused != row.paused:
                    running.flow.set_paused(row.paused)
                    await running.follow_state()
                await running.operator_acted()
        self._keeper.soon()  # an operator may have moved cursors

    async def _start(self, group: asyncio.TaskGroup, row: HandlerRow) -> None:
        try:
            may_send = partial(self._may_send, row.i_handler)
            handler, settings = self._start_handler(row, may_send)
        except (ConfigError, HandlerError) as error:
            self._try_again_s = self._clock.monotonic() + TRY_AGAIN_S
            if self._unusable.get(row.i_handler) != str(error):
                _log.error("handler.not_started", handler=row.name, error=str(error))
            self._unusable[row.i_handler] = str(error)
            return
        self._unusable.pop(row.i_handler, None)
        try:
            runner = await self._prepare(row, handler, settings)
        except BaseException:
            await handler.close()
            raise
        self._runners[row.i_handler] = runner
        self._tasks[row.i_handler] = group.create_task(runner.run(self._grace_s))
        runner.flow.log.info("handler.started", type=row.type)
        if self._log.exclusive:
            await self._keeper.take_all(row.i_handler)

    @property
    def is_first(self) -> bool:
        """Whether this is the instance that does what one of them should do."""
        return self._keeper.is_first

    @property
    def has_lease(self) -> bool:
        """Whether its lanes are its own for certain."""
        return self._clock.monotonic() < self._keeper.lease.ends_s

    def _may_send(self, i_handler: int) -> bool:
        runner = self._runners.get(i_handler)
        if runner is not None and runner.flow.lost:
            return False
        return self._clock.monotonic() < self._keeper.lease.ends_s

    async def _prepare(
        self, row: HandlerRow, handler: Handler, settings: HandlerSettings
    ) -> Runner:
        flow = Flow(
            row,
            settings,
            instance=self.name,
            clock=self._clock,
            lease=self._keeper.lease,
            wall=self._wall,
            results_waiting=self._settler.results_waiting,
        )
        self.meters.watch(flow)
        runner = Runner(flow, handler, self._log, self._random)
        await runner.prepare()
        return runner

    # ---- lanes ----

    def _sharing(self) -> dict[int, Runner]:
        """Handlers that want lanes."""
        return {
            i_handler: runner
            for i_handler, runner in self._runners.items()
            if i_handler not in self._ending and i_handler not in self._lost
        }

    def _beside(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        assert self._group is not None
        return self._group.create_task(work)

    def _hand_over(self, i_handler: int, lanes: list[int]) -> None:
        """Give lanes up, without waiting: the others go on meanwhile."""
        wanted = [lane for lane in lanes if (i_handler, lane) not in self._handing_over]
        if wanted and self._group is not None:
            task = self._group.create_task(self._handed_over(i_handler, wanted))
            self._handing_over |= dict.fromkeys(((i_handler, lane) for lane in wanted), task)

    async def _handed_over(self, i_handler: int, lanes: list[int]) -> None:
        runner = self._runners[i_handler]
        try:
            leases = await runner.empty_lanes(lanes, self._grace_s, self._flush)
            await until_stored("giving up lanes", lambda: self._release(i_handler, leases))
            runner.flow.log.info("lanes.given_up", lanes=len(leases))
        finally:
            for lane in lanes:
                self._handing_over.pop((i_handler, lane), None)

    async def _flush(self) -> None:
        """Settle in a task of its own: a handler that is dropped cuts no others' results off."""
        assert self._group is not None
        await asyncio.shield(self._group.create_task(self._settler.flush()))

    async def _release(self, i_handler: int, leases: list[LaneLease]) -> None:
        if leases and not self._log.exclusive:
            await self._log.release_lanes(i_handler, self._token, leases)

    def _end(self, group: asyncio.TaskGroup, i_handler: int) -> None:
        """Stop a handler without waiting: the others go on meanwhile."""
        if i_handler not in self._ending:
            self._runners[i_handler].stop()
            self._ending[i_handler] = group.create_task(self._ended(i_handler))

    async def _ended(self, i_handler: int) -> None:
        """Wait for a stopping runner, commit its last results, close its connections."""
        runner = self._runners[i_handler]
        await self._tasks[i_handler]
        await self._settler.flush()
        leases = runner.flow.window.leases
        await until_stored("giving up lanes", lambda: self._release(i_handler, leases))
        await self._forget(i_handler)

    def _lanes_lost(self, i_handler: int) -> None:
        if runner := self._runners.get(i_handler):
            runner.flow.lost = True  # from now on, and not only when its tasks are ended
        self._lost.add(i_handler)
        self._moved = True

    async def _dropped(self, i_handler: int) -> None:
        """End a handler whose results are void, and leave its lanes alone for a moment."""
        task, runner = self._tasks[i_handler], self._runners[i_handler]
        handing = {t for (of, _), t in self._handing_over.items() if of == i_handler}
        for one in (task, *handing):
            one.cancel()
        await asyncio.wait([task, *handing])
        leases = runner.flow.window.leases
        runner.drop_results()
        await until_stored("giving up lanes", lambda: self._release(i_handler, leases))
        await asyncio.sleep(LOST_PAUSE_S)
        await self._forget(i_handler)

    async def _forget(self, i_handler: int) -> None:
        runner = self._runners.pop(i_handler)
        del self._tasks[i_handler], self._ending[i_handler]
        await runner.handler.close()
        runner.flow.log.info("handler.stopped")
        # It may be wanted again, with other options; others may want its lanes.
        self._config_version = -1
        self._moved = True
        self._keeper.soon()


def _same_but_pause(row: HandlerRow | None, running: HandlerRow) -> bool:
    return row is not None and (
        (row.name, row.type, row.options, row.subscriptions, row.event_types)
        == (running.name, running.type, running.options, running.subscriptions, running.event_types)
    )
