"""Names that operators give: what is unknown is refused with the nearest right one."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from espf.errors import ConfigError

if TYPE_CHECKING:
    from espf.eventlog.operations import Operations

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGO = re.compile(r"(\d{1,6})([smhd])", re.ASCII)


def require_handler(operations: "Operations", name: str | None) -> None:
    """Raise ConfigError if a handler is named and there is none of that name."""
    from espf.events.catalogue import did_you_mean, nearest, shown

    if name is None:
        return
    names = [row.name for row in operations.handlers()]
    if name not in names:
        hint = did_you_mean(nearest(name, names))
        raise ConfigError(f'There is no handler named "{shown(name)}"{hint}')


def event_types(patterns: Sequence[str] | None) -> list[str] | None:
    """Canonical types that names, aliases or patterns stand for; None for none given."""
    from espf.events.catalogue import Catalogue
    from espf.events.patterns import select, split_patterns

    wanted = [part for text in patterns or () for part in split_patterns(text)]
    return sorted(select(wanted, Catalogue.load().spellings)) if wanted else None


def entity_key(text: str | None) -> tuple[str | None, int | None]:
    """`account:123`, or `account` alone, as (kind, key)."""
    from espf.events.catalogue import Catalogue, did_you_mean, nearest, shown

    if text is None:
        return None, None
    kind, mark, key = text.partition(":")
    kinds = {of.entity for of in Catalogue.load().types.values()}
    if kind not in kinds:
        raise typer.BadParameter(f"{shown(kind)} is no entity{did_you_mean(nearest(kind, kinds))}")
    if not mark:
        return kind, None
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise typer.BadParameter(f"{shown(key)} is not a numeric key; write {kind}:123.")
    return kind, int(key)


def moment(text: str | None, now_us: int) -> int | None:
    """A time in UTC (`2026-11-23`, `2026-11-23 20:40:11`, ISO 8601) or ago (`90s`, `10m`, `2d`)."""
    from datetime import UTC, datetime

    if text is None:
        return None
    if ago := _AGO.fullmatch(text):
        return now_us - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        return int(found.timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text[:40]!r} is no time; write 2026-11-23, '2026-11-23 20:40:11' or 10m (ago)."
        ) from None
