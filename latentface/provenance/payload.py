"""The 48 bits of the invisible mark: what they say, and the code that protects them.

17 bits say which release and which verb made the pixels, and a number tells one result from another; the four
bits before them are 0, which tells our words from others. A shortened BCH code (63, 36) adds 27 bits, so that two words
differ in 11 bits or more. A word is accepted when at most
`MOST_ERRORS` of its bits are wrong, which chance does in `FALSE_ALARMS` of all pictures: the words near a codeword by
all words, (1 + 48 + 48 * 47 / 2) * 2**17 / 2**48.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latentface._version import __version__

BITS: Final = 48
MOST_ERRORS: Final = 2
#: What may have made the pixels, by its number.
KINDS: Final = ("other", "edit", "transfer", "animate", "video", "project", "sample", "live", "stylise", "complete")
_VERSION, _KIND, _NUMBER = 3, 4, 10  # bits
_DATA = _VERSION + _KIND + _NUMBER
_CHECK = 27
_GENERATOR = 0o1033500423  # of the BCH code (63, 36), Lin and Costello 2004, appendix C
_SCRAMBLE = 0x9C3A_57E1_B26D  # so that no result has all bits alike
FALSE_ALARMS: Final = sum(math.comb(BITS, errors) for errors in range(MOST_ERRORS + 1)) * 2.0 ** (_DATA - BITS)


@dataclass(frozen=True)
class Payload:
    """What a mark says.

    Attributes:
        kind: one of `KINDS`.
        version: the second part of the release's number (of 0.3.1 it is 3), modulo 8.
        number: 0 ... 1023, from the pixels themselves: the same result has the same number, others hardly ever.
    """

    kind: str
    version: int
    number: int

    @classmethod
    def of(cls, kind: str, pixels: NDArray[np.uint8]) -> Payload:
        """The payload of this release for pixels that a verb made; verbs that have no name here are "other"."""
        version = int(__version__.split(".")[1]) % 2**_VERSION
        digest = hashlib.sha256(np.ascontiguousarray(pixels).data).digest()
        return cls(kind if kind in KINDS else "other", version, int.from_bytes(digest[:2], "big") % 2**_NUMBER)

    def to_bits(self) -> NDArray[np.uint8]:
        """The 48 bits to put into pixels."""
        return codeword((self.version << _KIND | KINDS.index(self.kind)) << _NUMBER | self.number)

    @classmethod
    def from_bits(cls, bits: NDArray[np.uint8]) -> tuple[Payload, int] | None:
        """What 48 bits say, and how many of them were wrong; None if they are none of ours."""
        word = int("".join(map(str, bits.astype(int))), 2) ^ _SCRAMBLE
        pattern = _patterns().get(_remainder(word))
        data = 2**_DATA if pattern is None else (word ^ pattern) >> _CHECK
        if pattern is None or data >= 2**_DATA:
            return None
        kind, version = data >> _NUMBER & 2**_KIND - 1, data >> _NUMBER + _KIND
        named = KINDS[kind] if kind < len(KINDS) else KINDS[0]  # a later release may know more kinds
        return cls(named, version, data & 2**_NUMBER - 1), pattern.bit_count()


def codeword(data: int) -> NDArray[np.uint8]:
    """The 48 bits that stand for 17 bits of data, 0 ... 2**17 - 1."""
    word = data << _CHECK | _remainder(data << _CHECK)
    return _to_bits(word ^ _SCRAMBLE)


def _to_bits(word: int) -> NDArray[np.uint8]:
    return np.array([word >> k & 1 for k in reversed(range(BITS))], np.uint8)


def _remainder(word: int) -> int:
    """The remainder of the word, a polynomial over GF(2), by the generator of the code."""
    while word.bit_length() > _CHECK:
        word ^= _GENERATOR << word.bit_length() - _CHECK - 1
    return word


@cache
def _patterns() -> dict[int, int]:
    """The wrong bits by the remainder that they leave, for as many as are put right."""
    return {
        _remainder(pattern): pattern
        for errors in range(MOST_ERRORS + 1)
        for places in combinations(range(BITS), errors)
        for pattern in (sum(1 << place for place in places),)
    }
