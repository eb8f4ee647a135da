"""The engine, one story a test, in virtual time: delivery, retries, limits, coalescing."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from engine_rig import COALESCED, OTHER, PLAIN, handler_change
from espf.engine import fresh
from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Outcome, Skipped
from sim_engine import BUSY, QUICK, SimEngine, ever, sim_engine, with_gate


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SimEngine]:
    with sim_engine(tmp_path) as made:
        yield made


# ---- delivery and retry ----


def test_events_of_one_entity_arrive_in_order_and_once(engine: SimEngine) -> None:
    numbers = engine.append(*[(n % 5, PLAIN) for n in range(100)])
    engine.run_until(lambda: len(engine.statuses()) == 100)

    far = engine.far["hss"]
    assert sorted(far.sent) == numbers
    for entity in range(5):
        mine = [event.i_event for event in far.events if event.entity_id == entity]
        assert mine == sorted(mine)


def test_a_busy_answer_is_repeated_after_the_delay_and_not_sooner(engine: SimEngine) -> None:
    times: list[float] = []

    def answer(_event: Event, attempt: Attempt) -> Outcome:
        times.append(engine.time.now_s)
        return BUSY if attempt.number < 4 else Delivered("")

    engine.far["hss"].answer = answer
    engine.append((1, PLAIN))
    engine.run_until(lambda: engine.statuses().get(1, [])[-1:] == ["finished"])

    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps == [pytest.approx(wanted, abs=0.08) for wanted in (0.5, 1.0, 2.0)]
    assert min(gaps) >= 0.5
    assert engine.statuses()[1] == ["retry"] * 3 + ["finished"]


def test_one_bad_subscriber_delays_no_other(engine: SimEngine) -> None:
    engine.far["hss"].answer = lambda event, _: BUSY if event.entity_id == 1 else Delivered("")
    engine.append(*[(1, PLAIN)] * 3, *[(entity, PLAIN) for entity in range(2, 40)])

    engine.run_until(lambda: len(engine.statuses()) >= 39, 0.5)

    assert engine.parked() == [1, 2, 3]
    assert set(engine.far["hss"].sent) & {2, 3} == set()


def test_attempts_end_at_the_limit_and_the_next_event_follows(tmp_path: Path) -> None:
    change = handler_change(**{**QUICK, "Retry.MaxAttempts": 3})
    with sim_engine(tmp_path, change) as engine:
        engine.far["hss"].answer = lambda event, _: BUSY if event.i_event == 1 else Delivered("")
        engine.append((1, PLAIN), (1, PLAIN))
        engine.run_until(lambda: 2 in engine.statuses())

        assert engine.statuses() == {1: ["retry", "retry", "failed"], 2: ["finished"]}
        assert engine.far["hss"].sent == [1, 1, 1, 2]


def test_an_event_is_given_up_after_its_time_but_not_for_a_pause(tmp_path: Path) -> None:
    change = handler_change(**{**QUICK, "Retry.GiveUpAfter": 4})
    with sim_engine(tmp_path, change) as engine:
        engine.far["hss"].answer = ever(BUSY)
        engine.append((1, PLAIN))
        engine.run_for(0.2)
        engine.operations.set_paused("hss", True)
        engine.run_for(60)
        engine.operations.set_paused("hss", False)
        engine.run_for(1)
        assert "failed" not in engine.statuses()[1]
        engine.run_until(lambda: engine.statuses()[1][-1] == "failed", 6)


def test_a_bug_of_a_handler_ends_the_attempt_as_unknown(engine: SimEngine) -> None:
    def answer(_event: Event, attempt: Attempt) -> Outcome:
        if attempt.number == 1:
            raise KeyError("a bug")
        return Delivered("")

    engine.far["hss"].answer = answer
    engine.append((1, PLAIN))
    engine.run_until(lambda: engine.statuses().get(1, [])[-1:] == ["finished"])
    found = engine.shell.execute("SELECT outcome, reason FROM attempt").fetchall()
    assert found[0] == ("unknown", "the handler failed with KeyError; see the log")


# ---- limits ----


@pytest.mark.parametrize("tasks", [1, 3])
def test_no_more_attempts_are_open_than_there_are_tasks(tmp_path: Path, tasks: int) -> None:
    with sim_engine(tmp_path, handler_change(**{**QUICK, "Concurrency": tasks})) as engine:
        engine.far["hss"].delay_s = 0.05
        engine.append(*[(entity, PLAIN) for entity in range(40)])
        engine.run_until(lambda: len(engine.statuses()) == 40)

        assert engine.far["hss"].most_open == tasks


def test_one_slow_answer_does_not_hold_its_lane(
    engine: SimEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "HEAD_LIMIT", 64)
    far = engine.far["hss"]
    with_gate(engine, lambda event: event.i_event == 1)
    engine.append((1, PLAIN), *[(entity, PLAIN) for entity in range(2, 302)], (1, OTHER))
    engine.run_until(lambda: len(engine.statuses()) == 300)

    assert engine.shell.execute("SELECT i_event, in_progress FROM parked").fetchall() == [
        (1, 1), (302, 0),
    ]  # fmt: skip
    lowest = "SELECT min(position) FROM lane_cursor WHERE lane < 64"
    engine.run_until(lambda: engine.shell.execute(lowest).fetchone() == (302,), 5)
    assert far.gate is not None
    far.gate.set()
    engine.run_until(lambda: not engine.parked())
    assert engine.statuses()[302] == ["finished"]
    assert (far.sent.count(1), far.sent.count(302)) == (1, 1)


def test_memory_stays_bounded_while_nothing_is_answered(
    engine: SimEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fresh, "HEAD_LIMIT", 200)
    with_gate(engine)
    engine.append(*[(entity, PLAIN) for entity in range(3000)])
    engine.run_for(5)

    assert engine.runner().flow.window.open <= 200 + 4


def test_the_batchs_time_limit_starts_with_its_last_send(tmp_path: Path) -> None:
    ends: dict[int, float] = {}

    def answer(event: Event, attempt: Attempt) -> Outcome:
        ends[event.i_event] = attempt.iteration.ends_at
        return BUSY if event.i_event == 1 else Delivered("")

    change = handler_change(**{**QUICK, "Concurrency": 1, "max_wait": 7})
    with sim_engine(tmp_path, change) as engine:
        engine.far["hss"].answer = answer
        engine.far["hss"].delay_s = 0.1
        engine.far["hss"].screened = lambda event: Skipped("") if event.entity_id == 9 else None
        engine.append((1, PLAIN), (1, PLAIN), (2, PLAIN), (9, PLAIN), (3, PLAIN))
        engine.run_for(0.45)

        assert sorted(ends) == [1, 3, 5]
        assert ends[1] == ends[3] == float("inf")
        assert ends[5] == pytest.approx(engine.time.now_s + 7, abs=0.3)


def test_the_bucket_lets_no_more_than_the_burst_through_in_any_second(tmp_path: Path) -> None:
    times: list[float] = []
    change = handler_change(**{**QUICK, "Concurrency": 50, "rate": 20, "burst": 20})
    with sim_engine(tmp_path, change) as engine:

        def answer(_event: Event, _attempt: Attempt) -> Outcome:
            times.append(engine.time.now_s)
            return Delivered("")

        engine.far["hss"].answer = answer
        engine.append(*[(entity, PLAIN) for entity in range(600)])
        engine.run_for(20)

    assert all(times[i + 20] - times[i] >= 1 for i in range(len(times) - 20))
    assert len(times) >= 0.98 * 20 * 20


def test_a_slow_handler_delays_no_other_and_neither_does_its_new_configuration(
    tmp_path: Path,
) -> None:
    changes = [handler_change(name, **QUICK) for name in ("hss", "slow")]
    with sim_engine(tmp_path, *changes, grace_s=20) as engine:
        engine.far["slow"].gate = asyncio.Event()
        engine.append((1, PLAIN))
        engine.run_for(0.1)
        engine.operations.apply([handler_change("slow", **{**QUICK, "Retry.FirstDelay": 1})])
        engine.run_for(0.1)
        engine.append((2, PLAIN))

        assert engine.run_until(lambda: 2 in engine.statuses("hss")) < 0.2


# ---- coalescing ----


def test_of_a_row_of_changes_the_last_is_sent_and_at_least_each_eleventh(
    engine: SimEngine,
) -> None:
    numbers = engine.append(*[(1, COALESCED)] * 24)
    engine.run_until(lambda: len(engine.statuses()) == 24)

    assert engine.far["hss"].sent == [numbers[10], numbers[21], numbers[23]]
    assert [n for n, found in engine.statuses().items() if found == ["finished"]] == [11, 22, 24]


def test_a_successor_inherits_the_time_of_the_first_attempt(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(BUSY)
    engine.append((1, COALESCED))
    engine.run_for(0.2)
    first = engine.shell.execute("SELECT first_attempt_us FROM parked").fetchone()
    engine.append((1, COALESCED))
    engine.run_until(lambda: engine.statuses().get(2) == ["retry"])

    assert engine.statuses()[1] == ["retry", "skipped"]
    assert engine.shell.execute("SELECT first_attempt_us FROM parked").fetchall() == [first]


def test_coalesced_events_use_no_tokens(tmp_path: Path) -> None:
    change = handler_change(**{**QUICK, "rate": 1, "burst": 2})
    with sim_engine(tmp_path, change) as engine:
        engine.append(*[(entity, COALESCED) for entity in (1, 2) for _ in range(9)])
        engine.run_until(lambda: len(engine.statuses()) == 18, 0.5)
        assert engine.far["hss"].sent == [9, 18]
