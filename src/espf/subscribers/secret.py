"""A secret on its way from the registry to a far side: never shown on that way."""

from collections.abc import Callable
from typing import NoReturn

SHOWN = "…"


class Secret:
    """A text that is shown as `…` wherever it lands by accident; `reveal()` gives it.

    One that comes from the registry is decrypted when it is first revealed or compared.
    """

    __slots__ = ("_open", "_text")

    def __init__(self, text: str = "") -> None:
        self._text: str | None = text
        self._open: Callable[[], str] | None = None

    @classmethod
    def sealed(cls, ciphertext: str, decrypt: Callable[[str], str]) -> "Secret":
        """One that is stored encrypted; an empty ciphertext is an empty secret."""
        made = cls()
        if ciphertext:
            made._text, made._open = None, lambda: decrypt(ciphertext)
        return made

    def reveal(self) -> str:
        """The text itself. Raises StorageError if it was encrypted with another key."""
        if self._text is None:
            assert self._open is not None
            self._text = self._open()
        return self._text

    def __bool__(self) -> bool:
        """Whether there is one at all. Decrypts nothing."""
        return self._text != ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.reveal() == other.reveal()

    def __hash__(self) -> int:
        return hash(self.reveal())

    def __repr__(self) -> str:
        return SHOWN if self else "Secret()"

    def __str__(self) -> str:
        return SHOWN if self else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled")


NO_SECRET = Secret()
"""One that is not set."""
