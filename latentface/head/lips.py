"""The lips of a moved photo: where they part, and the pixels of their edges."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Int64Array, Pixels
from latentface.head.field import Scene
from latentface.head.geometry import Box, find_jumps, ramp
from latentface.head.mask_edges import smooth_edges
from latentface.head.motion import Motion
from latentface.head.shown_mouth import Shown
from latentface.ops.raster import Raster, sample

_Value = TypeVar("_Value", bound=np.generic)

EDGE = 0.03  # inter-ocular distances: the edge of lips is smoothed along by so much
LINE, DARK = 0.008, 0.38  # half the thickness of the line between closed lips, and the light it takes
LIGHT_WIDTH, LIGHTS = 0.02, (0.5, 1.5)  # the light that a change brings to the rim of lips: smoothed by so much, within
APART = 0.4  # pixels between the sources of adjacent samples: those of two lips
DARKEST = 12  # of 255: darker pixels say little about light
SAMPLES = 3  # along each side of a pixel that lies on the edge of a lip


def cut_lips(
    photo: Pixels, scene: Scene, shown: Shown, moved: Float32Array, after: Float32Array, motion: Motion, box: Box
) -> tuple[Float32Array, Float32Array]:
    """How much of each pixel in a box is open mouth, [H, W], and the skin of what is not, [H, W, 3].

    Args:
        photo: the photo that moves, uint8 RGB [H, W, 3].
        scene: where its head lies.
        shown: what it shows of the mouth's inside.
        moved: the photo after the motion and in the light after it, in the motion's box.
        after: the head's vertices after it, [V, 3].
        motion: how its pixels moved.
        box: around the lips.
    """
    surface = scene.surface
    seen, shift = find_shifts(scene, after, motion, box)
    places = box.places(SAMPLES)
    layers = surface.layers(seen)
    mouth = layers == 1
    # lips continue inwards as far as the photo shows them
    rows, columns = _nearest(layers == 0, mouth)
    shift[mouth] = shift[rows, columns]
    source = places + shift
    inwards = mouth.copy()
    above = places[rows, columns, 1] < places[mouth][:, 1]
    inwards[mouth] = shown.is_lip(source[mouth], above)
    ragged: BoolArray = mouth & ~inwards
    if shown.mask.any():  # and teeth that the fit labels as lip belong to the interior
        ragged |= _without_specks((layers == 0) & shown.is_inside(source), mouth)
    hole = smooth_edges(ragged, EDGE * SAMPLES * scene.unit)
    share = _by_pixel(hole).mean(axis=2, dtype=np.float32)
    here, there = box.shared(motion.box)
    skin, unlit = np.zeros((2, box.height, box.width, 3), np.float32)
    skin[here] = moved[there]
    unlit[here] = sample(photo, box.places()[here] + motion.shift[there])
    beside = shown.is_beside(source, scene.unit)
    mixed = (share < 1) & _by_pixel(hole | mouth | beside).any(axis=2)
    counts = ~hole & (mouth | (layers == 0))
    known = np.asarray(_by_pixel((layers == 0) & ~hole).all(axis=2))[mixed]
    weights = _by_pixel(counts)[mixed][..., None].astype(np.float32)
    total = weights.sum(axis=1)
    pushed = shown.off_teeth(_by_pixel(source)[mixed], scene.unit)
    clean = (sample(photo, pushed) * weights).sum(axis=1) / np.maximum(total, 1)
    light = np.clip(_light(skin[mixed], unlit[mixed]), *LIGHTS)
    light = spread_light(mixed, known, light, LIGHT_WIDTH * scene.unit)
    skin[mixed] = np.where(total > 0, clean * light[:, None], skin[mixed])
    return share, skin


def find_shifts(scene: Scene, after: Float32Array, motion: Motion, box: Box) -> tuple[Raster, Float32Array]:
    """What is seen at the samples of a box, and the source of each relative to it, [H * SAMPLES, W * SAMPLES, 2]."""
    surface = scene.surface
    seen = surface.seen(after, box, SAMPLES)
    shift = seen.interpolate(surface.closed(scene.before[:, :2] - after[:, :2]))
    here, there = box.shared(motion.box)
    apart = np.zeros((box.height, box.width, 2), np.float32)
    apart[here] = motion.apart(there)
    shift += apart.repeat(SAMPLES, axis=0).repeat(SAMPLES, axis=1)
    return seen, shift


def _by_pixel(samples: npt.NDArray[_Value]) -> npt.NDArray[_Value]:
    """Samples [H * SAMPLES, W * SAMPLES, ...] by the pixel they lie in, [H, W, SAMPLES**2, ...]."""
    height, width = samples.shape[0] // SAMPLES, samples.shape[1] // SAMPLES
    blocks = samples.reshape(height, SAMPLES, width, SAMPLES, *samples.shape[2:]).swapaxes(1, 2)
    grouped: npt.NDArray[_Value] = blocks.reshape(height, width, SAMPLES**2, *samples.shape[2:])
    return grouped


def spread_light(there: BoolArray, known: BoolArray, values: Float32Array, width: float) -> Float32Array:
    """Factors [N] of the pixels in a mask [H, W], smoothed over a width, from those that are known, [N]; 1 far away."""
    maps = np.zeros((2, *there.shape), np.float32)
    maps[:, there] = known * (values - 1), known
    difference, weight = ndimage.gaussian_filter(maps, (0, width, width))[:, there]
    spread: Float32Array = 1 + difference / np.maximum(weight, 1e-3)
    return spread


def close_mouth(
    photo: Pixels, scene: Scene, shown: Shown, moved: Float32Array, after: Float32Array, motion: Motion
) -> None:
    """Close lips that are apart in the photo: without teeth at their rims, and with a soft line between them.

    Works on `moved`; see `cut_lips`.
    """
    amount = scene.moved_lips(after)
    box = scene.lips_box(after)
    if amount and box.width and box.height:
        _, skin = cut_lips(photo, scene, shown, moved, after, motion, box)
        there, here = motion.box.shared(box)
        skin *= _closed_line(scene, after, box)[..., None]
        moved[there] = amount * skin[here] + (1 - amount) * moved[there]


def join_lips(photo: Pixels, scene: Scene, moved: Float32Array, after: Float32Array, motion: Motion) -> None:
    """Smooth the line along which lips meet that slide over each other; works on `moved`, see `cut_lips`.

    A pixel there takes its colour from one lip or the other, and the dark line between them would break into dots.
    """
    box = scene.lips_box(after)
    if not (box.width and box.height):
        return
    seen, shift = find_shifts(scene, after, motion, box)
    lip = scene.surface.lips(seen)
    seam = find_jumps(shift, APART, lambda a, b: lip[a] * lip[b] < 0)
    here, there = box.shared(motion.box)
    mixed: BoolArray = np.asarray(_by_pixel(ndimage.binary_dilation(seam, iterations=SAMPLES)).any(axis=2))[here]
    if not mixed.any():
        return
    clean = sample(photo, _by_pixel(box.places(SAMPLES) + shift)[here][mixed]).mean(axis=1)
    unlit = sample(photo, (box.places()[here] + motion.shift[there])[mixed])
    moved[there][mixed] = clean * _light(moved[there][mixed], unlit)[:, None]


def _light(lit: Float32Array, unlit: Float32Array) -> Float32Array:
    """The light that a change brings to pixels [N, 3], [N]."""
    light: Float32Array = (lit.mean(axis=1) + DARKEST) / (unlit.mean(axis=1) + DARKEST)
    return light


def _closed_line(scene: Scene, after: Float32Array, box: Box) -> Float32Array:
    """The light that is left along the line where lips meet that the photo shows apart, 1 elsewhere, [H, W]."""
    points = after[scene.model.landmarks[60:68], :2].astype(np.float64)
    ends = 0.8 * points[[0, 4]] + 0.2 * points[[1, 3]]  # corners are dark by themselves
    middles = 0.5 * (points[[1, 2, 3]] + points[[7, 6, 5]])
    line = np.concatenate([ends[:1], middles, ends[1:]])
    t = np.linspace(0, 4, 65)
    curve = np.stack([np.interp(t, np.arange(5), line[:, k]) for k in (0, 1)], axis=1)
    curve = ndimage.gaussian_filter1d(curve, 5, axis=0, mode="nearest")
    away = np.linalg.norm(box.places()[..., None, :] - curve.astype(np.float32), axis=3)
    along = np.abs(away.argmin(axis=2) / 32 - 1)
    shade = np.exp(-0.5 * np.square(away.min(axis=2) / max(0.75, LINE * scene.unit)))
    left: Float32Array = (1 - DARK * shade * (1 - ramp(along, 0.5, 1.2))).astype(np.float32)
    return left


def _without_specks(inside: BoolArray, mouth: BoolArray) -> BoolArray:
    """Teeth that the fit labels as lip, without thin or separate specks, which are highlights on a lip."""
    broad = ndimage.binary_opening(inside, iterations=SAMPLES) | mouth
    parts, _ = ndimage.label(broad)
    behind = np.unique(parts[mouth])
    kept: BoolArray = np.isin(parts, behind[behind > 0]) & inside if len(behind) else inside
    return kept


def _nearest(known: BoolArray, wanted: BoolArray) -> tuple[Int64Array, Int64Array]:
    """Rows and columns, [N] each, of the known sample that is nearest to each wanted one; itself if none is known."""
    if not known.any() or not wanted.any():
        own, across = np.nonzero(wanted)
        return own.astype(np.int64), across.astype(np.int64)
    # no farther around what is wanted than there are known samples
    spans = [np.flatnonzero(wanted.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    near = tuple(slice(max(low - SAMPLES, 0), high + SAMPLES + 1) for low, high in spans)
    near = near if known[near].any() else (slice(None), slice(None))
    rows, columns = ndimage.distance_transform_edt(~known[near], return_distances=False, return_indices=True)
    inner = wanted[near]
    return rows[inner] + (near[0].start or 0), columns[inner] + (near[1].start or 0)
