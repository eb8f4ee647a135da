"""Token bucket of one handler: slices drawn from the stored bucket, and a strict second.

The stored bucket holds for the fleet and survives a restart; this instance draws what it needs for
the next 100 ms at most. On top, in no second does it send more than the burst (domain, 2.2): a
plain bucket would let burst + rate through in its first second.
"""

from collections import deque

from espf.eventlog.model import TokensGiven, TokenWish

SLICE_S = 0.1
_LEAST_SLICE = 64  # one commit for each token would cost more than it saves
_SHARES = 8  # where others draw, too, none takes all that a second has
_SLOT_S = 0.001


class Bucket:
    """What may be sent now. `rate` tokens a second, `burst` in any second."""

    def __init__(self, rate: float, burst: int, *, shared: bool = False) -> None:
        """`shared`: other instances draw from the stored bucket as well."""
        self._slice = max(burst // _SHARES if shared else _LEAST_SLICE, int(rate * SLICE_S), 1)
        self.rate = rate
        self.burst = burst
        self._tokens = 0.0
        self._drawn_s = 0.0
        self._more_s = 0.0
        self._sent: deque[list[float]] = deque()
        self._sent_in_second = 0

    def take(self, now_s: float) -> bool:
        """Take one token for a request that is sent right now."""
        if self._tokens < 1 or self._room(now_s) < 1:
            return False
        self._tokens -= 1
        slot = now_s - now_s % _SLOT_S
        if self._sent and self._sent[-1][0] == slot:
            self._sent[-1][1] += 1
        else:
            self._sent.append([slot, 1.0])
        self._sent_in_second += 1
        return True

    def _room(self, now_s: float) -> int:
        # A slot counts until all of it is a second old, so no second can hold more than the burst.
        while self._sent and self._sent[0][0] + _SLOT_S + 1 <= now_s:
            self._sent_in_second -= int(self._sent.popleft()[1])
        return self.burst - self._sent_in_second

    def wish(self, waiting: int, now_s: float) -> TokenWish:
        """What to draw now for `waiting` requests: what 100 ms can use, nothing for later.

        What was drawn and not used for as long goes back: another instance may use it.
        """
        stale = self._tokens if now_s - self._drawn_s > SLICE_S else 0.0
        self._tokens -= stale
        most = min(waiting, self._room(now_s), self._slice)
        return TokenWish(max(0.0, most - self._tokens), stale, self.rate, self.burst)

    def put(self, given: TokensGiven, now_s: float) -> None:
        """Add what the stored bucket gave."""
        self._tokens += given.tokens
        self._drawn_s = now_s
        self._more_s = now_s + given.wait_s

    def wait_s(self, now_s: float) -> float:
        """How long to wait before looking again: for a token, or for room in the second."""
        if self._room(now_s) < 1:
            return max(_SLOT_S, self._sent[0][0] + _SLOT_S + 1 - now_s)
        # The bucket may get tokens back from another instance: never sleep until it is full.
        return min(SLICE_S, max(_SLOT_S, self._more_s - now_s))
