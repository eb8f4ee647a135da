"""What is sent next: ordinary events first, and bulk ones not never."""

from espf.engine.item import Item
from espf.engine.ready import IN_A_ROW, Ready
from espf.events.model import Event
from espf.handlers.port import Iteration


def item(i_event: int, *, bulk: bool = False) -> Item:
    lane = 64 if bulk else 0
    event = Event(i_event, 1, "Account/Blocked", "account", i_event, lane, "", "{}", False)
    return Item(event, Iteration(1))


def taken(ready: Ready) -> list[int]:
    found = []
    while ready:
        first = ready.first
        one = ready.next_queue.popleft()
        assert one is first
        ready.taken(one)
        found.append(one.event.i_event)
    return found


def test_ordinary_events_go_first_and_a_bulk_one_after_so_many_of_them() -> None:
    ready = Ready()
    for number in (1001, 1002, 1003):
        ready.append(item(number, bulk=True))
    for number in range(1, 2 * IN_A_ROW + 2):
        ready.append(item(number))
    first, second = list(range(1, IN_A_ROW + 1)), list(range(IN_A_ROW + 1, 2 * IN_A_ROW + 1))

    assert taken(ready) == [*first, 1001, *second, 1002, 2 * IN_A_ROW + 1, 1003]


def test_each_keeps_its_place_among_its_kind() -> None:
    ready = Ready()
    for number in (1, 2, 3):
        ready.append(item(number))
    back = item(9)
    ready.put_first(back)
    ready.append(item(1001, bulk=True))

    assert [one.event.i_event for one in ready.take_out(lambda one: one.event.i_event == 2)] == [2]
    assert len(ready) == 4
    assert taken(ready) == [9, 1, 3, 1001]
