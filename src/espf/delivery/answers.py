"""What an answer means for its event (domain, 2.5): the code decides, the body is only logged."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from espf.clock import Clock
from espf.delivery.masking import Mask
from espf.delivery.model import Response
from espf.handlers.port import Delivered, Rejected, RetryLater

CODES = range(200, 600)
"""Those of a final answer; 1xx only go before one."""
SEPARATORS = re.compile(r"[\s,]+")
SECONDS = re.compile(r"[0-9]+", re.ASCII)
LONGEST_WAIT_S = 1e9


def parse_codes(text: str) -> frozenset[int]:
    """Status codes as an operator writes them: `200`, `200,202`, `2xx`; empty gives none.

    Raises ValueError with a sentence that names the part it cannot take.
    """
    codes: set[int] = set()
    for part in filter(None, SEPARATORS.split(text)):
        codes.update(_codes(part))
    return frozenset(codes)


def _codes(part: str) -> Iterable[int]:
    if re.fullmatch(r"[2-5]xx", part, re.IGNORECASE):
        return range(int(part[0]) * 100, int(part[0]) * 100 + 100)
    if re.fullmatch(r"[0-9]{3}", part, re.ASCII) and int(part) in CODES:
        return (int(part),)
    raise ValueError(
        f"{part[:20]!r} is no status code; write codes from 200 to 599, such as 200,202 or 2xx"
    )


def parse_retry_after(text: str, now_us: int) -> float | None:
    """Seconds that a Retry-After asks for, from seconds or a date; None if it says neither.

    A date in the past gives 0. `now_us` is the wall clock (RFC 9110, 10.2.3).
    """
    text = text.strip()
    if SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:  # the asctime form, which is in UTC too
            at = at.replace(tzinfo=UTC)
        wait_s = (at - datetime.fromtimestamp(now_us / 1_000_000, UTC)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return max(0.0, wait_s)


class AnswerRules:
    """Judges answers by a handler's SuccessCodes and TemporaryCodes, and masks their text."""

    def __init__(
        self,
        success: frozenset[int],
        temporary: frozenset[int],
        secrets: Iterable[str],
        clock: Clock,
    ) -> None:
        self._success = success
        self._temporary = temporary
        self._mask = Mask(secrets)
        self._clock = clock
        self._seen = (b"", False)
        self._seen_text = ""

    def judge(self, response: Response, request: str) -> Delivered | Rejected | RetryLater:
        """Say what becomes of the event; `request` is the body sent, for the attempt log."""
        status = response.status
        answer = self._text(response)
        if status in self._success:
            return Delivered(request, status, answer)
        if 400 <= status < 500 and status not in self._temporary:
            reason = f"answered {status}, which is final unless EventSender.TemporaryCodes names it"
            return Rejected(request, reason, status, answer)
        wait_s = None
        if response.retry_after is not None:
            wait_s = parse_retry_after(response.retry_after, self._clock.now_us())
        return RetryLater(request, _reason(status), status, answer, wait_s)

    def _text(self, response: Response) -> str:
        """The masked body. A receiver mostly answers the same, so the last one is remembered."""
        body = response.body
        if not body:
            return ""
        if (body, response.truncated) != self._seen:
            self._seen = (body, response.truncated)
            self._seen_text = self._mask.answer(body, cut=response.truncated)
        return self._seen_text


def _reason(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed, so set the final URL"
    if 200 <= status < 300:
        return f"answered {status}, which EventSender.SuccessCodes does not name"
    return f"answered {status}"
