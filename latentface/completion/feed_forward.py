"""Completion in one pass of a network: an aligned crop with a hole, or with a pasted region, becomes whole."""

from __future__ import annotations

import numpy as np
import torch

from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.io.images import to_tensor, to_uint8
from latentface.networks.completion import CompletionNet


def paint(
    network: CompletionNet, crop: Pixels, hole: BoolArray, guide: Float32Array | None = None, foreign: bool = False
) -> Pixels:
    """The crop, uint8 RGB [S, S, 3], with its hole [S, S] painted.

    Args:
        network: the completion network.
        crop: an aligned face.
        hole: what to paint.
        guide: planes [REGIONS, S / 4, S / 4] as `guides` makes them; None leaves it to the network.
        foreign: the content of the hole stays, and only its colours are fitted to the surroundings.
    """
    device = next(network.parameters()).device
    picture = to_tensor(crop).to(device)
    place = torch.from_numpy(hole.astype(np.float32))[None, None].to(device)
    nothing = torch.zeros_like(place)
    planes = None if guide is None else torch.from_numpy(guide)[None].to(device)
    with torch.inference_mode():
        made = network(picture, nothing if foreign else place, place if foreign else nothing, planes)
    return to_uint8(made)[0]
