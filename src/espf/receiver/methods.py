"""Words for what an `espf receiver` demands.

Apart from the options, so that a command's help is shown without loading pydantic.
"""

from enum import StrEnum


class AuthMethod(StrEnum):
    """The four methods of the handbook (`EventSender.AuthMethod`, domain 2.4)."""

    BASIC = "Basic"
    CUSTOM = "Custom"
    SIGNATURE = "Signature"
    NONE = "None"


class Profile(StrEnum):
    """What a signature covers (`EventSender.SignatureAuth.Profile`, domain 2.4)."""

    DATE_VALUE = "date-value"
    DATE_LINE = "date-line"
    HMAC_SHA256 = "hmac-sha256"
