"""Multi-scale discriminator of the motion model, for training with an adversarial loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from latentface.networks.motion.geometry import Keypoints, gaussians

Maps = tuple[list[Tensor], Tensor]  # features of the four blocks, and the prediction


class _Block(nn.Module):
    """conv 4 x 4 without padding, norm, leaky relu, half the size."""

    def __init__(self, inputs: int, outputs: int, norm: bool, pool: bool, spectral: bool) -> None:
        super().__init__()
        convolution = nn.Conv2d(inputs, outputs, 4)
        self.conv = spectral_norm(convolution) if spectral else convolution
        self.norm = nn.InstanceNorm2d(outputs, affine=True) if norm else nn.Identity()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        out = F.leaky_relu(self.norm(self.conv(x)), 0.2)
        return F.avg_pool2d(out, 2) if self.pool else out


class Discriminator(nn.Module):
    """Pictures [N, 3, H, W] in [0, 1], optionally with keypoints as Gaussians -> feature maps and prediction."""

    def __init__(
        self, keypoints: int = 0, width: int = 32, most: int = 512, blocks: int = 4, spectral: bool = False,
        variance: float = 0.01,
    ) -> None:  # fmt: skip
        super().__init__()
        self.keypoints, self.variance = keypoints, variance
        widths = [3 + keypoints] + [min(most, width * 2 ** (i + 1)) for i in range(blocks)]
        self.down_blocks = nn.ModuleList(
            _Block(widths[i], widths[i + 1], i > 0, i < blocks - 1, spectral) for i in range(blocks)
        )
        last = nn.Conv2d(widths[-1], 1, 1)
        self.conv = spectral_norm(last) if spectral else last

    def forward(self, pictures: Tensor, at: Keypoints) -> Maps:
        """Features of the blocks and prediction [N, 1, h, w] for pictures [N, 3, H, W] with keypoints `at`."""
        x = pictures
        if self.keypoints:
            heat = gaussians(at.value, pictures.shape[2], pictures.shape[3], self.variance)
            x = torch.cat([x, heat.to(x.dtype)], dim=1)
        features = []
        for block in self.down_blocks:
            x = block(x)
            features.append(x)
        return features, self.conv(x)


class MultiScaleDiscriminator(nn.Module):
    """A `Discriminator` for each scale, with the names of the published checkpoints."""

    def __init__(self, scales: tuple[float, ...] = (1.0,), keypoints: int = 0, spectral: bool = False) -> None:
        super().__init__()
        parts = {scale_name(scale): Discriminator(keypoints, spectral=spectral) for scale in scales}
        self.discs = nn.ModuleDict(parts)

    def forward(self, pyramid: dict[float, Tensor], at: Keypoints) -> dict[str, Maps]:
        """The outputs of each scale's `Discriminator` by `scale_name`; `pyramid` has a picture for each scale."""
        return {name: self.discs[name](pyramid[scale_of(name)], at) for name in self.discs}


def scale_name(scale: float) -> str:
    """1 -> "1", 0.5 -> "0-5": a module name cannot contain a dot."""
    return f"{scale:g}".replace(".", "-")


def scale_of(name: str) -> float:
    """The reverse of `scale_name`."""
    return float(name.replace("-", "."))
