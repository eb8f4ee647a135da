"""Port: what carries out fan-outs."""

from typing import NamedTuple, Protocol

from espf.dispatch.derivation import Derivation


class Progress(NamedTuple):
    """How far a fan-out is after a portion."""

    derived: int
    """Events derived in all."""
    done: bool
    reason: str | None = None
    """Why nothing is derived, or nothing more."""
    ours: bool = True
    """False: it had all been done before."""
    fails: bool = False
    """The reason is one that somebody should look at."""


class Fanouts(Protocol):
    """Everything raises StorageError only."""

    async def advance(self, derivation: Derivation) -> Progress:
        """Derive the next portion, and note how far it is, in one transaction.

        Each event is derived once, whoever asks and however often: a crash, a second dispatcher and
        a repeat by hand go on where it stands.
        """

    async def close(self) -> None:
        """Give up the connection."""
