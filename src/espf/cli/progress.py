"""Progress of what takes long, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espf.eventlog.operations import Progress as Portions
    from espf.registry.importing import ImportReport, Progress


@contextmanager
def import_progress(name: str) -> "Iterator[Progress | None]":
    """Show how much of the file is done; None where nobody would see it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    bar = Progress(
        TextColumn(escape(name)),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]} rows, {task.fields[failed]} failed"),
        console=Console(stderr=True),
    )
    task = bar.add_task("", total=1.0, rows=0, failed=0)

    def moved(report: "ImportReport", share: float) -> None:
        bar.update(task, completed=share, rows=report.rows, failed=report.failed_count)

    with bar:
        yield moved


@contextmanager
def subscriber_progress(
    name: str, total: int, done: int = 0
) -> Iterator[Callable[[int, int], None]]:
    """Show how many subscribers are through; gives what is told their count, and of failures."""
    if not sys.stderr.isatty():
        yield lambda _done, _failed: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn(escape(name)),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} not right"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    task = bar.add_task("", total=total, completed=done, failed=0)

    def moved(now_done: int, failed: int) -> None:
        bar.update(task, completed=done + now_done, failed=failed)

    with bar:
        yield moved


@contextmanager
def portions_progress(last: int) -> "Iterator[Portions]":
    """Show how far through the log a change is, and how many it has changed."""
    if not sys.stderr.isatty():
        yield lambda _changed, _i_event: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn(
            "{task.fields[changed]:,} so far, at event {task.completed:,.0f} of {task.total:,.0f}"
        ),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task("", total=max(1, last), changed=0)
    with bar:
        yield lambda changed, i_event: bar.update(task, completed=i_event, changed=changed)
