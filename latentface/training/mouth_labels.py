"""Automatic labels of a photo of an open mouth: where teeth are, where their edges run, how they are spaced.

The labels come from thresholds between lips, teeth and the dark interior, a parabola through the visible ends of the
teeth, and the position and size at which the gaps of an average row of teeth best match the dark lines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.head.teeth import EYE_DISTANCE, LINE_WIDTH, UPPER_WIDTHS, tooth_borders
from latentface.networks.mouth import MouthConfig

LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, eq=False)
class MouthLabels:
    """Labels of one canvas: `TeethRows`' values, and the photo's measures that styles are made of.

    upper_edge, lower_edge: [W]; NaN where there are no such teeth. upper_open: teeth reach the lower lip, so that where
    the edge is cannot be seen (upper_edge is the lip then). lines: 0 to 1, how well the borders fit. measures: log
    luminance of the skin, of teeth over skin, of the rest of the opening over skin, and the redness of the rest beyond
    that of skin; NaN where there is too little of it. teeth: share of the opening.
    """

    upper_edge: Float32Array
    lower_edge: Float32Array
    upper_open: bool
    midline: float
    size: float
    lines: float
    measures: Float32Array
    teeth: float


def redness(image: Float64Array) -> Float64Array:
    """(R - G) / (R + G + B) of colours [..., 3] in 0 to 255, with a little grey so that black has none."""
    difference: Float64Array = (image[..., 0] - image[..., 1]) / (image.sum(-1) + 30)
    return difference


def find_teeth(image: Float64Array, opening: BoolArray, lips: BoolArray, colourless: bool) -> BoolArray:
    """Which pixels of the opening are teeth: brighter than lips and the dark, less red than lips."""
    if not opening.any():
        return np.zeros_like(opening)
    light, red = image @ LUMA, redness(image)
    around = lips & ~ndimage.binary_dilation(opening)
    ring = _skin(lips | opening)
    skin_red = np.median(red[ring])
    lip_red = np.median(red[around]) if around.any() else skin_red
    lip_light = np.median(light[around]) if around.any() else np.median(light[ring])
    bright = light > max(0.55 * np.quantile(light[opening], 0.95), 0.5 * lip_light + 8)
    pale = red < (0.5 * (skin_red + lip_red) if lip_red > skin_red + 0.01 else skin_red + 0.02) + 0.02
    found = opening & bright & (pale | colourless)
    teeth: BoolArray = ndimage.binary_opening(found) | (found & ndimage.binary_erosion(opening))
    return teeth


def tooth_edges(opening: BoolArray, teeth: BoolArray, midline: float) -> tuple[Float32Array, Float32Array, bool]:
    """Edges of the upper and the lower row [W], and whether the upper row ends behind the lower lip."""
    height, width = opening.shape
    upper, lower = np.full(width, np.nan), np.full(width, np.nan)
    hidden = 0
    for x in np.flatnonzero(opening.any(0)):
        rows = np.flatnonzero(opening[:, x])
        run = teeth[rows[0] : rows[-1] + 1, x]
        ends = np.flatnonzero(np.diff(np.concatenate([[0], run, [0]]).astype(int)))
        if not len(ends):
            continue
        if ends[0] <= 3:
            if len(run) - ends[1] >= 2:
                upper[x] = rows[0] + ends[1]
            else:
                hidden += 1
        if ends[-1] >= len(run) - 1 and ends[-2] >= 4:
            lower[x] = rows[0] + ends[-2]
    bottom = np.where(opening.any(0), height - opening[::-1].argmax(0), np.nan)
    seen = int(np.isfinite(upper).sum())
    if seen >= 14 and seen > hidden:
        return _parabola(upper, midline), _parabola(lower, midline, 8), False
    if hidden >= 14:
        return (_parabola(bottom, midline) + 1).astype(np.float32), _parabola(lower, midline, 1000), True
    nothing = np.full(width, np.nan, np.float32)
    return nothing, _parabola(lower, midline, 8), False


def _parabola(edge: Float64Array, midline: float, fewest: int = 14) -> Float32Array:
    """A parabola through the finite values near the midline, twice, the second time without the worst; else NaN."""
    x = np.arange(len(edge)) + 0.5 - midline
    used = np.isfinite(edge) & (np.abs(x) < 24)
    if used.sum() < fewest:
        return np.full(len(edge), np.nan, np.float32)
    for _ in range(2):
        terms = np.polyfit(x[used], edge[used], 2 if used.sum() >= 14 else 0)
        off = np.abs(np.polyval(terms, x) - edge)
        used &= off <= max(1.5, 2 * float(np.median(off[used])))
    return np.polyval(terms, x).astype(np.float32)


def tooth_spacing(image: Float64Array, teeth: BoolArray, yaw: float, config: MouthConfig) -> tuple[float, float, float]:
    """Midline (canvas pixels), size and clearness (0 to 1) of the lines between teeth, by trying a grid of them."""
    inside = ndimage.binary_erosion(teeth) if teeth.sum() > 120 else teeth
    used = inside.sum(0) >= 2
    middle = config.width / 2
    if used.sum() < 20:
        return middle, 1.0, 0.0
    light = image @ LUMA
    column = np.where(used, (light * inside).sum(0) / np.maximum(inside.sum(0), 1), 0)
    smooth = ndimage.gaussian_filter1d(column, 3.0) / np.maximum(ndimage.gaussian_filter1d(used * 1.0, 3.0), 1e-3)
    x = np.arange(config.width) + 0.5
    weight = used * np.exp(-(((x - middle) / 22) ** 2))
    detail = np.where(used, (smooth - column) / max(10.0, column[used].mean()), 0)
    detail = detail - (detail * weight).sum() / weight.sum()
    best, found = -1.0, (middle, 1.0)
    for size in np.arange(0.8, 1.24, 0.04):
        borders = tooth_borders(UPPER_WIDTHS, yaw) * size * config.scale / EYE_DISTANCE
        for midline in np.arange(middle - 5, middle + 5.1, 0.5):
            lines = np.exp(-0.5 * ((x[:, None] - midline - borders) / (LINE_WIDTH * config.scale)) ** 2).sum(1)
            lines = lines - (lines * weight).sum() / weight.sum()
            match = (weight * lines * detail).sum()
            match /= np.sqrt((weight * lines**2).sum() * (weight * detail**2).sum() + 1e-9)
            score = match - 0.01 * abs(midline - middle) - 0.3 * (size - 1) ** 2
            if score > best:
                best, found = float(score), (float(midline), float(size))
    return *found, float(np.clip((best - 0.4) / 0.3, 0, 1))


def _skin(mouth: BoolArray) -> BoolArray:
    """A ring of skin around a mouth."""
    ring: BoolArray = ndimage.binary_dilation(mouth, iterations=9) & ~ndimage.binary_dilation(mouth, iterations=3)
    return ring


def label_mouth(
    image: Pixels, opening: BoolArray, lips: BoolArray, yaw: float, colourless: bool, config: MouthConfig
) -> MouthLabels:
    """All labels of a canvas [H, W, 3] whose opening and lips are known."""
    colours = image.astype(np.float64)
    teeth = find_teeth(colours, opening, lips, colourless)
    midline, size, lines = tooth_spacing(colours, teeth, yaw, config)
    upper, lower, hidden = tooth_edges(opening, teeth, midline)
    light, red = colours @ LUMA, redness(colours)
    skin = _skin(lips | opening)
    rest = ndimage.binary_erosion(opening) & ~ndimage.binary_dilation(teeth)
    ground = float(np.median(light[skin])) + 8

    def brightness(part: BoolArray) -> float:
        return float(np.log((np.median(light[part]) + 8) / ground)) if part.sum() >= 12 else float("nan")

    redder = float(np.median(red[rest]) - np.median(red[skin])) if rest.sum() >= 12 else float("nan")
    measures = np.array([np.log(ground), brightness(teeth), brightness(rest), redder], np.float32)
    return MouthLabels(upper, lower, hidden, midline, size, lines, measures, float(teeth.sum() / max(1, opening.sum())))
