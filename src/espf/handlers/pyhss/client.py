"""Requests to PyHSS's API, one row each."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any, Literal

import orjson

from espf import __version__
from espf.delivery.http import ClientOptions, HttpClient, Response, TlsOptions
from espf.errors import ConfigError, HandlerError
from espf.handlers.contract.http import answered
from espf.handlers.port import HandlerContext
from espf.handlers.pyhss.answers import PyhssAnswer, row_in, rows_in
from espf.handlers.pyhss.settings import PyhssSettings

Table = Literal["auc", "subscriber", "ims_subscriber", "apn"]
MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Of a page of a list; every other answer is one row."""
PAGE = 200


class PyhssClient:
    """Made inside a running event loop. Raises HandlerError if a certificate file is unusable."""

    def __init__(self, settings: PyhssSettings, context: HandlerContext) -> None:
        options = ClientOptions(
            tls=TlsOptions(ca_file=settings.tls_ca_file or None, verify=settings.tls_verify),
            local_address=context.service_ip,
            max_connections=settings.concurrency,
            max_answer_bytes=MAX_ANSWER_BYTES,
            kept_answer_bytes=MAX_ANSWER_BYTES,
        )
        try:
            self._client = HttpClient(settings.url, options, context.clock, context.may_send)
        except ConfigError as error:
            raise HandlerError(str(error)) from error
        self._base = settings.url.path.partition("?")[0].rstrip("/")
        self._timeout_s = settings.request_timeout_s
        lines = ["Accept: application/json", f"User-Agent: espf/{__version__}"]
        lines += [f"Provisioning-Key: {key}" for key in settings.secrets]
        self._head = "".join(f"{line}\r\n" for line in lines).encode()
        # With this header an empty body would be read as JSON, and refused.
        self._head_of_json = b"Content-Type: application/json\r\n" + self._head

    async def find(self, table: Table, by: str) -> dict[str, Any] | None:
        """The row under this path of the table, None if there is none (or more than one).

        Raises NotNow, Unclear, Refused.
        """
        path = f"/{table}/{by}"
        return row_in(f"GET {path}", await self._send("GET", path)).row

    async def holder(self, number: object) -> dict[str, Any] | None:
        """The IMS subscriber with this number. Raises NotNow, Unclear, Refused."""
        return await self.find("ims_subscriber", f"ims_subscriber_msisdn/{number}")

    async def create(self, table: Table, row: dict[str, Any]) -> PyhssAnswer:
        """Make a row. Raises NotNow, Unclear, Refused, Duplicate."""
        path = f"/{table}/"
        return row_in(f"PUT {path}", await self._send("PUT", path, row))

    async def change(self, table: Table, key: int, row: dict[str, Any]) -> PyhssAnswer:
        """Change columns of a row. Raises NotNow, Unclear, Refused, Duplicate."""
        path = f"/{table}/{key}"
        return row_in(f"PATCH {path}", await self._send("PATCH", path, row))

    async def remove(self, table: Table, key: int) -> PyhssAnswer:
        """Remove a row; it answers `null` for one that is not there. Raises NotNow, …, Refused."""
        path = f"/{table}/{key}"
        return row_in(f"DELETE {path}", await self._send("DELETE", path))

    async def all_of(self, table: Table) -> AsyncIterator[dict[str, Any]]:
        """Every row of a table. Raises NotNow, Unclear, Refused.

        Older releases know no pages: they give everything, each time.
        """
        last: list[dict[str, Any]] = []
        for page in count():
            path = f"/{table}/list?page={page}&page_size={PAGE}"
            rows = rows_in(f"GET /{table}/list", await self._send("GET", path))
            if rows == last:
                return
            for row in rows:
                yield row
            if len(rows) != PAGE:
                return
            last = rows

    async def _send(
        self,
        method: Literal["GET", "PUT", "PATCH", "DELETE"],
        path: str,
        row: dict[str, Any] | None = None,
    ) -> Response:
        body = b"" if row is None else orjson.dumps(row)
        head = self._head if row is None else self._head_of_json
        sent = self._client.request(method, self._base + path, head, body, self._timeout_s)
        return await answered(sent)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
