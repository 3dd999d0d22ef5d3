"""A network that completes faces: it paints holes of an aligned crop and fits pasted regions to their surroundings.

Residual blocks of dilated convolutions at an eighth of the crop's side, which are trained one after the other, see
the whole face (Yang et al., CVPR 2017, and Yang's dissertation; Yu and Koltun 2016 for the dilation). What they start
from is the smooth continuation of the surroundings into the hole, and beside it the mirrored crop: an eye that is
hidden resembles the one that is not. A proposal, such as the face that a generator synthesises for the crop, may be
given; then they start from it, with what it differs by at the hole's rim continued into the hole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError


class Region(IntEnum):
    """The planes of a guide: which part of a face is to appear where."""

    FACE = 0
    BROWS = 1
    EYES = 2
    NOSE = 3
    LIPS = 4
    MOUTH = 5


REGIONS = len(Region)
FOLD = 4  # pixels beside each other that become channels
REACH = 8  # sides of the crop are multiples of it


@dataclass(frozen=True)
class CompletionConfig:
    """Shape of a CompletionNet.

    size: side of the crop in pixels. fine, middle, coarse: channels at a half, a quarter and an eighth of it.
    dilations: one for each residual block at an eighth.
    """

    size: int = 128
    fine: int = 32
    middle: int = 64
    coarse: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 1, 2, 4, 1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))  # a list when it comes from a file
        if self.size < 2 * REACH or self.size % REACH:
            raise UsageError(f"size must be a multiple of {REACH} from {2 * REACH}, got {self.size}")
        if min(self.fine, self.middle, self.coarse) < 1 or not self.dilations or min(self.dilations) < 1:
            raise UsageError("channels and dilations must be positive, and there must be a dilation")


def continue_into(picture: Tensor, hole: Tensor) -> Tensor:
    """Pictures [N, 3, H, W] whose holes [N, 1, H, W] (1 in the hole) are filled with averages of what is around them.

    From coarse to fine, each scale fills what it knows (the pull-push algorithm, Gortler et al. 1996).
    """
    known = 1 - hole
    side = min(picture.shape[-2:])
    if side < 2 or bool((known > 0.999).all()):
        return picture * known
    height, width = picture.shape[-2] // 2 * 2, picture.shape[-1] // 2 * 2
    weight = F.avg_pool2d(known[..., :height, :width], 2)
    mean = F.avg_pool2d((picture * known)[..., :height, :width], 2) / weight.clamp(min=1e-6)
    coarser = continue_into(mean, (weight < 1e-3).to(picture.dtype))
    above = F.interpolate(coarser, size=picture.shape[-2:], mode="bilinear", align_corners=False)
    return picture * known + above * hole


class DilatedBlock(nn.Module):
    """x + conv1(relu(conv0(relu(x)))), the first convolution dilated; the second starts at zero."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.conv1.weight)
        nn.init.zeros_(self.conv1.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, [N, C, H, W]."""
        out: Tensor = x + self.conv1(F.relu(self.conv0(F.relu(x))))
        return out


class CompletionNet(nn.Module):
    """Crops, holes, foreign regions and guides -> completed crops, of any side that is a multiple of `REACH`."""

    def __init__(self, config: CompletionConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.fine, config.middle, config.coarse
        self.enter = nn.Conv2d((3 + 1 + 1) * FOLD**2 + 2 + REGIONS + 1, middle, 3, padding=1)
        self.sink = DilatedBlock(middle, 1)
        self.down = nn.Conv2d(2 * middle, coarse, 2, 2)
        self.blocks = nn.ModuleList(DilatedBlock(coarse, dilation) for dilation in config.dilations)
        self.up = nn.Conv2d(coarse, middle, 1)
        self.rise = nn.Conv2d(2 * middle, middle, 3, padding=1)
        self.open = nn.Conv2d(middle, 4 * fine, 3, padding=1)
        self.detail = nn.Conv2d(fine + 4 * 4, fine, 3, padding=1)
        self.colour = nn.Conv2d(fine, 3 * 4, 3, padding=1)
        self.enter_proposal = nn.Conv2d(3 * FOLD**2, middle, 3, padding=1)
        self.detail_proposal = nn.Conv2d(3 * 4, fine, 3, padding=1)
        with torch.no_grad():
            self.colour.weight.mul_(0.1)
            for layer in (self.enter_proposal, self.detail_proposal):
                layer.weight.zero_()
                layer.bias.zero_()  # type: ignore[union-attr]

    def forward(
        self, picture: Tensor, hole: Tensor, foreign: Tensor | None = None, guide: Tensor | None = None,
        proposal: Tensor | None = None, blocks: int | None = None,
    ) -> Tensor:  # fmt: skip
        """The crops with their holes painted and foreign regions fitted in, [N, 3, S, S]; elsewhere as they were.

        Args:
            picture: [N, 3, S, S] in [-1, 1]; what lies in the hole has no influence.
            hole: [N, 1, S, S], 1 where the picture is to be painted and 0 elsewhere.
            foreign: [N, 1, S, S], 1 where the content stays and its colours may change; None: nowhere.
            guide: [N, REGIONS, S / 4, S / 4] in [0, 1], see `Region`; None or all zero: the network decides.
            proposal: [N, 3, S, S] in [-1, 1], what the holes might show; None: nothing is known.
            blocks: how many of the residual blocks take part, when they are trained one by one; None: all.

        Raises:
            UsageError: a shape is not as said.
        """
        foreign = torch.zeros_like(hole) if foreign is None else foreign
        if guide is None:
            guide = hole.new_zeros((len(hole), REGIONS, hole.shape[2] // FOLD, hole.shape[3] // FOLD))
        _check(picture, hole, foreign, guide, proposal)
        dtype = self.enter.weight.dtype
        start = plain = continue_into(picture, hole)
        if proposal is not None:
            start = continue_into(picture - proposal, hole) + proposal
        seen = torch.cat([start, hole, foreign], 1).to(dtype)
        x = self._enter(seen, guide.to(dtype))
        if proposal is not None:
            x = x + self.enter_proposal(F.pixel_unshuffle((start - plain).to(dtype), FOLD))
        x = kept = self.sink(x)  # [N, M, S/4, S/4]
        # Features of the mirrored side lie beside each place: faces are nearly symmetric.
        x = self.down(F.relu(torch.cat([x, x.flip(3)], 1)))
        for block in self.blocks[:blocks]:
            x = block(x)
        x = F.interpolate(self.up(F.relu(x)), scale_factor=2.0, mode="nearest")
        x = self.rise(torch.cat([F.relu(x), F.relu(kept)], 1))
        x = F.pixel_shuffle(F.relu(self.open(F.relu(x))), 2)  # [N, F, S/2, S/2]
        x = self.detail(torch.cat([x, F.pixel_unshuffle(seen[:, :4], 2)], 1))
        if proposal is not None:
            x = x + self.detail_proposal(F.pixel_unshuffle((start - plain).to(dtype), 2))
        change = F.pixel_shuffle(self.colour(F.relu(x)), 2).to(picture.dtype)
        return torch.lerp(picture, start + change, torch.maximum(hole, foreign))

    def _enter(self, seen: Tensor, guide: Tensor) -> Tensor:
        n, _, height, width = guide.shape
        across = torch.linspace(-1, 1, width, device=seen.device, dtype=seen.dtype).expand(n, 1, height, width)
        down = torch.linspace(-1, 1, height, device=seen.device, dtype=seen.dtype)[:, None].expand_as(across)
        given = (guide.amax((1, 2, 3), keepdim=True) > 0).to(seen.dtype).expand_as(across)
        x = torch.cat([F.pixel_unshuffle(seen, FOLD), across, down, guide, given], 1)
        out: Tensor = self.enter(x.contiguous(memory_format=torch.channels_last))
        return out


def _check(picture: Tensor, hole: Tensor, foreign: Tensor, guide: Tensor, proposal: Tensor | None) -> None:
    if picture.ndim != 4 or picture.shape[1] != 3 or picture.shape[2] % REACH or picture.shape[3] % REACH:
        raise UsageError(
            f"CompletionNet: pictures must be [N, 3, S, S], S a multiple of {REACH}, got {list(picture.shape)}"
        )
    n, _, height, width = picture.shape
    wanted = {"hole": (hole, [n, 1, height, width]), "foreign": (foreign, [n, 1, height, width])}
    wanted["guide"] = (guide, [n, REGIONS, height // FOLD, width // FOLD])
    if proposal is not None:
        wanted["proposal"] = (proposal, [n, 3, height, width])
    for name, (each, shape) in wanted.items():
        if list(each.shape) != shape:
            raise UsageError(f"CompletionNet: {name} must be {shape}, got {list(each.shape)}")
