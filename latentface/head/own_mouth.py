"""An open mouth taken from a photo or a frame that shows its own teeth, and laid into another photo's opening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import InputError
from latentface.head.mouth_canvas import (
    LEAST_AREA,
    MouthFrame,
    check_opening,
    dim_slit,
    lay_canvas,
    sample_canvas,
    shade_lips,
)
from latentface.networks.mouth import MouthConfig

#: The share of the difference between two skin tints that is attributed to the light.
TINT = 0.25
LUMA = np.array([0.299, 0.587, 0.114])
#: The mouth is used for openings up to this factor higher; beyond it, the teeth would look stretched.
MOST_STRETCH = 1.6


@dataclass(frozen=True, eq=False)
class OwnMouth:
    """An open mouth as a photo shows it, to be laid into another.

    Attributes:
        colours: of the canvas, [h, w, 3], 0 to 255. opening: [h, w], 0 to 1.
        skin: the mean colour [3] (0 to 255) of the skin around it.
        fine: resolution relative to the canvas.
    """

    colours: Float32Array
    opening: Float32Array
    skin: Float64Array
    fine: int

    @property
    def teeth(self) -> Float64Array:
        """The colour [3] of its brighter part."""
        pixels = self.colours[self.opening > 0.9] if (self.opening > 0.9).any() else self.colours[self.opening > 0.5]
        light = pixels.mean(axis=1)
        return np.asarray(np.median(pixels[light >= np.quantile(light, 0.6)], axis=0), np.float64)


@dataclass(frozen=True, eq=False)
class Tone:
    """How bright a mouth may be in a photo.

    Attributes:
        teeth: the colour [3] of the teeth that the photo shows itself, or None if it shows none.
        white: the photo's value of a white surface in the face's light, [3].
    """

    teeth: Float32Array | None
    white: Float32Array


def take_mouth(photo: Pixels, opening: Float32Array, frame: MouthFrame, config: MouthConfig) -> OwnMouth:
    """The open mouth of a photo, where its opening [H, W] (0 to 1) is. Raises InputError when it is all but closed."""
    check_opening(photo, opening)
    matrix = frame.to_photo(config)
    fine = int(np.clip(np.ceil(np.hypot(*frame.across) / config.scale), 1, 4))
    covered = sample_canvas(opening, matrix, config, fine)[0]
    if float(covered.sum()) < 5 * LEAST_AREA * fine**2:
        raise InputError("the mouth of this photo is all but closed: it has no teeth to take; use `painted`")
    colours = sample_canvas(photo, matrix, config, fine)
    skin = _around(colours, covered.numpy(), fine)
    return OwnMouth(colours.permute(1, 2, 0).numpy(), covered.numpy(), skin, fine)


def lay_mouth(
    photo: Pixels,
    opening: Float32Array,
    frame: MouthFrame,
    own: OwnMouth,
    config: MouthConfig,
    tone: Tone | None = None,
) -> Pixels:
    """The photo with another's open mouth in its own opening, in this photo's light: column by column from lip to lip.

    The light is estimated from the photo's own teeth, given by `tone`, or otherwise from the skin around both mouths.

    Raises:
        InputError: the opening is more than `MOST_STRETCH` times as high as the other mouth (see `fits`).
    """
    check_opening(photo, opening)
    if not opening.any():
        unchanged: Pixels = photo.copy()
        return unchanged
    matrix = frame.to_photo(config)
    covered = sample_canvas(opening, matrix, config, own.fine)[0].numpy()
    if not _stretch(covered, own.opening) <= MOST_STRETCH:
        raise InputError("the opening is much higher than the mouth to take: use `painted`, or `auto` to let it choose")
    image = sample_canvas(photo, matrix, config, own.fine)
    gain = _gain(own, _around(image, covered, own.fine), tone)
    carried = _between_lips(own, covered) if (covered > 0.5).any() else np.zeros_like(own.colours, dtype=np.float64)
    inside = torch.from_numpy(carried * gain).float().permute(2, 0, 1)
    inside = shade_lips(inside.clamp(0, 255), covered, own.fine)
    inside = dim_slit(inside, image / 127.5 - 1, covered, own.fine)
    return lay_canvas(photo, opening, inside, matrix, own.fine)


def fits(own: OwnMouth, opening: Float32Array, frame: MouthFrame, config: MouthConfig) -> bool:
    """Whether another's mouth can fill this opening without its teeth being drawn out."""
    covered = sample_canvas(opening, frame.to_photo(config), config, own.fine)[0].numpy()
    return bool(_stretch(covered, own.opening) <= MOST_STRETCH)


