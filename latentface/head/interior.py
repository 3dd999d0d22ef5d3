"""The interior of an opening mouth: its shape, the part that the photo shows, and a plain filling for the rest.

Visible teeth of the photo are kept: those above the bite stay with the skull, those below move with the jaw, and the
lips slide over both. The rest is the head's own teeth, gums and tongue, shaded by depth in the photo's light.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array, Pixels
from latentface.head.field import Field, Scene
from latentface.head.geometry import Box, affine, ramp
from latentface.head.light import TINT
from latentface.head.mask_edges import column_edges
from latentface.head.mouth_canvas import SLIT
from latentface.head.shown_mouth import FRINGE, Kept, Shown
from latentface.head.tones import Tones
from latentface.ops.raster import normals, rasterise, sample

PARTS = ("gums_upper", "gums_lower", "tongue", "teeth_upper", "teeth_lower")
COLOURS = {  # linear colour; a white surface in the photo's light has 1
    "gums_upper": (0.62, 0.34, 0.34), "gums_lower": (0.60, 0.33, 0.33), "tongue": (0.62, 0.32, 0.31),
    "teeth_upper": (0.92, 0.89, 0.82), "teeth_lower": (0.87, 0.83, 0.75),
}  # fmt: skip
SLIVER = 0.002  # squared inter-ocular distances: smaller openings are raster artefacts
ROW = (0.5, 0.65)  # share of an open mouth's columns in which the photo must show the interior for it to be kept
TALL = (0.08, 0.095)  # the same, of how high that is, in inter-ocular distances: a mere strip drawn out shows no teeth
DEEP = (0.04, 0.065)  # the same, of how high it is dark below teeth: from there on a mouth is drawn out as it is
GUMS = (0.09, 0.13)  # the same: over the teeth that the photo shows, gums begin between so high and so high
GUM = np.array([0.88, 0.62, 0.62], np.float32)  # brightness of gums relative to teeth
CLEAN = (0.04, 0.01)  # the same: teeth go on upwards as they are on average so far down, smoothed sideways by so much
BESIDE, CORNER = (0.12, 0.25), 0.12  # the same: so far a row of teeth goes on to the sides, and how fast it gets darker
LAST = 1.5  # pixels from the interior's end to the last row that is surely no lip, and least height of lower teeth
FURTHER = (0.06, 0.09)  # inter-ocular distances that this row goes on downwards, to the edge of the fitted lip
NARROW = 0.65  # the light that teeth lose until lips that showed them meet
ALONG = 0.03  # inter-ocular distances along lips over which that is smoothed
FALL = {"tongue": 1.1, "gums_lower": 1.6}  # how fast light falls behind the lips, an inter-ocular distance
CAVITY = np.array([0.085, 0.03, 0.025], np.float32)


@dataclass(frozen=True)
class Opening:
    """The open mouth of a moved photo.

    Attributes:
        box: where in the photo; all arrays are of its size.
        shape: 1 inside the lips, 0 outside, before smoothing their edge, [H, W].
        own: the part that the photo shows, moved into place, [H, W, 3], 0 to 255.
        kept: how far that is to be kept, 0 to 1, [H, W], if any of it is.
        row: whether any of it is, 0 to 1: a few teeth of the photo's, or the edges of some, would stand out in a
            painted row.
        tones: the photo's.
        teeth: the value of the teeth that the photo shows, or None if it shows none, [3].
        amount: how far lips and jaw moved against the skull, from 0 (not at all: the photo's pixels serve) to 1.
    """

    box: Box
    shape: Float32Array
    own: Float32Array
    kept: Float32Array
    row: float
    tones: Tones
    teeth: Float32Array | None
    amount: float


def is_kept(shown: Shown, unit: float) -> Kept:
    """What of a mouth is worth keeping; unit: the photo's inter-ocular distance."""
    return Kept(float(ramp(shown.height / unit, *TALL)), float(ramp(shown.cavity.height / unit, *DEEP)))


def find_opening(
    photo: Pixels, scene: Scene, shown: Shown, after: Float32Array, field: Field, tones: Tones, kept: Kept
) -> Opening | None:
    """The opening of the mouth after the change, or None if the lips are closed.

    kept: what of the photo's mouth is, as `is_kept` says unless the frames of a film are to agree.
    """
    box = scene.lips_box(after)
    inside = np.zeros((box.height, box.width), np.float32)
    here, there = box.shared(field.box)
    inside[here] = field.layer[there] == 1
    if not inside.any():
        return None
    own, moved, columns = _own(photo, scene, shown, after, box, inside, kept.cavity)
    return Opening(box, inside, own, moved, kept.row * columns, tones, shown.teeth, scene.moved_lips(after))


def _own(
    photo: Pixels, scene: Scene, shown: Shown, after: Float32Array, box: Box, inside: Float32Array, cavity: float
) -> tuple[Float32Array, Float32Array, float]:
    """What the photo shows of the mouth's inside, moved: `Opening.own`, `kept`, and if it is in each column.

    cavity: `Kept.cavity`.
    """
    if not shown.mask.any():
        return np.zeros((box.height, box.width, 3), np.float32), np.zeros((box.height, box.width), np.float32), 0.0
    places, unit = box.places(), scene.unit
    colours, weights, sources = [], [], []
    for sign, source in zip((1, -1), find_sources(scene, after, places), strict=True):
        side = ramp(np.clip(sign * (shown.bite - source[..., 1]), -unit, unit), -0.01 * unit, 0.01 * unit)
        weights.append(ramp(shown.share(source), 0.10, 0.34) * side)
        colours.append(sample(photo, source))
        sources.append(source)
    deep, drawn = _draw_out(shown, sources[0], sources[1], cavity, unit)
    there = (inside > 0.5) & (np.maximum.reduce([*weights, deep]) > 0.5)
    columns = there.any(axis=0).sum() / max(int((inside > 0.5).any(axis=0).sum()), 1)
    grow_row(weights[0], colours[0], unit)
    upper, lower = weights
    share = (upper / np.maximum(upper + lower, 1e-6))[..., None]
    mixed = colours[0] * share + colours[1] * (1 - share)
    if deep.any():
        mixed += deep[..., None] * (sample(photo, drawn) - mixed)
    kept = np.maximum.reduce([upper, lower, deep])
    closer = closed(inside > 0.5, shown, sources[0][..., 0], unit)
    mixed *= 1 - NARROW * np.square(closer)[..., None] * TINT  # by red lips
    return mixed.astype(np.float32), kept.astype(np.float32), float(ramp(columns, *ROW))


def closed(inside: BoolArray, shown: Shown, column: Float32Array, unit: float) -> Float32Array:
    """How far lips are closer to each other than in the photo, 1 where they meet, [H, W].

    Args:
        inside: the mouth after the change, [H, W].
        shown: what the photo shows.
        column: that of the photo from which each pixel comes, [H, W].
        unit: the inter-ocular distance in pixels.
    """
    now, was = (
        ndimage.gaussian_filter1d(mask.sum(axis=0).astype(np.float32), ALONG * unit, mode="nearest")
        for mask in (inside, shown.mask)
    )
    before = np.interp(column - shown.box.left, np.arange(len(was)), was)
    closer: Float32Array = np.maximum(1 - (now + 0.5) / (before + 0.5), 0).astype(np.float32)
    return closer


def find_sources(scene: Scene, after: Float32Array, places: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Where places [..., 2] behind the lips come from that move with the skull, and those with the jaw, [..., 2].

    All is as far in front as the lips are: if teeth turned behind them, what would be uncovered is not in the photo.
    """
    before = scene.before
    turned = scene.turned(after, before[scene.lips])[:, :2]
    right, left = scene.turned(after, before[scene.model.landmarks[[48, 54]]])[:, :2]  # corners
    middle, along = turned.mean(axis=0), (left - right) / max(float(np.square(left - right).sum()), 1e-6)

    def terms(at: Float32Array) -> Float32Array:
        away = at - middle
        return np.concatenate([away, np.square(away @ along)[..., None], np.ones_like(away[..., :1])], axis=-1)

    fitted = np.linalg.lstsq(terms(turned), before[scene.lips, :2], rcond=None)[0]
    found = []
    for vertices in scene.teeth:
        matrix, offset = affine(after[vertices], scene.turned(after, before[vertices]))
        found.append((terms(places @ matrix.T + offset) @ fitted).astype(np.float32))
    return found[0], found[1]


def _draw_out(
    shown: Shown, with_skull: Float32Array, with_jaw: Float32Array, kept: float, unit: float
) -> tuple[Float32Array, Float32Array]:
    """Where the inside of a mouth that was wide open is drawn out below upper teeth, and from where.

    Lower teeth, and all down to the lip, go with the jaw; what is between them and the upper ones is drawn out.

    Args:
        shown: what the photo shows.
        with_skull: where places come from that move with the skull, [H, W, 2].
        with_jaw: the same with the jaw.
        kept: `Kept.cavity`.
        unit: the inter-ocular distance in pixels.

    Returns:
        how far it is, 0 to 1, [H, W], and the places in the photo, [H, W, 2].
    """
    if not kept:
        return np.zeros(with_skull.shape[:2], np.float32), with_skull
    cavity, left, top = shown.cavity, shown.box.left, shown.box.top
    every = np.arange(len(cavity.roof), dtype=np.float32)
    below = with_skull[..., 1] - top - np.interp(with_skull[..., 0] - left, every, cavity.roof)
    above = np.interp(with_jaw[..., 0] - left, every, cavity.floor) - (with_jaw[..., 1] - top)
    share = np.clip(below / np.maximum(below + above, 1e-3), 0, 1)[..., None]
    source = ((1 - share) * with_skull + share * with_jaw).astype(np.float32)
    # the interior ends where that of the fitted head may go on: its last rows are mirrored, those of teeth drawn out
    end, teeth = (np.interp(source[..., 0] - left, every, edge) for edge in (cavity.end, cavity.end - cavity.floor))
    beyond = np.maximum(source[..., 1] - (end - LAST + top), 0)
    source[..., 1] -= beyond * (2 - np.clip(teeth / LAST, 0, 1))
    there = (
        kept * ramp(shown.share(source), 0.10, 0.34) * np.clip(below + 0.5, 0, 1) * (1 - ramp(beyond / unit, *FURTHER))
    )
    return there.astype(np.float32), source


def grow_row(weight: Float32Array, colour: Float32Array, unit: float) -> None:
    """Let a row of upper teeth go on upwards, into gums, and to both sides, into the cheeks' shadow; in place.

    Args:
        weight: how far the photo's own teeth are kept, [H, W].
        colour: what they look like, [H, W, 3].
        unit: the inter-ocular distance in pixels.
    """
    firm = weight > 0.95
    columns = np.flatnonzero(firm.any(axis=0))
    if not len(columns):
        return
    height, width = weight.shape
    wide = 2 * max(1, round(0.03 * unit)) + 1
    tops, ends = (ndimage.median_filter(edge, wide, mode="nearest") for edge in column_edges(firm, columns))
    across = np.abs(np.arange(width)[:, None] - columns)
    nearest, away = across.argmin(axis=1), across.min(axis=1)
    rows = np.arange(height)[:, None]
    top = np.minimum(tops[nearest] + max(1, round(FRINGE * unit)), height - 1)
    end = np.maximum(ends[nearest] - 2, top)
    source = colour[np.clip(rows, top, end), columns[nearest][None]]
    above = np.maximum(top - rows, 0) / unit
    # their upper edge lies in the lip's shadow, whose streaks would be drawn out
    deep = [np.minimum(top + k, end) for k in range(1 + round(CLEAN[0] * unit))]
    clean = np.mean([colour[row, columns[nearest]] for row in deep], axis=0)
    clean = ndimage.gaussian_filter1d(clean, CLEAN[1] * unit, axis=0, mode="nearest")
    source += ramp(above, 0.0, CLEAN[0])[..., None] * (clean - source)
    gum = ramp(above, *GUMS)[..., None]
    grown = source * (1 - gum) + source * GUM * gum
    grown = grown * (np.exp(-away / (CORNER * unit)))[None, :, None] * np.exp(-above)[..., None]
    fresh = np.where(rows <= end + 0.5, 1 - ramp(away / unit, *BESIDE)[None], 0)
    replaced = (fresh > 0) & (fresh >= weight)
    colour[replaced] = grown[replaced]
    weight[replaced] = fresh[replaced]


def dark(opening: Opening, lips: Float32Array) -> Float32Array:
    """A dark filling of the whole opening, [H, W, 3], 0 to 255, for callers that paint over it.

    It is left at its rim, where it has the colour of a shadow between the lips. lips: some of their pixels, [N, 3].
    """
    colour = SLIT * np.median(lips, axis=0) if len(lips) else CAVITY * opening.tones.white
    return np.broadcast_to(opening.tones.faded(colour.astype(np.float32)), (*opening.shape.shape, 3))


def fill(opening: Opening, scene: Scene, after: Float32Array) -> Float32Array:
    """A plain filling of the whole opening, [H, W, 3], 0 to 255: the head's own mouth, in the photo's light."""
    box, scale, unit, model = opening.box, 2, scene.unit, scene.model
    parts = PARTS if opening.teeth is None else tuple(name for name in PARTS if name != "teeth_upper")
    triangles: Int64Array = model.part(*parts)
    shades = np.concatenate([np.tile(np.asarray(COLOURS[n], np.float32), (len(model.parts[n]), 1)) for n in parts])
    placed = after.copy()
    placed[:, :2] = (placed[:, :2] - [box.left, box.top] + 0.5) * scale - 0.5
    seen = rasterise(placed, triangles, box.height * scale, box.width * scale, cull=True)
    facing = seen.interpolate(normals(after, triangles))
    lit = 0.55 + 0.45 * np.clip(0.9 * facing[..., 2] - 0.3 * facing[..., 1], 0, 1)
    front = float(after[model.landmarks[60:68], 2].max())
    behind = np.maximum(front - seen.depth, 0) / unit
    # light falls on the tongue; teeth at the sides stand in the cheeks' shadow
    rate = np.concatenate([np.full(len(model.parts[n]), FALL.get(n, 3.2), np.float32) for n in parts])
    sunk = np.exp(-rate[np.maximum(seen.index, 0)] * np.maximum(behind - 0.10, 0))
    colours = shades[np.maximum(seen.index, 0)] * (lit * sunk)[..., None]
    mixed = np.where(seen.covered[..., None], np.maximum(colours, CAVITY), CAVITY)
    mixed = mixed.reshape(box.height, scale, box.width, scale, 3).mean(axis=(1, 3))
    mixed = ndimage.gaussian_filter(mixed, (0.010 * unit, 0.010 * unit, 0))
    # the lips shade what lies behind them, the upper one most
    edge = ndimage.distance_transform_edt(np.pad(opening.shape, 1))[1:-1, 1:-1] / unit
    under = np.cumsum(opening.shape, axis=0) / unit
    mixed = mixed * ((0.65 + 0.35 * ramp(edge, 0.0, 0.04)) * (0.82 + 0.18 * ramp(under, 0.0, 0.10)))[..., None]
    white = opening.tones.white if opening.teeth is None else np.minimum(opening.teeth / 0.85, 255)
    return opening.tones.faded(np.clip(mixed * white, 0, 255))
