"""An invisible mark of 48 bits in the pixels of a face: the networks that put it in and read it.

Both work on the brightness of an FFHQ crop of 128 px (`SIDE`), in its middle window of 96 px, so that crops of the
photo and its size do not matter: the face is aligned again before it is read. The mark is a sum of 48 learnt carriers,
one for each bit, scaled by what the reader makes of the unmarked face, so that bits which the face itself contradicts
get more of the energy ("improved spread spectrum", Malvar and Florencio 2003), and shaped by the local texture, so that
flat skin gets little.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError

BITS = 48
SIDE = 128  # pixels of the crop
LEFT, TOP, WINDOW = 16, 28, 96  # where the window lies in it
_LEVELS = 255.0


@dataclass(frozen=True)
class MarkConfig:
    """Shape and strength of the networks.

    width: channels of the reader. blocks: its residual blocks. psnr: decibels between the marked and the unmarked
    face, within the mask. floor, slope, ceiling: the strength on flat skin, its growth with the deviation of the local
    texture in levels of 0 ... 255, and the most that it can be; their ratio counts, as psnr sets the whole.
    """

    width: int = 32
    blocks: int = 3
    psnr: float = 42.4
    floor: float = 1.0
    slope: float = 0.5
    ceiling: float = 6.0

    def __post_init__(self) -> None:
        if min(self.width, self.blocks) < 1:
            raise UsageError(f"width and blocks must be positive, got {self.width} and {self.blocks}")
        if not (0 < self.floor <= self.ceiling and self.slope >= 0 and self.psnr > 0):
            raise UsageError(f"expected 0 < floor <= ceiling, slope from 0, psnr above 0, got {self}")


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Images [N, 1, H, W] under a Gaussian of that deviation in pixels; the edges are continued."""
    radius = int(3 * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def texture(light: Tensor) -> tuple[Tensor, Tensor]:
    """The fine detail of a brightness [N, 1, H, W] in levels, and the local deviation of it, of the same shape."""
    detail = light - blurred(light, 2.0)
    return detail, (blurred(detail.square(), 2.0) + 0.01).sqrt()


def window(planes: Tensor) -> Tensor:
    """The window [..., 96, 96] of crops [..., 128, 128]."""
    return planes[..., TOP : TOP + WINDOW, LEFT : LEFT + WINDOW]


class MarkReader(nn.Module):
    """The brightness of faces [N, 1, 128, 128], levels 0 ... 255 -> a number for each bit, [N, 48]: its log odds."""

    def __init__(self, config: MarkConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv2d(8, width, 3, padding=1)
        self.first, self.second = (
            nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(config.blocks)) for _ in range(2)
        )
        self.leave = nn.Conv2d(width, 8, 3, padding=1)
        self.templates = nn.Parameter(torch.zeros(BITS, 2, WINDOW, WINDOW))
        self.offset = nn.Parameter(torch.zeros(BITS))
        nn.init.zeros_(self.leave.weight)

    def forward(self, light: Tensor) -> Tensor:
        """Log odds [N, 48] that each bit is 1."""
        if light.ndim != 4 or light.shape[1:] != (1, SIDE, SIDE):
            raise UsageError(f"MarkReader: expected brightness [N, 1, {SIDE}, {SIDE}], got {list(light.shape)}")
        detail, deviation = texture(light)
        planes = window(torch.cat([detail / (deviation + 2.0), detail / 8.0], 1))
        x = self.enter(F.pixel_unshuffle(planes, 2))
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(F.relu(first(F.relu(x))))
        found = planes + F.pixel_shuffle(self.leave(F.relu(x)), 2)
        odds: Tensor = F.linear(found.flatten(1), self.templates.flatten(1), self.offset).float()
        return odds


class MarkWriter(nn.Module):
    """What to add to the brightness of a face for 48 bits, from the face and the reader's odds for it unmarked."""

    def __init__(self, config: MarkConfig) -> None:
        super().__init__()
        self.config = config
        self.carriers = nn.Parameter(torch.zeros(BITS, WINDOW, WINDOW))
        self.margin = nn.Parameter(torch.tensor(4.0))
        self.pull = nn.Parameter(torch.tensor(0.5))

    def forward(self, light: Tensor, mask: Tensor, bits: Tensor, odds: Tensor) -> Tensor:
        """The mark [N, 1, 128, 128] in levels.

        Args:
            light: brightness [N, 1, 128, 128], levels 0 ... 255.
            mask: [N, 1, 128, 128], 0 ... 1: where the mark may be.
            bits: [N, 48], 0 or 1.
            odds: [N, 48], what the reader says of the unmarked face.
        """
        config, signs = self.config, bits * 2 - 1
        weights = signs * F.softplus(self.pull * (self.margin - signs * odds))
        pattern = (weights @ self.carriers.flatten(1)).view(-1, 1, WINDOW, WINDOW)
        _, deviation = texture(light)
        gain = (config.floor + config.slope * deviation).clamp(max=config.ceiling) * mask
        mark = window(gain) * pattern
        power = mark.square().sum((1, 2, 3), keepdim=True) / mask.sum((1, 2, 3), keepdim=True).clamp(min=1.0)
        level = _LEVELS * 10 ** (-config.psnr / 20)
        mark = mark * (level / power.clamp(min=1e-12).sqrt())
        rest = SIDE - TOP - WINDOW
        return F.pad(mark, (LEFT, SIDE - LEFT - WINDOW, TOP, rest))


class MarkNets(nn.Module):
    """Writer and reader of one file."""

    def __init__(self, config: MarkConfig) -> None:
        super().__init__()
        self.config = config
        self.writer, self.reader = MarkWriter(config), MarkReader(config)

    def start(self, source: torch.Generator) -> None:
        """Carriers to learn from: noise of 12 to 40 periods in the crop; the reader correlates with the same."""
        noise = torch.randn(BITS, 1, WINDOW, WINDOW, generator=source)
        band = blurred(noise, 0.8) - blurred(noise, 2.0)
        band = band / band.std((2, 3), keepdim=True)
        with torch.no_grad():
            self.writer.carriers.copy_(band[:, 0])
            self.reader.templates[:, 0].copy_(band[:, 0] * 0.01)

    def forward(self, light: Tensor, mask: Tensor, bits: Tensor) -> Tensor:
        """The mark for faces, [N, 1, 128, 128] in levels; arguments as for `MarkWriter`."""
        with torch.no_grad():
            odds = self.reader(light)
        mark: Tensor = self.writer(light, mask, bits, odds)
        return mark
