"""From any state of the far side, any sequence of events ends in the wanted state.

The registry is a real one and its events are those of capture. They are delivered as the engine
does: those of one entity in order, those of different entities side by side, while data go on
changing. Time is virtual: a far side that hangs costs nothing.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espf.clock import SystemClock
from espf.events.model import Event
from espf.events.payload import account_in
from espf.handlers.contract.events import named_in
from espf.handlers.contract.failures import NotNow, Unclear
from espf.handlers.contract.handler import ContractHandler
from espf.handlers.port import Attempt, Delivered, Iteration, Skipped
from espf.subscribers.engines import open_subscribers
from espf.subscribers.secret import Secret
from registry_rig import SqliteRig, registry
from sim_loop import SimLoop, SimTime
from subscriber_rig import KI, SEALED, Behaviour, Entry, Hss, captured, decrypt, equip, started

KEYS = tuple(f"{KI[:-1]}{n}" for n in range(4))
CARDS = ACCOUNTS = (1, 2, 3)
IMSIS = tuple(f"00101000000000{card}" for card in CARDS)
NUMBERS = ("100", "200", "300", "400")
ATTEMPTS = 40

SET = "UPDATE accounts SET {} = ? WHERE i_account = ?"
accounts = st.sampled_from(ACCOUNTS)
changes = st.one_of(
    st.tuples(st.just(SET.format("i_sim_card")), st.sampled_from([*CARDS, None]), accounts),
    st.tuples(st.just(SET.format("id")), st.sampled_from(NUMBERS), accounts),
    st.tuples(st.just(SET.format("blocked")), st.sampled_from("YN"), accounts),
    st.tuples(st.just(SET.format("bill_status")), st.sampled_from("OOSC"), accounts),
    st.tuples(
        st.just("UPDATE sim_cards SET ki = ? WHERE i_sim_card = ?"),
        st.sampled_from([f"{SEALED}{key}" for key in KEYS]),
        st.sampled_from(CARDS),
    ),
    st.tuples(st.just("DELETE FROM accounts WHERE i_account = ?"), accounts),
)
entries = st.builds(
    Entry, st.sampled_from(KEYS).map(Secret), st.sampled_from([*NUMBERS, None]), st.booleans()
)
far_sides = st.dictionaries(st.sampled_from(IMSIS), entries)
fine: list[Behaviour] = [None, None, None]
on_read = st.lists(st.sampled_from([*fine, "hang", NotNow("busy")]), max_size=8)
on_apply = st.lists(
    st.sampled_from([*fine, "hang", "late", NotNow("busy"), Unclear("lost")]), max_size=8
)


@pytest.fixture(scope="module")
def equipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with registry(tmp_path_factory.mktemp("registry")) as rig:
        equip(rig)
        assert isinstance(rig, SqliteRig)
        yield rig.path


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    far_side=far_sides,
    made=st.lists(changes, min_size=1, max_size=8),
    reads=on_read,
    applies=on_apply,
    loses_a_step=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_any_sequence_of_events_ends_in_the_wanted_state(
    equipped: Path,
    tmp_path: Path,
    far_side: dict[str, Entry],
    made: list[tuple[object, ...]],
    reads: list[Behaviour],
    applies: list[Behaviour],
    loses_a_step: bool,
    seed: int,
) -> None:
    path = tmp_path / "espf.db"
    shutil.copy(equipped, path)
    hss = Hss()
    hss.entries = each_number_once(far_side)
    hss.on_read, hss.on_apply = list(reads), [*applies, *(["deaf"] if loses_a_step else [])]
    world = World(SqliteRig(path), hss, Random(seed))
    with asyncio.Runner(loop_factory=lambda: SimLoop(SimTime(0), Random(seed))) as runner:
        runner.run(world.play(made))

    assert world.endings <= {Delivered, Skipped}
    for imsi in world.touched:
        assert hss.entries.get(imsi) == wanted(world.rig, imsi)


class World:
    """Changes, their events, and the handler that takes them."""

    def __init__(self, rig: SqliteRig, hss: Hss, random: Random) -> None:
        self.rig = rig
        self.hss = hss
        self.touched: set[str] = set()
        self.endings: set[type] = set()
        self._random = random
        self._queues: dict[tuple[str, int], asyncio.Queue[Event | None]] = {}
        rig.events()

    async def play(self, made: list[tuple[object, ...]]) -> None:
        source = open_subscribers(self.rig.url, SystemClock(), decrypt)
        handler = started(self.hss, source)
        async with asyncio.TaskGroup() as group:
            for statement, *bound in made:
                self._change(str(statement), *bound)
                for one in captured(self.rig):
                    self._note(one)
                    key = (one.entity, one.entity_id)
                    if key not in self._queues:
                        self._queues[key] = asyncio.Queue()
                        group.create_task(self._entity(handler, self._queues[key]))
                    self._queues[key].put_nowait(one)
                await asyncio.sleep(self._random.choice((0, 0, 0.001, 0.1)))
            for queue in self._queues.values():
                queue.put_nowait(None)
        await source.close()

    def _change(self, statement: str, *bound: object) -> None:
        # The registry refuses some: a card in use, a number taken, a closed account.
        with suppress(sqlite3.IntegrityError):
            self.rig.sql(statement, *bound)

    def _note(self, of: Event) -> None:
        self.touched |= set(named_in(of, "imsi"))
        held = self.rig.sql(
            "SELECT imsi FROM sim_cards JOIN accounts USING (i_sim_card) WHERE i_account = ?",
            account_in(of),
        )
        self.touched |= {imsi for (imsi,) in held}

    async def _entity(
        self, handler: ContractHandler[Entry], queue: asyncio.Queue[Event | None]
    ) -> None:
        while (one := await queue.get()) is not None:
            if handler.screen(one) is not None:
                continue
            for number in range(1, ATTEMPTS):
                await asyncio.sleep(self._random.choice((0, 0.001, 0.2)))
                outcome = await handler.deliver(one, Attempt(number, Iteration(1)))
                if isinstance(outcome, Delivered | Skipped):
                    break
            self.endings.add(type(outcome))


def each_number_once(far_side: dict[str, Entry]) -> dict[str, Entry]:
    """The far side has each number once, as it does not let two have it."""
    taken: set[str | None] = set()
    found = {}
    for imsi, entry in far_side.items():
        free = entry.msisdn not in taken
        found[imsi] = entry if free else Entry(entry.ki, None, entry.active)
        taken.add(entry.msisdn)
    return found


def wanted(rig: SqliteRig, imsi: str) -> Entry | None:
    """What must be there, worked out by other means than the program's."""
    found = rig.sql(
        "SELECT a.id, a.blocked, a.bill_status, s.ki FROM accounts a "
        "JOIN sim_cards s USING (i_sim_card) WHERE s.imsi = ?",
        imsi,
    )
    if not found or found[0][2] == "C":
        return None
    number, blocked, status, ki = found[0]
    return Entry(Secret(ki.removeprefix(SEALED)), number, blocked == "N" and status == "O")
