"""Port: how far provisioning came, where the far side itself cannot be asked, and resyncs.

Of what a far side was given only keyed digests are stored: enough to see that it is to be given
something else, and no secret.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class ResyncMark(NamedTuple):
    """How far a resync came."""

    i_account: int
    """Accounts up to this one are through."""
    done: int
    failed: int
    started_us: int


class StepStore(Protocol):
    """SQLite and PostgreSQL implement it. Everything raises StorageError only."""

    async def parts(self, i_handler: int, identity: str) -> dict[str, str]:
        """Parts that the far side was given, with their digests."""

    async def note(self, i_handler: int, identity: str, parts: Mapping[str, str]) -> None:
        """The far side has accepted these parts; others stay as they are. Durable on return."""

    async def forget(self, i_handler: int, identity: str) -> None:
        """Nothing is known of this identity any more."""

    async def mark(self, i_handler: int, scope: str) -> ResyncMark | None:
        """Where a resync of this scope was stopped, None if none was."""

    async def set_mark(self, i_handler: int, scope: str, mark: ResyncMark | None) -> None:
        """Store how far it is; None: it is through."""

    async def close(self) -> None:
        """Give up the connection."""


@dataclass(frozen=True, slots=True)
class StepMemory:
    """The store as one handler sees it."""

    store: StepStore
    i_handler: int
    key: Callable[[], bytes]
    """The installation's key for digests."""

    async def parts(self, identity: str) -> dict[str, str]:
        """Parts that the far side was given, with their digests."""
        return await self.store.parts(self.i_handler, identity)

    async def note(self, identity: str, parts: Mapping[str, str]) -> None:
        """The far side has accepted these parts."""
        await self.store.note(self.i_handler, identity, parts)

    async def forget(self, identity: str) -> None:
        """Nothing is known of this identity any more."""
        await self.store.forget(self.i_handler, identity)

    def digest(self, text: str) -> str:
        """The digest of a part; keyed, or a PIN could be found by trying all there are."""
        return hmac.new(self.key(), text.encode(), hashlib.sha256).hexdigest()
