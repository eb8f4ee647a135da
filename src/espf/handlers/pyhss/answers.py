"""What an answer of PyHSS means (domain, 6.5). Its texts may hold keys: these are masked, then cut.

| seen | means |
|---|---|
| 200 and an object | done, or found |
| 200 or 400 and `null` | a read: nothing there; a change: nothing done, see its log |
| 400, "IntegrityError" | a duplicate, or a row that another needs: refused for good |
| 400, "OperationalError" | its database is away or busy: try again |
| 401 | wrong key: nothing will work, events wait |
| 404 of its web server | wrong address: likewise |
| 500, "Bad Request", "keyword argument" | it does not take the request: refused for good |
| 500 and others | it may have acted |
| what is no JSON | a read: try again; a change: it may have acted |
"""

import re
from typing import Any, NamedTuple

import orjson

from espf.delivery.model import Response
from espf.handlers.contract.failures import NotNow, Refused, Unclear

_ABSENT = re.compile(r"No row was found|row does not exist|found with id", re.IGNORECASE)
_TAKEN = re.compile(
    r"UNIQUE constraint failed: \w+\.(\w+)"  # SQLite
    r"|for key '(?:\w+\.)?(\w+)'"  # MySQL, MariaDB
    r"|Key \((\w+)\)=\([^)]*\) already exists"  # PostgreSQL
)
_NOT_TAKEN = ("Bad Request", "keyword argument", "Unsupported Media Type")
_CUT = re.compile(r"(?:\[SQL:|\[parameters:|DETAIL:|\(Background on).*", re.DOTALL)
"""From here on SQLAlchemy and PostgreSQL repeat the row, keys and all."""


class Duplicate(Refused):
    """Another row has what is to be unique."""

    def __init__(self, message: str, column: str, *, code: int, answer: str) -> None:
        super().__init__(message, code=code, answer=answer)
        self.column = column
        """`imsi`, `iccid`, `msisdn`."""


class PyhssAnswer(NamedTuple):
    """An answer that is no failure."""

    status: int
    row: dict[str, Any] | None
    """None: `null`."""


def row_in(request: str, response: Response) -> PyhssAnswer:
    """The answer to a read or a change of one row. Raises NotNow, Unclear, Refused, Duplicate."""
    status, body = response.status, parsed(request, response)
    if body is None and status in (200, 400):
        return PyhssAnswer(status, None)
    if status == 200:
        if isinstance(body, dict):
            return PyhssAnswer(status, body)
        raise Unclear(f"PyHSS answered {request} with something that is no row", code=status)
    reason = _reason(body)
    if status in (404, 500) and _ABSENT.search(reason):
        return PyhssAnswer(status, None)
    raise failure(request, status, reason)


def rows_in(request: str, response: Response) -> list[dict[str, Any]]:
    """The answer to a listing. Raises NotNow, Unclear, Refused."""
    body = parsed(request, response)
    if response.status != 200:
        raise failure(request, response.status, _reason(body))
    if not isinstance(body, list) or not all(isinstance(row, dict) for row in body):
        raise Unclear(f"PyHSS answered {request} with something that is no list", code=200)
    return body


def parsed(request: str, response: Response) -> Any:
    """Its JSON. Raises NotNow, Unclear for what is none."""
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        if response.status == 200:
            told = f"PyHSS answered {request} with something that is no JSON; check PyHSS.URL"
            raise Unclear(told, code=200) from None
        raise failure(request, response.status, "") from None


def failure(request: str, status: int, reason: str) -> NotNow | Unclear | Refused:
    """What another status than 200 means."""
    shown = _CUT.sub("", reason).strip()
    told, said = f"PyHSS answered {request} with HTTP {status}", f": {shown}" if shown else ""
    # How to mend it comes first: what PyHSS says may be long, and its end is not kept.
    if status == 401:
        mend = "it does not accept the key; correct PyHSS.ProvisioningKey"
        return NotNow(f"{told} ({mend}){said}", code=status, answer=shown, refused=True)
    if status in (404, 405):
        mend = "there is no such API; check PyHSS.URL"
        return NotNow(f"{told} ({mend}){said}", code=status, answer=shown, refused=True)
    told += said
    if status == 400:
        return _of_400(told, reason, shown)
    if status >= 500 and not any(words in reason for words in _NOT_TAKEN):
        return Unclear(told, code=status, answer=shown)
    if status >= 400 and status not in (408, 425, 429):
        return Refused(told, code=status, answer=shown)
    return NotNow(told, code=status, answer=shown)


def _of_400(told: str, reason: str, shown: str) -> NotNow | Refused:
    taken = _TAKEN.search(reason)
    if taken is not None:
        column = next(filter(None, taken.groups()))
        return Duplicate(told, column, code=400, answer=shown)
    if "OperationalError" in reason or "operational error" in reason:
        return NotNow(told, code=400, answer=shown)
    return Refused(told, code=400, answer=shown)


def _reason(body: Any) -> str:
    """What it says of a failure; some come as a list of the text and the status."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return ""
    said = body.get("reason", body.get("Result", body.get("message", "")))
    return said if isinstance(said, str) else ""
