"""What lies over a face and can be found: one finder for each kind, in `FINDERS`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from latentface import api, hub
from latentface.arrays import BoolArray, Float64Array, Pixels
from latentface.completion.hands import find_hands
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop, inter_ocular
from latentface.faces.regions import fill
from latentface.head.observed import ObservedHead
from latentface.head.projector import Projector
from latentface.head.spectacles import find_spectacles

FRAME = 0.09  # inter-ocular distances around the frames: their edges and the shadows on the skin
FAINT = -3.0  # the logit from which on a place belongs to frames that are known to be there: rims may be faint
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
    head = ObservedHead(photo, model, Projector(fit, model).vertices(fit))
    spectacles = find_spectacles(photo, head.scene, head.eyes, hub.finders().spectacles, doubt=FAINT)
    if spectacles is None:
        return None
    frames, around = np.zeros(photo.shape[:2], bool), np.zeros(photo.shape[:2], bool)
    frames[spectacles.box.slices] = spectacles.distance == 0
    around[spectacles.box.slices] = spectacles.distance < FRAME * inter_ocular(crop.landmarks)
    return around | _dark_lenses(photo, frames, crop.landmarks)


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
FINDERS: dict[str, Callable[[Pixels, FaceCrop], BoolArray | None]] = {"glasses": _glasses, "hand": find_hands}
