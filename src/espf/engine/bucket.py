"""Token bucket of one handler: slices drawn from the stored bucket, and a strict second.

The stored bucket holds for the fleet and survives a restart; this instance draws what it needs for
the next 100 ms at most. On top, in no second does it send more than the burst (domain, 2.2): a
plain bucket would let burst + rate through in its first second.
"""

from collections import deque

from espf.eventlog.model import TokensGiven, TokenWish

SLICE_S = 0.1
SPARE_S = 0.002
"""The stored bucket takes a token for used this soon after it was given."""
_LEAST_SLICE = 64  # one commit for each token would cost more than it saves
_SHARES = 8  # where others draw, too, none takes all that a second has
_SLOT_S = 0.001
_LEAVES_S = 0.003
"""A request leaves this soon after its token was taken, or the bucket is told."""
_SECOND_S = 1 + _SLOT_S + _LEAVES_S
_COUNTS_S = 0.9
"""After which the stored bucket may no longer count a grant: it does for a second."""
_SOON_S = _COUNTS_S - 3 * SLICE_S
"""A token used this soon after it was taken is still counted when the stored bucket hears of it."""


class Bucket:
    """What may be sent now. `rate` tokens a second, `burst` in any second."""

    def __init__(self, rate: float, burst: int, *, shared: bool = False) -> None:
        """`shared`: other instances draw from the stored bucket as well."""
        self._slice = max(burst // _SHARES if shared else _LEAST_SLICE, int(rate * SLICE_S), 1)
        self.rate = rate
        self.burst = burst
        self._slices: deque[list[float]] = deque()
        """[when it was asked for, tokens left], oldest first."""
        self._stale: list[list[float]] = []
        self._more_s = 0.0
        self._late: deque[list[float]] = deque()
        self._sent: deque[list[float]] = deque()
        """[when, to the slot; how many], oldest first."""
        self._sent_in_second = 0

    def take(self, now_s: float) -> bool:
        """Take one token for a request that is sent right now."""
        slices = self._slices
        while slices and (slices[0][1] < 1 or now_s - slices[0][0] > SLICE_S):
            self._stale.append(slices.popleft())
        if not slices or self._room(now_s) < 1:
            return False
        slices[0][1] -= 1
        if now_s - slices[0][0] > SPARE_S:
            _note(self._late, now_s)
        self._count(now_s)
        return True

    def held_up(self, now_s: float, by_s: float) -> None:
        """A request leaves only now, `by_s` after its token was taken: it counts from now on."""
        self._room(now_s)
        if self._sent and by_s < _SOON_S:
            # Nobody knows which: of the oldest, so that none counts for too short a time.
            self._sent[0][1] -= 1
            self._sent_in_second -= 1
            if not self._sent[0][1]:
                self._sent.popleft()
            _note(self._late, now_s)
        self._count(now_s)

    def soon(self, now_s: float) -> int:
        """How many are likely to be used before a slice is stale: twice as many as lately."""
        self._room(now_s)
        return int(2 * SLICE_S * self._sent_in_second)

    @property
    def owes_word(self) -> bool:
        """Whether the stored bucket is to be told of tokens that were used late."""
        return bool(self._late)

    def _count(self, now_s: float) -> None:
        _note(self._sent, now_s)
        self._sent_in_second += 1

    def _room(self, now_s: float) -> int:
        # A slot counts until all of it has left for a second: none holds more than the burst then.
        while self._sent and self._sent[0][0] + _SECOND_S <= now_s:
            self._sent_in_second -= int(self._sent.popleft()[1])
        return self.burst - self._sent_in_second

    def wish(self, waiting: int, now_s: float) -> TokenWish:
        """What to draw now for `waiting` requests: what 100 ms can use, nothing for later.

        What was drawn and not used for as long goes back: another instance may use it.
        """
        while self._slices and now_s - self._slices[0][0] > SLICE_S:
            self._stale.append(self._slices.popleft())
        stale, self._stale = self._stale, []
        returned = sum(tokens for _, tokens in stale)
        expired = sum(tokens for asked_s, tokens in stale if now_s - asked_s >= _COUNTS_S)
        here = sum(tokens for _, tokens in self._slices)
        late = tuple((max(0, int((now_s - at_s) * 1e6)), int(used)) for at_s, used in self._late)
        self._late.clear()
        most = min(waiting, self._room(now_s), self._slice)
        wanted = max(0.0, most - here)
        return TokenWish(wanted, returned, self.rate, self.burst, expired, late)

    def put(self, given: TokensGiven, asked_s: float, now_s: float) -> None:
        """Add what the stored bucket gave: at some time since it was asked."""
        if given.tokens:
            self._slices.append([asked_s, given.tokens])
        self._more_s = now_s + given.wait_s

    def wait_s(self, now_s: float) -> float:
        """How long to wait before looking again: for a token, or for room in the second."""
        if self._room(now_s) < 1:
            return max(_SLOT_S, self._sent[0][0] + _SECOND_S - now_s)
        # The bucket may get tokens back from another instance: never sleep until it is full.
        return min(SLICE_S, max(_SLOT_S, self._more_s - now_s))


def _note(slots: deque[list[float]], now_s: float) -> None:
    slot = now_s - now_s % _SLOT_S
    if slots and slots[-1][0] == slot:
        slots[-1][1] += 1
    else:
        slots.append([slot, 1.0])
