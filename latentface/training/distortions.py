"""Distorted copies of pictures for training and measuring perceptual distances.

Each distortion takes images [N, 3, H, W] in [-1, 1], a strength [N] in 0 ... 1 and a seeded torch.Generator, and
returns images of the same shape in [-1, 1]. They cover the errors that occur during projection: blur, wrong
colours, a shifted or bent face, noise, the blocks and checkerboards that generators produce, and another person's face.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Distortion = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def _column(strength: Tensor) -> Tensor:
    return strength.view(-1, 1, 1, 1)


def _field(images: Tensor, channels: int, cells: int, source: torch.Generator) -> Tensor:
    """Smooth random numbers of about unit size, [N, channels, H, W], with `cells` bumps a side."""
    coarse = torch.randn(images.shape[0], channels, cells, cells, generator=source)
    return F.interpolate(coarse, size=images.shape[2:], mode="bicubic", align_corners=False)


def blur(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Gaussian blur of a deviation up to 4 % of the side."""
    side = images.shape[-1]
    sigma = (strength * 0.04 * side).clamp(min=0.05)
    radius = max(1, int(0.1 * side))
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(3, dim=0)  # [3 N, K]
    flat = F.pad(images, (radius,) * 4, mode="replicate").flatten(0, 1)[None]  # [1, 3 N, H', W']
    flat = F.conv2d(flat, kernel[:, None, None, :], groups=kernel.shape[0])
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=kernel.shape[0])
    return flat[0].reshape(images.shape)


def grain(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Noise of each pixel, coarser for half of the pictures."""
    fine = torch.randn(images.shape, generator=source)
    coarse = _field(images, 3, max(2, images.shape[-1] // 4), source)
    choice = torch.rand(images.shape[0], 1, 1, 1, generator=source) < 0.5
    return images + 0.35 * _column(strength) * torch.where(choice, fine, coarse)


def colour(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Contrast, brightness, white balance and saturation off by up to about a third."""
    count = images.shape[0]

    def uniform(*shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=source) * 2 - 1) * _column(strength)

    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (1 + 0.8 * uniform(1, 1, 1))
    return images * (1 + 0.35 * uniform(1, 1, 1)) + 0.3 * uniform(1, 1, 1) + 0.2 * uniform(3, 1, 1)


def shift(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Moved, turned and scaled as a whole: up to 6 % of the side, 9 degrees and 12 %."""
    count = images.shape[0]
    draw = (torch.rand(count, 4, generator=source) * 2 - 1) * strength[:, None]
    angle, scale = 0.16 * draw[:, 0], torch.exp(0.12 * draw[:, 1])
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle) * scale
    matrix[:, 0, 1], matrix[:, 1, 0] = -torch.sin(angle) * scale, torch.sin(angle) * scale
    matrix[:, :, 2] = 0.12 * draw[:, 2:]
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def bend(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Smoothly warped, as a face of another shape: up to about 4 % of the side."""
    flow = 0.06 * _column(strength) * _field(images, 2, 5, source)
    grid = F.affine_grid(torch.eye(2, 3).expand(images.shape[0], 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid + flow.permute(0, 2, 3, 1), padding_mode="reflection", align_corners=False)


def blocks(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Blended with a version of a quarter of the size enlarged without smoothing, and few grey levels."""
    coarse = F.interpolate(F.avg_pool2d(images, 4), size=images.shape[2:], mode="nearest")
    levels = 2 + 22 * (1 - _column(strength))
    coarse = (coarse * levels).round() / levels
    return torch.lerp(images, coarse, _column(strength))


def checkers(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """A checkerboard of two or four pixels that comes and goes over the picture, and soft blotches of colour."""
    height, width = images.shape[2:]
    y, x = torch.arange(height)[:, None], torch.arange(width)[None]
    period = 1 + (torch.rand(images.shape[0], 1, 1, generator=source) < 0.5).long()
    board = (((y // period + x // period) % 2) * 2 - 1).to(images.dtype)[:, None]
    ripples = 0.25 * board * _field(images, 1, 4, source)
    return images + _column(strength) * (ripples + 0.25 * _field(images, 3, 6, source))


def blend(images: Tensor, strength: Tensor, source: torch.Generator) -> Tensor:
    """Mixed with the next picture of the batch, everywhere or in one soft region: another person's features."""
    other = images.roll(1, 0)
    region = torch.sigmoid(6 * _field(images, 1, 3, source))
    whole = torch.rand(images.shape[0], 1, 1, 1, generator=source) < 0.5
    return torch.lerp(images, other, _column(strength) * torch.where(whole, torch.ones(()), region))


DISTORTIONS: tuple[Distortion, ...] = (blur, grain, colour, shift, bend, blocks, checkers, blend)


def distort(images: Tensor, source: torch.Generator) -> Tensor:
    """One to three distortions of random strength for each image [N, 3, H, W]; every tenth becomes another picture."""
    count = images.shape[0]
    chosen = torch.rand(count, len(DISTORTIONS), generator=source)
    wanted = torch.randint(1, 4, (count, 1), generator=source)
    rank = chosen.argsort(dim=1).argsort(dim=1)
    strengths = torch.where(rank < wanted, torch.rand(chosen.shape, generator=source), torch.zeros(()))
    out = images
    for column, distortion in enumerate(DISTORTIONS):
        rows = torch.nonzero(strengths[:, column])[:, 0]
        if not len(rows):
            continue
        neighbours = rows if distortion is not blend else torch.arange(count)
        changed = distortion(out[neighbours], strengths[neighbours, column], source)
        out = out.index_copy(0, rows, changed if distortion is not blend else changed[rows])
    swapped = torch.rand(count, 1, 1, 1, generator=source) < 0.1
    return torch.where(swapped, images.roll(1, 0), out).clamp(-1, 1)


def vary(images: Tensor, side: int, source: torch.Generator) -> Tensor:
    """Reference pictures: a random crop [N, 3, side, side], mirrored at random, at times recoloured or blurred."""
    high = images.shape[-1] - side + 1
    top, left = (int(torch.randint(0, high, (), generator=source)) for _ in range(2))
    crop = images[:, :, top : top + side, left : left + side]
    count = crop.shape[0]
    mirrored = torch.rand(count, 1, 1, 1, generator=source) < 0.5
    crop = torch.where(mirrored, crop.flip(3), crop)
    strength = torch.rand(2, count, generator=source) * (torch.rand(2, count, generator=source) < 0.4)
    crop = colour(crop, strength[0], source)
    return blur(crop, 0.4 * strength[1], source).clamp(-1, 1)
