"""Values of every type in their wire encoding, as the npm package itself encodes them."""

from __future__ import annotations

WireValue = object

VALUE_CASES: list[tuple[str, WireValue]] = [
    ("null", None),
    ("true", True),
    ("false", False),
    ("int64 one", {"$integer": "AQAAAAAAAAA="}),
    ("int64 minus one", {"$integer": "//////////8="}),
    ("int64 greatest", {"$integer": "/////////38="}),
    ("int64 least", {"$integer": "AAAAAAAAAIA="}),
    ("not a number", {"$float": "AAAAAAAA+H8="}),
    ("infinity", {"$float": "AAAAAAAA8H8="}),
    ("negative infinity", {"$float": "AAAAAAAA8P8="}),
    ("negative zero", {"$float": "AAAAAAAAAIA="}),
    ("zero", 0),
    ("integral", 5),
    ("negative", -1.5),
    ("tenth", 0.1),
    ("greatest safe integer", 2**53),
    ("big", 1e21),
    ("greatest", 1.7976931348623157e308),
    ("small", 5e-324),
    ("bytes", {"$bytes": "AP8="}),
    ("no bytes", {"$bytes": ""}),
    ("no text", ""),
    ("text", "plain"),
    ("text beyond the basic plane", "\uffff\U00010000 ☂ \U0001f600"),
    ("text with control characters", '\x00\x01\n\t"\\\u2028'),
    ("empty array", []),
    ("array", [1, "two", None, {"$integer": "AQAAAAAAAAA="}, [[]]]),
    ("empty object", {}),
    ("object", {"": 2, "_a": 1, "a b": 3, "10": 4, "9": 5}),
    ("nested", {"a": [{"b": {"$bytes": "AP8="}, "c": {"$float": "AAAAAAAAAIA="}}]}),
    ("prototype names", {"__proto_": 1, "constructor": 2, "toString": "x"}),
]
