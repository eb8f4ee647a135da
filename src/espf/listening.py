"""Listening sockets, opened before anything else is done: an address in use is told at once."""

import os
import socket

from espf.errors import ConfigError


def host_and_port(text: str) -> tuple[str, int]:
    """HOST:PORT, an IPv6 address in brackets. Raises ValueError that shows the right form."""
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or ("[" not in host and ":" in host) or not (port.isascii() and port.isdecimal()):
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464")
    if int(port) > 65535:
        raise ValueError("the port must be at most 65535 (0 takes any free one)")
    return bare, int(port)


def listen(host: str, port: int, advice: str) -> socket.socket:
    """A listening socket. Raises ConfigError if the address cannot be used; `advice` ends it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, place = found[0]
        return socket.create_server(place[:2], family=family, backlog=256)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else "there is no host of this name"
        raise ConfigError(f"Cannot listen on {host} port {port}: {reason}. {advice}") from error


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
