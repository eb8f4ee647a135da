"""EventSender over TLS: the options reach the connection."""

import ssl
from pathlib import Path

import pytest
import trustme

from espf.events.model import Event
from espf.handlers.port import Attempt, Delivered, Handler, Iteration, Outcome, RetryLater

BLOCKED = Event(1, 1, "Account/Blocked", "account", 5, 5, "2018-04-12 15:24:00", "{}", False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Of a server that has a certificate for 127.0.0.1 and wants one of its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, object]:
    """The three file options, each its own file."""
    client = authority.issue_cert("espf@operator.example")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    names = {"CAFile": "ca.pem", "CertFile": "cert.pem", "KeyFile": "key.pem"}
    return {f"EventSender.TLS.{option}": str(tmp_path / name) for option, name in names.items()}


async def deliver(handler: Handler) -> Outcome:
    return await handler.deliver(BLOCKED, Attempt(1, Iteration(1)))


def options(port: int, **files: object) -> dict[str, object]:
    return {
        "EventSender.URL": f"https://127.0.0.1:{port}/",
        "EventSender.AuthMethod": "None",
        "EventSender.RequestTimeout": 10,
        **files,
    }


async def test_both_sides_prove_who_they_are(start_sender, receiving, server_tls, files) -> None:
    async with receiving(server_tls) as receiver:
        handler = start_sender(options(receiver.port, **files))
        assert isinstance(await deliver(handler), Delivered)
        await handler.close()
        assert len(receiver.requests) == 1


async def test_an_unknown_authority_is_refused_and_retried(
    start_sender, receiving, server_tls
) -> None:
    async with receiving(server_tls) as receiver:
        outcome = await deliver(start_sender(options(receiver.port)))
        assert isinstance(outcome, RetryLater)
        assert "certificate" in outcome.reason
        assert receiver.requests == []


async def test_with_verify_off_any_certificate_will_do(
    start_sender, receiving, server_tls, files
) -> None:
    del files["EventSender.TLS.CAFile"]
    async with receiving(server_tls) as receiver:
        handler = start_sender(options(receiver.port, **files, **{"EventSender.TLS.Verify": "off"}))
        assert isinstance(await deliver(handler), Delivered)
        await handler.close()
