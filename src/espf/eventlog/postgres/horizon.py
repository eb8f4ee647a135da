"""How far the log may be read: below the horizon nothing can appear any more.

Numbers are drawn in one order, transactions begin in another and commit in a third. So: read the
last number drawn, L; then draw a transaction id, X. Whoever drew a number up to L had its
transaction id by then (the table's default sees to it), which is below X. When no transaction below
X is open any more, all up to L that will ever be there can be seen, and L is the horizon.

Except after a crash: numbers whose drawing was not on disk are drawn again. Whoever commits writes
it to disk, but who is rolled back does not; so L counts only once the server's log is on disk as
far as it was written when L was read.
"""

from typing import NamedTuple

from espf.eventlog.model import Standing
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import Statement, statement

# A commit that waits for the disk, whatever the server is told to do by itself.
_FLUSH = (
    Statement(b"flush_begin", b"BEGIN", ()),
    Statement(b"flush_wait", b"SET LOCAL synchronous_commit = local", ()),
    Statement(b"flush", b"SELECT pg_logical_emit_message(true, 'espf', '')", ()),
    Statement(b"flush_commit", b"COMMIT", ()),
)


class Waited(NamedTuple):
    """A horizon to come."""

    last: int
    """L."""
    mark: int
    """X."""
    ahead: int
    """Numbers up to here are in the server's log as drawn: it notes 32 of them at once."""
    place: int
    """How far that log must be on disk."""


class Horizon:
    """One for each instance, not for each handler. Draws an id only when a number was drawn."""

    def __init__(self) -> None:
        self._reached = 0
        self._pending: Waited | None = None
        self._safe = -1
        """`Waited.ahead` that is known to be on disk."""
        self._opened = -1

    async def look(self, link: Link) -> Standing:
        """Ask once; the horizon moves as soon as it may."""
        ((last, ahead, config, state, oldest, written, flushed),) = await link.fetch(
            statement("poll"), {}
        )
        if link.opened != self._opened:  # after a crash ids, and places in the log, come again
            self._opened, self._pending, self._safe = link.opened, None, -1
        if last < self._reached:  # the server lost its newest transactions
            self._reached, self._pending = last, None
        self._advance(oldest, flushed)
        if self._pending is not None and oldest >= self._pending.mark:
            # Only the disk is waited for; others' commits have not written to it meanwhile.
            await link.fetch_all([(one, {}) for one in _FLUSH])
            self._advance(oldest, self._pending.place)
        if self._pending is None and last > self._reached:
            # `last` is from before the mark; a number drawn meanwhile waits for the next look.
            ((mark, oldest, flushed),) = await link.fetch(statement("mark_and_oldest"), {})
            if link.opened == self._opened:
                place = 0 if ahead == self._safe else written
                self._pending = Waited(last, mark, ahead, place)
                self._advance(oldest, flushed)
        return Standing(self._reached, config, state)

    def _advance(self, oldest: int, flushed: int) -> None:
        waited = self._pending
        if waited is not None and oldest >= waited.mark and flushed >= waited.place:
            self._reached, self._safe, self._pending = waited.last, waited.ahead, None
