"""What lies over a face and can be found: spectacles, by the head that is fitted to it and by their frames."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from latentface import api, hub
from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.completion.holes import grown
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop, inter_ocular
from latentface.faces.regions import fill
from latentface.head.drive import Driver
from latentface.head.projector import Projector

OCCLUDERS = ("glasses",)
# all of the inter-ocular distance
TEMPLES, RIM, FAINTER = 0.62, 0.02, 0.5  # so far out, or above the eyes, what is joined needs less of it
BROW, STRONGER = 0.08, 1.15  # so near to the brows, which are lines as well, it needs more
AROUND = 0.55  # of the directions around each eye in which there must be a frame
GAP = 0.1  # such interruptions of frames are closed
THIN = 0.13  # frames are no wider
CONTRAST, SHARE = 0.12, 0.45  # of the light around them, and of the bridge's contrast: frames stand out by as much
UP, DOWN, NOSE, PADS = 0.3, 0.42, 0.12, 0.16  # how far from the eyes' line frames lie; on the nose only the bridge
LID = 0.06  # around the eyes' landmarks: lids and lashes are no frames
PIECE = 0.12  # shorter dark pieces are lashes, brows and wrinkles
FRAME = 0.05  # around the frames: their edges and the shadows on the skin
DARK = 0.55  # of the cheeks' light: lenses that are darker hide the eyes


def find_occluder(kind: str, photo: Pixels, crop: FaceCrop) -> BoolArray:
    """The pixels [H, W] of a photo where something of a kind, one of `OCCLUDERS`, lies over a face.

    Raises:
        InputError: nothing of that kind was found; a mask says where it is.
        UsageError: the kind is unknown.
    """
    if kind not in OCCLUDERS:
        raise UsageError(f"cannot remove {kind!r}; expected one of {', '.join(OCCLUDERS)}")
    found = _glasses(photo, crop)
    if found is None or not found.any():
        raise InputError(f"no {kind} found on this face; paint a mask over what is to be removed")
    return found


def _glasses(photo: Pixels, crop: FaceCrop) -> BoolArray | None:
    """Frames and what they shade and, where lenses are dark, the lenses."""
    model = hub.head_model()
    fit = api.fit_head(crop, photo)
    spectacles = Driver(photo, model, Projector(fit, model).vertices(fit)).spectacles
    if spectacles is None:
        return None
    unit = inter_ocular(crop.landmarks)
    box = spectacles.box
    lines = _lines(photo[box.slices].astype(np.float32).mean(axis=2), box.places(), crop.landmarks)
    lines &= spectacles.distance < 0.02 * unit
    labels, count = ndimage.label(lines, np.ones((3, 3)))
    pieces = ndimage.find_objects(labels)
    sizes = [max(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in pieces]
    long = [number for number in range(1, count + 1) if sizes[number - 1] > PIECE * unit]
    frames = _closed(np.isin(labels, long), GAP * unit)
    for eye in (slice(36, 42), slice(42, 48)):
        if _share_around(crop.landmarks[eye].mean(axis=0) - (box.left, box.top), frames, unit) < AROUND:
            return None  # rimless, or too faint to be told from wrinkles
    found = np.zeros(photo.shape[:2], bool)
    found[box.slices] = grown(frames, FRAME * unit)
    return found | _dark_lenses(photo, found, crop.landmarks)


def _lines(light: Float32Array, places: Float32Array, landmarks: Float64Array) -> BoolArray:
    """Where a picture [H, W] has lines, about as strong as the bridge, where frames lie.

    places: of its pixels in the photo, [H, W, 2]. landmarks: [68, 2] in the photo.
    """
    eyes = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    along = eyes[1] - eyes[0]
    unit = float(np.linalg.norm(along))
    axes = np.stack([along, (-along[1], along[0])], axis=1) / unit**2
    u, v = np.moveaxis((places - (eyes[0] + eyes[1]) / 2) @ axes, -1, 0)
    size = max(3, round(THIN * unit))
    light = ndimage.gaussian_filter(light, 0.01 * unit)
    hats = ndimage.grey_closing(light, (size, size)) - light, light - ndimage.grey_opening(light, (size, size))
    contrast = np.maximum(hats[0], 0.7 * hats[1]) / (ndimage.gaussian_filter(light, 0.16 * unit) + 10)
    nose = np.abs(u) < NOSE
    bridge = contrast[nose & (np.abs(v) < PADS)]
    enough = max(CONTRAST, SHARE * float(np.quantile(bridge, 0.95))) if bridge.size else CONTRAST
    corner, shape = places[0, 0], (places.shape[1], places.shape[0])
    brows = np.zeros(light.shape, bool)
    eyes_open = np.zeros(light.shape, bool)
    for brow, eye in ((slice(17, 22), slice(36, 42)), (slice(22, 27), slice(42, 48))):
        brows |= grown(fill(landmarks[brow] - corner, shape), BROW * unit)
        eyes_open |= grown(fill(landmarks[eye] - corner, shape), LID * unit)
    within = (v > -UP) & (v < np.where(nose, PADS, DOWN)) & ~eyes_open
    sure = within & (contrast > enough * np.where(brows, STRONGER, 1))
    edge = (np.abs(u) > TEMPLES) & (np.abs(v) < PADS) | (v < -RIM)
    faint = within & (contrast > FAINTER * enough) & edge
    joined: BoolArray = ndimage.binary_propagation(sure, structure=np.ones((3, 3)), mask=sure | faint)
    return joined


def _closed(lines: BoolArray, reach: float) -> BoolArray:
    """Lines without gaps of up to twice this reach (a morphological closing)."""
    wide = ndimage.distance_transform_edt(~lines) < reach
    return (
        np.asarray(ndimage.distance_transform_edt(np.pad(wide, 1, constant_values=True))[1:-1, 1:-1] >= reach) | lines
    )


def _share_around(eye: Float64Array, frames: BoolArray, unit: float) -> float:
    """In what share of directions around an eye, (x, y), there is a frame."""
    rows, columns = np.nonzero(frames)
    across, down = columns - eye[0], rows - eye[1]
    near = np.hypot(across, down) < 0.65 * unit
    bins = np.unique(((np.arctan2(down[near], across[near]) / np.pi + 1) * 18).astype(int))
    return len(bins) / 36


def _dark_lenses(photo: Pixels, frames: BoolArray, landmarks: Float64Array) -> BoolArray:
    """What frames enclose, if it is much darker than the cheeks."""
    enclosed = ndimage.binary_fill_holes(frames) & ~frames
    size = photo.shape[1], photo.shape[0]
    cheeks = fill(landmarks[[2, 4, 48, 31]], size) | fill(landmarks[[14, 12, 54, 35]], size)
    light = photo.mean(axis=2)
    if not enclosed.any() or not cheeks.any():
        return np.zeros_like(frames)
    dark = np.median(light[enclosed]) < DARK * np.median(light[cheeks])
    return enclosed if dark else np.zeros_like(frames)
