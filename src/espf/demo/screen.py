"""What the demo prints; plain text when nobody looks."""

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

from espf.eventlog.model import AttemptRow
from espf.eventlog.operations import HandlerHealth
from espf.events.model import Event


class Screen:
    """Prints to standard output; control codes on a terminal only."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def title(self, text: str) -> None:
        """Begin a part."""
        self._console.print()
        if self._console.is_terminal:
            self._console.print(Rule(f"[bold]{escape(text)}", align="left"))
        else:
            self._console.print(f"== {text}", markup=False)

    def say(self, text: str) -> None:
        """Explain."""
        self._console.print(text, markup=False)

    def command(self, text: str) -> None:
        """A change, as the command that would make it."""
        self._console.print(f"[bold cyan]$ {escape(text)}")

    def quiet(self) -> None:
        """The change raised no event."""
        self._console.print("    [dim]no event: nobody subscribed to what this raises")

    def attempt(self, event: Event, attempt: AttemptRow, waited_ms: float | None) -> None:
        """One event: its request, its answer, and how long both took."""
        good = attempt.outcome == "delivered"
        mark = "[green]✓" if good else "[yellow]…"
        answer = attempt.code if attempt.code is not None else (attempt.reason or attempt.outcome)
        since = "" if waited_ms is None else f"{waited_ms:.0f} ms after the commit, "
        self._console.print(
            f"  {mark}[/] {event.i_event:>3} [bold]{escape(event.event_type)}[/]  "
            f"{escape(f'{event.entity}:{event.entity_id}')}  → {escape(str(answer))}  "
            f"[dim]({since}{'answered in' if good else 'after'} "
            f"{attempt.duration_us / 1000:.1f} ms)"
        )
        if good and waited_ms is not None:
            self._console.print(f"        [dim]POST {escape(attempt.request)}")

    def queue(self, health: HandlerHealth) -> None:
        """How the handler is doing."""
        self._console.print(
            f"  handler [bold]{escape(health.handler.name)}[/]: {health.backlog} events wait, "
            f"{health.parked} of them parked; breaker [bold]{health.breaker}[/]"
            + (f": {escape(health.breaker_reason)}" if health.breaker_reason else "")
        )

    def verdict(self, faults: list[str], events: int, repeats: int) -> None:
        """The end."""
        for fault in faults:
            self._console.print(f"[bold red]✗[/] {escape(fault)}")
        if not faults:
            self._console.print(
                f"[bold green]✓ The receiver got all {events} events, in order for each account "
                f"and customer; {repeats or 'none'} came twice, repeats are known by i_event."
            )
