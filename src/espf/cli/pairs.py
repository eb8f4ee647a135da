"""Arguments of the form `field=value`."""

from collections.abc import Sequence

import typer


def pairs(arguments: Sequence[str] | None) -> dict[str, str]:
    """Split each at its first `=`. Wrong use if one has none, or a field comes twice."""
    found: dict[str, str] = {}
    for text in arguments or ():
        name, mark, value = text.partition("=")
        name = name.strip()
        if not mark or not name:
            raise typer.BadParameter(f"{_short(text)!r} is not of the form field=value.")
        if name in found:
            raise typer.BadParameter(f"{_short(name)} is given twice.")
        found[name] = value
    return found


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
