"""CBOR (RFC 8949) as far as signatures need it."""

from __future__ import annotations

from typing import Any, Final

_INDEFINITE: Final = 31
_NULL: Final = 22
_BREAK: Final = 0xFF


def read_cbor(data: bytes, at: int = 0) -> tuple[Any, int]:
    """One item, and where it ends; tags are left out, null is None, and other simple values and floats are ....

    Raises:
        ValueError, IndexError: the data are no CBOR.
    """
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    number = low
    if 24 <= low < 28:
        width = 1 << low - 24
        number, at = int.from_bytes(data[at : at + width], "big"), at + width
    elif low > 27 and low != _INDEFINITE:
        raise ValueError(f"no CBOR at byte {at - 1}")
    count = None if low == _INDEFINITE else number
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3) and count is not None:
        if at + number > len(data):
            raise ValueError("a string of CBOR is cut short")
        text = data[at : at + number]
        return (text if major == 2 else text.decode()), at + number
    if major == 6:
        return read_cbor(data, at)
    if major == 7:
        return (None if low == _NULL else ...), at
    items, at = _items(data, at, None if count is None else count * (2 if major == 5 else 1))
    if major in (2, 3):
        return (b"" if major == 2 else "").join(items), at
    return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), at


def _items(data: bytes, at: int, count: int | None) -> tuple[list[Any], int]:
    """As many items, or those before the break."""
    items: list[Any] = []
    while data[at] != _BREAK if count is None else len(items) < count:
        item, at = read_cbor(data, at)
        items.append(item)
    return items, at + (count is None)
