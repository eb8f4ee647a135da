"""Read → diff → apply → verify, for everything that one event or one account touches.

Each turn reads current data and the far side anew and plans from scratch; when nothing is left to
do, that was the verification. So it does not matter in which order events come, how many of them
were merged, whether an attempt was cut short, or who else has been at the far side meanwhile.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Generic

from espf.errors import StorageError
from espf.handlers.contract.calls import Broken, broken, changing, reading
from espf.handlers.contract.failures import FarSideError, NotNow, Refused, Unclear
from espf.handlers.contract.journal import Journal
from espf.handlers.contract.locks import Locks
from espf.handlers.contract.masking import SubscriberMask
from espf.handlers.contract.step import Step
from espf.handlers.contract.system import ExternalSystem, StateT
from espf.handlers.contract.work import Gatherer, Target, Work
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


class Provisioner(Generic[StateT]):
    """Sets subscribers right on one system. One for each running handler."""

    def __init__(
        self,
        system: ExternalSystem[StateT],
        source: SubscriberSource,
        may_send: Callable[[], bool] = always,
    ) -> None:
        self.system = system
        self._source = source
        self._gatherer = Gatherer(system, source)
        self._may_send = may_send
        self._locks = Locks()

    async def provision(
        self, i_account: int | None, identities: Iterable[str], *, attempts: int = UNKEPT_ATTEMPTS
    ) -> Outcome | Skipped:
        """Set the account and these identities right; `attempts`: this one included."""
        names = frozenset(identities)
        journal = Journal(self._mask())
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

    async def preview(self, i_account: int | None, identities: Iterable[str]) -> "Preview[StateT]":
        """What `provision` would do now; takes no step.

        Raises FarSideError and StorageError, with everything masked.
        """
        names = frozenset(identities)
        mask = self._mask()
        while True:
            try:
                work = await self._gather(i_account, names)
                mask = self._mask(work)
                steps = await self._plan(work, names)
                return Preview(work, steps, mask)
            except _NotLocked as more:
                names |= more.identities
            except Broken as error:
                raise NotNow(str(error)) from None
            except FarSideError as error:
                told = mask.text(str(error))
                raise type(error)(told, code=error.code, answer=mask.text(error.answer)) from None

    # ---- turns ----

    async def _converge(
        self, i_account: int | None, names: frozenset[str], journal: Journal, attempts: int
    ) -> Outcome | Skipped:
        taken: Counter[Step] = Counter()
        doubt: tuple[Step, Unclear] | None = None
        for _ in range(TURNS):
            work = await self._gather(i_account, names)
            journal.mask = self._mask(work)
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
        try:
            work = await self._gatherer.gather(i_account, sorted(names))
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may repeat a secret: it ends here
            raise broken(self.system.title, error) from None
        if not work.identities <= names:
            raise _NotLocked(work.identities)
        return work

    async def _plan(self, work: Work[StateT], names: frozenset[str]) -> list[Step]:
        """All steps in the order of their phases; raises _NotLocked for rivals."""
        steps: list[Step] = []
        for target in work.targets:
            found = await self._difference(target)
            if found and target.want is not None:
                await self._look_for_rivals(target.identity, target.want, names)
            steps += found
        return sorted(steps, key=lambda step: step.phase)

    async def _difference(self, target: Target[StateT]) -> list[Step]:
        system = self.system
        have = await reading(system.title, system.timeout_s, system.read(target.identity))
        try:
            return list(system.plan(target.identity, have, target.want))
        except Exception as error:  # noqa: BLE001 - likewise
            raise broken(system.title, error) from None

    async def _look_for_rivals(self, identity: str, want: StateT, names: frozenset[str]) -> None:
        """Who holds what is wanted here is set right along with it, unless it is a stranger."""
        system = self.system
        found = await reading(system.title, system.timeout_s, system.rivals(identity, want))
        rivals = frozenset(found) - names
        for rival in rivals:
            if not await self._is_ours(rival):
                raise Refused(
                    f"{rival} on {system.title} holds what {identity} is to have, and the registry "
                    "does not know it; remove it there, or add it to the registry"
                )
        if rivals:
            raise _NotLocked(rivals)

    async def _is_ours(self, identity: str) -> bool:
        if await self.system.owners(identity, self._source):
            return True
        return self.system.identified_by == "imsi" and await self._source.has_card(identity)

    def _mask(self, work: Work[StateT] | None = None) -> SubscriberMask:
        subscribers = work.subscribers if work else ()
        secrets = [secret for one in subscribers for secret in one.secrets]
        return SubscriberMask(secrets, self.system.secrets)


class Preview(Generic[StateT]):
    """What would be done, and how to show it."""

    def __init__(self, work: Work[StateT], steps: list[Step], mask: SubscriberMask) -> None:
        self.work = work
        self.steps = steps
        self.mask = mask
