"""Serves the web side with uvicorn on a socket that is listening already."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_WAIT_S = 5.0


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def run_server(
    application: Any, listener: socket.socket, ready: Callable[[], None], *, with_parent: bool
) -> None:
    """Answer until SIGTERM or SIGINT, or `with_parent`, until standard input ends."""
    listener.setblocking(False)
    config = uvicorn.Config(
        application,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    if with_parent:
        threading.Thread(target=_follow_parent, daemon=True).start()
    with _quiet_end():
        _Server(config, ready).run(sockets=[listener])


def _follow_parent() -> None:
    """The parent holds the other end of standard input: when it is gone, however, so are we."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_LAST_WAIT_S)
    os._exit(1)


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
