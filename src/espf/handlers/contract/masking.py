"""Masks a subscriber's secrets in texts that are stored or shown."""

import re
from collections.abc import Iterable

from espf.delivery.masking import STARS, VISIBLE, Mask
from espf.errors import StorageError
from espf.subscribers.secret import Secret

KEPT_CHARS = 4096
_SHORT = 8
"""A PIN of 4 digits is in many a number: so short a secret is masked where it stands alone."""


class SubscriberMask:
    """Secrets of the subscribers that an attempt is about, and the handler's secret options."""

    def __init__(self, secrets: Iterable[Secret], options: Iterable[str] = ()) -> None:
        texts = {text for secret in secrets if (text := _revealed(secret))}
        # Keys are hexadecimal, and far sides echo them in either case.
        texts |= {text.lower() for text in texts} | {text.upper() for text in texts}
        short = [re.escape(text) for text in texts if 0 < len(text) < _SHORT]
        self._mask = Mask([*options, *(text for text in texts if len(text) >= _SHORT)])
        self._short = re.compile(rf"(?<!\w)(?:{'|'.join(short)})(?!\w)") if short else None

    def text(self, text: str) -> str:
        """The text without secrets and control characters, at most 4 KB of it.

        It must come whole: a key that was cut in two is none that could be found.
        """
        masked = self._mask.text(text)
        if self._short is not None:
            masked = self._short.sub(STARS, masked)
        return masked.translate(VISIBLE)[:KEPT_CHARS]

    def texts(self, texts: Iterable[str]) -> list[str]:
        """Each of them."""
        return [self.text(text) for text in texts]


def _revealed(secret: Secret) -> str | None:
    """None for one of another key: nobody has read it, so nobody can echo it."""
    try:
        return secret.reveal()
    except StorageError:
        return None
