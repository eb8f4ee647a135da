"""The engine's process is killed at random, 50 times under load; nothing is lost or reordered."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from engine_rig import OTHER, PLAIN, add_handlers, append_events, make_database, open_plain
from espf.clock import SystemClock
from espf.eventlog.operations import HandlerChange
from http_receiver import Answer, Receiver, receiver

KILLS = 50
ENTITIES = 40
WINDOW = 64
OPTIONS = {
    "EventSender.APIVersion": 1,
    "EventSender.AuthMethod": "None",
    "EventSender.Window": WINDOW,
    "EventSender.TokenRate": 100_000,
    "Retry.FirstDelay": 0.1,
    "Retry.MaxDelay": 0.3,
}

pytestmark = pytest.mark.timeout(300)


class Load:
    """Appends events for as long as it runs, a few in each transaction."""

    def __init__(self, path: Path, random: Random) -> None:
        self.shell = open_plain(path)
        self.shell.execute("PRAGMA synchronous=NORMAL")
        self.random = random
        self.entity_of: dict[int, int] = {}
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        while not self.stopped.is_set():
            some = [
                (self.random.randrange(ENTITIES), self.random.choice((PLAIN, OTHER)))
                for _ in range(self.random.randint(1, 10))
            ]
            numbers = await asyncio.to_thread(append_events, self.shell, some)
            self.entity_of |= dict(zip(numbers, (entity for entity, _ in some), strict=True))
            await asyncio.sleep(0.01)


@asynccontextmanager
async def engine(path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`espf instance` in its own process; killed at the end if it still runs."""
    environment = {**os.environ, "ESPF_DATABASE_URL": f"sqlite:///{path}"}
    with (path.parent / "engine.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "espf",
            "instance",
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def until_more_arrive(far: Receiver, than: int) -> None:
    async with asyncio.timeout(30):
        while len(far.arrivals) <= than:  # noqa: ASYNC110 - another process sends
            await asyncio.sleep(0.002)


async def kill_again_and_again(path: Path, far: Receiver, random: Random) -> None:
    for _ in range(KILLS):
        async with engine(path):
            await until_more_arrive(far, len(far.arrivals))
            await asyncio.sleep(random.uniform(0, 0.15))


async def drain(path: Path, shell: sqlite3.Connection, wanted: int) -> None:
    """Let the engine finish everything, then stop it as a supervisor does."""
    question = "SELECT count(DISTINCT i_event) FROM attempt WHERE status = 'finished'"
    async with engine(path) as process, asyncio.timeout(60):
        while shell.execute(question).fetchone()[0] < wanted:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)
        process.terminate()
        assert await process.wait() == 0


async def test_fifty_kills_lose_nothing_and_keep_the_order_of_each_entity(tmp_path: Path) -> None:
    random = Random(20_261)
    path = make_database(tmp_path / "espf.sqlite3")

    def answer(_body: object) -> Answer:
        return Answer(503 if random.random() < 0.03 else 200, delay_s=random.choice((0, 0, 0.005)))

    async with receiver(answer=answer) as far:
        change = HandlerChange(
            "hss", "EventSender", enabled=True, keep_events=True, start=1, subscriptions=("all",),
            options={**OPTIONS, "EventSender.URL": far.url}, event_types=frozenset((PLAIN, OTHER)),
        )  # fmt: skip
        add_handlers(path, SystemClock(), change)
        load = Load(path, random)
        async with asyncio.TaskGroup() as group:
            group.create_task(load.run())
            await kill_again_and_again(path, far, random)
            load.stopped.set()
        await drain(path, load.shell, len(load.entity_of))
        ended = Counter(
            i_event
            for (i_event,) in load.shell.execute(
                "SELECT i_event FROM attempt WHERE status = 'finished'"
            )
        )
        load.shell.close()

    assert_nothing_lost(far, load, ended)
    assert_order_of_each_entity(far, load)
    assert_few_repeats(far)


def assert_nothing_lost(far: Receiver, load: Load, ended: Counter[int]) -> None:
    accepted = {i_event for i_event, status in far.arrivals if status == 200}
    assert accepted == set(load.entity_of)
    assert ended == Counter(dict.fromkeys(load.entity_of, 1)), "each ends once"


def assert_order_of_each_entity(far: Receiver, load: Load) -> None:
    arrived: dict[int, list[int]] = defaultdict(list)
    for i_event, _ in far.arrivals:
        arrived[load.entity_of[i_event]].append(i_event)
    for numbers in arrived.values():
        assert numbers == sorted(numbers), "an event, or its repeat, came after a later one"


def assert_few_repeats(far: Receiver) -> None:
    accepted = Counter(i_event for i_event, status in far.arrivals if status == 200)
    repeats = sum(accepted.values()) - len(accepted)
    print(f"{len(accepted)} events, {repeats} repeats after {KILLS} kills")
    assert repeats <= KILLS * WINDOW
