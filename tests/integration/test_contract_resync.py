"""A resync sets right whom it is told to, at the rate it is told, and goes on where it stopped."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from espf.clock import SystemClock
from espf.handlers.contract.failures import NotNow, Refused
from espf.handlers.contract.resync import Marks, Resync, Scope, Tally, of_scope
from espf.subscribers.engines import open_steps, open_subscribers
from registry_rig import Rig, registry
from sim_loop import SimLoop, SimTime
from subscriber_rig import KI, Hss, decrypt, equip, started

EVERYONE = Scope()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with registry(tmp_path) as made:
        equip(made)
        made.sql(
            "INSERT INTO handler (name, type, options, subscriptions, created_us, updated_us)"
            " VALUES ('hss', 'X', '{}', '[]', 0, 0)"
        )
        yield made


class Bench:
    """Runs resyncs in virtual time."""

    def __init__(self, rig: Rig) -> None:
        self.time = SimTime(0)
        self.hss = Hss()
        self.endings: list[tuple[int, str]] = []
        self.tally = Tally()
        self._rig = rig

    def run(self, scope: Scope = EVERYONE, *, rate: float = 1000, stop_after: int = 10**9) -> float:
        """Returns how long it took, in virtual seconds."""
        began_s = self.time.now_s
        self.tally = Tally()
        with asyncio.Runner(loop_factory=lambda: SimLoop(self.time, Random(1))) as runner:
            runner.run(self._run(scope, rate, stop_after))
        return self.time.now_s - began_s

    async def _run(self, scope: Scope, rate: float, stop_after: int) -> None:
        source = open_subscribers(self._rig.url, SystemClock(), decrypt)
        steps = open_steps(self._rig.url)
        stop = asyncio.Event()
        resync = Resync(
            started(self.hss, source).provisioner,
            source,
            self.time,
            rate=rate,
            stop=stop,
            told=lambda one, ending, _: self.endings.append((one.i_account, ending)),
        )
        marks = Marks(steps, 1, scope, self.time)
        mark = await marks.found()
        self.tally.last = mark.i_account if mark else 0
        async for tally in resync.run(of_scope(source, scope, self.tally.last), self.tally):
            await marks.passed(tally, mark)
            if tally.done >= stop_after:
                stop.set()
        if stop.is_set() or self.tally.away is not None:
            await marks.passed(self.tally, mark, now=True)
        else:
            await marks.finished()
        await source.close()
        await steps.close()

    def mark(self) -> list[tuple[object, ...]]:
        return self._rig.sql("SELECT i_account, done, failed FROM resync_mark")


@pytest.fixture
def bench(rig: Rig) -> Bench:
    return Bench(rig)


def test_all_are_set_right_and_the_second_time_nothing_is_to_be_done(bench):
    bench.run()
    assert bench.endings == [(1, "mended"), (2, "mended"), (3, "mended")]
    assert len(bench.hss.entries) == 3

    bench.endings.clear()
    bench.run()
    assert bench.endings == [(1, "right"), (2, "right"), (3, "right")]


def test_only_a_products_accounts_are_touched(bench, rig):
    rig.sql("UPDATE accounts SET i_product = 2 WHERE i_account = 2")

    bench.run(Scope(2))

    assert bench.endings == [(2, "mended")]


def test_an_account_without_a_card_has_nothing_to_do(bench, rig):
    rig.sql("UPDATE accounts SET i_sim_card = NULL WHERE i_account = 1")

    bench.run()

    assert bench.endings[0] == (1, "nothing to do")


def test_one_that_is_rejected_does_not_stop_the_others(bench):
    bench.hss.on_apply = [Refused("no such profile")]

    bench.run()

    assert bench.endings == [(1, "rejected"), (2, "mended"), (3, "mended")]
    assert bench.tally.failed == 1


def test_no_more_are_worked_on_in_a_second_than_the_rate(bench):
    assert bench.run(rate=0.5) >= 4


def test_one_without_an_answer_is_tried_three_times(bench):
    bench.hss.on_read = [NotNow("busy")] * 3

    bench.run()

    assert bench.endings[0] == (1, "no answer")
    bench.endings.clear()
    bench.hss.on_read = [NotNow("busy")] * 2
    bench.run()
    assert bench.endings[0] == (1, "mended")


def test_one_that_was_stopped_goes_on_behind_the_last_it_was_through_with(bench):
    bench.run(stop_after=2)
    assert bench.endings == [(1, "mended"), (2, "mended")]
    assert bench.mark() == [(2, 2, 0)]

    bench.run()

    assert bench.endings[2:] == [(3, "mended")]
    assert bench.mark() == []


def test_a_resync_of_a_product_does_not_go_on_where_one_of_all_stopped(bench):
    bench.run(stop_after=2)

    bench.run(Scope(1))

    assert bench.endings[2:] == [(1, "right"), (2, "right"), (3, "mended")]


def test_a_system_that_is_away_stops_it_and_those_it_did_not_answer_come_first_later(bench, rig):
    for n in range(4, 10):
        rig.script(
            f"INSERT INTO sim_cards (imsi, ki) VALUES ('0010200{n:08}', 'sealed:{KI}');"
            f"INSERT INTO accounts (i_customer, id, i_sim_card) VALUES (2, '77{n}', {n})"
        )
    bench.run(stop_after=2)
    bench.endings.clear()
    bench.hss.on_read = [NotNow("no connection", refused=True)] * 15

    bench.run()

    assert [ending for _, ending in bench.endings] == ["no answer"] * 5
    assert bench.tally.away == "no connection"
    assert bench.mark() == [(2, 2, 0)]

    bench.endings.clear()
    bench.run()
    assert [account for account, _ in bench.endings] == [3, 4, 5, 6, 7, 8, 9]
