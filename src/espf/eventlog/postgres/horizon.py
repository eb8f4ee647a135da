"""How far the log may be read: below the horizon nothing can appear any more.

Numbers are drawn in one order, transactions begin in another and commit in a third. So: read the
last number drawn, L; then draw a transaction id, X. Whoever drew a number up to L had its
transaction id by then (the table's default sees to it), which is below X. When no transaction below
X is open any more, all up to L that will ever be there can be seen, and L is the horizon.
"""

from espf.eventlog.model import Standing
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import statement


class Horizon:
    """One for each instance, not for each handler. Draws an id only when a number was drawn."""

    def __init__(self) -> None:
        self._reached = 0
        self._pending: tuple[int, int] | None = None
        """(L, X) that is waited for."""

    async def look(self, link: Link) -> Standing:
        """Ask once; the horizon moves as soon as it may."""
        ((last, config, state, oldest),) = await link.fetch(statement("poll"), {})
        if last < self._reached:  # the server lost its newest transactions
            self._reached, self._pending = last, None
        if self._pending is not None and oldest >= self._pending[1]:
            self._reached, self._pending = self._pending[0], None
        if self._pending is None and last > self._reached:
            # `last` is from before the mark; a number drawn meanwhile waits for the next look.
            ((mark, oldest),) = await link.fetch(statement("mark_and_oldest"), {})
            if oldest >= mark:
                self._reached = last
            else:
                self._pending = (last, mark)
        return Standing(self._reached, config, state)
