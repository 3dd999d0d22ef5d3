"""A small U-Net that paints the inside of an opened mouth: teeth, tongue and the dark interior.

Its input is the lower face in a frame fixed to the upper jaw (`MouthConfig`), so that a moving lip uncovers teeth
instead of dragging them along. It also receives the opening and the position of the teeth in it, and paints their
appearance for this light and this face. A style of a few numbers determines what the input leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError


class Plane(IntEnum):
    """Order of the input planes of a MouthNet, after the three colours of the surroundings."""

    OPENING = 3
    UPPER_TEETH = 4
    LOWER_TEETH = 5
    SEPARATORS = 6


PLANES = 7
#: A pixel of the canvas with a smaller opening than this counts as closed.
NO_OPENING = 0.02
STYLES = 3


@dataclass(frozen=True)
class MouthConfig:
    """Shape of a MouthNet and the part of the face that it uses.

    height, width: of its canvas in pixels, multiples of 16. scale: pixels for an inter-ocular distance. top: pixels
    from the upper edge of the canvas down to the base of the nose (landmark 33), which is above its middle. widths:
    channels at 1/2, 1/4, 1/8 and 1/16 of the canvas. detail: channels at its full size.
    """

    height: int = 64
    width: int = 96
    scale: float = 64.0
    top: float = -6.0
    widths: tuple[int, int, int, int] = (40, 64, 96, 96)
    detail: int = 16

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file
        if min(self.height, self.width) < 16 or self.height % 16 or self.width % 16:
            raise UsageError(f"height and width must be multiples of 16, got {self.height} and {self.width}")
        if len(self.widths) != 4 or min(*self.widths, self.detail) < 1:
            raise UsageError(f"widths must be four positive numbers and detail one, got {self.widths}, {self.detail}")
        if not self.scale > 0:
            raise UsageError(f"scale must be above 0 pixels, got {self.scale}")


def surroundings(photo: Tensor, opening: Tensor) -> Tensor:
    """The photo [N, 3, H, W] in [-1, 1], zero wherever there is any opening [N, 1, H, W].

    A soft mask would not suffice: the network learns to recover a tooth from a tenth of its brightness.
    """
    return photo * (opening < NO_OPENING)


class _Residual(nn.Module):
    """x + conv(relu(conv(relu(x)) + style)): without normalisation; the second convolution starts near zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.style = nn.Linear(STYLES, channels, bias=False)
        with torch.no_grad():
            self.conv1.weight.mul_(0.2)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = self.conv0(F.leaky_relu(x, 0.2)) + self.style(style)[:, :, None, None]
        y = self.conv1(F.leaky_relu(y, 0.2))
        out: Tensor = x + y
        return out


def _smooth(x: Tensor) -> Tensor:
    """Maps [N, C, H, W] filtered by 1 2 1 in both directions, against the pixel patterns of pixel shuffling."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = (x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]) / 4
    return (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 4


class MouthNet(nn.Module):
    """Planes [N, 7, H, W] and styles [N, 3] -> the canvas painted everywhere, [N, 3, H, W], about [-1, 1].

    planes: the photo in [-1, 1], zero in the opening; then, each from 0 to 1, the opening, the area of the upper and
    the lower row of teeth without lips in front of them, and the lines between teeth (see `Plane`).
    style: in standard deviations from the usual value for such a face: brightness of the teeth, brightness of the rest
    of the opening, and its redness (a visible tongue).
    """

    def __init__(self, config: MouthConfig) -> None:
        super().__init__()
        self.config = config
        w = config.widths
        self.enter = nn.Conv2d((PLANES + 4) * 4, w[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(w))
        self.sink = nn.ModuleList(_Residual(c) for c in w)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(w))
        self.rise = nn.ModuleList(_Residual(c) for c in w[:-1])
        self.fine = nn.Conv2d(w[0], config.detail * 4, 1)
        self.colour = nn.Conv2d(config.detail, 3, 3, padding=1)

    def forward(self, planes: Tensor, style: Tensor) -> Tensor:
        """Colours [N, 3, H, W] in [-1, 1] of the canvas, from planes [N, PLANES, H, W] and styles [N, STYLES]."""
        height, width = self.config.height, self.config.width
        if planes.ndim != 4 or tuple(planes.shape[1:]) != (PLANES, height, width):
            raise UsageError(f"MouthNet: expected planes [N, {PLANES}, {height}, {width}], got {list(planes.shape)}")
        if tuple(style.shape) != (len(planes), STYLES):
            raise UsageError(f"MouthNet: expected styles [{len(planes)}, {STYLES}], got {list(style.shape)}")
        dtype = self.enter.weight.dtype  # the layout for the computation; input and output have that of the planes
        style = style.to(dtype)
        folded = F.pixel_unshuffle(torch.cat([planes, self._places(planes)], 1), 2)
        x = self.enter(folded.to(dtype, memory_format=torch.channels_last))  # [N, C, H/2, W/2]
        kept = []
        for level, block in enumerate(self.sink):
            if level:
                x = self.down[level - 1](x)
            x = block(x, style)
            kept.append(x)
        for level in reversed(range(len(self.rise))):
            x = kept[level] + F.interpolate(self.up[level](x), scale_factor=2.0, mode="nearest")
            x = self.rise[level](x, style)
        x = _smooth(F.pixel_shuffle(self.fine(F.leaky_relu(x, 0.2)), 2))
        painted: Tensor = self.colour(F.leaky_relu(x, 0.2)).to(planes.dtype)  # [N, 3, H, W]
        return painted

    def _places(self, planes: Tensor) -> Tensor:
        """The position of each pixel: across and down the canvas, and the amount of opening above and below it."""
        n, _, height, width = planes.shape
        x = torch.linspace(-1, 1, width, device=planes.device, dtype=planes.dtype).expand(n, 1, height, width)
        y = torch.linspace(-1, 1, height, device=planes.device, dtype=planes.dtype)[:, None].expand(n, 1, height, width)
        opening = planes[:, Plane.OPENING : Plane.OPENING + 1]
        above = (opening.cumsum(2) / 8).clamp(max=2) * opening
        below = (opening.flip(2).cumsum(2).flip(2) / 8).clamp(max=2) * opening
        return torch.cat([x, y, above, below], 1)
