"""SubscriberSource on an SQLite file: a connection of its own, read on the loop."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from espf.clock import Clock
from espf.eventlog.sqlite.connection import connect, translated
from espf.subscribers import asking
from espf.subscribers.asking import Question
from espf.subscribers.details import Found, Parts, Whose, parts
from espf.subscribers.model import Subscriber
from espf.subscribers.reading import Decrypt, key_of, subscriber
from espf.subscribers.services import Services, services


class SqliteSubscribers:
    """Raises StorageError when opened on a file that is missing or of another version."""

    def __init__(self, path: Path, clock: Clock, decrypt: Decrypt) -> None:
        self._path = path
        self._clock = clock
        self._decrypt = decrypt
        self._connection = connect(path)
        self._connection.execute("PRAGMA query_only = ON")

    async def of_account(self, i_account: int) -> Subscriber | None:
        """The account's subscriber."""
        found = self._subscribers(Question("of_account", {"i_account": i_account}))
        return found[0] if found else None

    async def by_imsi(self, imsi: str) -> list[Subscriber]:
        """Those that hold a card of this IMSI."""
        return self._subscribers(Question("of_imsi", {"imsi": imsi}))

    async def by_id(self, visible_id: str) -> list[Subscriber]:
        """Those with this visible id."""
        return self._subscribers(Question("of_id", {"id": visible_id}))

    async def has_card(self, imsi: str) -> bool:
        """Whether the inventory has a card of this IMSI."""
        return bool(self._rows(Question("has_card", {"imsi": imsi})))

    async def pages(
        self, after: int, limit: int, *, i_product: int | None = None
    ) -> list[Subscriber]:
        """The next subscribers in the order of their keys."""
        return self._subscribers(asking.page(after, limit, i_product))

    async def services(self, accounts: Sequence[int]) -> dict[int, Services]:
        """What these accounts are given."""
        return self._services(accounts)

    async def count(self, *, i_product: int | None = None) -> int:
        """How many there are."""
        return int(self._rows(asking.count(i_product))[0][0])

    async def details(self, wanted: Sequence[Whose]) -> list[Parts]:
        """What applications are told of these."""
        asked = asking.details_of(wanted, self._clock)
        return parts(wanted, Found(*(self._rows(one) for one in asked)), self._clock)

    async def close(self) -> None:
        """Give up the connection."""
        self._connection.close()

    def _subscribers(self, asked: Question) -> list[Subscriber]:
        rows = self._rows(asked)
        given = self._services([key_of(row) for row in rows])
        return [subscriber(row, given, self._decrypt, self._clock) for row in rows]

    def _services(self, accounts: Sequence[int]) -> dict[int, Services]:
        return services(self._rows(asking.services_of(accounts, self._clock))) if accounts else {}

    def _rows(self, asked: Question) -> list[tuple[Any, ...]]:
        with translated(self._path):
            text = asking.in_words_of("sqlite", asked.name)
            bound = {
                name: orjson.dumps(value).decode() if isinstance(value, list) else value
                for name, value in asked.bound.items()
            }
            return self._connection.execute(text, bound).fetchall()
