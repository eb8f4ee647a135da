"""Fail on purpose, as told: every request, the first few, or some at random."""

from collections.abc import Callable
from enum import Enum, auto

from espf.receiver.options import ReceiverOptions


class Fault(Enum):
    """How a request is made to fail."""

    STATUS = auto()
    DROP = auto()


class Failures:
    """Decides for each request whether it fails; counts those that did."""

    def __init__(self, options: ReceiverOptions, random: Callable[[], float]) -> None:
        self.status = options.status or 503
        self._fault = Fault.DROP if options.drop else Fault.STATUS
        self._rate = 1.0 if options.fail_rate is None else options.fail_rate
        self._left = options.times
        self._fails = options.fails
        self._random = random

    def next(self) -> Fault | None:
        """The fault of the next request, or None for it to succeed."""
        if not self._fails or self._left == 0 or self._random() >= self._rate:
            return None
        if self._left is not None:
            self._left -= 1
        return self._fault
