"""Queue, parking and retry against a model of what must be delivered, crashes included.

The real engine on a real SQLite file, in virtual time. The far side checks at each send what must
hold at that moment; the end of every example checks that nothing was lost, repeated or stuck.
"""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from engine_rig import COALESCED, FOREIGN, PLAIN, handler_change
from espf.engine import fresh
from espf.eventlog.operations import EventFilter
from queue_world import ENTITIES, HANDLERS, MOODS, OPTIONS, TYPES, World

pytestmark = pytest.mark.timeout(110)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The engine logs each failure, and here nearly all is failure."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


handler_names = st.sampled_from(HANDLERS)
pairs = st.tuples(st.sampled_from(ENTITIES), st.sampled_from((*TYPES, COALESCED, PLAIN, FOREIGN)))


class QueueMachine(RuleBasedStateMachine):
    world: World

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.world = World(seed)

    @rule(events=st.lists(pairs, min_size=1, max_size=8), seconds=st.sampled_from((0, 0.02)))
    def events_are_captured(self, events: list[tuple[int, str]], seconds: float) -> None:
        self.world.append(events)
        self.world.run_for(seconds)

    @rule(
        events=st.lists(pairs, min_size=1, max_size=20), seconds=st.sampled_from((0, 0.003, 0.02))
    )
    def a_dispatcher_derives_many(self, events: list[tuple[int, str]], seconds: float) -> None:
        self.world.append(events, bulk=True)
        self.world.run_for(seconds)

    @rule(entity=st.sampled_from(ENTITIES), number=st.integers(5, 30))
    def one_entity_changes_a_lot(self, entity: int, number: int) -> None:
        self.world.append([(entity, PLAIN)] * number)
        self.world.run_for(0.03)

    @rule(seconds=st.sampled_from((0.003, 0.02, 0.1, 0.6, 2.5)))
    def time_passes(self, seconds: float) -> None:
        self.world.run_for(seconds)

    @rule(name=handler_names, mood=st.sampled_from(MOODS))
    def the_far_side_changes_its_mood(self, name: str, mood: str) -> None:
        self.world.moods[name] = mood
        self.world.run_for(0.05)

    @rule(name=handler_names, entity=st.sampled_from(ENTITIES), mood=st.sampled_from(MOODS))
    def one_subscriber_is_special(self, name: str, entity: int, mood: str) -> None:
        self.world.bad[name, entity] = mood
        self.world.run_for(0.05)

    @rule()
    def the_engine_is_killed(self) -> None:
        self.world.crash()
        self.world.start()
        self.world.run_for(0.02)

    @rule()
    def the_engine_is_stopped(self) -> None:
        self.world.stop_gracefully()
        self.world.start()
        self.world.run_for(0.02)

    @rule(name=handler_names, paused=st.booleans())
    def an_operator_pauses_or_resumes(self, name: str, paused: bool) -> None:
        self.world.operations.set_paused(name, paused)
        self.world.run_for(0.05)

    @rule(name=handler_names, seconds=st.sampled_from((0.0, 0.01, 1.5)))
    def an_operator_disables_and_enables(self, name: str, seconds: float) -> None:
        self.world.operations.set_enabled(name, False)
        self.world.run_for(seconds)
        self.world.enable(name)

    @rule(name=handler_names, delay=st.sampled_from((0.3, 0.5, 0.7)))
    def an_operator_changes_options(self, name: str, delay: float) -> None:
        options = {**OPTIONS[name], "Retry.FirstDelay": delay}
        self.world.operations.apply([handler_change(name, TYPES, **options)])
        self.world.run_for(0.05)

    @precondition(lambda self: self.world.events)
    @rule(pick=st.lists(st.integers(0, 500), min_size=1, max_size=4), name=handler_names)
    def an_operator_retries(self, pick: list[int], name: str) -> None:
        events = {self.world.events[-1 - number % len(self.world.events)][0] for number in pick}
        for i_event in events:
            self.world.note_by_hand(name, i_event)
        wanted = EventFilter(i_events=sorted(events), handler=name)
        self.world.operations.retry(wanted, self.world.time.now_us())
        self.world.run_for(0.003)

    @precondition(lambda self: self.world.events)
    @rule(pick=st.lists(st.integers(0, 500), min_size=1, max_size=4), name=handler_names)
    def an_operator_skips(self, pick: list[int], name: str) -> None:
        events = {self.world.events[-1 - number % len(self.world.events)][0] for number in pick}
        for i_event in events:
            self.world.note_by_hand(name, i_event)
        wanted = EventFilter(i_events=sorted(events), handler=name)
        self.world.operations.skip(wanted, "not wanted", self.world.time.now_us())
        self.world.run_for(0.003)

    @rule(times=st.integers(1, 4))
    def the_disk_fails_for_a_while(self, times: int) -> None:
        self.world.log.failures = times
        self.world.run_for(0.3)

    @rule(seconds=st.sampled_from((-2.0, 2.0)))
    def the_wall_clock_jumps(self, seconds: float) -> None:
        self.world.time.jump_us += int(seconds * 1_000_000)
        self.world.run_for(0.02)

    def teardown(self) -> None:
        world = getattr(self, "world", None)
        if world is None:
            return
        try:
            world.drain()
        finally:
            world.end()


@pytest.fixture
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that every example meets them."""
    monkeypatch.setattr(fresh, "HEAD_LIMIT", 12)
    monkeypatch.setattr(fresh, "BATCH", 4)
    monkeypatch.setattr(fresh, "READY_LOW", 6)


QueueMachine.TestCase.settings = settings(
    max_examples=120,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.usefixtures("small_window")
class TestQueue(QueueMachine.TestCase):
    """Every event ends once, in its entity's order, whatever happens."""
