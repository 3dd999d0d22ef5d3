"""Spectacles: found by the bridge on the nose and by what is joined to it, and kept whole while the face moves.

Frames are thin, and darker or brighter than the skin around them. Where they lie, the photo moves with the eyeballs,
rigidly, and the skin's own motion comes in by and by around them, slowly enough that nothing shows twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.head.eye_contour import Eye
from latentface.head.field import Scene
from latentface.head.geometry import Box, affine
from latentface.ops.raster import sample

# all of the inter-ocular distance
STEP = 0.02  # of the patch that is looked at
WIDE, LOW, HIGH = 1.1, 0.55, 0.45  # how far it goes from the middle between the eyes to the sides, down and up
BRIDGE = 0.16  # half the width of the piece of nose where a bridge is looked for
FIRM, FAINT = 0.16, 0.07  # contrast that a bridge needs, and the frames that are joined to it
AROUND = 0.15  # over this distance the skin's own motion comes in
ROOM = 1.8  # or over this multiple of what it moves, if that is further
ON = 0.025  # what is nearer to the middle of a frame is frame


@dataclass(frozen=True)
class Spectacles:
    """Where frames lie: a box of the photo, and the distance to them in pixels, [H, W]."""

    box: Box
    distance: Float32Array


def find_spectacles(photo: Pixels, scene: Scene, eyes: tuple[Eye, Eye], sure: bool = False) -> Spectacles | None:
    """The spectacles in a photo, or None if no bridge of any lies on the nose; `sure`: it is known that one does."""
    irises = [eye.places(eye.iris[:1], eye.iris[1:2])[0] for eye in eyes]
    middle, along = (irises[0] + irises[1]) / 2, irises[0] - irises[1]
    across = np.array([along[1], -along[0]])
    u, v = np.meshgrid(np.arange(-WIDE, WIDE, STEP), np.arange(HIGH, -LOW, -STEP))
    light = sample(photo, (u[..., None] * along + v[..., None] * across + middle).astype(np.float32)).mean(axis=2)
    light = ndimage.gaussian_filter(light, 0.6)
    hats = ndimage.grey_closing(light, (7, 7)) - light, light - ndimage.grey_opening(light, (7, 7))
    contrast = np.maximum(*hats) / (ndimage.gaussian_filter(light, 8) + 10)
    nose = (np.abs(u) < BRIDGE) & (v < 0.20) & (v > -0.22)
    crossing = np.where(nose, contrast, 0).max(axis=0)[np.abs(u[0]) < BRIDGE]
    if not sure and np.quantile(crossing, 0.25) < FIRM:  # a bridge goes all the way across
        return None
    beside = np.minimum(np.hypot(u - 0.5, v), np.hypot(u + 0.5, v)) > 0.17  # no lids and lashes
    labels, _ = ndimage.label((contrast > FAINT) & beside, np.ones((3, 3)))
    joined = np.unique(labels[nose & (contrast > FIRM)])
    frames = np.isin(labels, joined[joined > 0])
    reach = scene.unit * 1.2
    low, high = middle - scene.unit * np.array([WIDE, HIGH]), middle + scene.unit * np.array([WIDE, LOW])
    box = Box.around([low, high], reach, *scene.size)
    places = box.places() - middle
    inverse = np.linalg.inv(np.stack([along, across]))
    at = places @ inverse
    rows, columns = np.rint((HIGH - at[..., 1]) / STEP).astype(int), np.rint((at[..., 0] + WIDE) / STEP).astype(int)
    within = (rows >= 0) & (rows < u.shape[0]) & (columns >= 0) & (columns < u.shape[1])
    mask: BoolArray = within & frames[np.clip(rows, 0, u.shape[0] - 1), np.clip(columns, 0, u.shape[1] - 1)]
    if not mask.any():
        return None
    return Spectacles(box, ndimage.distance_transform_edt(~mask).astype(np.float32))


def hold(spectacles: Spectacles, scene: Scene, after: Float32Array, shift: Float32Array, box: Box) -> None:
    """Make a field [H, W, 2] of a box rigid where the frames come to lie, in place."""
    here, there = box.shared(spectacles.box)
    distance = spectacles.distance[there]
    if not distance.size:
        return
    matrix, offset = _rigid(scene, after)
    places = box.places()[here]
    source = places @ matrix.T + offset
    rigid = (source - places).astype(np.float32)
    # how far from the frames a place comes to lie: as far as the place that it comes from rigidly
    at = (source - [spectacles.box.left, spectacles.box.top]).transpose(2, 0, 1)[::-1]
    away = ndimage.map_coordinates(spectacles.distance, at, order=1, mode="nearest")
    apart = np.linalg.norm(shift[here] - rigid, axis=2)
    near = apart[away < 0.4 * scene.unit]
    room = max(AROUND * scene.unit, ROOM * float(near.max(initial=0)))
    t = np.clip(away / room - 0.02 * scene.unit / room, 0, 1)[..., None]
    share = t * t * (3 - 2 * t)
    shift[here] = share * shift[here] + (1 - share) * rigid


def avoid(spectacles: Spectacles, scene: Scene, after: Float32Array, shift: Float32Array, box: Box) -> None:
    """Let no place of a field [H, W, 2] take skin's colour from the frames, in place: it takes its neighbour's."""
    here, there = box.shared(spectacles.box)
    if not spectacles.distance[there].size:
        return
    matrix, offset = _rigid(scene, after)
    places = box.places()[here]
    rigid = places @ matrix.T + offset - places
    away = spectacles.box.read(spectacles.distance, places + shift[here], np.inf)
    wrong = (away < max(1.5, ON * scene.unit)) & (np.linalg.norm(shift[here] - rigid, axis=2) > 1.0)
    if not wrong.any() or wrong.all():
        return
    rows, columns = ndimage.distance_transform_edt(wrong, return_distances=False, return_indices=True)
    source = (places + shift[here])[rows[wrong], columns[wrong]]
    shift[here][wrong] = source - places[wrong]


def _rigid(scene: Scene, after: Float32Array) -> tuple[Float64Array, Float64Array]:
    """The map from places after a change to those before, of the eyeballs: frames go with them."""
    balls = (scene.model.regions["eyeball_left"] > 0.5) | (scene.model.regions["eyeball_right"] > 0.5)
    return affine(after[balls], scene.before[balls])
