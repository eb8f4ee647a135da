"""StepStore on PostgreSQL: a connection of its own, which opens when first used."""

from collections.abc import Mapping

from espf.database_url import PostgresUrl
from espf.subscribers import asking
from espf.subscribers.postgres_connection import Connection
from espf.subscribers.steps import ResyncMark


class PostgresSteps:
    """One connection for all handlers of an instance."""

    def __init__(self, url: PostgresUrl) -> None:
        self._connection = Connection(url, "espf instance, steps")

    async def parts(self, i_handler: int, identity: str) -> dict[str, str]:
        """Parts with their digests."""
        rows = await self._connection.rows(asking.parts_of(i_handler, identity))
        return dict(rows)

    async def note(self, i_handler: int, identity: str, parts: Mapping[str, str]) -> None:
        """Store these parts, all or none."""
        await self._connection.run(asking.noting(i_handler, identity, parts))

    async def forget(self, i_handler: int, identity: str) -> None:
        """Delete all parts."""
        await self._connection.run([asking.forgetting(i_handler, identity)])

    async def mark(self, i_handler: int, scope: str) -> ResyncMark | None:
        """Where a resync was stopped."""
        found = await self._connection.rows(asking.mark_of(i_handler, scope))
        return ResyncMark._make(found[0]) if found else None

    async def set_mark(self, i_handler: int, scope: str, mark: ResyncMark | None) -> None:
        """Store how far it is, or that it is through."""
        await self._connection.run([asking.marking(i_handler, scope, mark)])

    async def close(self) -> None:
        """Give up the connection."""
        self._connection.close()
