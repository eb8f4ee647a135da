"""SubscriberSource on PostgreSQL: a connection of its own, which opens when first used."""

from collections.abc import Sequence

from espf.clock import Clock
from espf.database_url import PostgresUrl
from espf.subscribers import asking
from espf.subscribers.asking import Question
from espf.subscribers.details import Found, Parts, Whose, parts
from espf.subscribers.model import Subscriber
from espf.subscribers.postgres_connection import Connection
from espf.subscribers.reading import Decrypt, key_of, subscriber
from espf.subscribers.services import Services, services


class PostgresSubscribers:
    """One connection for all handlers of an instance; they take turns, a millisecond each."""

    def __init__(self, url: PostgresUrl, clock: Clock, decrypt: Decrypt) -> None:
        self._url = url
        self._clock = clock
        self._decrypt = decrypt
        self._connection = Connection(url, "espf instance, subscribers")

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
        return bool(await self._connection.rows(Question("has_card", {"imsi": imsi})))

    async def pages(
        self, after: int, limit: int, *, i_product: int | None = None
    ) -> list[Subscriber]:
        """The next subscribers in the order of their keys."""
        return await self._subscribers(asking.page(after, limit, i_product))

    async def services(self, accounts: Sequence[int]) -> dict[int, Services]:
        """What these accounts are given."""
        if not accounts:
            return {}
        return services(await self._connection.rows(asking.services_of(accounts, self._clock)))

    async def count(self, *, i_product: int | None = None) -> int:
        """How many there are."""
        return int((await self._connection.rows(asking.count(i_product)))[0][0])

    async def details(self, wanted: Sequence[Whose]) -> list[Parts]:
        """What applications are told of these; one way there and back for all."""
        found = await self._connection.run(asking.details_of(wanted, self._clock))
        return parts(wanted, Found(*found), self._clock)

    async def close(self) -> None:
        """Give up the connection."""
        self._connection.close()

    async def _subscribers(self, asked: Question) -> list[Subscriber]:
        rows = await self._connection.rows(asked)
        given = await self.services([key_of(row) for row in rows])
        return [subscriber(row, given, self._decrypt, self._clock) for row in rows]
