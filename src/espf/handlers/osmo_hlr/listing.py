"""The list of all subscribers, which only osmo-hlr's VTY gives: the control interface has none."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

from espf.delivery.address import resolve
from espf.delivery.errors import FOREIGN, translated
from espf.handlers.contract.failures import NotNow

_ROW = re.compile(r"\s*\d+\s+\S+\s+(\d{6,15})\s")
"""`ID MSISDN IMSI IMEI NAM`."""
_SHOWN = re.compile(r"\s*Subscribers Shown: (\d+)")
_NONE = "% No matching subscriber(s)"
_MEND = "; or set OsmoHLR.VTYPort to 0, and audits do without"


class Vty:
    """The VTY of one osmo-hlr."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        """`timeout_s` is how long it may be silent."""
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._place = f"the VTY of osmo-hlr at {host}:{port}"

    async def imsis(self) -> AsyncIterator[str]:
        """Every subscriber's IMSI. Raises NotNow, also if the list turns out not to be whole."""
        reader, writer = await self._connect()
        try:
            writer.write(b"show subscribers all\r\n")
            listed = 0
            while (line := await self._line(reader)) != _NONE:
                if found := _SHOWN.match(line):
                    self._check(listed, int(found[1]))
                    return
                if found := _ROW.match(line):
                    listed += 1
                    yield found[1]
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._timeout_s):
                address = str((await resolve(self._host, self._port, ()))[0])
                return await asyncio.open_connection(address, self._port)
        except FOREIGN as error:  # TimeoutError is among them
            raise NotNow(f"{translated(error, self._place, sent=False)}{_MEND}") from None

    async def _line(self, reader: asyncio.StreamReader) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                line = await reader.readline()
        except (OSError, ValueError) as error:
            how = "was silent for too long" if isinstance(error, TimeoutError) else "was lost"
            raise NotNow(f"{self._place} {how} while it listed subscribers{_MEND}") from None
        text = line.decode("utf-8", "replace").strip()
        if not line or "Unknown command" in text or text.endswith("Password:"):
            raise NotNow(f"{self._place} lists no subscribers (a password?){_MEND}")
        return text

    def _check(self, listed: int, shown: int) -> None:
        if listed != shown:
            raise NotNow(
                f"{self._place} says that it shows {shown} subscribers, and shows {listed}"
            )
