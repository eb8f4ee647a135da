"""The window against a model: order of each entity, and cursors that never pass an open event."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from espf.engine.item import Item
from espf.engine.window import Window
from espf.eventlog.model import LaneLease
from espf.events.model import Event
from espf.handlers.port import Iteration

LANES_HERE = 4


def event_of(i_event: int, entity_id: int) -> Event:
    lane = entity_id % LANES_HERE
    return Event(i_event, 1, "Account/Blocked", "account", entity_id, lane, "", "{}", False)


def item_of(i_event: int, entity_id: int) -> Item:
    return Item(event_of(i_event, entity_id), Iteration(1))


class WindowMachine(RuleBasedStateMachine):
    """`waiting` is the model: the open items of each entity, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window(LaneLease(lane, 0, 1) for lane in range(LANES_HERE))
        self.waiting: dict[int, list[Item]] = {}
        self.finished: list[Item] = []
        self.unsettled: dict[int, list[int]] = {lane: [] for lane in range(LANES_HERE)}
        self.stored = dict.fromkeys(range(LANES_HERE), 0)
        self.number = 0

    @rule(entity_id=st.integers(0, 9))
    def read(self, entity_id: int) -> None:
        self.number += 1
        item = item_of(self.number, entity_id)
        may_go = self.window.add(item)
        self.window.ordinary.read_to = self.number
        mine = self.waiting.setdefault(entity_id, [])
        assert may_go == (not mine)
        mine.append(item)
        self.unsettled[item.event.lane].append(self.number)

    @rule(numbers=st.integers(1, 5))
    def pass_events_that_nobody_wants(self, numbers: int) -> None:
        self.number += numbers
        self.window.ordinary.read_to = self.number

    def _finish(self, entity_id: int, place: int, *, parked: bool) -> None:
        item = self.waiting[entity_id][place]
        if parked:
            item.parked = True
        else:
            item.done = True
        self.unsettled[item.event.lane].remove(item.event.i_event)
        self.finished.append(item)

    @precondition(lambda self: any(self.waiting.values()))
    @rule(pick=st.integers(0, 99), place=st.integers(0, 99), parked=st.booleans())
    def settle(self, pick: int, place: int, parked: bool) -> None:
        entities = sorted(key for key, items in self.waiting.items() if items)
        entity_id = entities[pick % len(entities)]
        mine = self.waiting[entity_id]
        item = mine[place % len(mine)]
        if item in self.finished:
            return
        self._finish(entity_id, place % len(mine), parked=parked)

    @rule()
    def commit(self) -> None:
        for moved in self.window.positions(1, ()):
            assert moved.position > self.stored[moved.lane], "cursors only move forward"
            self.stored[moved.lane] = moved.position
        for item in self.finished:
            mine = self.waiting[item.event.entity_id]
            was_first = mine[0] is item
            mine.remove(item)
            following = self.window.release(item)
            assert following is (mine[0] if was_first and mine else None)
        self.finished.clear()

    @invariant()
    def no_cursor_passes_an_unsettled_event(self) -> None:
        for lane, numbers in self.unsettled.items():
            assert not numbers or self.stored[lane] < min(numbers)

    @invariant()
    def the_first_of_each_entity_is_the_oldest(self) -> None:
        for mine in self.waiting.values():
            for place, item in enumerate(mine):
                assert self.window.is_first(item) == (place == 0)
            if mine:
                assert self.window.waiting(mine[0].key) == mine[1:]

    @invariant()
    def everything_open_is_counted_and_listed(self) -> None:
        open_items = [item for mine in self.waiting.values() for item in mine]
        assert self.window.open == len(open_items)
        assert {id(item) for item in self.window.items()} == {id(item) for item in open_items}

    @invariant()
    def the_oldest_holds_its_lane_back(self) -> None:
        oldest = self.window.ordinary.oldest()
        lowest = min((n for numbers in self.unsettled.values() for n in numbers), default=None)
        assert (oldest and oldest.event.i_event) == lowest


WindowMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class TestWindow(WindowMachine.TestCase):
    """The window keeps the order and the cursors right."""


def test_a_parked_event_is_not_taken_while_its_entity_is_busy() -> None:
    window = Window([LaneLease(1, 0, 1)])
    first, second = item_of(1, 1), item_of(2, 1)
    window.ordinary.read_to = 2
    window.add(first)
    assert not window.add_parked(second)
    window.release(first)
    assert window.add_parked(second)


def test_a_lane_of_another_or_an_event_below_the_cursor_is_not_owned() -> None:
    window = Window([LaneLease(1, 5, 1)])
    assert window.ordinary.owns(event_of(6, 1))
    assert not window.ordinary.owns(event_of(5, 1))
    assert not window.ordinary.owns(event_of(6, 2))


def test_touched_lanes_are_in_the_settlement_even_if_they_stand_still() -> None:
    window = Window([LaneLease(0, 7, 3), LaneLease(1, 7, 4)])
    assert [(one.lane, one.position, one.fence) for one in window.positions(1, [1])] == [(1, 7, 4)]
    assert window.positions(1, []) == []


def test_a_parked_event_beyond_what_is_read_waits_for_those_before_it() -> None:
    window = Window([LaneLease(1, 0, 1)])
    assert not window.add_parked(item_of(2, 1))
    window.ordinary.read_to = 2
    assert window.add_parked(item_of(2, 1))


def test_a_parked_event_of_a_lane_that_was_given_up_is_not_taken() -> None:
    window = Window([LaneLease(1, 5, 1)])
    window.start_leaving([1])
    assert not window.add_parked(item_of(2, 1))
    window.remove_lanes([1])
    assert not window.add_parked(item_of(2, 1))
