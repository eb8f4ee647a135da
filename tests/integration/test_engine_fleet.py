"""Several instances on one database: lanes spread, move, and nothing is sent twice at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from engine_rig import PLAIN
from espf.eventlog.model import HandlerState, Settlement
from espf.handlers.port import Delivered, Outcome, RetryLater
from fleet_rig import LEASE_S, Fleet, fleet_on
from postgres_rig import clone, server
from storage_rig import PostgresStorage

QUICK = {"Retry.FirstDelay": 0.2, "Retry.MaxDelay": 1, "Retry.Jitter": 0}


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    with clone() as url:
        storage = PostgresStorage(url)
        async with fleet_on(storage) as made:
            yield made
        await storage.close()


def even(counts: "dict[str | None, int]", members: int) -> bool:
    return (
        None not in counts
        and sorted(counts.values())
        in (
            [64],
            [32, 32],
            [21, 21, 22],
        )
        and len(counts) == members
    )


async def test_lanes_spread_evenly_as_instances_join_leave_and_crash(fleet: Fleet) -> None:
    i_handler = fleet.add("hss")
    [one] = fleet.join("one")
    await fleet.until(lambda: even(fleet.owned(i_handler), 1), "one has all")
    two, three = fleet.join("two", "three")
    await fleet.until(lambda: even(fleet.owned(i_handler), 3), "three share")
    await one.leave()
    assert "one" not in fleet.owned(i_handler), "who leaves gives its lanes back at once"
    await fleet.until(lambda: even(fleet.owned(i_handler), 2), "two share")
    await two.crash()
    took_s = await fleet.until(lambda: even(fleet.owned(i_handler), 1), "the last has all")

    assert took_s >= LEASE_S * 0.75, "a lease was taken before it could have ended"
    assert fleet.owned(i_handler) == {"three": 64}
    assert three.instance.name == "three"


async def test_every_event_is_sent_once_while_lanes_move(fleet: Fleet) -> None:
    i_handler = fleet.add("hss", Concurrency=50)
    fleet.join("one")
    numbers: list[int] = []
    members = len(fleet.members)
    for step in range(40):
        numbers += await asyncio.to_thread(
            fleet.storage.append, [(entity, PLAIN) for entity in range(100)]
        )
        if step in (5, 15):
            fleet.join(f"more {step}")
        if step == 25:
            left = fleet.members[0]
            kept = left.far["hss"].sent
            await left.leave()
        members = max(members, len(fleet.members))
        await asyncio.sleep(0.05)
    await fleet.until(lambda: len(kept) + len(fleet.sent("hss")) >= len(numbers), "all are sent")
    await fleet.until(
        lambda: fleet.storage.all("SELECT count(*) FROM attempt")[0][0] >= len(numbers), "settled"
    )

    assert members == 3
    assert sorted(kept + fleet.sent("hss")) == numbers
    assert None not in fleet.owned(i_handler)


async def test_who_sends_one_at_a_time_does_so_over_the_fleet(fleet: Fleet) -> None:
    """Its lanes are leased as one unit."""
    fleet.add("sync", whole=True, Concurrency=2)
    fleet.add("other", whole=True, Concurrency=2)
    members = fleet.join("one", "two")
    for member in members:
        for far in member.far.values():
            far.delay_s = 0.01
    await fleet.until(
        lambda: fleet.owned(1).keys() | fleet.owned(2).keys() == {"one", "two"},
        "each has one handler",
    )
    numbers = await asyncio.to_thread(
        fleet.storage.append, [(entity, PLAIN) for entity in range(100)]
    )
    await fleet.until(lambda: len(fleet.sent("sync")) == len(numbers), "all are sent")

    assert len(fleet.owned(1)) == len(fleet.owned(2)) == 1
    for handler in ("sync", "other"):
        most = [member.far[handler].most_open for member in members]
        assert sorted(most) == [0, 2]


async def test_an_instance_that_cannot_start_a_handler_leaves_its_lanes_to_others(
    fleet: Fleet,
) -> None:
    i_handler = fleet.add("hss")
    one, _two = fleet.join("one", "two")
    one.unusable.add("hss")
    await fleet.until(lambda: fleet.owned(i_handler) == {"two": 64}, "the other has all")


async def test_a_breaker_that_opens_on_one_opens_on_all_and_closes_for_all(fleet: Fleet) -> None:
    """While it is open, one probe leaves in each interval, whoever sends it.

    A busy machine sends them later, never sooner, but for the first one looked at: it may have left
    late. The very first are not: each instance sends one when it opens.
    """
    interval_s, probes = 0.4, 6
    i_handler = fleet.add("hss", **QUICK, **{"Breaker.ProbeInterval": interval_s, "Concurrency": 4})
    members = fleet.join("one", "two")
    sent_s: list[float] = []
    dead = [True]

    def answer(*_: object) -> Outcome:
        sent_s.append(time.monotonic())
        return RetryLater("", "refused", refused=True) if dead[0] else Delivered("", 200)

    for member in members:
        member.far["hss"].answer = answer
    await fleet.until(lambda: even(fleet.owned(i_handler), 2), "both have lanes")
    await asyncio.to_thread(fleet.storage.append, [(entity, PLAIN) for entity in range(64)])
    runners = [member.instance._runners[i_handler] for member in members]
    await fleet.until(lambda: all(r.flow.breaker.is_open for r in runners), "open on both")
    await fleet.until(lambda: not any(r.flow.in_flight for r in runners), "all are answered")
    sent_s.clear()
    await fleet.until(lambda: len(sent_s) >= len(members) + probes, "it is probed")
    regular = sent_s[len(members) :][:probes]
    took_s = regular[-1] - regular[0]
    assert took_s >= (probes - 2) * interval_s, f"{probes} probes in {took_s:.2f} s"
    dead[0] = False
    await fleet.until(
        lambda: (
            fleet.storage.all("SELECT count(*) FROM attempt WHERE status = 'finished'") == [(64,)]
        ),
        "all are delivered",
    )
    await fleet.until(lambda: not any(r.flow.breaker.is_open for r in runners), "closed on both")


async def test_a_look_at_the_breaker_from_before_it_opened_does_not_close_it(
    fleet: Fleet,
) -> None:
    i_handler = fleet.add("hss", Concurrency=4)
    [one] = fleet.join("one")
    await fleet.until(lambda: even(fleet.owned(i_handler), 1), "it has all")
    one.far["hss"].answer = lambda *_: RetryLater("", "refused", refused=True)
    runner, answered, ask = one.instance._runners[i_handler], asyncio.Event(), one.log.state

    async def slow(i_handler: int) -> HandlerState:
        found = await ask(i_handler)
        await answered.wait()
        return found

    one.log.state = slow  # type: ignore[method-assign]
    look = asyncio.create_task(runner.follow_state())
    await asyncio.sleep(0.1)
    await asyncio.to_thread(fleet.storage.append, [(entity, PLAIN) for entity in range(64)])
    stored = "SELECT breaker FROM handler_state"
    await fleet.until(lambda: fleet.storage.all(stored) == [("open",)], "it is open, and stored so")
    answered.set()
    await look

    assert runner.flow.breaker.is_open


async def test_whose_lanes_are_lost_sends_nothing_more_though_its_lease_is_renewed(
    fleet: Fleet,
) -> None:
    """One that wakes from a long pause renews first, and learns by it that it has no lanes."""
    i_handler = fleet.add("hss")
    [one] = fleet.join("one")
    await fleet.until(lambda: even(fleet.owned(i_handler), 1), "it has all")
    runner = one.instance._runners[i_handler]
    fleet.storage.execute("UPDATE lane_cursor SET owner = 'two', fence = fence + 1")
    await fleet.until(lambda: i_handler not in one.instance._sharing(), "it has noticed")

    assert one.instance._keeper.lease.ends_s > one.instance._clock.monotonic()
    assert not runner.flow.may_send()
    assert not one.may_send["hss"]()


async def test_a_breaker_that_moves_while_lanes_are_lost_does_not_end_the_instance(
    fleet: Fleet,
) -> None:
    """It has events at hand, but the tasks that would send them have ended."""
    i_handler = fleet.add("hss", Concurrency=50)
    [one] = fleet.join("one")
    await fleet.until(lambda: even(fleet.owned(i_handler), 1), "it has all")
    runner, task = one.instance._runners[i_handler], one.instance._tasks[i_handler]
    runner.flow.stalled = True
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(10)])
    await fleet.until(lambda: len(runner.flow.ready) == 10, "they are at hand")
    fleet.storage.execute("UPDATE lane_cursor SET owner = 'two', fence = fence + 1")
    await fleet.until(task.done, "the tasks have ended")
    assert runner.flow.ready

    await runner.follow_state()


async def test_a_settlement_that_ends_after_the_log_went_back_does_not_end_the_instance(
    fleet: Fleet,
) -> None:
    """Its handler starts over from the cursors meanwhile, and its senders have ended."""
    i_handler = fleet.add("hss", Concurrency=4)
    [one] = fleet.join("one")
    await fleet.until(lambda: even(fleet.owned(i_handler), 1), "it has all")
    stored, settle, asked = asyncio.Event(), one.log.settle, asyncio.Event()
    released: list[bool] = []  # its commit was just before, and is told only now
    one.far["hss"].gate = asyncio.Event()
    one.far["hss"].held = lambda event: event.i_event > 4

    async def slow(settlement: Settlement) -> None:
        asked.set()
        await stored.wait()
        if not released:
            await settle(settlement)

    one.log.settle = slow  # type: ignore[method-assign]
    task, runner = one.instance._tasks[i_handler], one.instance._runners[i_handler]
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(64)])
    await asyncio.wait_for(asked.wait(), 5)
    one.instance._horizon = 10**9
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(64)])
    await fleet.until(task.done, "its tasks have ended")
    assert runner.flow.ready
    runner.flow.stalled = True  # as after a settlement that failed
    released.append(True)
    stored.set()
    one.far["hss"].gate.set()
    one.log.settle = settle  # type: ignore[method-assign]
    await fleet.until(
        lambda: fleet.storage.all("SELECT count(DISTINCT i_event) FROM attempt") == [(128,)],
        "all are delivered",
    )


async def test_an_outage_of_the_database_moves_no_lanes(fleet: Fleet) -> None:
    """Whoever is back first has seen no counter move; nor could any."""
    i_handler = fleet.add("hss")
    fleet.join("one", "two", "three")
    await fleet.until(lambda: even(fleet.owned(i_handler), 3), "three share")
    await asyncio.sleep(LEASE_S)
    before = fleet.storage.all("SELECT lane, owner, fence FROM lane_cursor ORDER BY lane")
    with out_of_reach(fleet.storage):
        await asyncio.sleep(2 * LEASE_S)
    await asyncio.sleep(2 * LEASE_S)

    assert fleet.storage.all("SELECT lane, owner, fence FROM lane_cursor ORDER BY lane") == before


@contextmanager
def out_of_reach(storage: PostgresStorage) -> Iterator[None]:
    """Nobody has a connection, and nobody gets one."""
    name = storage.url.parts["dbname"]
    server().execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    storage.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    yield
    server().execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def test_an_operator_who_moves_cursors_back_is_followed_at_once(fleet: Fleet) -> None:
    fleet.add("hss")
    [one] = fleet.join("one")
    numbers = await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(10)])
    await fleet.until(lambda: len(one.far["hss"].sent) == 10, "all are sent")
    await asyncio.sleep(0.3)
    fleet.storage.execute("UPDATE lane_cursor SET position = 0, fence = fence + 1")
    fleet.storage.execute(
        "UPDATE handler_state SET replayed = (SELECT max(i_attempt) FROM attempt)"
    )
    fleet.storage.execute("UPDATE espf_meta SET value = value + 1 WHERE name = 'config_version'")
    await fleet.until(lambda: len(one.far["hss"].sent) == 20, "all are sent again")

    assert sorted(one.far["hss"].sent[10:]) == numbers


async def test_a_token_rate_holds_for_all_instances_together(fleet: Fleet) -> None:
    """Not each for itself; and none takes all. A simulated clock proves the strict second."""
    rate, burst, seconds = 60, 60, 4
    fleet.add("hss", rate=rate, burst=burst, Concurrency=30)
    members = fleet.join("one", "two", "three")
    times: list[float] = []
    for member in members:
        member.far["hss"].answer = lambda *_: (times.append(time.monotonic()), Delivered("", 200))[
            1
        ]
    await fleet.until(lambda: even(fleet.owned(1), 3), "all have lanes")
    await asyncio.to_thread(fleet.storage.append, [(n, PLAIN) for n in range(1000)])
    await fleet.until(lambda: bool(times), "the first is sent")
    await asyncio.sleep(seconds)
    sent = [at for at in times if at < times[0] + seconds]
    by_member = [len(member.far["hss"].sent) for member in members]

    assert rate * (seconds - 1) * 0.5 < len(sent) <= burst + rate * seconds
    assert min(by_member) > 0
