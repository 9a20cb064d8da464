"""Listening sockets, bound before anything else so that a taken port is reported at once."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Final

from reactor.errors import Unavailable

BACKLOG: Final = 2048
_WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens at `host` and `port`; `option` names where the port came from."""
    try:
        family, kind, protocol, _, address = _resolve(host, port)
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(f"--host {host}: {error.strerror or error}.") from None
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(_cause(host, port, option, error)) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket) -> str:
    """The address to give to a client on this machine."""
    host, port = listener.getsockname()[:2]
    host = _WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolve(
    host: str, port: int
) -> tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]:
    """The first address of `host`, one of IPv4 if there is any: clients write 127.0.0.1."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return min(found, key=lambda entry: entry[0] != socket.AF_INET)


def _cause(host: str, port: int, option: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use. Stop the program that uses it, or choose another "
            f"port with {option} (0 takes a free one)."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs more rights. Choose one above 1023 with {option}."
    return f"Cannot listen at {host} port {port}: {error.strerror or error}."
