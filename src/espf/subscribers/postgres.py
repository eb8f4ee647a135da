"""SubscriberSource on PostgreSQL: a connection of its own, which opens when first used."""

from functools import cache
from typing import Any

import psycopg

from espf.clock import Clock
from espf.database_url import PostgresUrl
from espf.errors import StorageError
from espf.eventlog.postgres.connection import storage_error
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import Statement, numbered
from espf.subscribers import reading
from espf.subscribers.model import Subscriber
from espf.subscribers.reading import Decrypt, Question


class PostgresSubscribers:
    """One connection for all handlers of an instance; they take turns, a millisecond each."""

    def __init__(self, url: PostgresUrl, clock: Clock, decrypt: Decrypt) -> None:
        self._url = url
        self._clock = clock
        self._decrypt = decrypt
        self._link = Link(url, "espf instance, subscribers")

    async def of_account(self, i_account: int) -> Subscriber | None:
        """The account's subscriber."""
        found = await self._subscribers(Question("of_account", {"i_account": i_account}))
        return found[0] if found else None

    async def by_imsi(self, imsi: str) -> list[Subscriber]:
        """Those that hold a card of this IMSI."""
        return await self._subscribers(Question("of_imsi", {"imsi": imsi}))

    async def by_id(self, visible_id: str) -> list[Subscriber]:
        """Those with this visible id."""
        return await self._subscribers(Question("of_id", {"id": visible_id}))

    async def has_card(self, imsi: str) -> bool:
        """Whether the inventory has a card of this IMSI."""
        return bool(await self._rows(Question("has_card", {"imsi": imsi})))

    async def pages(
        self, after: int, limit: int, *, i_product: int | None = None
    ) -> list[Subscriber]:
        """The next subscribers in the order of their keys."""
        return await self._subscribers(reading.page(after, limit, i_product))

    async def count(self, *, i_product: int | None = None) -> int:
        """How many there are."""
        return int((await self._rows(reading.count(i_product)))[0][0])

    async def close(self) -> None:
        """Give up the connection."""
        self._link.drop()

    async def _subscribers(self, asked: Question) -> list[Subscriber]:
        rows = await self._rows(asked)
        return [reading.subscriber(row, self._decrypt, self._clock) for row in rows]

    async def _rows(self, asked: Question) -> list[tuple[Any, ...]]:
        try:
            async with self._link.turn:
                return await self._link.fetch(_statement(asked.name), asked.bound)
        except psycopg.Error as error:
            raise storage_error(error, self._url) from error
        except TimeoutError as error:
            raise StorageError(
                f"{self._url.shown}: no answer in time; the server or the network is away."
            ) from error
        except OSError as error:
            raise StorageError(f"{self._url.shown}: {error}.") from error


@cache
def _statement(name: str) -> Statement:
    return numbered(f"subscribers_{name}", reading.as_written()[name])
