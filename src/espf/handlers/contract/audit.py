"""Compares the registry with a far side, subscriber by subscriber, and changes nothing.

What differs is looked at once more at the end: a subscriber may have changed between the two
readings, and is no finding then.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple

from espf.handlers.contract.calls import Broken, broken
from espf.handlers.contract.failures import FarSideError
from espf.handlers.contract.looking import NOT_READ, Looker, NotRead
from espf.handlers.contract.system import StateT
from espf.handlers.contract.work import Target, Work

PAGE = 500

Verdict = Literal["right", "missing", "extra", "different", "unfit", "unread"]
"""`unfit`: the registry's data do not suffice, or two accounts claim the same; `unread`: the far
side gave no answer."""
FINDINGS: tuple[Verdict, ...] = ("missing", "extra", "different", "unfit", "unread")


class Finding(NamedTuple):
    """One identity and what is wrong with it."""

    verdict: Verdict
    i_account: int | None
    identity: str
    details: str
    """The steps that would mend it, or the problem; masked."""


@dataclass(slots=True)
class Report:
    """What an audit found."""

    counts: Counter[Verdict] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    listed: bool = False
    """The far side could be listed: extra ones that no account claims were looked for."""


class Audit(Generic[StateT]):
    """One pass over all accounts, and over what the far side lists."""

    def __init__(self, looker: Looker[StateT], side_by_side: int) -> None:
        """`side_by_side`: subscribers that are read at once."""
        self._looker = looker
        self._turns = asyncio.Semaphore(side_by_side)
        self._listed: dict[str, StateT | None] | None = None
        self._seen: set[str] = set()

    async def run(self, progress: Callable[[int], None]) -> Report:
        """Compare everything; `progress` is told how many accounts are through.

        Raises FarSideError if the far side cannot be listed, StorageError.
        """
        self._listed = await self._list()
        report = Report(listed=self._listed is not None)
        async for found in self._accounts(progress):
            self._note(report, found)
        for identity in sorted((self._listed or {}).keys() - self._seen):
            self._note(report, await self._examine(None, [identity]))
        await self._look_again(report)
        return report

    async def _list(self) -> dict[str, StateT | None] | None:
        system = self._looker.system
        listing = system.list_all()
        if listing is None:
            return None
        try:
            return {name: state async for name, state in listing if system.concerns(name)}
        except FarSideError as error:
            mask = self._looker.mask()
            raise type(error)(mask.text(str(error)), code=error.code) from None
        except Exception as error:  # noqa: BLE001 - its text may repeat a secret: it ends here
            raise broken(system.title, error) from None

    async def _accounts(self, progress: Callable[[int], None]) -> AsyncIterator[list[Finding]]:
        after, done = 0, 0
        while page := await self._looker.source.pages(after, PAGE):
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._examine(one.i_account, [])) for one in page]
            except ExceptionGroup as errors:  # the registry is away: one of them says so
                raise errors.exceptions[0] from None
            for task in tasks:
                yield task.result()
            after, done = page[-1].i_account, done + len(page)
            progress(done)

    async def _examine(
        self, i_account: int | None, identities: list[str], *, anew: bool = False
    ) -> list[Finding]:
        """Verdicts on everything that an account or an identity is about."""
        async with self._turns:
            try:
                work = await self._looker.gather(i_account, identities)
            except Broken as error:
                return [Finding("unread", i_account, "", str(error))]
            mask = self._looker.mask(work)
            found = [
                Finding("unfit", i_account, ", ".join(identities), mask.text(problem))
                for problem in work.problems
            ]
            judged = [
                await self._verdict(target, work, i_account, anew=anew) for target in work.targets
            ]
            return [*found, *judged]

    async def _verdict(
        self, target: Target[StateT], work: Work[StateT], i_account: int | None, *, anew: bool
    ) -> Finding:
        identity, mask = target.identity, self._looker.mask(work)
        self._seen.add(identity)
        try:
            difference = await self._looker.difference(target, self._have(identity, anew=anew))
        except (FarSideError, Broken) as error:
            return Finding("unread", i_account, identity, mask.text(str(error)))
        details = mask.text("; ".join(map(str, difference.steps)))
        if not difference.steps:
            return Finding("right", i_account, identity, "")
        verdict: Verdict = "different"
        if not difference.exists:
            verdict = "missing"
        elif target.want is None:
            verdict = "extra"
        return Finding(verdict, i_account, identity, details)

    def _have(self, identity: str, *, anew: bool) -> StateT | NotRead | None:
        """What the list says: the state, or by its silence that there is none."""
        if anew or self._listed is None:
            return NOT_READ
        if identity not in self._listed:
            return None
        state = self._listed[identity]
        return NOT_READ if state is None else state

    def _note(self, report: Report, found: list[Finding]) -> None:
        for one in found:
            report.counts[one.verdict] += 1
            if one.verdict != "right":
                report.findings.append(one)

    async def _look_again(self, report: Report) -> None:
        """Findings that are none any more are taken back."""
        first, report.findings = report.findings, []
        for verdict in FINDINGS:
            report.counts.pop(verdict, None)
        for finding in first:
            identities = [finding.identity] if finding.identity else []
            again = await self._examine(finding.i_account, identities, anew=True)
            self._note(report, [one for one in again if one.identity == finding.identity])
