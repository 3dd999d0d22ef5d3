"""Unpaired translation between two kinds of pictures, guided by attention.

A generator gives a transformed picture and an attention map, and its result is the input where the map is zero and the
transformed picture where it is one (Mejjati et al., NeurIPS 2018; Tang et al., IJCNN 2019). What need not change is
copied and not painted. Two generators, there and back, are trained together (Zhu et al., ICCV 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import UsageError
from latentface.networks.completion import DilatedBlock

FOLD = 4  # pixels beside each other that become channels
ATTENTIVE = 1.0  # logit of the attention before training


@dataclass(frozen=True)
class TranslationConfig:
    """Shape of a TranslationNet.

    size: side of the crop in pixels. fine, coarse: channels at a half and at a quarter of it. dilations: one for each
    residual block at a quarter. attention: without it, the result is the transformed picture alone.
    """

    size: int = 128
    fine: int = 24
    coarse: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 2, 1)
    attention: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))  # a list when it comes from a file
        if self.size < 2 * FOLD or self.size % FOLD:
            raise UsageError(f"size must be a multiple of {FOLD} from {2 * FOLD}, got {self.size}")
        if min(self.fine, self.coarse) < 1 or not self.dilations or min(self.dilations) < 1:
            raise UsageError("channels and dilations must be positive, and there must be a dilation")


class Translated(NamedTuple):
    """What a generator makes of pictures.

    Attributes:
        picture: [N, 3, S, S], the input and `content` blended by `attention`.
        attention: [N, 1, S, S] in [0, 1].
        content: [N, 3, S, S], the transformed picture.
    """

    picture: Tensor
    attention: Tensor
    content: Tensor


class Translator(nn.Module):
    """The generator of one direction. Before training, the transformed picture is the input."""

    def __init__(self, config: TranslationConfig) -> None:
        super().__init__()
        self.attentive = config.attention
        self.enter = nn.Conv2d(3 * FOLD**2, config.coarse, 3, padding=1)
        self.blocks = nn.ModuleList(DilatedBlock(config.coarse, dilation) for dilation in config.dilations)
        self.open = nn.Conv2d(config.coarse, 4 * config.fine, 3, padding=1)
        self.detail = nn.Conv2d(config.fine + 12, config.fine, 3, padding=1)
        self.leave = nn.Conv2d(config.fine + 12, 12 + 4 * config.attention, 3, padding=1)
        with torch.no_grad():
            for layer in (self.open, self.leave):  # alike for the pixels of a cell, or a checkerboard shows (ICNR)
                layer.weight.copy_(layer.weight[::4].repeat_interleave(4, 0))
                layer.bias.zero_()  # type: ignore[union-attr]
            self.leave.weight.mul_(0.1)
            self.leave.weight[:12, config.fine :] = 0
            self.leave.weight[range(12), range(config.fine, config.fine + 12), 1, 1] = 1
            self.leave.bias[12:] = ATTENTIVE  # type: ignore[index]

    def forward(self, pictures: Tensor) -> Translated:
        """Translate pictures [N, 3, S, S] in [-1, 1], S a multiple of `FOLD`; results may exceed that range a little.

        Raises:
            UsageError: pictures of another shape.
        """
        if pictures.ndim != 4 or pictures.shape[1] != 3 or pictures.shape[2] % FOLD or pictures.shape[3] % FOLD:
            expected = f"[N, 3, S, S], S a multiple of {FOLD}"
            raise UsageError(f"Translator: pictures must be {expected}, got {list(pictures.shape)}")
        x = pictures.to(self.enter.weight.dtype)
        halved = F.pixel_unshuffle(x, 2)
        y = self.enter(F.pixel_unshuffle(x, FOLD).contiguous(memory_format=torch.channels_last))
        for block in self.blocks:
            y = block(y)
        y = F.relu(F.pixel_shuffle(self.open(F.relu(y)), 2))  # [N, F, S/2, S/2]
        y = F.relu(self.detail(torch.cat([y, halved], 1)))
        y = F.pixel_shuffle(self.leave(torch.cat([y, halved], 1)), 2).to(pictures.dtype)
        content = y[:, :3]
        attention = y[:, 3:].sigmoid() if self.attentive else torch.ones_like(y[:, :1])
        return Translated(torch.lerp(pictures, content, attention), attention, content)


class TranslationNet(nn.Module):
    """Two generators: `there`, from pictures of the first kind to the second, and `back`."""

    def __init__(self, config: TranslationConfig) -> None:
        super().__init__()
        self.config = config
        self.there, self.back = Translator(config), Translator(config)

    def forward(self, pictures: Tensor, back: bool = False) -> Translated:
        """Translate pictures [N, 3, S, S] in [-1, 1] in one of the directions; raises as `Translator`."""
        out: Translated = (self.back if back else self.there)(pictures)
        return out
