"""A connection to PostgreSQL for this package's statements; errors are translated here."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import psycopg

from espf.database_url import PostgresUrl
from espf.errors import StorageError
from espf.eventlog.postgres.connection import storage_error
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import Statement, numbered
from espf.subscribers.asking import Question, in_words_of


class Connection:
    """Opens when first used; callers take turns."""

    def __init__(self, url: PostgresUrl, application: str) -> None:
        self._url = url
        self._link = Link(url, application, partitioned=False)

    async def rows(self, asked: Question) -> list[tuple[Any, ...]]:
        """Run one statement; its rows. Raises StorageError."""
        return (await self.run([asked]))[0]

    async def run(self, wanted: Sequence[Question]) -> list[list[tuple[Any, ...]]]:
        """Run statements in one transaction. Raises StorageError, having done nothing or all."""
        given = [(_statement(one.name), one.bound) for one in wanted]
        try:
            async with self._link.turn:
                return await self._link.fetch_all(given, together=True)
        except psycopg.Error as error:
            raise storage_error(error, self._url) from error
        except TimeoutError as error:
            raise StorageError(
                f"{self._url.shown}: no answer in time; the server or the network is away."
            ) from error
        except OSError as error:
            raise StorageError(f"{self._url.shown}: {error}.") from error

    def close(self) -> None:
        """Give it up."""
        self._link.drop()


@cache
def _statement(name: str) -> Statement:
    return numbered(f"subscribers_{name}", in_words_of("postgres", name))
