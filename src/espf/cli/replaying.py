"""`espf handlers replay`: all of a handler's events since some point, or those of some types."""

from collections.abc import Sequence

import typer

from espf.cli.output import say, table
from espf.cli.progress import portions_progress
from espf.clock import SystemClock
from espf.eventlog.operations import EventFilter


def replay_all(name: str, first: int | None, since_us: int | None, *, dry_run: bool) -> None:
    """Set the handler back, so that it reads on from there."""
    from espf.app import open_operations
    from espf.config import load_config

    with open_operations(load_config()) as operations:
        plan = operations.would_replay(name, first, since_us)
        if plan.first is None:
            say("There is nothing to send.")
            return
        table(("event", "count"), list(plan.by_type.items()))
        total = sum(plan.by_type.values())
        if first is not None and plan.oldest is not None and first < plan.oldest:
            say(f"The oldest event that is kept is {plan.oldest}.")
        if dry_run:
            say(f"{total} from event {plan.first} on; nothing was changed: --dry-run.")
        elif operations.replay(name, plan.first):
            say(f"{total} from event {plan.first} on are sent, in order.")
        else:
            say(f"{total} from event {plan.first} on wait already; nothing was changed.")


def replay_types(
    name: str, types: Sequence[str], first: int | None, since_us: int | None, *, dry_run: bool
) -> None:
    """Park settled events of these types anew: the others stay as they are."""
    from espf.app import open_operations
    from espf.config import load_config

    wanted = EventFilter(
        handler=name,
        event_types=types,
        statuses=("finished", "failed", "skipped"),
        since_us=since_us,
    )
    now_us, after = SystemClock().now_us(), (first or 1) - 1
    with open_operations(load_config()) as operations:
        try:
            with portions_progress(operations.newest_event()) as moved:
                if dry_run:
                    count = operations.would_retry(wanted, now_us, moved, after).total()
                else:
                    count = operations.retry(wanted, now_us, moved, after)
        except KeyboardInterrupt:
            say("Stopped between two portions; run it with --from to go on.")
            raise typer.Exit(1) from None
    say(f"{count}; nothing was changed: --dry-run." if dry_run else f"{count} to be sent again")
