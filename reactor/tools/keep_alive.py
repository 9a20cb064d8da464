"""WebSocket keep-alive as Convex clients expect it.

The first ping goes out right after the handshake: without it the Python client's first message is
held back about 40 ms by Nagle's algorithm and delayed acknowledgements. Further pings follow every
few seconds, since the Rust client gives up after 30 s without a frame, and a peer that answers none
for two minutes is gone.
"""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

PING_INTERVAL_SECONDS: Final = 5.0
PING_TIMEOUT_SECONDS: Final = 120.0


class KeepAliveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, except that its first ping does not wait for an interval to pass."""

    def start_keepalive(self) -> None:
        if self.ping_interval:
            self.send_keepalive_ping()
