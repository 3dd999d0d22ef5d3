"""Completion in one pass of networks: an aligned crop with a hole, or with a pasted region, becomes whole.

A network of dilated convolutions paints the hole by its surroundings, at its own small size. Then an encoder reads the
face from the crop, and the generator draws it into the hole, seamlessly (Perez et al. 2003); a second pass reads the
face from what the first has drawn.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from latentface import api
from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.compositing.blending import blend_poisson
from latentface.io.images import to_tensor, to_uint8
from latentface.networks.completion import CompletionNet
from latentface.networks.generator import Generator

PASSES = 2  # a third changes little


def paint(
    network: CompletionNet, crop: Pixels, hole: BoolArray, guide: Float32Array | None = None, foreign: bool = False
) -> Pixels:
    """The crop, uint8 RGB [S, S, 3], with its hole [S, S] painted at the network's size; its other pixels stay.

    Args:
        network: the completion network.
        crop: an aligned face.
        hole: what to paint.
        guide: planes [REGIONS, R / 4, R / 4] as `guides` makes them for the network's size R; None leaves it to the
            network.
        foreign: the content of the hole stays, and only its colours are fitted to the surroundings.
    """
    side, device = network.config.size, next(network.parameters()).device
    picture = F.adaptive_avg_pool2d(to_tensor(crop), side).to(device)
    place = (F.adaptive_max_pool2d(torch.from_numpy(hole.astype(np.float32))[None, None], side)).to(device)
    nothing = torch.zeros_like(place)
    planes = None if guide is None else torch.from_numpy(guide)[None].to(device)
    with torch.inference_mode():
        small = network(picture, nothing if foreign else place, place if foreign else nothing, planes)
        change = small - picture if foreign else small
        large = F.interpolate(change.cpu(), size=crop.shape[:2], mode="bicubic", align_corners=False)
        made = to_uint8(large + to_tensor(crop) if foreign else large)[0]
    return np.where(hole[..., None], made, crop)


def draw_in(generator: Generator, crop: Pixels, hole: BoolArray, painted: Pixels, passes: int = PASSES) -> Pixels:
    """The crop, uint8 RGB [R, R, 3], with the face that an encoder finds in it drawn into its hole [R, R].

    Args:
        generator: a network with an encoder, at the crop's resolution.
        crop: an aligned face; what lies in the hole has no influence.
        hole: where the face is drawn.
        painted: the crop with something in its hole, in which the encoder first looks for the face.
        passes: how often it looks.
    """
    for _ in range(passes):
        drawn = api.synthesise(generator, api.encode(painted, generator))[0]
        painted = fitted_in(crop, hole, drawn)
    return painted


def fitted_in(crop: Pixels, hole: BoolArray, drawn: Pixels) -> Pixels:
    """The crop with another picture of it in its hole, in colours that fit the hole's rim; other pixels stay."""
    base, patch = crop.astype(np.float32), drawn.astype(np.float32)
    blended = blend_poisson(base, patch, hole.astype(np.float32))
    return np.where(hole[..., None], np.rint(blended).clip(0, 255).astype(np.uint8), crop)
