"""Translates a face from one kind of picture to another, such as from a render to a photograph."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from latentface import api, hub
from latentface.arrays import Float32Array, Pixels
from latentface.compositing.warping import resample
from latentface.faces.crop import FaceCrop, WhichFace, map_points, pick_face
from latentface.fields import smoothstep
from latentface.io.images import Photo, read_photo, to_tensor, to_uint8
from latentface.io.provenance import COMPOSITE
from latentface.networks.translation import Translated, TranslationNet
from latentface.options.photos import TranslateOptions

_CLEAR = 0.8  # of the way from a crop's middle to its edges: what is nearer is shown in full


@dataclass(frozen=True, eq=False)
class Translation:
    """A translated photo, and what the network saw and made.

    Attributes:
        photo: the result.
        image: the translated face at the network's size, uint8 RGB [S, S, 3].
        attention: where it changed something, a grey picture of the size of `photo`, uint8 RGB [H, W, 3]; 255 where
            it shows the transformed picture alone.
        crop: the face before it.
    """

    photo: Photo
    image: Pixels
    attention: Pixels
    crop: FaceCrop


def translate(
    photo: Photo | Pixels | str | os.PathLike[str], model: str | os.PathLike[str] | TranslationNet,
    options: TranslateOptions | None = None, *, face: WhichFace = None, landmarks: str = "builtin", device: str = "cpu",
) -> Translation:  # fmt: skip
    """Translate a face to the other kind of pictures that a network was trained on.

    Args:
        photo: a photo, uint8 RGB [H, W, 3], or a file.
        model: a file from `latentface train translate`, or a network.
        options: which way, and what is shown; by default `TranslateOptions()`.
        face: number of the face, in order of detection, or a rule; by default the largest.
        landmarks: as for `latentface.align`.
        device: cpu, cuda, cuda:N or auto.

    Raises:
        NoFaceFound: the photo shows no face.
        InputError: the file cannot be read, or there is no such face.
        WeightsError: the model cannot be used.
    """
    options = options or TranslateOptions()
    if isinstance(photo, str | os.PathLike):
        photo = read_photo(photo)
    elif not isinstance(photo, Photo):
        photo = Photo(photo)
    network = model if isinstance(model, TranslationNet) else hub.translation(model, api.pick_device(device))
    photo, crops, _ = api.align_upright(photo, network.config.size, landmarks)
    crop = pick_face(crops, face)
    made = translate_crop(network, crop.image, options.back)
    image, attention = to_uint8(made.picture.clamp(-1, 1))[0], _grey(made.attention)
    if options.place == "crop":
        return Translation(Photo(image, source_type=COMPOSITE), image, attention, crop)
    # half of the change, as a picture about grey: the photo keeps its detail, and all that does not change
    change = to_uint8((made.picture.clamp(-1, 1) - to_tensor(crop.image)) / 2)[0]
    grey = to_uint8(torch.zeros(1, 3, 1, 1))[0, 0, 0, 0]
    box, shift = _placed(change, crop, photo.rgb.shape, float(grey))
    rgb, seen = photo.rgb.copy(), np.zeros_like(photo.rgb)
    rgb[box] = np.rint(photo.rgb[box] + 2 * shift).clip(0, 255)
    seen[box] = np.rint(_placed(attention, crop, photo.rgb.shape)[1]).clip(0, 255)
    return Translation(replace(photo, rgb=rgb, source_type=COMPOSITE), image, seen, crop)


def translate_crop(network: TranslationNet, crop: Pixels, back: bool = False) -> Translated:
    """What a network makes of an aligned face, uint8 RGB [S, S, 3], S a multiple of 4."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        return Translated(*(each.cpu() for each in network(to_tensor(crop).to(device), back)))


def _placed(
    picture: Pixels, crop: FaceCrop, shape: Sequence[int], zero: float = 0.0
) -> tuple[tuple[slice, slice], Float32Array]:
    """A picture of the crop, less `zero`, in the photo: the part that it covers, and its values there [h, w, 3].

    They fade to nothing towards the crop's edges, so that no edge shows.
    """
    low, high = np.floor(crop.quad.min(0)).astype(int), np.ceil(crop.quad.max(0)).astype(int) + 1
    x0, y0 = (int(each) for each in low.clip(0))
    x1, y1 = min(int(high[0]), shape[1]), min(int(high[1]), shape[0])
    y, x = np.mgrid[y0:y1, x0:x1]
    inside = map_points(crop.from_photo, np.stack([x, y], -1)) / (crop.size - 1)
    away = np.abs(2 * inside - 1).max(axis=-1)  # 1 at the edges
    mask: Float32Array = smoothstep((1 - away) / (1 - _CLEAR))[..., None]
    return np.s_[y0:y1, x0:x1], mask * (resample(picture, crop.to_photo, (x0, y0, x1, y1)) - zero)


def _grey(attention: Tensor) -> Pixels:
    """Attention [1, 1, S, S] in [0, 1] as uint8 RGB [S, S, 3]."""
    grey: Pixels = to_uint8((2 * attention - 1).expand(-1, 3, -1, -1))[0]
    return grey
