"""Sends requests to the HSS's JSON API: one POST each."""

from typing import Any

import orjson

from espf import __version__
from espf.delivery.http import ClientOptions, HttpClient, TlsOptions
from espf.errors import ConfigError, HandlerError
from espf.handlers.contract.http import answered
from espf.handlers.port import HandlerContext, Iteration
from espf.handlers.yate_hss.answers import YateAnswer, read_answer
from espf.handlers.yate_hss.settings import YateHssSettings

KEPT_ANSWER_BYTES = 64 * 1024
"""An answer is read, not only logged; none is longer by far."""


class YateClient:
    """Made inside a running event loop. Raises HandlerError if a certificate file is unusable."""

    def __init__(self, settings: YateHssSettings, context: HandlerContext) -> None:
        options = ClientOptions(
            tls=TlsOptions(ca_file=settings.tls_ca_file or None, verify=settings.tls_verify),
            local_address=context.service_ip,
            max_connections=settings.concurrency,
            kept_answer_bytes=KEPT_ANSWER_BYTES,
        )
        try:
            self._client = HttpClient(settings.url, options, context.clock, context.may_send)
        except ConfigError as error:
            raise HandlerError(str(error)) from error
        self._node = settings.node
        self._timeout_s = settings.request_timeout_s
        self._head = (
            "Content-Type: application/json\r\n"
            f"User-Agent: espf/{__version__}\r\n"
            f"{settings.auth_header}: {settings.api_secret.get_secret_value()}\r\n"
        ).encode()

    async def call(self, request: str, params: dict[str, Any] | bytes) -> YateAnswer:
        """Send a request; `params` may be JSON already.

        Raises NotNow if it did not leave or had no effect, Unclear if it may have been carried
        out, Refused for what HTTP refuses. What `code` says is the caller's business.
        """
        given = params if isinstance(params, bytes) else orjson.dumps(params)
        body = orjson.dumps(
            {"request": request, "node": self._node, "params": orjson.Fragment(given)}
        )
        sent = self._client.post(self._head, body, self._timeout_s, Iteration(1))
        return read_answer(request, await answered(sent))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()
