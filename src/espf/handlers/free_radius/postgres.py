"""FreeRADIUS's tables on a PostgreSQL server."""

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import NoReturn

import psycopg

from espf.database_url import PostgresUrl
from espf.errors import StorageError
from espf.eventlog.postgres.link import Link
from espf.eventlog.postgres.statement import Statement, numbered
from espf.handlers.contract.failures import FarSideError, NotNow, Refused, Unclear
from espf.handlers.free_radius.asking import Question, Rows, as_written

_ADVICE = {
    "28": "correct user and password in FreeRADIUS.DatabaseURL",
    "3D": "correct the database's name in FreeRADIUS.DatabaseURL",
    "42501": "give the user the right to write FreeRADIUS's tables",
    "42": "is it FreeRADIUS's database, with the tables of its schema.sql?",
    "25006": "a standby; name the primary in FreeRADIUS.DatabaseURL",
    "53": "the server is short of disk, memory or connections",
    "57": "it is stopping or starting",
}
"""By the beginning of SQLSTATE, the longest first where two fit."""
_BAD_DATA = ("22", "23")
_PASSING = ("40", "55")
"""Conflicts with others' transactions."""


class PostgresRadius:
    """Opens when first used; callers take turns."""

    def __init__(self, url: PostgresUrl, timeout_s: float) -> None:
        self.shown = f"FreeRADIUS's database {url.shown}"
        self._timeout_s = timeout_s
        self._link = Link(url, "espf, FreeRADIUS")

    async def ask(self, *wanted: Question) -> list[Rows]:
        """Rows of each statement."""
        return await self._run(wanted, changes=False)

    async def change(self, wanted: Sequence[Question]) -> None:
        """All of them or none."""
        await self._run(wanted, changes=True)

    async def close(self) -> None:
        """Give it up."""
        self._link.drop()

    async def _run(self, wanted: Sequence[Question], *, changes: bool) -> list[Rows]:
        given = [(_statement(one.name), one.bound) for one in wanted]
        try:
            async with asyncio.timeout(self._timeout_s), self._link.turn:
                return await self._link.fetch_all(given, together=True)
        except psycopg.Error as error:
            self._failed(error, changes=changes)
        except StorageError as error:  # the server is too old
            raise NotNow(f"{self.shown}: {error}", refused=True) from None
        except OSError as error:  # TimeoutError is one
            told = f"{self.shown} did not answer within {self._timeout_s:g} s"
            if not isinstance(error, TimeoutError):
                told = f"{self.shown}: {error.strerror}"
            raise self._lost(told, changes=changes) from None

    def _failed(self, error: psycopg.Error, *, changes: bool) -> NoReturn:
        """No detail is told: it may repeat a row."""
        state = error.sqlstate or ""
        if not state:
            lines = str(error).strip().splitlines() or ["the connection was lost"]
            raise self._lost(f"{self.shown}: {lines[-1]}", changes=changes) from None
        advice = next((text for key, text in _ADVICE.items() if state.startswith(key)), None)
        told = f"{self.shown}: {error.diag.message_primary}" + (f" ({advice})" if advice else "")
        if state.startswith(_BAD_DATA):
            raise Refused(told) from None
        raise NotNow(told, refused=not state.startswith(_PASSING)) from None

    def _lost(self, told: str, *, changes: bool) -> FarSideError:
        """No answer to a change: it may have been committed."""
        return Unclear(told) if changes else NotNow(told, refused=True)


@cache
def _statement(name: str) -> Statement:
    return numbered(f"radius_{name}", as_written()[name])
