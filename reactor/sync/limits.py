"""What one connection may ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """`chunk_bytes`: Transitions above it are split into TransitionChunks; None: never.

    The bounds on outstanding mutations and unsent messages together stay below the window in which
    the server remembers a session's requests (`functions/session_requests.py`).
    """

    message_bytes: int = (16 << 20) + (64 << 10)
    queries: int = 10_000
    mutations: int = 1_000
    actions: int = 1_000
    held_messages: int = 1_000
    outstanding_bytes: int = 64 << 20
    unsent_messages: int = 4_096
    unsent_bytes: int = 64 << 20
    chunk_bytes: int | None = None
