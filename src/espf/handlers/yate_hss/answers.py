"""What an answer of the HSS means (domain, 6.2): HTTP 200 proves nothing, `code` decides.

| seen | means |
|---|---|
| HTTP 401, 403 | wrong settings: nothing will work, events wait |
| HTTP 400, 405, 415 | the request is refused for good |
| HTTP 500 and others | try again |
| no JSON, no `code` | try again |
| code 0 | done |
| 200, 300 | it may have acted |
| 201 | by message: nothing to delete is done, a lock or a plugin missing is tried again |
| 401, 404 with words of "there is no such card" | to be made anew, or removed already |
| 400, 401, 402, 404 | refused for good |
| 501 | its storage failed: try again |
| others | try again |
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from espf.delivery.model import Response
from espf.handlers.contract.failures import NotNow, Refused, Unclear

WRONG_SECRET = frozenset({401, 403})
REFUSED_STATUSES = frozenset({400, 405, 415})
UNCLEAR_CODES = frozenset({200, 300})
REFUSED_CODES = frozenset({400, 401, 402, 404})
UNKNOWN_CODES = frozenset({401, 404})
"""Codes of "there is no such card", among other things."""
NOTHING_TO_DELETE = "nothing to delete"
DUPLICATE_WORDS = ("duplicate", "already", "exists")


class YateAnswer(NamedTuple):
    """An answer with a `code`."""

    request: str
    code: int
    message: str
    body: dict[str, Any]
    text: str

    @property
    def done(self) -> bool:
        """Code 0."""
        return self.code == 0

    @property
    def nothing_to_delete(self) -> bool:
        """What is to be removed is not there."""
        return self.code == 201 and NOTHING_TO_DELETE in self.message.lower()

    @property
    def duplicate(self) -> bool:
        """What is to be made is there."""
        text = self.message.lower()
        return self.code == 401 and any(word in text for word in DUPLICATE_WORDS)

    def not_there(self, absent_words: Iterable[str]) -> bool:
        """It says in so many words that it has no such card: the code alone may mean anything."""
        message = self.message.lower()
        return self.code in UNKNOWN_CODES and any(word in message for word in absent_words)


def read_answer(request: str, response: Response) -> YateAnswer:
    """The answer in an HTTP response. Raises NotNow, Refused for one without a `code`."""
    text = response.body.decode("utf-8", "replace")
    status = response.status
    if status in WRONG_SECRET:
        raise NotNow(
            f"YateHSS answered {status}: it does not accept the secret; correct YateHSS.APISecret "
            "or YateHSS.AuthHeader",
            code=status,
            answer=text,
            refused=True,
        )
    if status in REFUSED_STATUSES:
        raise Refused(f"YateHSS refused {request} with HTTP {status}", code=status, answer=text)
    if status != 200:
        raise NotNow(f"YateHSS answered {request} with HTTP {status}", code=status, answer=text)
    return _of_body(request, response.body, text)


def _of_body(request: str, body: bytes, text: str) -> YateAnswer:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotNow(
            f"YateHSS answered {request} with something that is no JSON; check YateHSS.URL",
            code=200,
            answer=text,
        ) from None
    code = found.get("code") if isinstance(found, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        raise NotNow(f"YateHSS answered {request} without a code", code=200, answer=text)
    return YateAnswer(request, code, str(found.get("message", "")), found, text)


def require(answer: YateAnswer) -> YateAnswer:
    """The answer if it says that it was done. Raises NotNow, Unclear, Refused otherwise."""
    if answer.done:
        return answer
    message = answer.message or "no message"
    told = f"YateHSS answered {answer.request} with code {answer.code}: {message}"
    if answer.code in UNCLEAR_CODES:
        raise Unclear(told, code=answer.code, answer=answer.text)
    if answer.code in REFUSED_CODES:
        raise Refused(told, code=answer.code, answer=answer.text)
    raise NotNow(told, code=answer.code, answer=answer.text)
