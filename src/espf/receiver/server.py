"""Serve the receiving application with uvicorn until Ctrl-C or SIGTERM."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from espf.errors import ProvisioningError
from espf.receiver.app import ABORT, ReceiverApp, create_app
from espf.receiver.options import ReceiverOptions

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Protocol(HttpToolsProtocol):
    """Offers the application a way to close the connection unanswered, which ASGI has not."""

    def on_message_begin(self) -> None:
        """Begin a request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"close": self.transport.close}}


class _Server(uvicorn.Server):
    """Tells the application that the end is near, so that no delayed answer holds it up."""

    def __init__(self, config: uvicorn.Config, app: ReceiverApp) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what is open, end."""
        self._app.stopping.set()
        await super().shutdown(sockets)


def run(options: ReceiverOptions) -> None:
    """Listen, print where, and serve until told to stop.

    Raises ProvisioningError if the address cannot be used, StorageError for the record's files.
    """
    listener = _listen(options.host, options.port)
    try:
        app = create_app(options)
    except BaseException:
        listener.close()
        raise
    print(f"listening on {_url(listener)}", flush=True)
    try:
        with _quiet_end():
            server(app).run(sockets=[listener])
    finally:
        app.close()
        listener.close()


def server(app: ReceiverApp) -> uvicorn.Server:
    """A uvicorn server for the application that can also drop connections."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, app)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise ProvisioningError(
            f"The receiver cannot listen on {host} port {port}: {error.strerror or error}. "
            "Choose another with --port (0 takes any free one)."
        ) from error
    listener.setblocking(False)
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


@contextmanager
def _quiet_end() -> Iterator[None]:
    """Let a stop signal end the process well: uvicorn raises it again once it has shut down."""
    before = {number: signal.signal(number, _ignore) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; the server has ended already."""
