"""An answer's body as text that may be logged: no secret, nothing a terminal would obey."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

STARS = "***"
HEX_KEY = r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{32,}(?![0-9A-Fa-f])"
"""Ki and OPc have 32 hexadecimal digits (domain, 6.1); in a longer run there may be two."""
CUT_HEX = re.compile(r"[0-9A-Fa-f]{8,31}\Z")
"""What may be the beginning of one, where the text was cut off."""
SHORTEST_CUT = 3
"""Fewer characters of a secret at a cut tell nothing."""

VISIBLE = {
    **{code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    # Marks that turn the direction of writing would let an answer forge the line it is shown in.
    **{
        code: f"\\u{code:04x}"
        for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    },
}


class Mask:
    """Replaces secrets by `***`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._forms = sorted(forms, key=len, reverse=True)  # a secret may hold another one
        self._pattern = re.compile("|".join([*map(re.escape, self._forms), HEX_KEY]))

    def text(self, text: str, *, cut: bool = False) -> str:
        """Mask the text; `cut`: it was longer, and its end may be the beginning of a secret."""
        masked = self._pattern.sub(STARS, text)
        return self._end(masked) if cut else masked

    def answer(self, body: bytes, *, cut: bool = False) -> str:
        """Decode, mask and make control characters visible, all but line feed and tab."""
        return self.text(body.decode("utf-8", "replace"), cut=cut).translate(VISIBLE)

    def _end(self, text: str) -> str:
        for form in self._forms:
            for length in range(len(form) - 1, SHORTEST_CUT - 1, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + STARS
        return CUT_HEX.sub(STARS, text)


def _forms(secret: str) -> tuple[str, ...]:
    """The secret as it is, within JSON, and within a URL: receivers echo it in each."""
    return (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
    )
