"""One connection of an engine to PostgreSQL: libpq without waiting, on the event loop.

Why not psycopg's own AsyncConnection: when a task is cancelled, or the network goes silent, it
waits for the server's word. Here every wait has a limit, after which the connection is dropped and
the next use opens another. A statement costs 23 us of CPU instead of 33, besides.
"""

import asyncio
import select
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

from espf.database_url import PostgresUrl
from espf.eventlog.postgres.connection import check_server, settings
from espf.eventlog.postgres.statement import Statement

ANSWER_S = 15.0
"""An answer takes longer only if the network or the server is gone."""
SETTLE_S = 30.0
Bound = Mapping[str, object]
Gate = Callable[[list[pq.abc.PGresult]], Exception | None]


class Link:
    """Opens when first used. Used by one task at a time: callers take `turn`.

    Everything raises psycopg's errors; whatever fails drops the connection.
    """

    def __init__(self, url: PostgresUrl, application: str, *, partitioned: bool = True) -> None:
        """`partitioned`: it asks for partitioned tables, of which each plan is made anew."""
        self._partitioned = partitioned
        self.turn = asyncio.Lock()
        self._url = url
        self._application = application
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._pgconn: pq.abc.PGconn | None = None
        self.opened = 0
        """How often it was opened: another time, another state of the server perhaps."""
        self._prepared: set[bytes] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._socket = -1
        self._more = select.poll()
        self._transformer = Transformer()

    # ---- opening and closing ----

    async def _open(self) -> pq.abc.PGconn:
        if self._pgconn is not None:
            return self._pgconn
        # By its name an instance's connection is known to the others, whatever the address says.
        given = settings(self._url, self._application)
        given["application_name"] = self._application
        if self._partitioned:  # a plan for any parameters would lock, and look at, all of them
            given["options"] = f"{given.get('options', '')} -c plan_cache_mode=force_custom_plan"
        async with asyncio.timeout(ANSWER_S):
            connection = await psycopg.AsyncConnection.connect(
                self._url.conninfo,
                autocommit=True,
                **given,  # type: ignore[arg-type]
            )
        try:
            check_server(connection.info.server_version)
        except BaseException:
            await connection.close()
            raise
        self._connection, self._pgconn = connection, connection.pgconn
        self._transformer = Transformer(connection)
        self.opened += 1
        self._prepared.clear()
        self._pgconn.nonblocking = 1
        self._socket = self._pgconn.socket
        self._more = select.poll()
        self._more.register(self._socket, select.POLLIN)
        asyncio.get_running_loop().add_reader(self._socket, self._arrived)
        return self._pgconn

    def drop(self) -> None:
        """Close at once, without a word to the server: it rolls back what was not committed."""
        self._ended(psycopg.OperationalError("the connection was closed"))

    def _ended(self, error: psycopg.Error) -> None:
        """Let go of the connection at once, and tell who waits for it.

        libpq closes the socket of one that is lost by itself, and the next that anyone opens gets
        its number: nothing may be said to the loop about this number later.
        """
        pgconn, self._pgconn, self._connection = self._pgconn, None, None
        if pgconn is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        loop.remove_writer(self._socket)
        pgconn.finish()
        self._wake(error)

    def _arrived(self) -> None:
        """The server sent something, or is gone: take all there is.

        Of a connection that was reset uvloop tells once, however much there was to read before.
        """
        pgconn = self._pgconn
        if pgconn is None:
            return
        try:
            pgconn.consume_input()
            while self._more.poll(0):
                pgconn.consume_input()
            if self._waiter is not None and not pgconn.is_busy():
                self._wake()
            if pgconn.status == pq.ConnStatus.BAD:
                self.drop()
        except psycopg.Error as error:
            self._ended(error)

    def _wake(self, error: Exception | None = None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    # ---- asking ----

    async def fetch(self, statement: Statement, bound: Bound) -> list[tuple[Any, ...]]:
        """Run one statement by itself; its rows."""
        return (await self.fetch_all([(statement, bound)]))[0]

    async def fetch_all(
        self, wanted: Sequence[tuple[Statement, Bound]], *, together: bool = False
    ) -> list[list[tuple[Any, ...]]]:
        """Run statements in one round trip; their rows. `together`: in one transaction."""
        pgconn = await self._open()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._prepare(pgconn, [one for one, _ in wanted])
                if len(wanted) == 1:
                    ((one, bound),) = wanted
                    pgconn.send_query_prepared(one.name, one.values(bound))
                    await self._flush(pgconn)
                    return [self._rows(await self._results(pgconn))]
                return await self._pipelined(pgconn, wanted, together=together)
        except BaseException:  # rare, and never worth going on with what may be half answered
            self.drop()
            raise

    async def _pipelined(
        self,
        pgconn: pq.abc.PGconn,
        wanted: Sequence[tuple[Statement, Bound]],
        *,
        together: bool,
    ) -> list[list[tuple[Any, ...]]]:
        pgconn.enter_pipeline_mode()
        for one, bound in wanted:
            pgconn.send_query_prepared(one.name, one.values(bound))
            if not together:  # a sync ends a transaction
                pgconn.pipeline_sync()
        if together:
            pgconn.pipeline_sync()
        await self._flush(pgconn)
        found, failed = [], None
        for _ in wanted:
            results = await self._results(pgconn)
            try:
                found.append(self._rows(results))
            except psycopg.Error as error:
                failed = failed or error
            if not together:
                await self._results(pgconn, sync=True)
        if together:
            await self._results(pgconn, sync=True)
        pgconn.exit_pipeline_mode()
        if failed is not None:
            raise failed
        return found

    async def _prepare(self, pgconn: pq.abc.PGconn, wanted: Sequence[Statement]) -> None:
        for one in wanted:
            if one.name not in self._prepared:
                pgconn.send_prepare(one.name, one.text)
                await self._flush(pgconn)
                self._rows(await self._results(pgconn))
                self._prepared.add(one.name)

    def _rows(self, results: list[pq.abc.PGresult]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for result in results:
            if result.status == pq.ExecStatus.TUPLES_OK:
                self._transformer.set_pgresult(result)
                rows = self._transformer.load_rows(0, result.ntuples, tuple)
            elif result.status in _BAD:
                raise error_from_result(result)
        return rows

    async def _results(self, pgconn: pq.abc.PGconn, *, sync: bool = False) -> list[pq.abc.PGresult]:
        """Results up to the end of the statement, or the pipeline's next mark."""
        found: list[pq.abc.PGresult] = []
        while True:
            if pgconn.is_busy():
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter
                continue
            result = pgconn.get_result()
            if result is None:
                return found
            found.append(result)
            if sync or result.status in (pq.ExecStatus.COPY_IN, pq.ExecStatus.PIPELINE_SYNC):
                return found

    async def _flush(self, pgconn: pq.abc.PGconn) -> None:
        loop = asyncio.get_running_loop()
        while pgconn.flush():
            self._waiter = loop.create_future()
            loop.add_writer(self._socket, self._wake)
            try:
                await self._waiter
            finally:
                if self._pgconn is pgconn:  # else the number is another's by now
                    loop.remove_writer(self._socket)

    # ---- a script with a gate ----

    async def script(self, text: str, rows: bytes, gate: Gate) -> None:
        """Run statements of which one is `COPY … FROM STDIN`, which takes `rows`.

        `gate` sees the results before it, and may return an error to be raised instead: nothing is
        stored then.
        """
        pgconn = await self._open()
        try:
            async with asyncio.timeout(SETTLE_S):
                pgconn.send_query(text.encode())
                await self._flush(pgconn)
                before = await self._results(pgconn)
                self._rows(before)
                refused = gate(before)
                if refused is None and rows:
                    await self._put(pgconn, rows)
                pgconn.put_copy_end(None if refused is None else b"refused")
                await self._flush(pgconn)
                after = await self._results(pgconn)
                if refused is None:
                    self._rows(after)
                    return
        except BaseException:
            self.drop()
            raise
        self.drop()
        raise refused

    async def _put(self, pgconn: pq.abc.PGconn, rows: bytes) -> None:
        while not pgconn.put_copy_data(rows):
            await self._flush(pgconn)

    def literal(self, text: str) -> str:
        """Quote a text for a script."""
        doubled = text.replace("'", "''")
        return f" E'{doubled}'".replace("\\", "\\\\") if "\\" in text else f"'{doubled}'"


_BAD = (
    pq.ExecStatus.FATAL_ERROR,
    pq.ExecStatus.BAD_RESPONSE,
    pq.ExecStatus.NONFATAL_ERROR,
    pq.ExecStatus.PIPELINE_ABORTED,
)
