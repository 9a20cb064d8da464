from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server.serving import Served


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server shared by the tests of a module, which must not mind each other's documents."""
    with Served() as server:
        yield server
