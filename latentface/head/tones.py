"""The black and the white of a photo: what is painted into it is no darker, and teeth are seen in its light.

Teeth that nobody sees are guessed from 131 photographs of smiles: the brighter their cheeks, the brighter they are, by
half as much; and their colour follows that of the whites of the eyes in part, more so in blue than in red.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from latentface.arrays import Float32Array, Pixels
from latentface.ops.raster import sample

if TYPE_CHECKING:
    from latentface.head.eyeball import EyeWhite
    from latentface.head.field import Scene

DARKEST, USUAL = 0.002, 16  # share of a head's pixels that are as dark as it gets; in any photo they are so bright
WHITE = (110.0, 0.55)  # levels, and so much of the light of the brighter skin
BRIGHT = 0.8  # quantile of the skin's light
#: How far the red and the blue of a white surface follow those of the eyes, in logarithms of their ratios to green.
FOLLOW, USUAL_EYES, MOST = (0.24, 0.55), (0.2, -0.05), 0.15
HIDDEN = 0.2  # `EyeWhite.missing` from which on an eye tells nothing
FAINT = 8  # of 255: light that noise adds


class Tones(NamedTuple):
    """The photo's values, 0 to 255, of what has no light, [3], and of a white surface in the face's light, [3]."""

    black: Float32Array
    white: Float32Array

    def faded(self, colours: Float32Array) -> Float32Array:
        """Colours [..., 3], 0 to 255, as the photo has them: in an old print, black is no longer black."""
        return np.asarray(self.black + colours * (1 - self.black / 255), np.float32)


def find_tones(photo: Pixels, scene: Scene, skin: Float32Array, eyes: Sequence[EyeWhite]) -> Tones:
    """The black of a photo by the darkest of its head, and its white by skin at some places [N, 2] and by eyes."""
    steps = np.stack(np.meshgrid(*[np.linspace(-0.08, 0.08, 5) * scene.unit] * 2), axis=-1).reshape(-1, 2)
    bright = np.quantile(sample(photo, skin[:, None] + steps).mean(axis=-1), BRIGHT)
    some = photo[scene.box.slices][::3, ::3].reshape(-1, 3)
    darkest = np.quantile(some, DARKEST, axis=0) if len(some) else np.zeros(3)
    white = np.clip((WHITE[0] + WHITE[1] * bright) * _cast(eyes), 0, 255).astype(np.float32)
    return Tones(np.maximum(darkest - USUAL, 0).astype(np.float32), white)


def _cast(eyes: Sequence[EyeWhite]) -> Float32Array:
    """The colour of light on a white surface, [3], relative to its green, as far as eyes tell."""
    seen = [eye.tone for eye in eyes if eye.missing < HIDDEN]
    if not seen:
        return np.ones(3, np.float32)
    red, green, blue = np.log(np.mean(seen, axis=0) + FAINT)
    red, blue = (k * (x - green - usual) for k, x, usual in zip(FOLLOW, (red, blue), USUAL_EYES, strict=True))
    cast: Float32Array = np.exp(np.clip([red, 0, blue], -MOST, MOST)).astype(np.float32)
    return cast
