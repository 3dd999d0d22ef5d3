"""How a film's decoded frames are to be seen: in sRGB, with square pixels, cropped and turned upright."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from latentface.arrays import Pixels
from latentface.io.cropping import Margins
from latentface.io.dynamic_range import to_srgb


@dataclass(frozen=True)
class Turn:
    """How a film is brought upright: its sides change places, and then its rows or columns their order."""

    transposed: bool
    rows: int  # 1, or -1 for the reverse order
    columns: int

    @classmethod
    def of(cls, frame: Any) -> Turn | None:
        """That of the display matrix of a film's first frame (ISO 14496-12, 6.2.2); None without one.

        To be asked once a film: a frame that has been asked lives on until Python collects its garbage.
        """
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return None
        a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
        across, down = (c, b) if abs(b) > abs(a) else (a, d)
        return cls(abs(b) > abs(a), -1 if down < 0 else 1, -1 if across < 0 else 1)

    def upright(self, pixels: Pixels) -> Pixels:
        """Pixels [H, W, C] as they are to be seen."""
        turned = pixels.transpose(1, 0, 2) if self.transposed else pixels
        return np.ascontiguousarray(turned[:: self.rows, :: self.columns])


@dataclass(frozen=True)
class Framing:
    """What is done to each frame of a film.

    Attributes:
        alpha: whether its alpha is kept.
        aspect: of a pixel, width by height.
        margins: what its container cuts off; None for nothing.
        turn: how it is brought upright; None for as it is.
        size: width and height of its first frame, in which all are shown; None for those of each.
    """

    alpha: bool = False
    aspect: Fraction = Fraction(1)
    margins: Margins | None = None
    turn: Turn | None = None
    size: tuple[int, int] | None = None

    def pixels(self, frame: Any) -> Pixels:
        """A decoded frame as uint8 [H, W, 3], or [H, W, 4] with alpha."""
        width, height = self.size or (frame.width, frame.height)
        wide = max(1, round(width * self.aspect))
        scaled = (wide, height) != (frame.width, frame.height)
        pixels = to_srgb(frame, self.alpha, **({"width": wide, "height": height} if scaled else {}))
        if self.margins is not None:
            pixels = self.margins.cut(pixels, wide / width)
        return np.ascontiguousarray(pixels) if self.turn is None else self.turn.upright(pixels)
