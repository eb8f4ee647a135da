"""What `espf apply` and the console warn of: options that are allowed and probably not meant."""

from ipaddress import ip_address
from pathlib import Path

from espf.delivery.address import objection
from espf.handlers.event_sender.settings import EventSenderSettings


def warnings(settings: EventSenderSettings) -> list[str]:
    """Return a sentence for each setting that is risky or without effect (domain, 2.1 to 2.4)."""
    return [
        *_of_the_bucket(settings),
        *_of_requests(settings),
        *_of_networks(settings),
        *_of_tls(settings),
        *_of_files(settings),
    ]


def _of_the_bucket(settings: EventSenderSettings) -> list[str]:
    if not settings.async_mode or settings.token_burst == settings.token_burstiness:
        return []
    sentence = (
        f"EventSender.TokenBurstiness {settings.token_burstiness} is below EventSender.TokenRate; "
        f"the rate is used: {settings.token_burst} requests in a second at most."
    )
    return [sentence]


def _of_requests(settings: EventSenderSettings) -> list[str]:
    found = []
    if not settings.with_unique_id:
        found.append(
            "EventSender.WithUniqueID is off: receivers cannot tell repeats"
            + (", and APIVersion 2 requires i_event." if settings.api_version == 2 else ".")
        )
    if settings.auth_method == "Signature" and settings.signature_profile == "hmac-sha256":
        found.append(
            "EventSender.SignatureAuth.Profile hmac-sha256 puts spaces into the signature's "
            "headers list; receivers that split the value at spaces refuse it."
        )
    return found


def _of_networks(settings: EventSenderSettings) -> list[str]:
    try:
        address = ip_address(settings.url.host)
    except ValueError:
        return []  # a name: what it stands for is checked at each connect
    reason = objection(address, settings.allowed_networks)
    return [] if reason is None else [f"Nothing can be sent: {reason}."]


def _of_tls(settings: EventSenderSettings) -> list[str]:
    secure = settings.url.scheme == "https"
    found = []
    if not settings.tls_verify:
        found.append(
            "EventSender.TLS.Verify is off: anyone on the way can read and answer the requests."
        )
    if not secure and (settings.tls_ca_file or settings.tls_cert_file):
        found.append("EventSender.TLS options have no effect: EventSender.URL is not https.")
    return found


def _of_files(settings: EventSenderSettings) -> list[str]:
    files = {
        "CAFile": settings.tls_ca_file,
        "CertFile": settings.tls_cert_file,
        "KeyFile": settings.tls_key_file,
    }
    return [
        f"EventSender.TLS.{option}: there is no file {path} on this machine."
        for option, path in files.items()
        if path and not Path(path).is_file()
    ]
