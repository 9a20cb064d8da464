from __future__ import annotations

import contextlib

import pytest

from reactor.errors import Unavailable
from reactor.tools.ports import listen, url_of


def test_port_zero_takes_a_free_port_and_tells_which() -> None:
    with contextlib.closing(listen("127.0.0.1", 0, "--port")) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with contextlib.closing(listen("127.0.0.1", 0, "--port")) as first:
        port = first.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Port {port} .* is in use.*--site-port"):
            listen("127.0.0.1", port, "--site-port")


def test_a_server_for_everybody_is_reached_at_this_machine() -> None:
    with contextlib.closing(listen("0.0.0.0", 0, "--port")) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


def test_localhost_means_the_address_that_clients_write() -> None:
    with contextlib.closing(listen("localhost", 0, "--port")) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_host_that_does_not_exist_is_named() -> None:
    with pytest.raises(Unavailable, match=r"--host nowhere\.invalid"):
        listen("nowhere.invalid", 0, "--port")


def test_an_address_of_another_machine_is_an_error_and_no_traceback() -> None:
    with pytest.raises(Unavailable, match="Cannot listen"):
        listen("192.0.2.1", 0, "--port")
