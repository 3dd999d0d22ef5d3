"""Translates a face from one kind of picture to another, such as from a render to a photograph."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentface import api, hub
from latentface.arrays import Pixels
from latentface.editing.stylisation import pasted
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop, WhichFace, pick_face
from latentface.io.images import Photo, read_photo, to_tensor, to_uint8
from latentface.io.provenance import COMPOSITE
from latentface.networks.translation import Translated, TranslationNet
from latentface.options.photos import TranslateOptions

_LARGEST = 1024  # side of the crop in which a translation is brought to the photo's resolution
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
    large = crop_face(photo.rgb, crop.landmarks, int(np.clip(round(crop.side), crop.size, _LARGEST)))
    change = _at(made.picture.clamp(-1, 1) - to_tensor(crop.image), large.size)
    changed = to_uint8((to_tensor(large.image) + change).clamp(-1, 1))[0]
    placed = replace(photo, rgb=pasted(photo.rgb, large, changed, _CLEAR, np.inf), source_type=COMPOSITE)
    seen = _grey(_at(made.attention, large.size).clamp(0, 1))
    return Translation(placed, image, pasted(np.zeros_like(photo.rgb), large, seen, _CLEAR, np.inf), crop)


def translate_crop(network: TranslationNet, crop: Pixels, back: bool = False) -> Translated:
    """What a network makes of an aligned face, uint8 RGB [S, S, 3], S a multiple of 4."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        return Translated(*(each.cpu() for each in network(to_tensor(crop).to(device), back)))


def _at(planes: Tensor, side: int) -> Tensor:
    return F.interpolate(planes, (side, side), mode="bicubic", align_corners=False)


def _grey(attention: Tensor) -> Pixels:
    """Attention [1, 1, S, S] in [0, 1] as uint8 RGB [S, S, 3]."""
    return to_uint8((2 * attention - 1).expand(-1, 3, -1, -1))[0]
