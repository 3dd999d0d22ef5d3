"""Losses between synthesised pictures and targets, for training generators and encoders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.networks.perceptual import FeatureDistance

TEXTURE_MAPS, WINDOW = 3, 8  # the finest maps, and the side of what is called a place in them, in cells
CONTRAST = 7  # the side in pixels of the surroundings with which a pixel contrasts
FREE, MORE = 0.02, 1.5  # the contrast that any place may have, and how many times that of the original
WIDEST = 96  # the side of the windows into large pictures


def perceptual_and_texture(teacher: FeatureDistance, drawn: Tensor, truth: Tensor) -> Tensor:
    """Perceptual distance and difference of texture of pictures [N, 3, R, R] in [-1, 1], both means over N: [2]."""
    ours = teacher.features(drawn)
    with torch.no_grad():
        theirs = teacher.features(truth)
    a, b = (tuple(teacher.normalise(each) for each in maps) for maps in (ours, theirs))
    return torch.stack([teacher.compare(a, b).mean(), texture(ours[:TEXTURE_MAPS], theirs[:TEXTURE_MAPS])])


def compare_pictures(
    drawn: Tensor, images: Tensor, weights: Tensor, compare: Callable[[Tensor, Tensor], Tensor],
    order: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Pixels' error, perceptual distance and difference of texture of drawings [N, 3, R, R], each a mean over N.

    Args:
        drawn: what was synthesised, [N, 3, R, R] in [-1, 1].
        images: the renders, like it.
        weights: how much each pixel counts, [N, 1, R, R].
        compare: `perceptual_and_texture` of some teacher, shown the pictures in `views`.
        order: where the views lie.
    """
    shown = [(view(drawn).contiguous(), view(images).contiguous()) for view in views(images.shape[-1], order)]
    perceptual, texture = torch.stack([compare(a, b).float() for a, b in shown]).sum(0)
    difference = (drawn - images).abs().mean(1, keepdim=True)
    pixel = (difference * weights).mean() + (F.avg_pool2d(drawn, 4) - F.avg_pool2d(images, 4)).abs().mean()
    return pixel, perceptual, texture


def texture(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...]) -> Tensor:
    """Relative difference between the local standard deviations of features, summed over maps.

    A code cannot describe every strand of hair and every pore. A loss that compares cell by cell is lowest if they are
    left out; this one asks for the right amount of texture, wherever it lies.
    """
    total = ours[0].new_zeros(())
    for a, b in zip(ours, theirs, strict=True):
        here, there = (_deviation(each) for each in (a, b))
        total = total + (here - there).abs().mean() / there.mean()
    return total


def _deviation(features: Tensor) -> Tensor:
    features = features.float()
    mean = F.avg_pool2d(features, WINDOW, WINDOW // 2)
    variance = F.avg_pool2d(features.square(), WINDOW, WINDOW // 2) - mean.square()
    return (variance.clamp(min=0) + 1e-4).sqrt()


def views(resolution: int, order: np.random.Generator) -> list[Callable[[torch.Tensor], torch.Tensor]]:
    """The parts of a picture that are compared perceptually: three views that together cost less than the whole.

    The square from brows to chin, half the crop's side, is a small part of the picture but matters most to viewers.
    """
    if resolution <= 32:
        return [lambda x: x]
    half = resolution // 2
    side = min(half, WIDEST)
    top, left = (int(v) for v in order.integers(0, resolution - side + 1, size=2))
    down, right = (int(v) for v in order.integers(0, half - side + 1, size=2))

    def window(y: int, x: int) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda image: image[..., y : y + side, x : x + side]

    face = window(round(0.36 * resolution) + down, resolution // 4 + right)
    if resolution <= 64:
        return [lambda x: x, face]
    return [lambda x: F.avg_pool2d(x, resolution // 64), face, window(top, left)]


def clutter(made: Tensor, originals: Tensor) -> Tensor:
    """How much local contrast pictures gain where their originals [N, 3, S, S] in [-1, 1] are plain, a scalar.

    A translator to pictures with more hair would draw curls into backgrounds without it: a discriminator and moments of
    features ask that there be hair, and not where.
    """
    gained: Tensor = F.relu(_contrast(made) - MORE * _contrast(originals) - FREE).mean()
    return gained


def _contrast(pictures: Tensor) -> Tensor:
    """The root mean square difference from the surroundings' mean colour, [N, 1, S, S]."""
    pictures = pictures.float()
    apart = pictures - F.avg_pool2d(pictures, CONTRAST, 1, CONTRAST // 2, count_include_pad=False)
    return (F.avg_pool2d(apart.square().mean(1, keepdim=True), 5, 1, 2) + 1e-6).sqrt()
