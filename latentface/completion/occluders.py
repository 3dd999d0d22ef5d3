"""What lies over a face and can be found: one finder for each kind, in `FINDERS`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from latentface import api, hub
from latentface.arrays import BoolArray, Float64Array, Pixels
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop, inter_ocular
from latentface.faces.regions import fill
from latentface.head.drive import Driver
from latentface.head.occluders import find_occluders
from latentface.head.projector import Projector
from latentface.head.spectacles import find_spectacles

FRAME = 0.09  # inter-ocular distances around the frames: their edges and the shadows on the skin
FAINT = -3.0  # the logit from which on a place belongs to frames that are known to be there: rims may be faint
SHADOW = 0.12  # the same around hands and other things
FOLLOW = 0.4  # crop sides by which the view moves on after an arm that leaves it
FOLLOWED = 3  # how often, each way
DARK = 0.55  # of the cheeks' light: lenses that are darker hide the eyes


def find_occluder(kind: str, photo: Pixels, crop: FaceCrop) -> BoolArray:
    """The pixels [H, W] of a photo where something of a kind, one of `options.OCCLUDERS`, lies over a face.

    Raises:
        InputError: nothing of that kind was found; a mask says where it is.
        UsageError: the kind is unknown.
    """
    if kind not in FINDERS:
        raise UsageError(f"cannot remove {kind!r}; expected one of {', '.join(FINDERS)}")
    found = FINDERS[kind](photo, crop)
    if found is None or not found.any():
        raise InputError(f"no {kind} found on this face; paint a mask over what is to be removed")
    return found


def _glasses(photo: Pixels, crop: FaceCrop) -> BoolArray | None:
    """Frames and what they shade and, where lenses are dark, the lenses."""
    model = hub.head_model()
    fit = api.fit_head(crop, photo)
    vertices = Projector(fit, model).vertices(fit)
    driver, finders = Driver(photo, model, vertices, finders=hub.finders()), hub.finders()
    if driver.spectacles is None:
        return None
    spectacles = find_spectacles(photo, driver.scene, driver.eyes, finders.spectacles, sure=True, doubt=FAINT)
    assert spectacles is not None, "what is found with more doubt includes what was found"
    frames, around = np.zeros(photo.shape[:2], bool), np.zeros(photo.shape[:2], bool)
    frames[spectacles.box.slices] = spectacles.distance == 0
    around[spectacles.box.slices] = spectacles.distance < FRAME * inter_ocular(crop.landmarks)
    return around | _dark_lenses(photo, frames, crop.landmarks)


def _things(photo: Pixels, crop: FaceCrop) -> BoolArray | None:
    """Whatever the network finds in front of the face, hand or not, the shadows beside it, and the arm behind it."""
    down, across = crop.quad[1] - crop.quad[0], crop.quad[3] - crop.quad[0]
    covered, seen = _in_front(photo, crop.landmarks)
    if not covered.any():
        return None
    for way in (down, -across, across):
        for step in range(1, FOLLOWED + 1):
            more, view = _in_front(photo, crop.landmarks + FOLLOW * step * way)
            labels, _ = ndimage.label(covered | (more & ~seen))
            longer = np.isin(labels, np.unique(labels[covered]))
            seen |= view
            if longer.sum() == covered.sum():
                break
            covered = longer
    return covered


def _in_front(photo: Pixels, landmarks: Float64Array) -> tuple[BoolArray, BoolArray]:
    """What the network finds in the crop around landmarks [68, 2], and what of the photo that crop shows, [H, W]."""
    found = find_occluders(photo, landmarks, hub.finders().occluders)
    covered, view = np.zeros(photo.shape[:2], bool), np.zeros(photo.shape[:2], bool)
    if found is not None:
        view[found.box.slices] = True
        covered[found.box.slices] = found.distance < SHADOW * inter_ocular(landmarks)
    return covered, view


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


#: The mask [H, W] of each kind for a photo uint8 [H, W, 3] and a face in it, or None where there is none.
FINDERS: dict[str, Callable[[Pixels, FaceCrop], BoolArray | None]] = {"glasses": _glasses, "hand": _things}
