"""Spectacles: detected by a network, and kept rigid while the face moves.

On the frames, the photo moves rigidly with the eyeballs. Beside them, skin moves against them by at most a third of its
distance to them, so that nothing appears twice and brows are stretched by at most half their height; far away it moves
freely.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.head.eye_contour import Eye
from latentface.head.field import Scene
from latentface.head.geometry import Box, affine
from latentface.networks.spectacles import SpectaclesConfig, SpectaclesNet
from latentface.ops.raster import sample

# all of the inter-ocular distance
ON = 0.025  # half the thickness of a frame
EDGE = 0.02  # width of the strip beside frames that moves rigidly with them
ROOM = 1 / 3  # how far skin may move against frames, as a part of its distance to that strip
FREE = 0.6  # at this distance from it skin moves twice as far, as mouths must
GLASS = 0.27  # radius of a lens around an iris
LIDS = 0.035  # pixels this close to an eye's opening are lids and lashes
PIECE = 0.15  # least length of a piece of frame
DOUBT = -2.0  # the logit from which on skin may not take a place's colour: edges of frames are faint
KEPT, MOST = 0.65, 5.0  # of what the frame before of a film showed; larger logits count as this one
#: Least share of the patch that is frame if there are spectacles, and if it is known that there are some.
LEAST, LEAST_SURE = 0.006, 0.002
#: The same of the bridge between the eyes and of what lies below them, if it is not known: a drawn brow and lashes look
#: like the upper half of a frame.
LEAST_CORE, BRIDGE, BELOW = 0.002, (0.12, -0.15, 0.2), -0.12


@dataclass(frozen=True, eq=False)
class Glimpse:
    """What the network saw in one frame of a film.

    Attributes:
        logits: in its patch, [H, W].
        irises: where the patch takes them to be, left and right, [2, 2].
        balls: the vertices of the eyeballs, [N, 3], with which frames go.
    """

    logits: Float32Array
    irises: Float64Array
    balls: Float32Array

    def irises_at(self, balls: Float32Array) -> Float64Array:
        """The irises in another frame, in which the eyeballs lie elsewhere, [2, 2]."""
        matrix, offset = affine(self.balls, balls)
        moved: Float64Array = self.irises @ matrix.T + offset
        return moved

    def at(self, places: Float64Array, balls: Float32Array, config: SpectaclesConfig) -> Float32Array:
        """The logits at places [..., 2] of that frame."""
        matrix, offset = affine(balls, self.balls)
        there = _in_patch(places @ matrix.T + offset, self.irises, config)
        found: Float32Array = ndimage.map_coordinates(self.logits.clip(-MOST, MOST), there, order=1, mode="nearest")
        return found


@dataclass(frozen=True)
class Spectacles:
    """Where frames lie.

    Attributes:
        box: a box of the photo.
        distance: to the frames, in pixels, [H, W].
        behind: 1 where no frame lies between a place and an eye, as behind a lens, [H, W].
        glimpse: by which they were found.
    """

    box: Box
    distance: Float32Array
    behind: Float32Array
    glimpse: Glimpse

    @property
    def with_glass(self) -> Spectacles:
        """The same with rigid glass around the eyes, for what is seen in dark ones."""
        left, right = self.glimpse.irises
        away = np.min([np.linalg.norm(self.box.places() - iris, axis=2) for iris in (left, right)], axis=0)
        beyond = np.maximum(away - GLASS * np.linalg.norm(left - right), 0)
        return replace(self, distance=np.minimum(self.distance, beyond).astype(np.float32))


def patch_places(left: Float64Array, right: Float64Array, config: SpectaclesConfig) -> Float64Array:
    """Where in a photo the network's patch lies, [H, W, 2], by the person's irises [2], left and right."""
    middle, along = (left + right) / 2, left - right
    across = np.array([along[1], -along[0]])
    u = (np.arange(config.width) + 0.5 - config.width / 2) * config.step
    v = config.high - (np.arange(config.height) + 0.5) * config.step
    places: Float64Array = middle + u[None, :, None] * along + v[:, None, None] * across
    return places


def _in_patch(places: Float64Array, irises: Float64Array, config: SpectaclesConfig) -> Float64Array:
    """Rows and columns in the patch, [2, ...], of places [..., 2] in its photo."""
    left, right = irises
    along = left - right
    at = (places - (left + right) / 2) @ np.linalg.inv(np.stack([along, [along[1], -along[0]]]))
    row = (config.high - at[..., 1]) / config.step - 0.5
    return np.stack([row, at[..., 0] / config.step + config.width / 2 - 0.5])


def find_spectacles(
    photo: Pixels,
    scene: Scene,
    eyes: tuple[Eye, Eye],
    network: SpectaclesNet,
    sure: bool = False,
    before: Glimpse | None = None,
    doubt: float = DOUBT,
) -> Spectacles | None:
    """Find the spectacles in a photo, or None.

    Args:
        photo: uint8 RGB [H, W, 3].
        scene: the head in it.
        eyes: the eyes in it, left and right.
        network: what finds frames.
        sure: it is known that there are some.
        before: what the frame before showed, if it is a frame of a film: thin frames come and go from one to the next.
        doubt: places whose logit is above it are frames: the lower it is, the more of faint rims is found.
    """
    config = network.config
    left, right = irises = np.stack([eye.places(eye.iris[:1], eye.iris[1:2])[0] for eye in eyes])
    balls = scene.before[_balls(scene)]
    if before is not None:  # where lids shut, landmarks of eyes jump, and frames do not
        irises = KEPT * before.irises_at(balls) + (1 - KEPT) * irises
        left, right = irises
    places = patch_places(left, right, config)
    patch = sample(photo, places.astype(np.float32))
    with torch.no_grad():
        logits = network((torch.from_numpy(patch).permute(2, 0, 1)[None] / 127.5 - 1).float())[0, 0].float().numpy()
    if before is not None:
        logits = KEPT * before.at(places, balls, config) + (1 - KEPT) * np.clip(logits, -MOST, MOST)
    if not _are_spectacles(logits > 0, config, sure):
        return None
    middle, wide, unit = (left + right) / 2, config.width * config.step / 2, scene.unit
    low = config.height * config.step - config.high
    corners = [middle - unit * np.array([wide, config.high]), middle + unit * np.array([wide, low])]
    box = Box.around(corners, unit * 1.2, *scene.size)
    there = _in_patch(box.places().astype(np.float64), irises, config)
    mask: BoolArray = ndimage.map_coordinates(logits, there, order=1, mode="constant", cval=-9.0) > doubt
    for eye in eyes:  # lashes and the edges of an iris may look like frames
        u, v = eye.frame(box.places())
        upper, lower = eye.margins(u)
        mask &= ~((np.abs(eye.along(u) - 0.5) < 0.55) & (v < upper + LIDS) & (v > lower - LIDS))
    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    lengths = [max(each.stop - each.start for each in piece) for piece in ndimage.find_objects(pieces)]
    mask = np.isin(pieces, [k + 1 for k, length in enumerate(lengths) if length > PIECE * unit])
    if not mask.any():
        return None
    labels, _ = ndimage.label(~mask)
    rows, columns = (np.rint([left, right]).astype(int) - [box.left, box.top]).T[::-1]
    behind = np.isin(labels, labels[rows, columns]) & ~mask
    distance = ndimage.distance_transform_edt(~mask)
    glimpse = Glimpse(logits, irises, balls)
    return Spectacles(box, distance.astype(np.float32), behind.astype(np.float32), glimpse)


def _are_spectacles(frames: BoolArray, config: SpectaclesConfig, sure: bool) -> bool:
    """Whether what looks like frames in the network's patch, [H, W], belongs to spectacles."""
    if sure:
        return float(frames.mean()) >= LEAST_SURE
    u = np.abs(np.arange(config.width) + 0.5 - config.width / 2) * config.step
    v = config.high - (np.arange(config.height) + 0.5) * config.step
    half, low, high = BRIDGE
    core = (v < BELOW)[:, None] | ((v > low) & (v < high))[:, None] & (u < half)
    return float(frames.mean()) >= LEAST and float((frames & core).mean()) >= LEAST_CORE


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
    apart = shift[here] - rigid
    room = np.maximum(away / scene.unit - EDGE, 0)
    most = ROOM * room * (1 + (room / FREE) ** 2) * scene.unit
    beyond = np.linalg.norm(apart, axis=2) / np.maximum(most, 1e-3)
    limited = apart / np.sqrt(np.sqrt(1 + beyond**4))[..., None]
    shift[here] = rigid + limited


def avoid(spectacles: Spectacles, scene: Scene, after: Float32Array, shift: Float32Array, box: Box) -> None:
    """Prevent skin in a field [H, W, 2] from sampling the frames, in place; it samples its neighbours instead."""
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
    """The map from places after a change to those before, of frames, which turn with the skull in the eyes' plane.

    They lie farther in front, but eyes that moved behind them would have to be drawn where frames were.
    """
    model = scene.model
    _, high, far = model.neutral[model.landmarks[36:48]].mean(axis=0)
    frames = scene.placed([(-1, high, far), (1, high, far), (0, high - 1, far), (0, high + 1, far)])
    return affine(scene.turned(after, frames), frames.astype(np.float32))


def _balls(scene: Scene) -> BoolArray:
    """Which vertices belong to the eyeballs, [V]."""
    regions = scene.model.regions
    found: BoolArray = (regions["eyeball_left"] > 0.5) | (regions["eyeball_right"] > 0.5)
    return found
