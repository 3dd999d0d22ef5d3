"""Neural style transfer by optimising the pixels (Gatys, Ecker and Bethge, CVPR 2016), from coarse to fine.

Content is compared in the deep features, style in the correlations of all features. It needs no face and no generator,
keeps every contour where it is, and works at the photo's own size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import UsageError
from latentface.networks.perceptual import MINIMUM_SIDE, FeatureDistance
from latentface.networks.precision import convolving
from latentface.ops.adam import Adam
from latentface.styles.losses import StyleDistance

OnStep = Callable[[int, float], None]
#: Longest side at which the search begins; it doubles up to that of the photo.
FIRST_SIDE = 192
#: Steps at each size as a share of those at the size before, which costs a quarter.
FEWER = 0.5
LEARNING_RATE = 0.05
#: Weights of content, and of the differences between neighbouring pixels, against style.
CONTENT, ROUGHNESS = 0.4, 0.02
_RANGE = (0.02, 0.98)  # quantiles of the colours that stay within what can be shown
_DEEP = slice(2, 4)  # the feature maps of the content


def transfer_texture(
    content: Tensor,
    style: Tensor,
    distance: FeatureDistance,
    *,
    steps: int,
    seed: int = 0,
    rough: bool = False,
    on_step: OnStep | None = None,
) -> Tensor:
    """A picture with the content of one picture and the style of another.

    Args:
        content: [1, 3, H, W] in [-1, 1], with sides of 32 pixels or more.
        style: likewise, of any size; it is scaled so that its longest side is that of the content.
        distance: the network whose features are compared.
        steps: how many at the smallest size; each following size takes half as many.
        seed: of the noise that breaks up flat areas at the beginning.
        rough: convolve in bfloat16.
        on_step: called as on_step(step, loss); steps are counted over all sizes, see `total_steps`.

    Returns:
        [1, 3, H, W] in [-1, 1].

    Raises:
        UsageError: a picture of another shape, or too small.
    """
    for name, picture in (("content", content), ("style", style)):
        if picture.ndim != 4 or picture.shape[:2] != (1, 3) or min(picture.shape[2:]) < MINIMUM_SIDE:
            raise UsageError(
                f"{name} {list(picture.shape)}: expected [1, 3, H, W] with sides of {MINIMUM_SIDE} or more"
            )
    noise = torch.randn(content.shape, generator=torch.Generator().manual_seed(seed)).to(content)
    content = recoloured(content, style)
    made, done = content + 0.05 * noise, 0
    with torch.inference_mode(False), torch.enable_grad():
        for share, count in _passes(max(content.shape[2:]), steps):
            goal = scaled(content, share)
            own = scaled(style, share * max(content.shape[2:]) / max(style.shape[2:]))
            made = F.interpolate(made, size=goal.shape[2:], mode="bicubic", align_corners=False).clamp(-1, 1)
            made = _optimise(made, goal, own, distance, count, done, rough, on_step)
            done += count
    return made


def recoloured(picture: Tensor, style: Tensor) -> Tensor:
    """The picture with the mean and the covariance of the style's colours (Pitie and Kokaram 2007).

    Of all linear maps with this result it is the one that moves the colours least, so that light stays light. Both are
    [1, 3, H, W] in [-1, 1].
    """
    source, target = (each[0].flatten(1).double() for each in (picture, style))
    a, b = (torch.cov(each) + 1e-5 * torch.eye(3, dtype=each.dtype, device=each.device) for each in (source, target))
    root = _power(a, 0.5)
    back = _power(a, -0.5)
    change = back @ _power(root @ b @ root, 0.5) @ back
    moved = change @ (source - source.mean(dim=1, keepdim=True)) + target.mean(dim=1, keepdim=True)
    low, high = moved.flatten()[:: max(1, moved.numel() // 100_000)].quantile(moved.new_tensor(_RANGE)).tolist()
    inner_low, inner_high = max(low, -1.0), min(high, 1.0)  # a picture that is nearly white must not burn out
    moved = (moved - low) * ((inner_high - inner_low) / max(high - low, 1e-6)) + inner_low
    made: Tensor = moved.view_as(picture[0])[None].to(picture).clamp(-1, 1)
    return made


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of a positive definite matrix [3, 3]."""
    values, vectors = torch.linalg.eigh(matrix)
    power: Tensor = (vectors * values.clamp(min=1e-8) ** exponent) @ vectors.T
    return power


def total_steps(longest: int, steps: int) -> int:
    """The number of steps over all sizes for a picture whose longest side is this."""
    return sum(count for _, count in _passes(longest, steps))


def scaled(picture: Tensor, share: float) -> Tensor:
    """The picture at a share of its size, with sides of 32 pixels or more."""
    if share == 1:
        return picture
    size = [max(MINIMUM_SIDE, round(side * share)) for side in picture.shape[2:]]
    return F.interpolate(picture, size=size, mode="bicubic", align_corners=False, antialias=share < 1).clamp(-1, 1)


def _passes(longest: int, steps: int) -> list[tuple[float, int]]:
    """The share of the full size and the number of steps of each pass."""
    shares = [1.0]
    while longest * shares[0] / 2 >= FIRST_SIDE:
        shares.insert(0, shares[0] / 2)
    return [(share, max(1, round(steps * FEWER**k))) for k, share in enumerate(shares)]


def _optimise(
    start: Tensor,
    goal: Tensor,
    style: Tensor,
    distance: FeatureDistance,
    steps: int,
    done: int,
    rough: bool,
    on_step: OnStep | None,
) -> Tensor:
    """One size: Adam on the pixels."""

    def features(picture: Tensor) -> list[Tensor]:
        with convolving(rough, picture.device):
            return [each.float() for each in distance.features(picture)]

    with torch.no_grad():
        wanted, look = [distance.normalise(each) for each in features(goal)[_DEEP]], StyleDistance(features(style))
    pixels = start.detach().clone().requires_grad_(True)
    optimiser = Adam(pixels, LEARNING_RATE, betas=(0.9, 0.99))
    for step in range(steps):
        maps = features(pixels)
        kept = [
            (distance.normalise(a) - b).square().sum(dim=1).mean() for a, b in zip(maps[_DEEP], wanted, strict=True)
        ]
        rough_edges = sum((pixels.diff(dim=axis)).abs().mean() for axis in (2, 3))
        loss = look(maps).sum() + CONTENT * torch.stack(kept).sum() + ROUGHNESS * rough_edges
        optimiser.rate = LEARNING_RATE * min(1.0, 2 * (1 - step / steps))
        optimiser.step(torch.autograd.grad(loss, pixels)[0])
        with torch.no_grad():
            pixels.clamp_(-1, 1)
        if on_step is not None:
            on_step(done + step, loss.item())
    return pixels.detach()
