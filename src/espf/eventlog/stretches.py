"""Where above its cursor a lane can have settled events: reading runs only so far ahead."""

from collections.abc import Iterable
from typing import NamedTuple

REACH = 16_384
"""Numbers above its own cursor up to which a lane may have been read.

Its reader stops within twice 4,096 of the lowest cursor it has (`engine/feeder.py`), and a lane's
own is no lower. Without a bound, a handler far behind would look at every attempt made since.
"""


class Stretch(NamedTuple):
    """Event numbers n with `after < n <= upto`."""

    after: int
    upto: int


def stretches(positions: Iterable[int]) -> list[Stretch]:
    """What lies within reach of any of these cursors, in order and without overlap.

    The lanes of one handler may stand far apart: instances of different speed had them.
    """
    found: list[Stretch] = []
    for position in sorted(positions):
        if found and position <= found[-1].upto:
            found[-1] = Stretch(found[-1].after, position + REACH)
        else:
            found.append(Stretch(position, position + REACH))
    return found
