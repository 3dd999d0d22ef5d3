"""The opened mouth of a moved photo, painted by the mouth network instead of the head's own teeth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.crop import inter_ocular
from latentface.head.geometry import Box
from latentface.head.interior import SLIVER
from latentface.head.mouth import MouthSource, fill_mouth, is_taken, rows_in_photo, usual_teeth
from latentface.head.mouth_canvas import MouthFrame, edge_reach, sample_canvas
from latentface.head.own_mouth import OwnMouth, Tone, take_mouth
from latentface.head.teeth import TeethRows
from latentface.networks.mouth import MouthConfig, MouthNet

if TYPE_CHECKING:
    from latentface.head.drive import Driven
    from latentface.head.observed import ObservedHead

SHOWS_TEETH = 0.5  # a photo with a larger `Opening.row` shows a row of teeth


def paint_opening(
    driven: Driven,
    upper_jaw: Float64Array,
    network: MouthNet,
    source: MouthSource = "painted",
    other: OwnMouth | None = None,
) -> Pixels:
    """Fill the interior of the opened mouth in the moved photo.

    A row of teeth that the photo shows is kept and the rest is painted. The teeth of two people are never mixed: if the
    other person's mouth is used, all of it is.

    Args:
        driven: the result of `head.drive`.
        upper_jaw: landmarks [68, 2], photo pixels, of the head's skull: of its pose without its expression, so that
            teeth stay where they are while lips move over them.
        network: what paints.
        source: painted; "own" to take another photo's mouth; "auto" to take it if it fits and the photo shows no row
            of teeth itself.
        other: the mouth that the other photo shows, if it does.

    Raises:
        InputError: own is asked for, and the other photo shows no mouth that fits.
    """
    opening, hole = driven.opening, driven.hole
    if opening is None or hole is None or driven.lips is None or not hole.any():
        return driven.photo
    mask = np.zeros(driven.photo.shape[:2], np.float32)
    mask[opening.box.slices] = np.clip(hole, 0, 1)
    frame = MouthFrame.from_landmarks(upper_jaw)
    if source == "auto" and opening.row > SHOWS_TEETH:
        other = None
    taken = is_taken(source, other, mask, frame, network.config)
    own = np.zeros_like(opening.kept) if taken else opening.kept * opening.row
    unit = inter_ocular(upper_jaw)
    seen, beside = own, 1 + 2 * edge_reach(frame.to_photo(network.config))
    own = np.where(hole < 1, ndimage.grey_dilation(own, size=(beside, beside)), own)  # beside it, lips stay as they are
    if float((hole * (1 - own)).sum()) < SLIVER * unit**2:
        return driven.photo
    rows = _rows(mask, opening.kept, opening.row, opening.box, frame, network.config)
    bare = driven.photo.copy()
    bare[opening.box.slices] = np.rint(np.clip(driven.lips, 0, 255)).astype(np.uint8)
    tone = Tone(opening.teeth, opening.tones.white)
    painted = fill_mouth(bare, mask, frame, network, "own" if taken else "painted", other, rows, tone=tone)
    there = opening.box.slices
    share, made = mask[there][..., None], painted[there].astype(np.float32)
    faded = made + share * (opening.tones.faded(made) - made)
    mixed = own[..., None] * driven.photo[there] + (1 - own[..., None]) * faded
    _join(mixed, driven.lips, hole, (own > 0) & (seen < 0.5))
    painted[there] = np.rint(mixed).astype(np.uint8)
    return painted


def _join(mixed: Float32Array, lips: Float32Array, hole: Float32Array, where: BoolArray) -> None:
    """Let some pixels on the edge of a hole [H, W] mix lips with the nearest one inside it, in place."""
    edge = where & (hole > 0) & (hole < 1)
    if not edge.any() or not (hole >= 1).any():
        return
    rows, columns = ndimage.distance_transform_edt(hole < 1, return_distances=False, return_indices=True)[:, edge]
    share = hole[edge][:, None]
    mixed[edge] = share * mixed[rows, columns] + (1 - share) * lips[edge]


def _rows(
    mask: Float32Array, kept: Float32Array, row: float, box: Box, frame: MouthFrame, config: MouthConfig
) -> TeethRows:
    """Average teeth, or teeth aligned with the row that the photo shows, or with both if it shows two."""
    covered = sample_canvas(mask, frame.to_photo(config), config)[0].numpy()
    usual = usual_teeth(covered, frame, config)
    upper, lower = _edges(kept > 0.5, box)
    if len(upper) < 2:
        return usual
    seen = rows_in_photo(frame, upper, lower if len(lower) > 1 else None, config)
    upper_edge = _towards(usual.upper_edge, seen.upper_edge, row)
    lower_edge = _towards(usual.lower_edge, seen.lower_edge, row)
    return replace(usual, upper_edge=upper_edge, lower_edge=np.maximum(lower_edge, upper_edge + 0.01 * config.scale))


def _edges(firm: BoolArray, box: Box) -> tuple[Float64Array, Float64Array]:
    """Where in a mask [H, W] of a box the upper row of teeth ends and a lower one begins: places [N, 2] each."""
    rows, columns = np.arange(len(firm))[:, None], np.flatnonzero(firm.any(axis=0))
    firm = firm[:, columns]
    last = len(firm) - 1 - firm[::-1].argmax(axis=0)
    end = np.where(firm | (rows < firm.argmax(axis=0)), len(firm), rows).min(axis=0)
    begin = np.where(firm | (rows > last), -1, rows).max(axis=0) + 1
    places = np.column_stack([columns + box.left + 0.5, end + box.top]).astype(np.float64)
    two = end < last
    return places, np.column_stack([places[:, 0], begin + box.top])[two]


def _towards(usual: Float64Array, seen: Float64Array, share: float) -> Float64Array:
    """An edge [W], moved by a share to where it is seen, [W], and beside that as far; NaN where it is not."""
    known = np.flatnonzero(~np.isnan(seen))
    if not len(known):
        return usual
    return usual + share * np.interp(np.arange(len(usual)), known, (seen - usual)[known])


def shown_mouth(head: ObservedHead, upper_jaw: Float64Array, config: MouthConfig) -> OwnMouth | None:
    """The open mouth of a photo, for use in another photo; None if it is open only by a slit."""
    shown, mask = head.shown, np.zeros(head.photo.shape[:2], np.float32)
    mask[shown.box.slices] = shown.mask | shown.gap
    try:
        return take_mouth(head.photo, mask, MouthFrame.from_landmarks(upper_jaw), config)
    except InputError:
        return None
