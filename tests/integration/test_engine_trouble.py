"""The engine, one story a test, in virtual time: breaker, storage, stops, operators."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from engine_rig import COALESCED, PLAIN, FarSide, handler_change
from espf.eventlog.operations import EventFilter
from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Outcome, Rejected, Unknown
from sim_engine import BUSY, QUICK, REFUSED, SimEngine, ever, sim_engine, with_gate


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SimEngine]:
    with sim_engine(tmp_path) as made:
        yield made


def test_a_handler_that_could_not_start_is_tried_again_by_itself(engine: SimEngine) -> None:
    engine.operations.set_enabled("hss", False)
    engine.run_for(1)
    engine.unusable.add("hss")
    engine.operations.set_enabled("hss", True)
    engine.append((1, PLAIN))
    engine.run_for(25)
    assert not engine.far["hss"].sent

    engine.unusable.clear()
    engine.run_until(lambda: len(engine.statuses()) == 1, 11)


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
    with_gate(engine)
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
    with_gate(engine)
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
        with_gate(engine)
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
    with_gate(engine)
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


@pytest.mark.parametrize("unheard", [0, 2])
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_set_by_an_hour_moves_no_retry_and_gives_nothing_up(
    tmp_path: Path, hours: int, unheard: int
) -> None:
    """Nor when the database is lost just then, and nobody knows what it stored."""
    options = {**QUICK, "Retry.FirstDelay": 20, "Retry.MaxDelay": 20, "Retry.GiveUpAfter": 100}
    with sim_engine(tmp_path, handler_change(**options)) as engine:
        engine.far["hss"].answer = ever(BUSY)
        engine.append((1, PLAIN))
        engine.run_until(lambda: len(engine.far["hss"].sent) == 1)
        engine.run_for(5)
        engine.log.shifts_unheard = unheard
        engine.time.jump_us += hours * 3_600_000_000
        engine.run_for(0.5)
        assert engine.log.shifts_unheard == 0
        waited = engine.run_until(lambda: len(engine.far["hss"].sent) == 2, 60)
        engine.far["hss"].answer = ever(Delivered("", 200))
        engine.run_until(lambda: len(engine.far["hss"].sent) == 3, 60)
        engine.run_for(0.1)

        assert 14 < waited < 15
        assert engine.statuses() == {1: ["retry", "retry", "finished"]}


def due_us(engine: SimEngine) -> int:
    """Of the one event that is parked, when it is due."""
    return int(engine.shell.execute("SELECT due_us FROM parked").fetchone()[0])


def with_one_parked(engine: SimEngine) -> int:
    """Of entity 1, in lane 1; returns when it is due."""
    engine.far["hss"].answer = ever(BUSY)
    engine.append((1, PLAIN))
    engine.run_until(lambda: engine.parked() == [1])
    return due_us(engine)


HOUR_US = 3_600_000_000
SLOW = {**QUICK, "Retry.FirstDelay": 20, "Retry.MaxDelay": 20}


def test_a_clock_that_is_set_moves_what_is_parked_in_a_lane_that_is_being_given_up(
    tmp_path: Path,
) -> None:
    """Its next owner never saw the old clock."""
    with sim_engine(tmp_path, handler_change(**SLOW)) as engine:
        due = with_one_parked(engine)
        engine.runner().flow.leave([1])
        engine.time.jump_us += HOUR_US
        engine.run_for(0.1)

        assert due_us(engine) == due + HOUR_US


def test_a_clock_that_is_set_moves_what_is_parked_in_a_lane_that_was_just_taken(
    tmp_path: Path,
) -> None:
    """The lane is ours by the database, and waits for a read that is under way."""
    with sim_engine(tmp_path, handler_change(**SLOW)) as engine:
        due, runner = with_one_parked(engine), engine.runner()
        engine.loop.run_until_complete(runner._feeder._turn.acquire())
        leases = runner.flow.window.remove_lanes([1])
        joining = engine.loop.create_task(runner.add_lanes(leases))
        engine.run_for(0.1)
        engine.time.jump_us += HOUR_US
        engine.run_for(0.1)
        runner._feeder._turn.release()
        engine.loop.run_until_complete(joining)

        assert due_us(engine) == due + HOUR_US
        assert not runner._joining


def test_one_skipped_and_sent_again_by_hand_does_not_overtake_an_earlier_one_that_parks(
    tmp_path: Path,
) -> None:
    with sim_engine(tmp_path) as engine:
        with_gate(engine)
        engine.far["hss"].answer = ever(BUSY)
        first, second = engine.append((1, PLAIN), (1, PLAIN))
        engine.run_until(lambda: engine.far["hss"].sent == [first])
        engine.operations.skip(EventFilter([second]), "not wanted", engine.time.now_us())
        engine.run_until(lambda: engine.statuses().get(second) == ["skipped"])
        engine.operations.retry(EventFilter([second]), engine.time.now_us())
        assert engine.far["hss"].gate is not None
        engine.far["hss"].gate.set()
        engine.run_until(lambda: engine.statuses().get(first) == ["retry"])
        engine.far["hss"].answer = ever(Delivered("", 200))
        engine.run_until(lambda: engine.statuses().get(second) == ["skipped", "finished"])

        assert engine.far["hss"].sent == [first, first, second]


def test_what_is_settled_alone_is_the_same_settlement_each_time(engine: SimEngine) -> None:
    """By that the log knows that it must ask what became of the last try."""
    engine.append((1, PLAIN))
    engine.run_until(lambda: bool(engine.log.asked))
    engine.log.asked.clear()
    engine.log.lanes_lost = 1
    engine.log.settle_fails = 2
    engine.append((2, PLAIN))
    engine.run_until(lambda: engine.log.settle_fails == 0 and len(engine.log.asked) >= 4)
    _, *alone = engine.log.asked[:4]

    assert alone[0] is alone[1] is alone[2]


def test_results_that_are_stored_after_the_lanes_were_lost_change_nothing(
    engine: SimEngine,
) -> None:
    """The database was away, and another instance took over meanwhile."""
    engine.log.settle_fails = 2
    engine.append((1, PLAIN), (1, PLAIN), (2, PLAIN))
    engine.run_until(lambda: engine.log.settle_fails == 1)
    engine.instance._lanes_lost(engine.runner().row.i_handler)
    engine.run_until(lambda: len(engine.statuses()) == 3, 10)


def test_a_handler_that_is_dropped_while_it_gives_lanes_up_takes_no_others_results_along(
    tmp_path: Path,
) -> None:
    """What it settles on the way are the results of all handlers."""
    changes = [handler_change(name, **QUICK) for name in ("crm", "hss")]
    with sim_engine(tmp_path, *changes) as engine:
        engine.append((1, PLAIN))
        engine.run_until(lambda: len(engine.statuses("hss")) == len(engine.statuses("crm")) == 1)
        leaving = engine.runner("crm").row.i_handler

        def answer(event: Event, _attempt: Attempt) -> Outcome:
            engine.log.settle_fails = 2
            engine.loop.call_soon(engine.instance._hand_over, leaving, [5])
            return Delivered("", 200)

        engine.operations.set_paused("crm", True)
        engine.run_for(0.1)
        engine.far["hss"].answer = answer
        engine.append((2, PLAIN))
        engine.run_until(lambda: len(engine.far["hss"].sent) == 2 and engine.log.settle_fails < 2)
        engine.instance._lanes_lost(leaving)
        engine.run_until(lambda: len(engine.statuses("hss")) == 2, 10)
