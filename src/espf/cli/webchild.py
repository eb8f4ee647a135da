"""The web side as a child of `espf serve`: started again when it ends, gone when its parent is.

It holds the other end of our pipe as its standard input, so that even a parent that is killed takes
it along. The listening socket is ours: connections wait while it is being started again.
"""

import asyncio
import contextlib
import signal
import socket
import subprocess

import structlog

from espf.cli.children import ESPF, child_environment
from espf.config import Config

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
WELL_AFTER_S = 60.0
END_S = 5.0

_log = structlog.get_logger("espf.web")


class WebChild:
    """Runs `espf web` for as long as `run` is not cancelled."""

    def __init__(self, config: Config, listener: socket.socket) -> None:
        self.ready = asyncio.Event()
        """Set when the child first says that it answers."""
        self._config = config
        self._listener = listener
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start the child again and again, with longer pauses while it does not live long."""
        loop = asyncio.get_running_loop()
        pause_s = FIRST_PAUSE_S
        while True:
            began = loop.time()
            status = await self._once()
            lived_s = loop.time() - began
            pause_s = FIRST_PAUSE_S if lived_s > WELL_AFTER_S else min(pause_s * 2, MAX_PAUSE_S)
            _log.error("web.ended", status=status, again_in_s=pause_s)
            await asyncio.sleep(pause_s)

    async def _once(self) -> int:
        number = self._listener.fileno()
        self._process = await asyncio.create_subprocess_exec(
            *ESPF,
            "web",
            "--host",
            self._config.host,
            "--listener-fd",
            str(number),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment(self._config),
            pass_fds=[number],
            start_new_session=True,  # Ctrl-C is for us, who then end it
        )
        assert self._process.stdout is not None
        try:
            if await self._process.stdout.readline():
                self.ready.set()
            return await self._process.wait()
        except asyncio.CancelledError:
            await self._end()
            raise

    async def _end(self) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(END_S):
                await self._process.wait()
        except TimeoutError:
            self.end()

    def end(self) -> None:
        """Kill it, if it is still there."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
