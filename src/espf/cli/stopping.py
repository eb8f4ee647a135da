"""Ctrl-C in a command that works in portions: it stops where what it says is true."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stops_between_portions() -> Iterator[Callable[[], None]]:
    """Give what is to be called after each portion: it raises KeyboardInterrupt after a Ctrl-C.

    A second Ctrl-C does not wait for the portion's end.
    """
    wanted = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal wanted
        if wanted:
            raise KeyboardInterrupt
        wanted = True

    def check() -> None:
        if wanted:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # somebody else's business, or nobody's
        yield check
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
