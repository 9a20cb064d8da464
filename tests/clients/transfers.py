"""Transfers from elsewhere: `python -m tests.clients.transfers URL GROUP ROUNDS`."""

from __future__ import annotations

import sys

from convex.http_client import ConvexHttpClient


def main(url: str, group: str, rounds: str) -> None:
    client = ConvexHttpClient(url)
    args = {"group": group, "source": "left", "target": "right", "amount": 1}
    for _ in range(int(rounds)):
        client.mutation("accounts:transfer", args)


if __name__ == "__main__":
    main(*sys.argv[1:])
