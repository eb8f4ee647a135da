"""What a client is told at its start, and what it gives back: plain values without behaviour."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple
from urllib.parse import urlsplit

from espf.delivery.tls import TlsOptions

DEFAULT_PORTS = {"http": 80, "https": 443}
KEPT_BODY = 4096
"""Bytes of an answer's body that are kept unless told; the rest is dropped (domain, 2.5)."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, taken from a URL that was validated before."""

    scheme: str
    """`http` or `https`."""
    host: str
    """Name or address, IPv6 without brackets."""
    port: int
    path: str
    """Path with query, as it goes into the request line."""

    @classmethod
    def from_url(cls, url: str) -> "Target":
        """Take a URL apart. Raises ValueError for what cannot be a target (domain, 2.1)."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise ValueError("the URL must begin with http:// or https:// and name a host")
        if parts.username is not None or "#" in url:
            raise ValueError("the URL must have no user part and no fragment")
        port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, parts.hostname, port, path)

    def __post_init__(self) -> None:
        # The last gate before the wire: a space or line break here would forge a second request.
        for name, text in (("host", self.host), ("path", self.path)):
            if not text or any(not "\x20" < letter < "\x7f" for letter in text):
                raise ValueError(f"the {name} of a URL holds only visible ASCII; encode the rest")
        if not self.path.startswith("/"):
            raise ValueError("the path of a URL begins with /")
        if not 0 < self.port < 65536:
            raise ValueError(f"{self.port} is no port; ports are 1 to 65535")

    @property
    def host_header(self) -> str:
        """Value of the Host header: IPv6 in brackets, the scheme's own port left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """`host:port` for messages; the path stays out, it may carry a token."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client connects and how much it takes."""

    tls: TlsOptions | None = None
    """Options for https; None stands for the system's own CAs and no client certificate."""
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = field(default=())
    """Addresses must be inside one of these; empty = all but the always refused."""
    local_address: str | None = None
    """Source address of the connections, or None for the system's choice."""
    max_connections: int = 64
    max_answer_bytes: int = 1024 * 1024
    """A longer body is a BrokenAnswer."""
    kept_answer_bytes: int = KEPT_BODY
    """How much of a body is given; for who only logs answers, their beginning will do."""
    idle_timeout_s: float = 60.0
    """Seconds after which an unused connection is closed."""


class Response(NamedTuple):
    """A complete answer."""

    status: int
    body: bytes
    """Its beginning: `kept_answer_bytes` of it."""
    truncated: bool
    """Whether there was more."""
    retry_after: str | None
    """Retry-After as sent; looked up only where the status is not 200."""
