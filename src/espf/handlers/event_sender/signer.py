"""Makes of an EventSender's options what signs its requests and what judges their answers."""

from typing import cast

from pydantic import SecretStr

from espf.clock import Clock
from espf.delivery.answers import AnswerRules, parse_codes
from espf.delivery.signing import (
    Authenticator,
    BasicAuth,
    CustomAuth,
    NoAuth,
    Profile,
    SignatureAuth,
)
from espf.errors import HandlerError
from espf.handlers.event_sender.settings import EventSenderSettings


def authenticator(settings: EventSenderSettings) -> Authenticator:
    """Return what signs the requests, by AuthMethod. Raises HandlerError if that cannot be."""
    try:
        return _authenticator(settings)
    except ValueError as error:
        raise HandlerError(f"EventSender's authentication cannot be used: {error}") from error


def answer_rules(settings: EventSenderSettings, clock: Clock) -> AnswerRules:
    """Return what judges the answers, by SuccessCodes and TemporaryCodes."""
    return AnswerRules(
        parse_codes(settings.success_codes_text),
        parse_codes(settings.temporary_codes_text),
        settings.secrets,
        clock,
    )


def _authenticator(settings: EventSenderSettings) -> Authenticator:
    header = settings.auth_header
    match settings.auth_method:
        case "Basic":
            return BasicAuth(header, settings.basic_user, _plain(settings.basic_key))
        case "Custom":
            return CustomAuth(header, settings.custom_type, _plain(settings.custom_credentials))
        case "Signature":
            key = _plain(settings.signature_key)
            profile = cast("Profile", settings.signature_profile)  # one of its Choices
            return SignatureAuth(header, settings.signature_key_id, key, profile)
        case _:
            return NoAuth()


def _plain(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()
