"""Read → diff → apply → verify, for everything that one event or one account touches.

Each turn reads current data and the far side anew and plans from scratch; when nothing is left to
do, that was the verification. So it does not matter in which order events come, how many of them
were merged, whether an attempt was cut short, or who else has been at the far side meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Generic, NamedTuple

from espf.errors import StorageError
from espf.handlers.contract.calls import Broken, changing, reading
from espf.handlers.contract.failures import FarSideError, NotNow, Unclear
from espf.handlers.contract.journal import Journal
from espf.handlers.contract.locks import Locks
from espf.handlers.contract.looking import Looker
from espf.handlers.contract.step import Step
from espf.handlers.contract.system import ExternalSystem, StateT
from espf.handlers.contract.work import Work
from espf.handlers.port import Outcome, Skipped, always
from espf.subscribers.port import SubscriberSource

TURNS = 8
"""More are needed only while the subscriber keeps changing."""
TAKEN_IN_VAIN = 2
"""A step that was accepted so often within one attempt and is needed again was not carried out."""
UNKEPT_ATTEMPTS = 3
"""After so many attempts a system that says yes and does nothing is an operator's business."""


class _NotLocked(Exception):  # noqa: N818 - never leaves this module
    """More identities are touched than are held: begin again with all of them."""

    def __init__(self, identities: Iterable[str]) -> None:
        super().__init__()
        self.identities = frozenset(identities)


class Preview(NamedTuple):
    """What would be done, in words; masked."""

    steps: list[str]
    problems: list[str]


class Provisioner(Generic[StateT]):
    """Sets subscribers right on one system. One for each running handler."""

    def __init__(
        self,
        system: ExternalSystem[StateT],
        source: SubscriberSource,
        may_send: Callable[[], bool] = always,
    ) -> None:
        self.system = system
        self.looker = Looker(system, source)
        self._may_send = may_send
        self._locks = Locks()

    async def provision(
        self, i_account: int | None, identities: Iterable[str], *, attempts: int = UNKEPT_ATTEMPTS
    ) -> Outcome | Skipped:
        """Set the account and these identities right; `attempts`: this one included."""
        names = frozenset(identities)
        journal = Journal(self.looker.mask())
        while True:
            async with self._locks.hold(names):
                try:
                    return await self._converge(i_account, names, journal, attempts)
                except _NotLocked as more:
                    names |= more.identities
                except (FarSideError, Broken) as error:
                    return journal.of_failure(error)
                except StorageError as error:
                    reason = f"the registry cannot be read: {error}"
                    return journal.retry(reason) if journal.empty else journal.unknown(reason)

    async def preview(self, i_account: int | None, identities: Iterable[str]) -> Preview:
        """What `provision` would do now; takes no step.

        Raises FarSideError, Broken and StorageError, with everything masked.
        """
        names = frozenset(identities)
        mask = self.looker.mask()
        while True:
            try:
                work = await self._gather(i_account, names)
                mask = self.looker.mask(work)
                steps = await self._plan(work, names)
                problems = [*work.problems, *[text async for text in self._rehearsed(steps)]]
                return Preview(mask.texts(map(str, steps)), mask.texts(problems))
            except _NotLocked as more:
                names |= more.identities
            except FarSideError as error:
                told = mask.text(str(error))
                raise type(error)(told, code=error.code, answer=mask.text(error.answer)) from None

    async def _rehearsed(self, steps: list[Step]) -> AsyncIterator[str]:
        """What the system says against the steps."""
        for step in steps:
            try:
                await reading(self.system.title, self.system.timeout_s, self.system.rehearse(step))
            except FarSideError as error:
                yield f"{step}: {error}"

    # ---- turns ----

    async def _converge(
        self, i_account: int | None, names: frozenset[str], journal: Journal, attempts: int
    ) -> Outcome | Skipped:
        taken: Counter[Step] = Counter()
        doubt: tuple[Step, Unclear] | None = None
        for _ in range(TURNS):
            work = await self._gather(i_account, names)
            journal.mask = self.looker.mask(work)
            if not work.targets:
                return self._nothing(work, i_account, journal)
            try:
                steps = await self._plan(work, names)
            except (FarSideError, Broken) as error:
                if doubt is None:
                    raise
                return journal.unknown(f"{doubt[1]}; reading back failed as well: {error}")
            if doubt is not None and doubt[0] in steps:
                return journal.unknown(f"{doubt[1]}; read back: not done")
            if not steps:
                problems = "; ".join(work.problems)
                return journal.rejected(problems) if problems else journal.delivered()
            vain = next((step for step in steps if taken[step] >= TAKEN_IN_VAIN), None)
            if vain is not None:
                return self._unkept(vain, journal, attempts)
            doubt = await self._take(steps, taken, journal)
            if self.system.settle_s:
                await asyncio.sleep(self.system.settle_s)
        return journal.retry("the subscriber kept changing while it was provisioned")

    async def _take(
        self, steps: list[Step], taken: Counter[Step], journal: Journal
    ) -> tuple[Step, Unclear] | None:
        """Take the steps; one whose result is not known ends them, and is returned."""
        system = self.system
        for step in steps:
            if not self._may_send():
                raise NotNow("the lease of this instance ended before the step could leave")
            journal.sent(step)
            try:
                answer = await changing(system.title, system.timeout_s, system.apply(step))
            except Unclear as error:
                journal.failed(error)
                return step, error
            journal.answered(answer)
            taken[step] += 1
        return None

    def _unkept(self, step: Step, journal: Journal, attempts: int) -> Outcome:
        told = (
            f"{self.system.title} accepted “{step}” {TAKEN_IN_VAIN} times and does not have it "
            "when it is read back"
        )
        if attempts < UNKEPT_ATTEMPTS:
            return journal.retry(told)
        return journal.rejected(
            f"{told}, {attempts} attempts long. Look for the reason in its own log (a replica that "
            "lags, a read-only disk, a quota), then resend the event or run `espf handlers resync`."
        )

    def _nothing(
        self, work: Work[StateT], i_account: int | None, journal: Journal
    ) -> Outcome | Skipped:
        if work.problems:
            return journal.rejected("; ".join(work.problems))
        by = "SIM card" if self.system.identified_by == "imsi" else "id"
        if i_account is None:
            reason = f"it names no subscriber of {self.system.title}"
        elif work.subscribers:
            reason = f"account {i_account} has no {by} that {self.system.title} is concerned with"
        else:
            reason = f"account {i_account} is gone, and the event names no {by} of it"
        return Skipped(reason, finished=True)

    # ---- parts of a turn ----

    async def _gather(self, i_account: int | None, names: frozenset[str]) -> Work[StateT]:
        work = await self.looker.gather(i_account, names)
        if not work.identities <= names:
            raise _NotLocked(work.identities)
        return work

    async def _plan(self, work: Work[StateT], names: frozenset[str]) -> list[Step]:
        """All steps in the order of their phases; raises _NotLocked for rivals."""
        steps: list[Step] = []
        for target in work.targets:
            found = (await self.looker.difference(target)).steps
            if found and target.want is not None:
                rivals = await self.looker.rivals(target.identity, target.want, names)
                if rivals:
                    raise _NotLocked(rivals)
            steps += found
        return sorted(self.system.combined(steps), key=lambda step: step.phase)
