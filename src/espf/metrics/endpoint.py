"""What an instance answers: /metrics, and /healthz and /readyz for those who look after it."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from pydantic import SecretStr

from espf.clock import Clock
from espf.errors import StorageError
from espf.metrics.access import may_read
from espf.metrics.beside import Shared
from espf.metrics.counts import InstanceCounts
from espf.metrics.exposition import instance_page
from espf.metrics.reading import VitalsReader
from espf.metrics.server import Request, Response

STUCK_S = 10.0
"""A loop that did nothing for so long is not only busy: it should be started again."""
READ_S = 5.0
"""A database that takes longer to answer is as good as away."""
BEAT_S = 1.0
_Result = TypeVar("_Result")


class Heart:
    """Shows that the engine's loop goes round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat_s = clock.monotonic()

    async def run(self) -> None:
        """Beat for ever, on the loop that is watched."""
        while True:
            self._beat_s = self._clock.monotonic()
            await asyncio.sleep(BEAT_S)

    @property
    def beats(self) -> bool:
        """Whether the loop went round lately."""
        return self._clock.monotonic() - self._beat_s < STUCK_S


class Endpoint:
    """Answers for one instance, from the server's loop."""

    def __init__(
        self,
        name: str,
        counts: InstanceCounts,
        heart: Heart,
        reader: VitalsReader,
        has_lease: Callable[[], bool],
        token: SecretStr | None,
    ) -> None:
        self._name = name
        self._counts = counts
        self._heart = heart
        self._vitals = Shared(reader.read)
        self._database = Shared(reader.check)
        self._has_lease = has_lease
        self._token = token

    async def answer(self, request: Request) -> Response:
        """The page of that path."""
        match request.path:
            case "/metrics":
                return await self._metrics(request)
            case "/healthz":
                return _verdict({"loop": self._heart.beats})
            case "/readyz":
                return await self._ready()
            case _:
                return Response(HTTPStatus.NOT_FOUND, b"/metrics, /healthz, /readyz\n")

    async def _metrics(self, request: Request) -> Response:
        # Whoever named an address for this endpoint meant it to be read there; a token narrows it.
        if self._token and not may_read(request.client, request.headers, self._token):
            return Response(HTTPStatus.FORBIDDEN, b"send the token: Authorization: Bearer ...\n")
        reading = await _within(self._vitals)
        page = instance_page(self._name, self._counts, reading, request.headers.get("accept", ""))
        return Response(HTTPStatus.OK, page.body, page.content_type)

    async def _ready(self) -> Response:
        database = await _within(self._database)
        return _verdict(
            {
                "loop": self._heart.beats,
                "database": database is not None,
                "lease": self._has_lease(),
            }
        )


async def _within(work: Shared[_Result]) -> _Result | None:
    """What it gives, None if the database is away: the engine logs why."""
    try:
        return await work.result(READ_S)
    except (StorageError, TimeoutError):
        return None


def _verdict(parts: dict[str, bool]) -> Response:
    """Which part fails, not why: the log says that to who may read it."""
    body = "".join(f"{name}: {'ok' if well else 'failed'}\n" for name, well in parts.items())
    status = HTTPStatus.OK if all(parts.values()) else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(status, body.encode())
