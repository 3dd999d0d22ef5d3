"""The eyes: the lids slide over the eyeball, and the iris turns within the white."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.head.field import Box, Field, eye_distance
from latentface.head.interior import affine
from latentface.head.model import Floats, HeadModel
from latentface.ops.raster import sample

Photo = npt.NDArray[np.uint8]
SIDES = ("left", "right")


def fill_eye(
    photo: Photo, model: HeadModel, before: Floats, after: Floats, field: Field, box: Box, side: str
) -> Floats:
    """The eyeball as the photo shows it, behind wherever the lids are now, [H, W, 3], 0 to 255.

    What the lids uncover continues what they showed.
    """
    ball = np.flatnonzero((model.regions[f"eyeball_{side}"] > 0.5) & (model.neutral[:, 2] > 8.6))
    matrix, offset = affine(after[ball], before[ball])
    source = box.places() @ matrix.T + offset
    shown = field.before == 2 + SIDES.index(side)
    unit = eye_distance(model, before)
    inner = ndimage.binary_erosion(shown, iterations=max(1, round(0.02 * unit)))
    if not inner.any():
        inner = shown
    if not inner.any():
        return sample(photo, source)
    _, nearest = ndimage.distance_transform_edt(~inner, return_indices=True)
    corner = np.array([field.box.left, field.box.top])
    at = np.clip(np.rint(source - corner).astype(int), 0, [inner.shape[1] - 1, inner.shape[0] - 1])
    outside = ~inner[at[..., 1], at[..., 0]]
    to = nearest[:, at[..., 1], at[..., 0]][::-1].transpose(1, 2, 0) + corner
    return sample(photo, np.where(outside[..., None], to, source))
