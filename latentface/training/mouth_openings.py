"""Pixel-accurate openings of mouths from landmarks that are off by a pixel or two.

A small segmentation network is trained on the polygons of the landmarks. Their errors have random directions, so that
the network learns the true border from thousands of them: its predictions follow lips and teeth more closely than the
polygons do. Training stops early, before the network memorises single errors. Wide open jaws are too rare for it; for
these, the contour of highest contrast is searched for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import Tensor, nn

from latentface.arrays import Float64Array, Pixels
from latentface.training.mouth_labels import LUMA, redness

#: Factor by which the edge of a predicted opening is made steeper than the predicted probability.
STEEPNESS = 3.0
OUTER, INNER = slice(48, 60), slice(60, 68)


@dataclass(frozen=True)
class OpeningOptions:
    """How to train the segmentation: steps of `batch` canvases, and the peak of the learning rate."""

    steps: int = 1200
    batch: int = 24
    learning_rate: float = 2e-3
    seed: int = 0
    bfloat16: bool = True


def fill_polygon(points: Float64Array, height: int, width: int) -> Pixels:
    """A polygon [n, 2] in pixels (x, y) filled with 255, edges averaged over 4 x 4 points of a pixel: [H, W]."""
    fine = Image.new("L", (width * 4, height * 4))
    ImageDraw.Draw(fine).polygon([(float(x) * 4, float(y) * 4) for x, y in points], fill=255)
    return np.asarray(fine.resize((width, height), Image.Resampling.BOX))


class OpeningNet(nn.Module):
    """Images [N, 3, H, W] in [-1, 1] -> logits [N, 2, H, W]: the opening, and lips with it. H, W: multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.at_half, self.at_quarter, self.at_eighth = _Pair(12, 32), _Pair(32, 48), _Pair(48, 64)
        self.up_quarter, self.up_half = _Pair(112, 48), _Pair(80, 32)
        self.out = nn.Conv2d(32, 8, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, 2, H, W] of what each pixel of canvases [N, 3, H, W] belongs to."""
        half = self.at_half(F.pixel_unshuffle(images, 2))
        quarter = self.at_quarter(F.max_pool2d(half, 2))
        eighth = self.at_eighth(F.max_pool2d(quarter, 2))
        quarter = self.up_quarter(torch.cat([F.interpolate(eighth, scale_factor=2.0), quarter], 1))
        half = self.up_half(torch.cat([F.interpolate(quarter, scale_factor=2.0), half], 1))
        return F.pixel_shuffle(self.out(half), 2)


class _Pair(nn.Sequential):
    """Two convolutions, each with group normalisation and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for count in (inputs, outputs):
            layers += [nn.Conv2d(count, outputs, 3, padding=1), nn.GroupNorm(outputs // 8, outputs), nn.ReLU()]
        super().__init__(*layers)


def learn_openings(
    images: Pixels,
    points: Float64Array,
    weights: Float64Array,
    options: OpeningOptions,
    on_step: Callable[[int, float], object] | None = None,
) -> Pixels:
    """Train on canvases [n, H, W, 3] and their landmarks [n, 68, 2], and answer for the same: uint8 [n, 2, H, W].

    weights: how often each is looked at. The answers are the opening, and lips and opening, each 0 to 255.
    """
    height, width = images.shape[1:3]
    inner = np.stack([fill_polygon(p[INNER], height, width) for p in points])
    outer = np.stack([fill_polygon(p[OUTER], height, width) for p in points])
    stack = torch.from_numpy(np.concatenate([images.transpose(0, 3, 1, 2), inner[:, None], outer[:, None]], 1))
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        network = OpeningNet()
    averaged = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters())
    generator = torch.Generator().manual_seed(options.seed)
    for step in range(options.steps):
        rate = options.learning_rate * min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * step / options.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        index = torch.multinomial(torch.from_numpy(weights), options.batch, replacement=True, generator=generator)
        planes = _varied(stack[index].float() / 255, generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            logits = network(planes[:, :3] * 2 - 1)
        loss = F.binary_cross_entropy_with_logits(logits.float(), planes[:, 3:].clamp(0, 1))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        keep = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(averaged.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        if on_step:
            on_step(step, float(loss.detach()))
    return _answers(averaged, stack[:, :3])


def _varied(planes: Tensor, generator: torch.Generator) -> Tensor:
    """Planes [N, 5, H, W] (0 to 1) turned, scaled, shifted, mirrored and in other light."""
    n = len(planes)
    size = torch.empty(n).uniform_(0.85, 1.2, generator=generator)
    turn = torch.randn(n, generator=generator) * 0.12
    mirror = (torch.rand(n, generator=generator) < 0.5).float() * 2 - 1
    shift = torch.randn(n, 2, generator=generator) * 0.07
    cos, sin = size * turn.cos(), size * turn.sin()
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), list(planes.shape), align_corners=False)
    planes = F.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)
    gain = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.3, generator=generator)
    tint = torch.randn(n, 3, 1, 1, generator=generator) * 0.06
    return torch.cat([planes[:, :3] * gain + tint, planes[:, 3:]], 1)


