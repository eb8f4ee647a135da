"""The engine and the real EventSender against a real receiver on loopback."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from engine_rig import (
    PLAIN,
    add_handlers,
    append_events,
    instance_row,
    make_database,
    open_plain,
    statuses,
)
from espf.clock import SystemClock
from espf.engine.instance import Instance
from espf.eventlog.model import HandlerRow
from espf.eventlog.operations import HandlerChange
from espf.eventlog.sqlite.log import SqliteEventLog
from espf.handlers.options import read_options
from espf.handlers.port import Handler, HandlerContext
from espf.handlers.settings import HandlerSettings
from espf.handlers.types import handler_type
from http_receiver import Answer, Receiver, receiver

OPTIONS: dict[str, object] = {
    "EventSender.APIVersion": 1,
    "EventSender.AuthMethod": "None",
    "EventSender.TokenRate": 100_000,
    "EventSender.TemporaryCodes": "429",
    "Retry.FirstDelay": 0.05,
    "Retry.Jitter": 0,
    "Breaker.ProbeInterval": 0.1,
}


class Delivery:
    """An engine that delivers to a receiver."""

    def __init__(self, path: Path, far: Receiver) -> None:
        self.far = far
        self.shell = open_plain(path)

    def append(self, *entities: int) -> list[int]:
        return append_events(self.shell, [(entity, PLAIN) for entity in entities])

    def statuses(self) -> dict[int, list[str]]:
        return statuses(self.shell, 1)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not holds():  # noqa: ASYNC110 - the database changes, not this loop
                await asyncio.sleep(0.005)


@asynccontextmanager
async def delivering(
    folder: Path, answer: Callable[[dict[str, Any]], Answer], **options: object
) -> AsyncIterator[Delivery]:
    path = make_database(folder / "espf.sqlite3")
    clock = SystemClock()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))

    def start(row: HandlerRow, _may_send: Callable[[], bool]) -> tuple[Handler, HandlerSettings]:
        kind = handler_type(row.type)
        settings = read_options(kind.settings, row.options, row.type)
        context = HandlerContext(row.name, clock)
        return kind.start(settings, frozenset(row.subscriptions), context), settings

    async with receiver(answer=answer) as far:
        change = HandlerChange(
            "hss", "EventSender", enabled=True, keep_events=True, start=1, subscriptions=("all",),
            options={**OPTIONS, **options, "EventSender.URL": far.url},
            event_types=frozenset([PLAIN]),
        )  # fmt: skip
        add_handlers(path, clock, change)
        log, stop = SqliteEventLog(path, clock), asyncio.Event()
        delivery = Delivery(path, far)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Instance(instance_row(), log, clock, start, grace_s=2).run(stop))
                yield delivery
                stop.set()
        finally:
            await log.close()
            delivery.shell.close()
            structlog.reset_defaults()


def first_busy_then_well(status: int, **headers: str) -> Callable[[dict[str, Any]], Answer]:
    """Answer the first request with `status`, all others with 200."""
    left = [Answer(status, headers=headers)]
    return lambda _body: left.pop() if left else Answer()


async def test_503_then_200_is_two_attempts_with_the_same_number(tmp_path: Path) -> None:
    async with delivering(tmp_path, first_busy_then_well(503)) as delivery:
        delivery.append(1)
        await delivery.until(lambda: delivery.statuses() == {1: ["retry", "finished"]})

        assert delivery.far.arrivals == [(1, 503), (1, 200)]


async def test_400_is_failed_at_once_and_never_repeated(tmp_path: Path) -> None:
    async with delivering(tmp_path, first_busy_then_well(400)) as delivery:
        delivery.append(1, 1)
        await delivery.until(lambda: delivery.statuses() == {1: ["failed"], 2: ["finished"]})

        assert delivery.far.arrivals == [(1, 400), (2, 200)]
        found = delivery.shell.execute("SELECT outcome, code FROM attempt").fetchall()
        assert found == [("rejected", 400), ("delivered", 200)]


async def test_a_429_is_repeated_no_sooner_than_retry_after(tmp_path: Path) -> None:
    answer = first_busy_then_well(429, **{"Retry-After": "1"})
    async with delivering(tmp_path, answer) as delivery:
        delivery.append(1)
        await delivery.until(lambda: delivery.statuses() == {1: ["retry", "finished"]})

        (first,), (second,) = delivery.shell.execute("SELECT started_us FROM attempt").fetchall()
        assert second - first >= 1_000_000


async def test_a_connection_lost_after_sending_is_unknown_and_repeated(tmp_path: Path) -> None:
    left = [Answer(None)]
    async with delivering(tmp_path, lambda _: left.pop() if left else Answer()) as delivery:
        delivery.append(1)
        await delivery.until(lambda: delivery.statuses().get(1, [])[-1:] == ["finished"])

        assert {number for number, _ in delivery.far.arrivals} == {1}


async def test_one_bad_account_delays_no_other(tmp_path: Path) -> None:
    bad: list[int] = []

    def answer(body: dict[str, Any]) -> Answer:
        return Answer(503 if body["variables"]["i_event"] in bad else 200)

    async with delivering(tmp_path, answer, **{"Retry.FirstDelay": 30}) as delivery:
        bad += [1]
        delivery.append(1, 1, 1, *range(2, 102))
        await delivery.until(lambda: len(delivery.statuses()) == 101)

        assert delivery.statuses()[1] == ["retry"]
        parked = delivery.shell.execute("SELECT i_event FROM parked ORDER BY 1").fetchall()
        assert parked == [(1,), (2,), (3,)]


async def test_a_receiver_that_is_away_opens_the_breaker_and_gets_all_in_order_later(
    tmp_path: Path,
) -> None:
    async with delivering(tmp_path, lambda _: Answer(), **{"Retry.FirstDelay": 600}) as delivery:
        state = "SELECT breaker FROM handler_state"
        await delivery.far.close()
        numbers = delivery.append(*[entity for entity in range(20) for _ in range(5)])
        await delivery.until(lambda: delivery.shell.execute(state).fetchone() == ("open",))
        await asyncio.sleep(0.3)
        assert delivery.far.arrivals == []

        await delivery.far.listen()
        await delivery.until(lambda: len({n for n, _ in delivery.far.arrivals}) == 100)
        await delivery.until(lambda: delivery.shell.execute(state).fetchone() == ("closed",))

        arrived = [number for number, _ in delivery.far.arrivals]
        assert sorted(arrived) == numbers, "each once"
        for first in numbers[::5]:
            mine = [number for number in arrived if first <= number < first + 5]
            assert mine == sorted(mine)
