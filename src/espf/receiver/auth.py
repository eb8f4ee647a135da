"""Check who sent a request: Basic, Custom, Signature, in constant time (domain 2.3 and 2.4)."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import assert_never

from espf.receiver.methods import AuthMethod, Profile
from espf.receiver.options import ReceiverOptions
from espf.receiver.request import Refusal, Request

_DATE_FORM = "%a, %d %b %Y %H:%M:%S GMT"
_PAIR = r'[A-Za-z]+="[^"]*"'
# One space after the scheme and none after the commas: receivers exist that split at spaces.
_SIGNATURE = re.compile(rf"Signature ({_PAIR}(?:,{_PAIR})*)")
_DENIED = Refusal(401, "the authentication value is missing or wrong")
_SHA256_HEADERS = "(request-target) date digest"


def verify(request: Request, options: ReceiverOptions) -> Refusal | None:
    """Refuse a request without a proper `Date` or without the right authentication value.

    Says 401 and why, never what was expected.
    """
    date = request.only("date")
    if date is None:
        return Refusal(401, "there must be exactly one Date header")
    if not _is_imf_fixdate(date):
        return Refusal(401, "the Date header is not of the form Thu, 12 Apr 2018 15:24:00 GMT")
    if options.auth is AuthMethod.NONE:
        return None
    value = request.only(options.auth_header)
    if value is None:
        return _DENIED
    return None if _is_right(value, date, request, options) else _DENIED


def _is_right(value: str, date: str, request: Request, options: ReceiverOptions) -> bool:
    key = options.key.get_secret_value()
    match options.auth:
        case AuthMethod.BASIC:
            pair = base64.b64encode(f"{options.user}:{key}".encode()).decode()
            return _same(value, f"Basic {pair}")
        case AuthMethod.CUSTOM:
            return _same(value, f"{options.auth_type} {key}")
        case AuthMethod.SIGNATURE:
            return _is_signed(value, date, request, options)
        case AuthMethod.NONE:
            return True
        case _:  # pragma: no cover
            assert_never(options.auth)


def _is_signed(value: str, date: str, request: Request, options: ReceiverOptions) -> bool:
    found = _SIGNATURE.fullmatch(value)
    if found is None:
        return False
    parameters = dict(re.findall(r'([A-Za-z]+)="([^"]*)"', found[1]))
    key = options.key.get_secret_value().encode()
    if options.profile is Profile.HMAC_SHA256:
        expected = _sha256_parameters(request, date, key)
    else:
        text = date if options.profile is Profile.DATE_VALUE else f"date: {date}"
        expected = {"algorithm": "hmac-sha1", "signature": _mac(key, text, "sha1")}
    # All are compared, whichever differs first, so that the time tells nothing.
    checks = [_same(parameters.get(name, ""), wanted) for name, wanted in expected.items()]
    checks.append(_same(parameters.get("keyId", ""), options.user))
    checks.append(options.profile is not Profile.HMAC_SHA256 or _digest_fits(request))
    return all(checks)


def _sha256_parameters(request: Request, date: str, key: bytes) -> dict[str, str]:
    text = (
        f"(request-target): {request.method.lower()} {request.target}\n"
        f"date: {date}\n"
        f"digest: {request.only('digest') or ''}"
    )
    return {
        "algorithm": "hmac-sha256",
        "headers": _SHA256_HEADERS,
        "signature": _mac(key, text, "sha256"),
    }


def _digest_fits(request: Request) -> bool:
    digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
    return _same(request.only("digest") or "", f"SHA-256={digest}")


def _mac(key: bytes, text: str, algorithm: str) -> str:
    return base64.b64encode(hmac.digest(key, text.encode("latin-1"), algorithm)).decode()


def _same(given: str, expected: str) -> bool:
    """Compare without telling, by the time it takes, where or how much they differ."""
    # Hashed first: compare_digest returns at once for different lengths.
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(expected.encode()).digest()
    )


def _is_imf_fixdate(text: str) -> bool:
    try:
        moment = datetime.strptime(text, _DATE_FORM).replace(tzinfo=UTC)
    except ValueError:
        return False
    # strptime takes any day name and single digits; written back it must be the same text.
    return moment.strftime(_DATE_FORM) == text
