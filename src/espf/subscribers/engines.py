"""Opens subscribers on either engine. Drivers load when used."""

from collections.abc import Callable
from typing import NamedTuple

from espf.clock import Clock
from espf.database_url import DatabaseUrl, SqliteUrl
from espf.dispatch.port import Fanouts
from espf.subscribers.port import SubscriberSource
from espf.subscribers.reading import Decrypt
from espf.subscribers.steps import StepMemory, StepStore


class Current(NamedTuple):
    """What handlers of state, and dispatchers, are given."""

    subscribers: SubscriberSource
    steps: StepStore
    key: Callable[[], bytes]
    """The key for digests of steps. Raises StorageError if it cannot be had."""
    fanouts: Fanouts
    """What derives events from others."""

    def memory(self, i_handler: int) -> StepMemory:
        """The steps as one handler sees them."""
        return StepMemory(self.steps, i_handler, self.key)

    async def close(self) -> None:
        """Give up the connections."""
        await self.subscribers.close()
        await self.steps.close()
        await self.fanouts.close()


def open_subscribers(url: DatabaseUrl, clock: Clock, decrypt: Decrypt) -> SubscriberSource:
    """Open the subscribers of a database; `decrypt` opens one stored secret.

    Raises StorageError if the file is missing or of another version; a server that is away is
    noticed at the first question.
    """
    if isinstance(url, SqliteUrl):
        from espf.subscribers.sqlite import SqliteSubscribers  # noqa: PLC0415

        return SqliteSubscribers(url.path.absolute(), clock, decrypt)
    from espf.subscribers.postgres import PostgresSubscribers  # noqa: PLC0415

    return PostgresSubscribers(url, clock, decrypt)


def open_steps(url: DatabaseUrl) -> StepStore:
    """Open what handlers keep of steps reached. Raises StorageError like `open_subscribers`."""
    if isinstance(url, SqliteUrl):
        from espf.subscribers.sqlite_steps import SqliteSteps  # noqa: PLC0415

        return SqliteSteps(url.path.absolute())
    from espf.subscribers.postgres_steps import PostgresSteps  # noqa: PLC0415

    return PostgresSteps(url)
