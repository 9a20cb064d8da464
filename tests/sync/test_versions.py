from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactor.errors import InvalidRequest
from reactor.sync.versions import TIMESTAMP_MAX, Version, decode_timestamp, encode_timestamp


def test_timestamps_are_eight_little_endian_bytes_in_base64() -> None:
    assert encode_timestamp(0) == "AAAAAAAAAAA="
    assert encode_timestamp(1) == "AQAAAAAAAAA="
    assert encode_timestamp(TIMESTAMP_MAX) == "/////////38="


@given(st.integers(0, TIMESTAMP_MAX))
def test_a_timestamp_decodes_to_itself(ts: int) -> None:
    assert decode_timestamp(encode_timestamp(ts), "ts") == ts


@pytest.mark.parametrize(
    "text", ["", "AAAA", "AAAAAAAAAAA", "not base64!", "AAAAAAAAAIA=", "AAAAAAAAAAAA", "é"]
)
def test_a_malformed_timestamp_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"Connect\.maxObservedTimestamp must be a timestamp"):
        decode_timestamp(text, "Connect.maxObservedTimestamp")


def test_a_version_has_the_wire_names() -> None:
    assert Version(2, 1, 0).to_json() == {"querySet": 2, "identity": 1, "ts": "AAAAAAAAAAA="}
