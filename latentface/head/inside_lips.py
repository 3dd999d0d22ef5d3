"""The exact border of the interior of a mouth, which its colours tell from lips.

The fit is accurate to a few pixels. In a photo without colours it is all there is if lips are as bright as teeth.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.head.geometry import brightness
from latentface.head.mask_edges import column_edges, smooth_edges, usual_height

THIN = 0.022  # inter-ocular distances: a thinner gap between the lips is not kept
APART = 0.14  # least difference between teeth and lips in redness and brightness
SHADOW = 0.75  # of the brightness of lips: the dark corners of the mouth beside a row of teeth have less
RED = 0.6  # twice the largest redness of teeth; in warm light, where lips have more than 1, this share of theirs
RED_APART = 0.75  # of the redness of lips, between lips that are apart as the fit has them
OPEN = 0.05  # inter-ocular distances: lips that the fit has this far apart are open
COLOURLESS = 0.08  # span of the redness around the mouth of photos whose colours tell nothing
SPIKE = (0.25, 0.02)  # inter-ocular distances: teeth have no part that is narrower and sticks out farther


def inside_lips(photo: Pixels, inside: BoolArray, lower_lip: BoolArray, unit: float) -> BoolArray:
    """The visible interior between the lips, given a fit that is accurate to a few pixels, by its difference from lips.

    Within a rim, lip pixels inside the fitted opening are removed, and teeth outside it are added. The result is empty
    if everything in the opening looks like lip, since the lips are then closed.
    """
    depth = ndimage.distance_transform_edt(inside)
    if not inside.any():
        return inside
    outside = ndimage.distance_transform_edt(~inside)
    light, red = light_and_redness(photo)
    white = light - 1.5 * red
    core = inside & (white >= np.quantile(white[inside], 0.6))
    under = np.where(lower_lip.any(), lower_lip, (outside > 0.03 * unit) & (outside < 0.10 * unit))
    lip, tooth = (np.array([np.median(2 * red[m]), np.median(light[m])]) for m in (under, core))
    size = float(np.square(tooth - lip).sum())
    reddest = RED * max(1.0, lip[0]) if usual_height(inside) < OPEN * unit else max(RED, RED_APART * lip[0])
    if size < APART**2 or (tooth[0] > reddest and tooth[1] > 0.6 * lip[1]):
        return np.zeros_like(inside)
    # 0 for lip, 1 for the interior: teeth by their colour, the rest by its darkness
    score = (np.stack([2 * red, light], axis=2) - lip) @ (tooth - lip) / size
    dark = np.where(outside < 2, (0.5 * lip[1] - light) / (0.2 * lip[1]), 0)
    pale = 2 * red < 0.5 * (lip[0] + tooth[0])
    bright = (light > 0.8 * tooth[1]) | (pale & (light > 0.55 * tooth[1]))  # neither shadow nor beard
    score = np.where(inside | bright, score, np.minimum(score, 0.5))
    signed = np.where(inside, depth, -outside) / unit
    evidence = 3 * (np.clip(np.maximum(score, dark), -0.3, 1.1) - 0.5) + 0.6 * np.clip(signed / 0.06, -1.5, 1)
    ring = (signed < -0.10) & (signed > -0.15)
    hairy = (score[ring] > 0.6).mean() > 0.1 if ring.any() else False  # a grey beard looks like teeth
    found = (ndimage.gaussian_filter(evidence, 0.6) > 0) & (signed > (-1.5 / unit if hairy else -0.09))
    labels, _ = ndimage.label(ndimage.binary_opening(found))
    wide = [
        k + 1 for k, piece in enumerate(ndimage.find_objects(labels)) if piece[1].stop - piece[1].start > 0.3 * unit
    ]
    kept = np.isin(labels, wide)  # a row of teeth, not a highlight on a lip
    shadow = inside & (light < SHADOW * lip[1])
    smooth = _without_spikes(smooth_edges(_to_corners(kept, inside, shadow), 0.025 * unit), unit)
    if ndimage.distance_transform_edt(smooth).max() < max(1.2, THIN * unit):
        return np.zeros_like(inside)
    return smooth


def _without_spikes(mask: BoolArray, unit: float) -> BoolArray:
    """A row of teeth without the highlights of lips that touch it, which are narrower than any bend of its edges."""
    columns = np.flatnonzero(mask.any(axis=0))
    made: BoolArray = mask.copy()
    if not len(columns):
        return made
    width, over = max(1, round(SPIKE[0] * unit)), SPIKE[1] * unit
    top, end = column_edges(mask, columns)
    rows = np.arange(len(mask))[:, None]
    low = ndimage.grey_closing(top, width, mode="nearest") - over
    high = ndimage.grey_opening(end, width, mode="nearest") + over
    made[:, columns] &= (rows >= low) & (rows < high)
    return made


def _to_corners(mask: BoolArray, inside: BoolArray, shadow: BoolArray) -> BoolArray:
    """Extend a row of teeth to the corners of the mouth, where it has no distinct colour in the shadow."""
    columns, all_ = (np.flatnonzero(each.any(axis=0)) for each in (mask, inside))
    made: BoolArray = mask.copy()
    if not len(columns):
        return made
    rows = np.arange(len(mask))[:, None]
    for start, corner in ((columns[0], all_[0]), (columns[-1], all_[-1])):
        beyond = np.arange(corner, start) if corner < start else np.arange(start + 1, corner + 1)
        if len(beyond):
            share = (beyond - start) / (corner - start)
            middle = np.flatnonzero(inside[:, corner]).mean()
            edges = np.flatnonzero(mask[:, start])[[0, -1]]
            top, end = ((1 - share) * edge + share * middle for edge in edges)
            made[:, beyond] |= shadow[:, beyond] | (rows >= top - 0.5) & (rows <= end + 0.5)
    return made


def light_and_redness(photo: Pixels) -> tuple[Float32Array, Float32Array]:
    """Brightness and redness, hardly smoothed, [H, W] each; grey has none, and white a brightness of 1."""
    colours = ndimage.gaussian_filter(photo.astype(np.float32), (0.6, 0.6, 0))
    light = brightness(colours) / 255
    redness = (colours[..., 0] - colours[..., 1:].mean(axis=2)) / (255 * light + 10)
    return np.asarray(light, np.float32), np.asarray(redness, np.float32)


def is_colourless(photo: Pixels) -> bool:
    """Whether lips, skin and teeth have one colour, as in black-and-white or tinted photos."""
    return float(np.ptp(np.quantile(light_and_redness(photo)[1], [0.05, 0.95]))) < COLOURLESS
