"""`espf handlers resync`: sets subscribers right on the system of a handler."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from espf.cli.output import plain, say, warn
from espf.cli.standing import Standing
from espf.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from espf.handlers.contract.handler import Provisioning
    from espf.handlers.contract.resync import Ending, Resync, Tally
    from espf.subscribers.model import Subscriber


def resync(
    name: Annotated[str, typer.Argument(help="Name of the handler.")],
    *,
    account: Annotated[
        str | None, typer.Option(help="One account: its i_account, or id=… of it.")
    ] = None,
    product: Annotated[int | None, typer.Option(help="All accounts of an i_product.")] = None,
    everyone: Annotated[bool, typer.Option("--all", help="All accounts.")] = False,
    rate: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Subscribers a second, at most.")
    ] = 10.0,
    dry_run: Annotated[bool, typer.Option(help="Print the steps and take none.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin at the first account, not where one stopped.")
    ] = False,
) -> None:
    """Set subscribers right on the system of a handler, by current data.

    One that is stopped (Ctrl-C, a kill, the system away) goes on where it was when the same command
    is run again. It may run beside the engine. Exit status 1 if any subscriber is not right.
    """
    from espf.app import open_operations, run_until_signalled
    from espf.cli.naming import require_handler
    from espf.config import load_config
    from espf.starting import open_provisioning

    if [account is not None, product is not None, everyone].count(True) != 1:
        raise typer.BadParameter("give one of --account ID, --product ID and --all")
    config = load_config()
    failed = False
    with open_operations(config) as operations:
        require_handler(operations, name)
        row = next(one for one in operations.handlers() if one.name == name)

        async def work(stop: asyncio.Event) -> None:
            nonlocal failed
            async with open_provisioning(config, row) as opened:
                standing = Standing(operations, opened.settings.status_group)
                run = _Run(opened, rate, stop, standing)
                if dry_run:
                    failed = await run.preview(await run.chosen(account, product))
                elif account is not None:
                    failed = await run.some(await run.chosen(account, product))
                else:
                    failed = await run.scope(product, anew=anew)

        run_until_signalled(work)
    if failed:
        raise typer.Exit(1)


class _Run:
    """One call of the command. Its methods return whether anything is not right."""

    def __init__(
        self, opened: "Provisioning", rate: float, stop: asyncio.Event, standing: Standing
    ) -> None:
        self._opened = opened
        self._standing = standing
        self._source = opened.current.subscribers
        self._rate = rate
        self._stop = stop

    async def chosen(self, account: str | None, product: int | None) -> "AsyncIterator[Subscriber]":
        """The subscribers that the options mean. Raises ConfigError if there is no such account."""
        from espf.handlers.contract.resync import Scope, of_scope

        if account is None:
            return of_scope(self._source, Scope(product), 0)
        return _each(await self._accounts(account))

    async def _accounts(self, account: str) -> "list[Subscriber]":
        key, mark, visible_id = account.partition("=")
        found: list[Subscriber] = []
        if mark and key == "id":
            found = await self._source.by_id(visible_id)
        elif account.isascii() and account.isdigit():
            one = await self._source.of_account(int(account))
            found = [] if one is None else [one]
        if not found:
            raise ConfigError(f"There is no account {account}; give its i_account, or id=….")
        return found

    async def preview(self, subscribers: "AsyncIterator[Subscriber]") -> bool:
        """Print what would be done."""
        from espf.errors import ProvisioningError

        failed, steps = False, 0
        async for one in subscribers:
            if self._stop.is_set():
                break
            try:
                found = await self._opened.provisioner.preview(one.i_account, [])
            except ProvisioningError as error:
                failed = True
                warn(f"account {one.i_account}: {plain(error)}")
                continue
            failed = failed or bool(found.problems)
            steps += len(found.steps)
            for text in found.problems:
                warn(f"account {one.i_account}: {plain(text)}")
            for text in found.steps:
                say(f"account {one.i_account}: {plain(text)}")
        say(f"{steps} steps; none was taken.")
        return failed

    async def some(self, subscribers: "AsyncIterator[Subscriber]") -> bool:
        """Set right these few, with a line for each."""
        from espf.handlers.contract.resync import Tally

        def told(one: "Subscriber", ending: "Ending", text: str) -> None:
            say(f"account {one.i_account}: {ending}" + (f": {plain(text)}" if text else ""))

        tally = Tally()
        async for _ in self._resync(told).run(subscribers, tally):
            pass
        return bool(tally.failed)

    async def scope(self, product: int | None, *, anew: bool) -> bool:
        """Set right a product's or all, from where the last one stopped."""
        from espf.cli.progress import subscriber_progress
        from espf.handlers.contract.resync import Marks, Scope, Tally, of_scope

        scope = Scope(product)
        marks = Marks(
            self._opened.current.steps, self._opened.row.i_handler, scope, self._opened.clock
        )
        mark = None if anew else await marks.found()
        if mark is not None:
            say(f"Going on behind account {mark.i_account}; {mark.done} were through.")
        tally = Tally(last=mark.i_account if mark else 0)
        total = await self._source.count(i_product=product)
        name = f"resync {self._opened.row.name}"
        with subscriber_progress(name, total, mark.done if mark else 0) as moved:
            resync = self._resync(_bad_only)
            async for _ in resync.run(of_scope(self._source, scope, tally.last), tally):
                moved(tally.done, tally.failed)
                await marks.passed(tally, mark)
        stopped = self._stop.is_set() or tally.away is not None
        if stopped:
            await marks.passed(tally, mark, now=True)
        else:
            await marks.finished()
        self._sum_up(tally, mark.failed if mark else 0, stopped=stopped)
        return stopped or bool(tally.failed)

    def _resync(self, told: "Callable[[Subscriber, Ending, str], None]") -> "Resync":
        from espf.handlers.contract.resync import Resync

        def heard(one: "Subscriber", ending: "Ending", text: str) -> None:
            self._standing.note(one.i_account, ending, text)
            told(one, ending, text)

        return Resync(
            self._opened.provisioner,
            self._source,
            self._opened.clock,
            rate=self._rate,
            stop=self._stop,
            told=heard,
        )

    def _sum_up(self, tally: "Tally", failed_before: int, *, stopped: bool) -> None:
        endings = (f"{count} {ending}" for ending, count in sorted(tally.counts.items()) if count)
        say(", ".join(endings) or "There was no account to work on.")
        if failed_before:
            say(f"{failed_before} more were not right before it was stopped.")
        if tally.away is not None:
            warn(f"Stopped: {plain(tally.away)}.")
        if stopped:
            warn("Run the same command again to go on from here.")


def _bad_only(one: "Subscriber", ending: "Ending", text: str) -> None:
    if ending in ("rejected", "no answer"):
        warn(f"account {one.i_account}: {ending}: {plain(text)}")


async def _each(found: "list[Subscriber]") -> "AsyncIterator[Subscriber]":
    for one in found:
        yield one
