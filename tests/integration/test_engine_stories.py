"""The engine, one story a test, in virtual time: retries, breaker, limits, stops, operators."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from engine_rig import COALESCED, OTHER, PLAIN, FarSide, handler_change
from espf.engine import feeder
from espf.eventlog.operations import EventFilter
from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Outcome, Rejected, RetryLater, Skipped, Unknown
from sim_engine import QUICK, SimEngine, sim_engine

BUSY = RetryLater("", "busy", 503)
REFUSED = RetryLater("", "connection refused", refused=True)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SimEngine]:
    with sim_engine(tmp_path) as made:
        yield made


def ever(outcome: Outcome):  # type: ignore[no-untyped-def]
    def answer(_event: Event, _attempt: Attempt) -> Outcome:
        return outcome

    return answer


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
    monkeypatch.setattr(feeder, "HEAD_LIMIT", 64)
    far = engine.far["hss"]
    with_gate(engine, lambda event: event.i_event == 1)
    engine.append((1, PLAIN), *[(entity, PLAIN) for entity in range(2, 302)], (1, OTHER))
    engine.run_until(lambda: len(engine.statuses()) == 300)

    assert engine.shell.execute("SELECT i_event, in_progress FROM parked").fetchall() == [
        (1, 1), (302, 0),
    ]  # fmt: skip
    lowest = "SELECT min(position) FROM lane_cursor"
    engine.run_until(lambda: engine.shell.execute(lowest).fetchone() == (302,), 5)
    assert far.gate is not None
    far.gate.set()
    engine.run_until(lambda: not engine.parked())
    assert engine.statuses()[302] == ["finished"]
    assert (far.sent.count(1), far.sent.count(302)) == (1, 1)


def with_gate(engine: SimEngine, held) -> None:  # type: ignore[no-untyped-def]
    engine.far["hss"].gate = asyncio.Event()
    engine.far["hss"].held = held


def test_memory_stays_bounded_while_nothing_is_answered(
    engine: SimEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder, "HEAD_LIMIT", 200)
    with_gate(engine, lambda _event: True)
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


# ---- breaker ----


def test_a_dead_system_stops_the_reading_is_probed_and_recovers_in_order(
    tmp_path: Path,
) -> None:
    change = handler_change(**{**QUICK, "Retry.FirstDelay": 1000, "Retry.MaxDelay": 1000})
    with sim_engine(tmp_path, change) as engine:
        far = engine.far["hss"]
        far.answer = ever(REFUSED)
        engine.append(*[(entity, PLAIN) for entity in range(50)] * 4)
        engine.run_for(21)
        assert engine.runner().flow.breaker.is_open
        assert len(engine.parked()) <= 4 * 8, "an outage costs no rows"
        assert len(far.sent) <= 5 + 4 + 5, "five refusals, what was in flight, a probe each 5 s"

        far.answer = ever(Delivered(""))
        engine.run_until(lambda: len(engine.statuses()) == 200, 10)
        engine.run_until(lambda: not engine.parked(), 5)
        assert not engine.runner().flow.breaker.is_open
        for entity in range(50):
            mine = [event.i_event for event in far.events if event.entity_id == entity]
            assert mine == sorted(mine)


def test_probes_come_from_other_entities_and_do_not_count_towards_giving_up(
    tmp_path: Path,
) -> None:
    change = handler_change(**{**QUICK, "Retry.MaxAttempts": 3, "Breaker.ProbeInterval": 1})
    with sim_engine(tmp_path, change) as engine:
        far = engine.far["hss"]
        far.answer = ever(REFUSED)
        engine.append(*[(entity, PLAIN) for entity in range(8)])
        engine.run_until(lambda: engine.runner().flow.breaker.is_open)
        engine.run_for(0.5)
        before = len(far.sent)
        engine.run_for(40)

        probed = [event.entity_id for event in far.events[before:]]
        assert 36 <= len(probed) <= 42
        assert len(set(probed[:8])) == 8
        assert not any("failed" in found for found in engine.statuses().values())


def test_a_rejection_proves_that_the_system_lives(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(REFUSED)
    engine.append(*[(entity, PLAIN) for entity in range(10)])
    engine.run_until(lambda: engine.runner().flow.breaker.is_open)
    engine.far["hss"].answer = ever(Rejected("", "unknown subscriber", 400))
    engine.run_until(lambda: not engine.runner().flow.breaker.is_open, 6)


def test_four_bad_subscribers_do_not_stop_the_handler(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(Unknown("", "no answer in time"))
    engine.append(*[(entity, PLAIN) for entity in range(4)])
    engine.run_for(60)
    assert not engine.runner().flow.breaker.is_open


def test_an_open_breaker_stays_open_over_a_restart(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(REFUSED)
    engine.append(*[(entity, PLAIN) for entity in range(10)])
    engine.run_until(lambda: engine.runner().flow.breaker.is_open)
    engine.run_for(0.5)
    engine.crash()
    sent = len(engine.far["hss"].sent)
    engine.far["hss"].open = 0
    engine.start()
    engine.run_for(4)

    assert engine.runner().flow.breaker.is_open
    assert len(engine.far["hss"].sent) == sent + 1, "one probe at once"


def test_superseded_probes_do_not_delay_the_recovery(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(REFUSED)
    engine.append(*[(entity, PLAIN) for entity in range(10)])
    engine.run_until(lambda: engine.runner().flow.breaker.is_open)
    engine.append(*[(1000 + entity, COALESCED) for entity in range(30)] * 2)
    engine.far["hss"].answer = ever(Delivered(""))
    engine.run_until(lambda: len(engine.statuses()) == 70, 8)


# ---- storage ----


def test_results_outlive_a_disk_that_fails_for_a_while_and_nothing_is_sent_twice(
    engine: SimEngine,
) -> None:
    engine.log.settle_fails = 9
    numbers = engine.append(*[(entity, PLAIN) for entity in range(20)])
    engine.run_until(lambda: len(engine.statuses()) == 20, 60)

    assert sorted(engine.far["hss"].sent) == numbers


def test_nothing_more_is_sent_while_no_result_can_be_recorded(engine: SimEngine) -> None:
    engine.log.settle_fails = 10**9
    engine.far["hss"].delay_s = 0.01
    engine.append(*[(entity, PLAIN) for entity in range(500)])
    engine.run_for(20)
    assert len(engine.far["hss"].sent) < 20, "but for the first milliseconds"

    engine.log.settle_fails = 0
    engine.run_until(lambda: len(engine.statuses()) == 500)
    assert len(engine.far["hss"].sent) == 500


def test_a_failing_poll_does_not_end_the_engine(engine: SimEngine) -> None:
    engine.log.poll_fails = 4
    engine.run_for(0.1)
    engine.append((1, PLAIN))
    engine.run_until(lambda: 1 in engine.statuses())


# ---- stopping ----


def test_a_stop_finishes_what_is_in_flight_and_commits_it(engine: SimEngine) -> None:
    engine.far["hss"].delay_s = 0.5
    engine.append(*[(entity, PLAIN) for entity in range(20)])
    engine.run_for(0.1)

    assert engine.stop_gracefully() < 1.0
    assert sorted(engine.statuses()) == [1, 2, 3, 4]
    assert len(engine.far["hss"].sent) == 4
    assert engine.far["hss"].closed


def test_a_stop_waits_no_longer_than_the_grace_period(engine: SimEngine) -> None:
    with_gate(engine, lambda _event: True)
    engine.append((1, PLAIN), (2, PLAIN))
    engine.run_for(0.1)

    assert engine.stop_gracefully() == pytest.approx(1.0, abs=0.2)
    assert engine.statuses() == {}
    assert engine.far["hss"].closed


def test_a_stop_ends_although_the_disk_is_full_for_good(engine: SimEngine) -> None:
    engine.log.settle_fails = 10**9
    engine.append((1, PLAIN))
    engine.run_for(0.1)

    assert engine.stop_gracefully() < 10
    assert engine.far["hss"].closed


def test_a_stop_while_a_handler_is_configured_anew_is_a_stop(engine: SimEngine) -> None:
    with_gate(engine, lambda _event: True)
    engine.append((1, PLAIN))
    engine.run_for(0.1)
    engine.operations.apply([handler_change(**{**QUICK, "Retry.FirstDelay": 1})])
    engine.run_for(0.1)

    assert engine.stop_gracefully() < 1.2


def test_after_a_crash_what_was_committed_above_the_cursor_is_not_sent_again(
    engine: SimEngine,
) -> None:
    with_gate(engine, lambda event: event.i_event == 1)
    engine.append((1, PLAIN), *[(65, PLAIN)] * 20)
    engine.run_until(lambda: len(engine.statuses()) == 20)
    engine.crash()
    engine.far["hss"].gate = None
    engine.far["hss"].open = 0
    engine.start()
    engine.run_until(lambda: 1 in engine.statuses())
    engine.run_for(1)

    assert engine.far["hss"].sent.count(1) == 2
    assert all(engine.far["hss"].sent.count(n) == 1 for n in range(2, 22))


# ---- operators ----


def test_a_disabled_handler_sends_nothing_and_takes_up_where_it_was(engine: SimEngine) -> None:
    engine.operations.set_enabled("hss", False)
    engine.run_for(0.1)
    engine.append((1, PLAIN))
    engine.run_for(1)
    assert engine.far["hss"].sent == []
    engine.operations.set_enabled("hss", True)
    engine.run_until(lambda: 1 in engine.statuses())


def test_a_handler_added_while_the_engine_runs_is_started(engine: SimEngine) -> None:
    engine.far["new"] = FarSide()
    engine.operations.apply([handler_change("new", start=None, **QUICK)])
    engine.run_for(0.1)
    engine.append((1, PLAIN))
    engine.run_until(lambda: engine.far["new"].sent == [1])


def test_a_paused_handler_does_not_even_probe(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(REFUSED)
    engine.append(*[(entity, PLAIN) for entity in range(10)])
    engine.run_until(lambda: engine.runner().flow.breaker.is_open)
    engine.operations.set_paused("hss", True)
    engine.run_for(0.2)
    sent = len(engine.far["hss"].sent)
    engine.run_for(30)
    assert len(engine.far["hss"].sent) == sent


def test_a_parked_event_that_is_ready_but_skipped_by_hand_is_not_sent(
    tmp_path: Path,
) -> None:
    with sim_engine(tmp_path, handler_change(**{**QUICK, "Concurrency": 1})) as engine:
        far = engine.far["hss"]
        far.answer = ever(BUSY)
        engine.append((1, PLAIN), (2, PLAIN))
        engine.run_until(lambda: engine.parked() == [1, 2])
        with_gate(engine, lambda _event: True)
        engine.run_for(2)
        (held,) = {1, 2} & set(far.sent[2:])
        waiting = 3 - held
        engine.operations.skip(EventFilter(i_events=[waiting]), "not wanted", engine.time.now_us())
        engine.run_for(0.1)
        assert far.gate is not None
        far.answer = ever(Delivered(""))
        far.gate.set()
        engine.run_until(lambda: not engine.parked())

        assert far.sent.count(waiting) == 1
        assert engine.statuses()[waiting] == ["retry", "skipped"]


def test_a_skip_asked_during_the_attempt_holds_when_it_would_be_repeated(
    engine: SimEngine,
) -> None:
    far = engine.far["hss"]
    far.answer = ever(BUSY)
    with_gate(engine, lambda _event: True)
    engine.append((1, PLAIN))
    engine.run_for(0.2)
    engine.operations.skip(EventFilter(i_events=[1]), "not wanted", engine.time.now_us())
    engine.run_for(0.1)
    assert far.gate is not None
    far.gate.set()
    engine.run_until(lambda: engine.statuses().get(1, [])[-1:] == ["skipped"])

    assert far.sent == [1]


def test_a_retry_by_hand_is_sent_again_with_the_same_number(engine: SimEngine) -> None:
    engine.far["hss"].answer = ever(Rejected("", "unknown subscriber", 400))
    engine.append((1, PLAIN))
    engine.run_until(lambda: engine.statuses() == {1: ["failed"]})
    engine.far["hss"].answer = ever(Delivered(""))
    engine.operations.retry(EventFilter(), engine.time.now_us())
    engine.run_until(lambda: engine.statuses() == {1: ["failed", "finished"]})
    assert engine.far["hss"].sent == [1, 1]


def test_a_handler_that_loses_its_lanes_repeats_nothing_of_another(tmp_path: Path) -> None:
    changes = [handler_change("hss", **QUICK), handler_change("lost", keep_events=False, **QUICK)]
    with sim_engine(tmp_path, *changes, grace_s=5) as engine:
        lost = engine.far["lost"]
        lost.gate = asyncio.Event()
        engine.far["hss"].delay_s = 0.02
        engine.append((1, PLAIN))
        engine.run_for(0.1)
        engine.operations.set_enabled("lost", False)
        engine.run_for(0.1)
        engine.operations.set_enabled("lost", True)
        engine.append(*[(entity, PLAIN) for entity in range(200)])
        engine.run_for(0.1)
        lost.gate.set()
        engine.run_until(lambda: len(engine.statuses("hss")) == 201)

        assert len(engine.far["hss"].sent) == 201
        engine.append((7, PLAIN))
        engine.run_until(lambda: engine.statuses("lost").get(202) == ["finished"], 5)
