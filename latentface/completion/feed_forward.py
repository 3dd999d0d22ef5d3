"""Completion in one pass of networks: an aligned crop with a hole, or with a pasted region, becomes whole.

A network of dilated convolutions paints the hole by its surroundings, at its own small size. Then an encoder reads the
face from the crop, a generator synthesises it, and the first network fits this proposal into the hole, at the crop's
size; a second pass reads the face from what the first has made.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from latentface import api
from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.completion.guidance import follow_guide
from latentface.io.images import to_tensor, to_uint8
from latentface.networks.completion import FOLD, CompletionNet
from latentface.networks.generator import Generator

PASSES = 2  # a third changes little


def paint(
    network: CompletionNet, crop: Pixels, hole: BoolArray, guide: Float32Array | None = None,
    proposal: Pixels | None = None,
) -> Pixels:  # fmt: skip
    """The crop, uint8 RGB [S, S, 3], with its hole [S, S] painted; its other pixels stay.

    Args:
        network: the completion network.
        crop: an aligned face.
        hole: what to paint.
        guide: planes [REGIONS, S / 4, S / 4] as `guides` makes them; None leaves it to the network.
        proposal: uint8 RGB [S, S, 3], what the hole might show. Without one the hole is painted at the network's size;
            with one it is also painted in the mirrored crop, and the mean of both is taken.
    """
    picture, place = to_tensor(crop), torch.from_numpy(hole.astype(np.float32))[None, None]
    planes = None if guide is None else torch.from_numpy(guide)[None]
    shown = None if proposal is None else to_tensor(proposal)
    if shown is None:
        side = network.config.size
        picture, place = F.adaptive_avg_pool2d(picture, side), F.adaptive_max_pool2d(place, side)
        planes = None if planes is None else F.adaptive_max_pool2d(planes, side // FOLD)
    device = next(network.parameters()).device
    given = [None if each is None else each.to(device) for each in (picture, place, planes, shown)]
    with torch.inference_mode():
        made = network(given[0], given[1], guide=given[2], proposal=given[3]).cpu()
        if shown is not None:
            mirrored = [None if each is None else each.flip(3) for each in given]
            again = network(mirrored[0], mirrored[1], guide=mirrored[2], proposal=mirrored[3])
            made = (made + again.flip(3).cpu()) / 2
        made = F.interpolate(made, size=crop.shape[:2], mode="bicubic", align_corners=False)
    return np.where(hole[..., None], to_uint8(made)[0], crop)


def harmonise(network: CompletionNet, crop: Pixels, region: BoolArray) -> Pixels:
    """The crop, uint8 RGB [S, S, 3], with the colours of a region [S, S] fitted to those around it."""
    side, device = network.config.size, next(network.parameters()).device
    picture = F.adaptive_avg_pool2d(to_tensor(crop), side).to(device)
    place = F.adaptive_max_pool2d(torch.from_numpy(region.astype(np.float32))[None, None], side).to(device)
    with torch.inference_mode():
        change = (network(picture, torch.zeros_like(place), place) - picture).cpu()
        change = F.interpolate(change, size=crop.shape[:2], mode="bicubic", align_corners=False)
    return np.where(region[..., None], to_uint8(to_tensor(crop) + change)[0], crop)


def fill_in(
    network: CompletionNet, generator: Generator, crop: Pixels, hole: BoolArray, guide: Float32Array | None = None,
    passes: int = PASSES,
) -> tuple[Pixels, Pixels]:  # fmt: skip
    """The crop with a face in its hole, and the proposal behind it, both uint8 RGB [R, R, 3].

    Args:
        network: the completion network.
        generator: a network with an encoder, at the crop's resolution.
        crop: an aligned face; what lies in the hole has no influence.
        hole: [R, R], where to paint.
        guide: planes [REGIONS, R / 4, R / 4] as `guides` makes them; None leaves it to the networks.
            The network hardly heeds it; the proposal is made to fit it.
        passes: how often the encoder looks.
    """
    painted = proposal = paint(network, crop, hole, guide)
    for _ in range(passes):
        codes = api.encode(painted, generator)
        codes = codes if guide is None else follow_guide(codes, guide, hole, generator)
        proposal = api.synthesise(generator, codes)[0]
        painted = paint(network, crop, hole, guide, proposal)
    return painted, proposal
