"""Write down what came, one line of JSON for each request, secrets masked."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from espf.errors import StorageError
from espf.receiver.request import Request

_ALWAYS_MASKED = frozenset({"authorization", "proxy-authorization", "cookie"})


class Entry(NamedTuple):
    """One request and what became of it."""

    now_us: int
    """When it had come in whole, microseconds since 1970-01-01 UTC."""
    request: Request
    status: int | None
    """What is answered; None when the connection is dropped."""
    event: dict[str, Any] | None = None
    """The body, if it was one."""
    duplicate: bool = False
    """An event with this `i_event` was acted upon before."""
    reason: str | None = None
    """Why it was refused."""
    i_event: int | None = None
    """Number of an event that is acted upon; None for a refused one, or one without a number."""


class Recorder:
    """Appends to a file or to standard output; each line is written out at once."""

    def __init__(self, stream: TextIO, auth_header: str, name: str = "standard output") -> None:
        self._stream = stream
        self._name = name
        self._masked = _ALWAYS_MASKED | {auth_header.lower()}

    @classmethod
    def to_file(cls, path: Path, auth_header: str) -> "Recorder":
        """Append to a file. Raises StorageError if it cannot be written."""
        try:
            return cls(path.open("a", encoding="utf-8"), auth_header, str(path))
        except OSError as error:
            raise _unwritable(str(path), error) from error

    def write(self, entry: Entry) -> None:
        """Write one line. Raises StorageError."""
        try:
            self._stream.write(json.dumps(self._line(entry), ensure_ascii=False) + "\n")
            self._stream.flush()
        except OSError as error:
            raise _unwritable(self._name, error) from error

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._name != "standard output":
            with suppress(OSError):  # a full disk, already said when the line was written
                self._stream.close()

    def _line(self, entry: Entry) -> dict[str, Any]:
        when = datetime.fromtimestamp(entry.now_us / 1_000_000, UTC)
        return {
            "time": when.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "status": entry.status,
            "duplicate": entry.duplicate,
            "event": entry.event,
            "reason": entry.reason,
            "method": entry.request.method,
            "target": entry.request.target,
            "headers": [[name, self._masked_value(name, v)] for name, v in entry.request.headers],
        }

    def _masked_value(self, name: str, value: str) -> str:
        """Keep the scheme, which helps to find mistakes, and hide all that follows."""
        if name not in self._masked:
            return value
        scheme, space, _ = value.partition(" ")
        return f"{scheme} ***" if space else "***"


def _unwritable(name: str, error: OSError) -> StorageError:
    return StorageError(f"The receiver cannot write to {name}: {error.strerror or error}.")
