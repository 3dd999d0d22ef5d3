"""Moving a photo's own pixels with a head that is fitted to it.

Coordinates are photo pixels (column, row; integers are pixels' centres), depth grows towards the viewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentface.errors import UsageError
from latentface.head.eyes import SIDES, fill_eye
from latentface.head.field import Box, Field, Surface, eye_distance, find_field
from latentface.head.interior import Opening, fill, find_opening
from latentface.head.model import Floats, HeadModel
from latentface.ops.raster import sample

Photo = npt.NDArray[np.uint8]

STILL = 2e-3  # pixels: what moves less is left alone
SAMPLES = 3  # along each side of a pixel that lies on the edge of a lip or a lid
#: Paints an opened mouth, [H, W, 3] in 0 to 255, from what is known of it and a plain filling of the same shape.
Painter = Callable[[Opening, Floats], Floats]


@dataclass(frozen=True)
class Driven:
    """A photo that was moved.

    Attributes:
        photo: the result, uint8 RGB [H, W, 3].
        box: outside it every pixel is the photo's own; None if nothing moved at all.
        opening: the opened mouth, or None if its lips are closed.
        field: where pixels came from, or None if nothing moved.
    """

    photo: Photo
    box: Box | None = None
    opening: Opening | None = None
    field: Field | None = None


def drive(
    photo: Photo, model: HeadModel, before: npt.ArrayLike, after: npt.ArrayLike, paint: Painter | None = None
) -> Driven:
    """Move a photo's pixels as a head moves.

    Args:
        photo: uint8 RGB [H, W, 3].
        before: the fitted head's vertices, as they lie in the photo, [V, 3]. after: where they are to lie.
        paint: what paints the opened mouth; None for the plain filling.

    Raises:
        UsageError: the photo is not uint8 RGB, or the vertices are not the model's.
    """
    a, b = _check(photo, model, before), _check(photo, model, after)
    surface = Surface.of(model)
    field = find_field(model, surface, a, b, *photo.shape[:2])
    if field is None:
        return Driven(photo.copy())
    box = field.box
    moved = photo[box.slices].astype(np.float32)
    far = np.abs(field.shift).max(axis=2) > STILL
    moved[far] = sample(photo, (box.places() + field.shift)[far])
    opening = find_opening(photo, model, a, b, field, white(photo, model, a))
    if opening is not None:
        filling = fill(opening, model, b)
        painted = filling if paint is None else paint(opening, filling)
        kept = opening.kept[..., None]
        _lay(moved, photo, surface, model, a, b, field, 1, opening.box, kept * opening.own + (1 - kept) * painted)
    for k, side in enumerate(SIDES):
        around = Box.around(b[model.loops[f"eye_{side}"], :2], 3, *photo.shape[:2])
        if around.width and around.height:
            eye = fill_eye(photo, model, a, b, field, around, side)
            _lay(moved, photo, surface, model, a, b, field, 2 + k, around, eye)
    result = photo.copy()
    result[box.slices] = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
    return Driven(result, box, opening, field)


def white(photo: Photo, model: HeadModel, before: Floats) -> Floats:
    """The photo's value of a white surface in the light of the face, [3], as far as its brighter skin tells."""
    points = before[model.landmarks, :2]
    unit = eye_distance(model, before)
    cheeks = np.concatenate([points[[1, 2, 14, 15]] * 0.4 + points[[31, 31, 35, 35]] * 0.6, points[[27, 28, 29, 30]]])
    steps = np.stack(np.meshgrid(*[np.linspace(-0.08, 0.08, 5) * unit] * 2), axis=-1).reshape(-1, 2)
    found = sample(photo, (cheeks[:, None] + steps).astype(np.float32)).reshape(-1, 3)
    bright = np.quantile(found.mean(axis=1), 0.8)
    return np.full(3, np.clip(110 + 0.55 * bright, 0, 255), np.float32)


def _lay(
    moved: Floats, photo: Photo, surface: Surface, model: HeadModel, before: Floats, after: Floats, field: Field,
    layer: int, box: Box, filling: Floats,
) -> None:  # fmt: skip
    """Put the filling of an opening behind the skin around it, with a smooth edge between them."""
    seen = surface.seen(after, box, SAMPLES)
    blocks = (box.height, SAMPLES, box.width, SAMPLES)
    hole = surface.layers(seen) == layer
    share = hole.reshape(blocks).mean(axis=(1, 3))
    if not share.any():
        return
    top, left = box.top - field.box.top, box.left - field.box.left
    to = moved[top : top + box.height, left : left + box.width]
    mixed = (share > 0) & (share < 1)
    skin = to.copy()
    shift = seen.interpolate(surface.closed(before[:, :2] - after[:, :2]))
    places = (box.places(SAMPLES) + shift).reshape(*blocks, 2).transpose(0, 2, 1, 3, 4)[mixed]
    weight = ((~hole & seen.covered).reshape(blocks).transpose(0, 2, 1, 3)[mixed]).astype(np.float32)[..., None]
    total = weight.sum(axis=(1, 2))
    colours = (sample(photo, places) * weight).sum(axis=(1, 2)) / np.maximum(total, 1)
    skin[mixed] = np.where(total > 0, colours, skin[mixed])
    to[:] = share[..., None] * filling + (1 - share[..., None]) * skin


def _check(photo: Photo, model: HeadModel, vertices: npt.ArrayLike) -> Floats:
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise UsageError(f"the photo is {photo.dtype} {list(photo.shape)}: expected uint8 RGB [H, W, 3]")
    made = np.asarray(vertices, np.float32)
    if made.shape != model.neutral.shape:
        raise UsageError(f"vertices have shape {list(made.shape)}: the model's are {list(model.neutral.shape)}")
    return made