def _gain(own: OwnMouth, skin: Float64Array, tone: Tone | None) -> Float64Array:
    """Gains [3] that adapt the colours of another mouth to a photo with the given skin colour [3].

    Teeth are white beside any skin: only the colour of the light tints them, about which skin says little.
    """
    here, there, trust = skin, own.skin, TINT
    if tone is not None and tone.teeth is not None:
        here, there, trust = tone.teeth.astype(np.float64), own.teeth, 1.0
    light = (LUMA @ here + 8) / (LUMA @ there + 8)
    tint = (here + 8) / (there + 8) / light
    factors: Float64Array = np.clip(light, 0.4, 2.5) * np.clip(tint, 0.5, 2.0) ** trust
    if tone is not None:  # no tooth is whiter than white
        factors = factors * min(1.0, float(LUMA @ tone.white) / max(float(LUMA @ (factors * own.teeth)), 1.0))
    return factors


def _around(image: Tensor, covered: Float32Array, fine: int) -> Float64Array:
    """Mean colour [3] of an image [3, h, w] (0 to 255) on the skin around the lips."""
    inside = covered > 0.5
    near, far = (ndimage.binary_dilation(inside, iterations=n * fine) for n in (8, 16))
    mean: Float64Array = image[:, torch.from_numpy(far & ~near)].mean(1).double().numpy()
    return mean


def _columns(covered: Float32Array) -> tuple[int, int, Float64Array, Float64Array]:
    """First and last column of an opening [h, w], and its top and bottom [w] in all of them."""
    inside = covered > 0.5
    used = np.flatnonzero(inside.any(0))
    top = inside.argmax(0).astype(np.float64)
    bottom = (len(inside) - inside[::-1].argmax(0)).astype(np.float64)
    x = np.arange(inside.shape[1])
    return int(used[0]), int(used[-1]), np.interp(x, used, top[used]), np.interp(x, used, bottom[used])


def _stretch(covered: Float32Array, own: Float32Array) -> float:
    """The ratio of the heights of two openings, by the means over the middle half of their columns."""
    heights = []
    for part in (covered, own):
        if not (part > 0.5).any():
            heights.append(0.0)
            continue
        first, last, top, bottom = _columns(part)
        quarter = (last - first) // 4
        heights.append(float((bottom - top)[first + quarter : last - quarter + 1].mean()))
    return heights[0] / heights[1] if heights[1] else float("inf")


def _between_lips(own: OwnMouth, covered: Float32Array) -> Float64Array:
    """The other mouth's colours [h, w, 3] carried into this opening: corner to corner and lip to lip."""
    first, last, top, bottom = _columns(covered)
    from_first, from_last, from_top, from_bottom = _columns(own.opening)
    height, width = covered.shape
    x = from_first + (np.arange(width) - first) / max(last - first, 1) * (from_last - from_first)
    x = x.clip(from_first, from_last)
    columns = np.arange(width)
    upper, lower = np.interp(x, columns, from_top), np.interp(x, columns, from_bottom)
    part = (np.arange(height)[:, None] + 0.5 - top) / np.maximum(bottom - top, 1)
    y = (upper + part.clip(0.02, 0.98) * (lower - upper)) - 0.5
    places = [y, np.broadcast_to(x, y.shape)]
    layers = [ndimage.map_coordinates(own.colours[..., k], places, order=1, mode="nearest") for k in range(3)]
    return np.stack(layers, -1).astype(np.float64)
