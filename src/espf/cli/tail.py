"""`espf events tail`: follows the attempts as they are made."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from espf.cli.naming import event_types, require_handler
from espf.cli.output import cell, plain, say, when
from espf.cli.records import attempt_record
from espf.eventlog.operations import EventFilter

if TYPE_CHECKING:
    from espf.eventlog.model import AttemptRow
    from espf.eventlog.operations import Operations

POLL_S = 0.2
_PORTION = 500


def tail(
    *,
    handler: Annotated[str | None, typer.Option(help="Only this handler's.")] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Event type or pattern.")
    ] = None,
    lines: Annotated[int, typer.Option(help="So many of the latest first.", min=0)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON record a line.")] = False,
) -> None:
    """Print each attempt as it is made, until Ctrl-C."""
    from espf.app import open_operations
    from espf.config import load_config

    wanted = event_types(types)
    with open_operations(load_config()) as operations:
        require_handler(operations, handler)
        show = _Printer(operations, handler, None if wanted is None else set(wanted), as_json)
        after = max(0, operations.newest_attempt() - lines)
        try:
            while True:
                after = show.newer_than(after)
                time.sleep(POLL_S)
        except KeyboardInterrupt:
            return


class _Printer:
    """Prints attempts with what their events are."""

    def __init__(
        self, operations: "Operations", handler: str | None, types: set[str] | None, as_json: bool
    ) -> None:
        self._operations = operations
        self._handler = handler
        self._types = types
        self._as_json = as_json

    def newer_than(self, after: int) -> int:
        """Print all attempts above `after`; returns the highest."""
        while found := self._operations.newer_attempts(after, _PORTION):
            self._print([attempt for _, attempt in found])
            after = found[-1][0]
        return after

    def _print(self, attempts: "list[AttemptRow]") -> None:
        names = {row.i_handler: row.name for row in self._operations.handlers()}
        wanted = EventFilter(i_events=sorted({one.i_event for one in attempts}))
        found = self._operations.events(wanted, _PORTION * max(1, len(names)))
        types = {one.event.i_event: one.event.event_type for one in found}
        for one in attempts:
            event_type = types.get(one.i_event, "")
            if self._handler not in (None, names.get(one.i_handler)):
                continue
            if self._types is None or event_type in self._types:
                self._line(one, event_type, names)

    def _line(self, one: "AttemptRow", event_type: str, names: dict[int, str]) -> None:
        if self._as_json:
            import json

            record = {"event_type": event_type} | attempt_record(one, names)
            say(json.dumps(record, ensure_ascii=False))
            return
        last = " ".join(str(part) for part in (one.code, one.reason) if part is not None)
        name = plain(names.get(one.i_handler, one.i_handler))
        say(
            f"{when(one.started_us)}  {one.i_event}  {plain(event_type)}  {name}  "
            f"attempt {one.attempt}: {one.outcome}  {one.duration_us / 1000:.1f} ms  {cell(last)}"
        )