def _answers(network: OpeningNet, images: Tensor) -> Pixels:
    """Mean of the answers for images uint8 [n, 3, H, W] and their mirror images, uint8 [n, 2, H, W]."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), 64):
            x = images[start : start + 64].float() / 127.5 - 1
            both = (network(x).sigmoid() + network(x.flip(3)).sigmoid().flip(3)) / 2
            # as steep as an edge in a picture
            parts.append((((both - 0.5) * STEEPNESS + 0.5).clamp(0, 1) * 255).round().byte())
    return torch.cat(parts).numpy()


def largest_part(opening: Pixels) -> Pixels:
    """An opening [H, W] (0 to 255) without all but its largest connected part."""
    parts, count = ndimage.label(opening > 127)
    if count < 2:
        return opening
    sizes = ndimage.sum_labels(np.ones_like(parts), parts, range(1, count + 1))
    largest = ndimage.binary_dilation(parts == 1 + int(np.argmax(sizes)))
    return np.where(largest, opening, 0).astype(np.uint8)


def contrast_contour(image: Pixels, points: Float64Array) -> Float64Array:
    """The opening's polygon [82, 2] in a canvas [H, W, 3].

    The inner landmarks' curves are moved up and down to where lips end: where light and redness change most across the
    curve, and outwards to the brighter and redder.
    """
    soft = ndimage.gaussian_filter(image.astype(np.float64), (0.7, 0.7, 0))
    light = soft @ LUMA
    layers = (light / max(light.std(), 1.0), 12.5 * redness(soft))
    left, right = points[60], points[64]
    across = np.linspace(-1, 1, 41)
    x = (left[0] + right[0]) / 2 + (right[0] - left[0]) / 2 * across

    def curve(order: list[int], shift: float) -> Float64Array:
        bent = np.interp(across, np.linspace(-1, 1, 5), points[order, 1])
        moved: Float64Array = bent + shift * (1 - np.abs(across) ** 2.5)
        return moved

    def contrast(order: list[int], shift: float, outward: float) -> float:
        y = curve(order, shift)[5:36]
        steps = []
        for layer in layers:
            outside, inside = (
                ndimage.map_coordinates(layer, [y - 0.5 + way, x[5:36] - 0.5], order=1, mode="nearest")
                for way in (outward, -outward)
            )
            steps.append(outside - inside)
        size = np.sqrt(steps[0] ** 2 + steps[1] ** 2 + 0.01)
        return float(np.mean(size * (1 + 0.5 * np.sign(steps[0] + 0.5 * steps[1]))))

    top, bottom = [60, 61, 62, 63, 64], [60, 67, 66, 65, 64]
    up = max(np.arange(-6, 5, 0.5), key=lambda shift: contrast(top, shift, -1.5) - 0.02 * abs(shift))
    down = max(np.arange(-4, 18, 0.5), key=lambda shift: contrast(bottom, shift, 1.5) - 0.01 * abs(shift))
    lines = [np.stack([x, curve(top, up)], 1), np.stack([x, curve(bottom, down)], 1)[::-1]]
    return np.concatenate(lines)
