"""The mouth's canvas: photo to canvas and back, at the photo's own resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import InputError, UsageError
from latentface.networks.mouth import MouthConfig

#: An opening of fewer canvas pixels (about square millimetres) is a dark line; the interior is visible from twice as
#: many.
LEAST_AREA = 15.0
#: Brightness of such a line relative to the lips.
SLIT = 0.4
#: Softness of the edge between lip and mouth: deviation in canvas pixels.
EDGE = 0.35
#: Canvas pixels around a place that its colour depends on after sharpening.
SAMPLED = 5
#: The shade that the upper lip throws: its strength, and how far down it goes, in canvas pixels.
SHADE, SHADE_DEPTH = 0.2, 1.6
#: Darkening between lips that nearly touch, and the height, in canvas pixels, at which it ends.
NARROW, NARROW_HEIGHT = 0.5, 2.6


@dataclass(frozen=True, eq=False)
class MouthFrame:
    """Where the upper jaw is in a photo.

    In a clip, it should follow the head and not the lips, so that teeth stay in place while the lips move over them.

    Attributes:
        nose_base: [2] (x, y), landmark 33.
        across: [2], from the centre of the eye at the left of the picture to that at the right.
        yaw: radians, above 0 when the nose points to the picture's right.
    """

    nose_base: Float64Array
    across: Float64Array
    yaw: float = 0.0

    def __post_init__(self) -> None:
        for name in ("nose_base", "across"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != (2,) or not np.isfinite(value).all():
                raise UsageError(f"MouthFrame: expected two finite numbers for {name}, got {getattr(self, name)!r}")
            object.__setattr__(self, name, value)
        if np.hypot(*self.across) < 4:
            raise InputError(f"the eyes are {np.hypot(*self.across):.1f} pixels apart: the mouth needs 4 or more")

    @staticmethod
    def from_landmarks(points: Float64Array) -> MouthFrame:
        """From 68 landmarks [68, 2] in photo pixels."""
        if np.shape(points) != (68, 2):
            raise UsageError(f"MouthFrame: expected landmarks [68, 2], got {list(np.shape(points))}")
        left, right = points[36:42].mean(0), points[42:48].mean(0)
        across = right - left
        along = ((points[30] - (left + right) / 2) @ across) / (across @ across)
        return MouthFrame(points[33], across, float(np.clip(np.arctan(along * 64 / 30), -0.7, 0.7)))

    def to_photo(self, config: MouthConfig) -> Float64Array:
        """Canvas (x, y, 1) -> photo (x, y): [2, 3]; both count pixel i from i to i + 1."""
        right = self.across / config.scale
        axes = np.stack([right, [-right[1], right[0]]], axis=1)
        return np.column_stack([axes, self.nose_base - axes @ [config.width / 2, config.top]])


def check_opening(photo: Pixels, opening: Float32Array) -> None:
    """Raise UsageError unless they are a photo uint8 [H, W, 3] and an opening float32 [H, W] from 0 to 1."""
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise UsageError(f"expected a photo uint8 [H, W, 3], got {photo.dtype} {list(photo.shape)}")
    if opening.shape != photo.shape[:2] or opening.dtype != np.float32:
        raise UsageError(
            f"expected an opening float32 {list(photo.shape[:2])}, got {opening.dtype} {list(opening.shape)}"
        )
    if opening.size and not (opening.min() >= 0 and opening.max() <= 1):
        raise UsageError(f"an opening runs from 0 to 1, got {opening.min()} to {opening.max()}")


def sample_canvas(layers: Pixels | Float32Array, matrix: Float64Array, config: MouthConfig, fine: int = 1) -> Tensor:
    """A photo [H, W, 3] or a mask [H, W] in the canvas at `fine` times its resolution, float32 [C, h, w].

    It is averaged where the photo has more pixels; beyond the photo its border goes on.
    """
    height, width = config.height * fine, config.width * fine
    y, x = np.mgrid[:height, :width] + 0.5
    place = np.tensordot(np.stack([x / fine, y / fine, np.ones_like(x)], -1), matrix, (2, 1))  # [h, w, 2]
    end = np.array([layers.shape[1], layers.shape[0]])
    low = np.floor(place.min((0, 1)) - 2).clip(0, end - 1).astype(int)
    high = np.ceil(place.max((0, 1)) + 2).clip(low + 1, end).astype(int)
    cut = layers[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    part = torch.from_numpy(cut.reshape(*cut.shape[:2], -1)).permute(2, 0, 1)[None]
    size = high - low
    step = int(np.hypot(*matrix[:, 0]) / fine)
    if step > 1 and size.min() >= step:
        size = size // step * step
        part = F.avg_pool2d(part[..., : size[1], : size[0]], step)
    grid = torch.from_numpy((place - low) / size * 2 - 1).float()[None]
    return F.grid_sample(part, grid, padding_mode="border", align_corners=False)[0]


def edge_reach(matrix: Float64Array) -> int:
    """How many photo pixels beyond an opening the softened edge of `lay_canvas` goes; matrix: canvas to photo."""
    return int(np.ceil(3 * EDGE * np.hypot(*matrix[:, 0])))


def lay_canvas(photo: Pixels, opening: Float32Array, inside: Tensor, matrix: Float64Array, fine: int) -> Pixels:
    """The photo with canvas colours [3, h, w] (0 to 255) in its opening, whose edge is softened."""
    pixel = np.hypot(*matrix[:, 0])  # photo pixels of a canvas pixel
    reach = edge_reach(matrix) + 1
    rows, columns = np.flatnonzero(opening.any(1)), np.flatnonzero(opening.any(0))
    top, bottom = max(rows[0] - reach, 0), min(rows[-1] + 1 + reach, photo.shape[0])
    left, right = max(columns[0] - reach, 0), min(columns[-1] + 1 + reach, photo.shape[1])
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    place = np.tensordot(np.stack([x, y], -1) - matrix[:, 2], np.linalg.inv(matrix[:, :2]), (2, 1)) * fine
    size = np.array([inside.shape[2], inside.shape[1]])
    low = np.floor(place.min((0, 1)) - SAMPLED).clip(0, size - 1).astype(int)
    high = np.ceil(place.max((0, 1)) + SAMPLED).clip(low + 1, size).astype(int)
    part = inside[:, low[1] : high[1], low[0] : high[0]]
    grid = torch.from_numpy((place - low) / (high - low) * 2 - 1).float()[None]
    sharp = _sharpened(part) if pixel / fine > 1.2 else part
    drawn = F.grid_sample(sharp[None], grid, mode="bicubic", padding_mode="border", align_corners=False)[0]
    colours = drawn.clamp(0, 255).permute(1, 2, 0).numpy()
    covered = opening[top:bottom, left:right]
    # softened outwards only, since the photo's pixels inside are undefined
    alpha = np.maximum(covered, ndimage.gaussian_filter(covered, EDGE * pixel, truncate=3.0))[..., None]
    out: Pixels = photo.copy()
    before = photo[top:bottom, left:right]
    out[top:bottom, left:right] = np.round(before * (1 - alpha) + colours * alpha).astype(np.uint8)
    return out


def _sharpened(image: Tensor) -> Tensor:
    """The image [3, h, w] at twice the size, with edges as sharp as before and without overshoot."""
    double = F.interpolate(image[None], scale_factor=2.0, mode="bicubic", align_corners=False)
    soft = F.avg_pool2d(F.pad(double, (2, 2, 2, 2), mode="replicate"), 5, 1)
    around = F.pad(image[None], (1, 1, 1, 1), mode="replicate")
    most = F.interpolate(F.max_pool2d(around, 3, 1), scale_factor=2.0, mode="nearest")
    least = F.interpolate(-F.max_pool2d(-around, 3, 1), scale_factor=2.0, mode="nearest")
    steep: Tensor = torch.minimum(torch.maximum(double + 0.9 * (double - soft), least), most)[0]
    return steep


def dim_slit(inside: Tensor, image: Tensor, covered: Float32Array, fine: int) -> Tensor:
    """Canvas colours [3, h, w] (0 to 255), faded to a dark lip if the opening is only a slit, without visible interior.

    image: the photo in the canvas, -1 to 1.
    """
    part = float(np.clip(covered.sum() / fine**2 / LEAST_AREA - 1, 0, 1))
    open_ = covered > 0.02
    rim = ndimage.binary_dilation(open_, iterations=3 * fine) & ~ndimage.binary_dilation(open_, iterations=fine)
    if part == 1 or not rim.any():
        return inside
    dark = (image[:, torch.from_numpy(rim)].mean(1) + 1) * 127.5 * SLIT
    return torch.lerp(dark[:, None, None].expand_as(inside), inside, part)


def shade_lips(inside: Tensor, covered: Float32Array, fine: int) -> Tensor:
    """Colours [3, h, w] with the shadow of the upper lip, and darker where the lips are close together."""
    opening = torch.from_numpy(covered) / fine
    under = 1 - SHADE * torch.exp(-((opening.cumsum(0) / SHADE_DEPTH) ** 2))
    near = 1 - NARROW * torch.exp(-((opening.sum(0) / NARROW_HEIGHT) ** 2))
    return inside * under * near
