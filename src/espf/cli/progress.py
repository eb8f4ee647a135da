"""A progress bar for imports, on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
