"""Handlers' secrets on their way to the database and back: `{"encrypted": "…"}` at rest."""

from collections.abc import Callable, Mapping
from typing import Protocol

from espf.errors import StorageError

SEALED = "encrypted"


class Box(Protocol):
    """What encrypts: `espf.secrets.SecretBox`."""

    def encrypt(self, text: str) -> str:
        """Ciphertext."""

    def decrypt(self, ciphertext: str) -> str:
        """The text. Raises StorageError if another key encrypted it."""


def is_sealed(value: object) -> bool:
    """Whether a stored option is a secret."""
    return isinstance(value, Mapping) and SEALED in value


def seal(text: str, box: Box) -> dict[str, str]:
    """A secret as it is stored."""
    return {SEALED: box.encrypt(text)}


def unseal(options: Mapping[str, object], open_box: Callable[[], Box]) -> dict[str, object]:
    """Stored options with their secrets in clear.

    The box is opened only if there is a secret. Raises StorageError for one of another key.
    """
    return {
        name: unsealed(value, open_box()) if is_sealed(value) else value
        for name, value in options.items()
    }


def unsealed(value: object, box: Box) -> str:
    """One secret in clear. Raises StorageError for one of another key, or one that is damaged."""
    ciphertext = value.get(SEALED) if isinstance(value, Mapping) else None
    if not isinstance(ciphertext, str):
        raise StorageError("A stored secret is damaged; set it again with `espf apply`.")
    return box.decrypt(ciphertext)


def shown_options(options: Mapping[str, object]) -> dict[str, object]:
    """Stored options for people: of a secret only that it is set."""
    return {name: "set" if is_sealed(value) else value for name, value in options.items()}
