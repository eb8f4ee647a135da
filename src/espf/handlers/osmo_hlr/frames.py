"""Messages of the control interface on the wire: IPA frames around one line of text.

A frame is a length (two bytes, big endian), 0xEE (an Osmocom protocol), 0x00 (CTRL) and the text;
the length counts what follows the 0xEE.
"""

import struct

OSMOCOM = 0xEE
CTRL = 0x00
_HEAD = struct.Struct(">HB")
LONGEST_TEXT = 0xFFFF - 1
"""What the length can count besides the byte that says CTRL."""


def frame(text: str) -> bytes:
    """The frame of a command. Raises ValueError for a text that no frame can carry."""
    payload = bytes([CTRL]) + text.encode("ascii")
    if len(payload) - 1 > LONGEST_TEXT:
        raise ValueError(f"a command of more than {LONGEST_TEXT} bytes")
    return _HEAD.pack(len(payload), OSMOCOM) + payload


class Frames:
    """Texts out of a stream of bytes, however it is cut up."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, received: bytes) -> list[str]:
        """Texts that are complete now. Frames of other protocols (IPA's own pings) are dropped."""
        self._rest += received
        texts = []
        while (payload := self._next()) is not None:
            kind, content = payload
            if kind == OSMOCOM and content[:1] == bytes([CTRL]):
                texts.append(content[1:].decode("utf-8", "replace"))
        return texts

    def _next(self) -> tuple[int, bytes] | None:
        if len(self._rest) < _HEAD.size:
            return None
        length, kind = _HEAD.unpack_from(self._rest)
        end = _HEAD.size + length
        if len(self._rest) < end:
            return None
        content = bytes(self._rest[_HEAD.size : end])
        del self._rest[:end]
        return kind, content
