"""CBOR by the examples of RFC 8949, appendix A."""

from __future__ import annotations

from typing import Any

import pytest

from latentface.provenance.cbor import read_cbor


@pytest.mark.parametrize(
    ("digits", "value"),
    [
        ("17", 23), ("1818", 24), ("1903e8", 1000), ("1b000000e8d4a51000", 10**12), ("3863", -100),
        ("4401020304", b"\x01\x02\x03\x04"), ("62c3bc", "ü"), ("83010203", [1, 2, 3]), ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}), ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("9f01820203ff", [1, [2, 3]]), ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}), ("f6", None), ("f4", ...),
        ("d28343a0f6a0f640", [b"\xa0\xf6\xa0", None, b""]), ("7f657374726561646d696e67ff", "streaming"),
    ],
)  # fmt: skip
def test_examples(digits: str, value: Any) -> None:
    data = bytes.fromhex(digits)
    assert read_cbor(data) == (value, len(data))


@pytest.mark.parametrize("digits", ["", "1c", "44010203", "8301", "9f01", "61ff"])
def test_what_is_none(digits: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        read_cbor(bytes.fromhex(digits))
