"""Adaptive binary arithmetic coding of small integers.

A carry-less range coder (Martin 1979; in the binary form of Subbotin) with adaptive probabilities: every decision has
a context, whose probability follows what was coded in it. Integers are binarised as zero, sign and magnitude in
Elias-gamma form (unary length, then bits), so that a stream of zeros costs a small part of a bit each.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from latentface.errors import InputError

SCALE = 1 << 16  # of probabilities
RATE = 5  # a probability moves by 1 / 2^RATE of its distance
LEAST = 64  # smallest probability, of SCALE
TOP, BOTTOM = 1 << 24, 1 << 16
MASK = (1 << 32) - 1
LONGEST = 32  # bits of a magnitude


class _Coder(Protocol):
    def bit(self, context: Hashable, value: int = 0) -> int:
        """Code a decision in a context; returns it."""


class _Contexts:
    """The probability of a 1 in each context, of SCALE."""

    def __init__(self) -> None:
        self.ones: dict[Hashable, int] = {}

    def get(self, context: Hashable) -> int:
        return self.ones.get(context, SCALE // 2)

    def learn(self, context: Hashable, value: int) -> None:
        one = self.get(context)
        one += ((SCALE - one) >> RATE) if value else -(one >> RATE)
        self.ones[context] = min(max(one, LEAST), SCALE - LEAST)


class RangeEncoder:
    """`bit` and `integer` in any order, then `finish`."""

    def __init__(self) -> None:
        self._low, self._range, self._out, self._contexts = 0, MASK, bytearray(), _Contexts()

    def bit(self, context: Hashable, value: int = 0) -> int:
        """Code a decision, 0 or 1, in a context."""
        split = (self._range >> 16) * self._contexts.get(context)
        if value:
            self._range = split
        else:
            self._low = (self._low + split) & MASK
            self._range -= split
        self._contexts.learn(context, value)
        while True:
            if (self._low ^ (self._low + self._range)) >= TOP:
                if self._range >= BOTTOM:
                    return value
                self._range = -self._low & (BOTTOM - 1)
            self._out.append(self._low >> 24)
            self._low, self._range = (self._low << 8) & MASK, (self._range << 8) & MASK

    def integer(self, context: Hashable, value: int) -> None:
        """Code an integer in a context."""
        _integer(self, context, value)

    def finish(self) -> bytes:
        """Everything coded so far."""
        return bytes(self._out) + self._low.to_bytes(4, "big")


class RangeDecoder:
    """Decodes what `RangeEncoder` coded, with the same contexts in the same order.

    Zeros are read behind the end; `finish` tells whether that was necessary.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 4
        self._low, self._range, self._contexts = 0, MASK, _Contexts()
        self._code = int.from_bytes(content[:4].ljust(4, b"\0"), "big")

    def bit(self, context: Hashable, value: int = 0) -> int:
        """The decision, 0 or 1, in a context."""
        split = (self._range >> 16) * self._contexts.get(context)
        found = int(((self._code - self._low) & MASK) < split)
        if found:
            self._range = split
        else:
            self._low = (self._low + split) & MASK
            self._range -= split
        self._contexts.learn(context, found)
        while True:
            if (self._low ^ (self._low + self._range)) >= TOP:
                if self._range >= BOTTOM:
                    return found
                self._range = -self._low & (BOTTOM - 1)
            following = self._content[self._at] if self._at < len(self._content) else 0
            self._code = ((self._code << 8) | following) & MASK
            self._at += 1
            self._low, self._range = (self._low << 8) & MASK, (self._range << 8) & MASK

    def integer(self, context: Hashable) -> int:
        """The integer in a context; InputError if it is impossibly long."""
        return _integer(self, context, None)

    def finish(self) -> None:
        """Check that everything was read, and nothing more; InputError otherwise."""
        if self._at != len(self._content):
            raise InputError(f"coded numbers end after {self._at} of {len(self._content)} bytes: the data are damaged")


def _integer(coder: _Coder, context: Hashable, value: int | None) -> int:
    """Code an integer, or decode one if the value is None."""
    magnitude = abs(value or 0)
    if not coder.bit((context, "any"), int(magnitude > 0)):
        return 0
    negative = coder.bit((context, "sign"), int((value or 0) < 0))
    length = 1
    while coder.bit((context, "longer", length), int(magnitude.bit_length() > length)):
        length += 1
        if length > LONGEST:
            raise InputError(f"a coded number has more than {LONGEST} bits: the data are damaged")
    found = 1
    for place in reversed(range(length - 1)):
        found = 2 * found + coder.bit((context, "bits", length, place), (magnitude >> place) & 1)
    return -found if negative else found
