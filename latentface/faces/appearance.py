"""What somebody looks like in a film: an identity embedding, and the colours of skin and clothes.

Embeddings of faces that are turned or half hidden say little. In a film, unlike in two photos, people mostly wear the
same clothes, so that colours help; they count for less than the face, and no difference of colour counts without limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from latentface.arrays import Float64Array, FloatArray, Pixels
from latentface.faces.alignment import glance, sample_quad
from latentface.faces.crop import ffhq_quad

#: Unit vectors [N, D] of crops, uint8 RGB [N, S, S, 3]: the scalar product of two is high for pictures of one person.
Embed = Callable[[Pixels], FloatArray]

SIDE = 128  # of the crops that are compared
#: The square in which colours are measured, in sides of the FFHQ crop: its side, and how far it is moved down; pixels.
_WIDE, _DOWN, _CELLS = 1.6, 0.2, 32
_SKIN = (slice(11, 16), slice(13, 19))
_CLOTHES = ((slice(26, 32), slice(3, 10)), (slice(26, 32), slice(22, 29)))
_DARKEST = 0.004  # linear intensity that is added, so that black has a logarithm
#: What differences of the logarithms of colours count against a cosine, and beyond which difference not more.
_SKIN_COUNTS, _SKIN_MOST = 1.1, 0.4
_CLOTHES_COUNT, _CLOTHES_MOST = 0.4, 0.8


@dataclass(frozen=True, eq=False)
class Look:
    """What somebody looks like in one picture, or on average.

    Attributes:
        identity: the embedding, a unit vector [D].
        skin: logarithms of the skin's linear colours, without their mean, [3].
        clothes: logarithms of the clothes' colours on either side over those of the skin, [2, 3].
    """

    identity: FloatArray
    skin: Float64Array
    clothes: Float64Array

    def towards(self, other: Look, share: float) -> Look:
        """The mean of both, of which the other one has a share."""
        moved = [a + share * (b - a) for a, b in ((self.identity, other.identity), (self.skin, other.skin))]
        return Look(_unit(moved[0]), moved[1], self.clothes + share * (other.clothes - self.clothes))

    def likeness(self, other: Look) -> float:
        """The cosine of the identities less what colours differ."""
        skin = np.abs(self.skin - other.skin).clip(max=_SKIN_MOST).mean()
        clothes = np.abs(self.clothes - other.clothes).clip(max=_CLOTHES_MOST).mean()
        return float(self.identity @ other.identity - _SKIN_COUNTS * skin - _CLOTHES_COUNT * clothes)


def looks_of(picture: Pixels, faces: Sequence[Float64Array], embed: Embed) -> list[Look]:
    """The looks of faces, landmarks [68, 2] each, in uint8 RGB [H, W, 3]; each crop counts with its mirror image."""
    crops = np.stack([glance(picture, points, SIDE).image for points in faces])
    both = embed(np.concatenate([crops, crops[:, :, ::-1]]))
    identities = _unit(both[: len(crops)] + both[len(crops) :])
    return [Look(identity, *_colours(picture, points)) for identity, points in zip(identities, faces, strict=True)]


def _colours(picture: Pixels, points: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The colours of skin and clothes, as `Look` has them."""
    quad = ffhq_quad(points)
    side = float(np.linalg.norm(quad[3] - quad[0]))
    x, y = quad.mean(0)
    y += _DOWN * side
    half = _WIDE * side / 2
    square = np.array([[x - half, y - half], [x - half, y + half], [x + half, y + half], [x + half, y - half]])
    linear = np.log((sample_quad(picture, square, _CELLS, 1) / 255.0) ** 2.2 + _DARKEST)
    skin, *clothes = (np.median(linear[part].reshape(-1, 3), axis=0) for part in (_SKIN, *_CLOTHES))
    return skin - skin.mean(), np.stack(clothes) - skin


def _unit(vectors: FloatArray) -> FloatArray:
    """Vectors [..., D] of length 1."""
    made: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return made
