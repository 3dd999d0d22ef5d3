"""Reads a head's state as the published networks do: a keypoint detector, and an estimator of pose and expression.

The names are those of the open implementation's checkpoints. Pictures are [N, 3, H, W] in [0, 1] here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.networks.motion.blocks import Down, anti_alias
from latentface.networks.vid2vid.config import Vid2VidConfig
from latentface.networks.vid2vid.geometry import Head, volume_grid
from latentface.networks.vid2vid.volume import VolumeUp

DEGREES, LEAST = 3.0, -99.0  # width of a bin of an angle, and the first bin's angle
BLOCKS = (3, 3, 5, 2)  # bottlenecks at the four levels


class BinnedReader(nn.Module):
    """Pictures [N, 3, R, R] in [-1, 1] -> `Head`."""

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        self.rigid = config.rigid
        self.kp_detector, self.he_estimator = CanonicalKeypoints(config), HeadEstimator(config)

    def forward(self, pictures: Tensor) -> Head:
        """The head in each picture, in float32."""
        unit = (pictures + 1) / 2
        angles, translation, deformation = self.he_estimator(unit)
        scale = torch.ones_like(angles[:, :1])
        return Head(self.kp_detector(unit), angles, scale, translation, deformation, self.rigid)


class _Hourglass(nn.Module):
    """Halves a picture, turns its innermost maps into a volume, and doubles that."""

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        blocks = config.keypoint_blocks
        widths = [min(config.keypoint_max, config.keypoint_width * 2**level) for level in range(blocks + 1)]
        self.down_blocks, self.up_blocks = nn.Sequential(), nn.Sequential()
        for k in range(blocks):
            self.down_blocks.add_module(f"down{k}", Down(widths[k] if k else 3, widths[k + 1]))
        self.conv = nn.Conv2d(widths[-1], config.keypoint_channels, 1)
        for k in range(blocks):
            inputs = widths[blocks - k] if k else config.keypoint_channels // config.depth
            self.up_blocks.add_module(f"up{k}", VolumeUp(inputs, widths[blocks - k - 1]))
        self.depth, self.channels = config.depth, widths[0]

    def forward(self, x: Tensor) -> Tensor:
        flat = self.conv(self.down_blocks(x))
        out: Tensor = self.up_blocks(flat.view(len(flat), -1, self.depth, *flat.shape[2:]))
        return out


class CanonicalKeypoints(nn.Module):
    """Canonical keypoints [N, K, 3]: expected positions under the softmax of each keypoint's volume."""

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.down = anti_alias(3, config.keypoint_scale)
        self.predictor = _Hourglass(config)
        self.kp = nn.Conv3d(self.predictor.channels, config.num_keypoints, 3, padding=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """The canonical keypoints of the person in each picture."""
        logits = self.kp(self.predictor(self.down(pictures))).float()
        weights = (logits / self.temperature).flatten(2).softmax(2)  # [N, K, D h w]
        depth, height, width = logits.shape[2:]
        found: Tensor = weights @ volume_grid(depth, height, width, logits).view(-1, 3)
        return found


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions with a quarter of the channels inside, added to their input."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        inside = channels // 4
        self.conv1, self.norm1 = nn.Conv2d(channels, inside, 1), nn.BatchNorm2d(inside)
        self.conv2, self.norm2 = nn.Conv2d(inside, inside, 3, stride, 1), nn.BatchNorm2d(inside)
        self.conv3, self.norm3 = nn.Conv2d(inside, channels, 1), nn.BatchNorm2d(channels)
        self.halves = stride != 1
        if self.halves:
            self.skip, self.norm4 = nn.Conv2d(channels, channels, 1, stride), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The block's maps, of half the size with a stride of 2."""
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm3(self.conv3(F.relu(self.norm2(self.conv2(y)))))
        return F.relu(y + (self.norm4(self.skip(x)) if self.halves else x))


class HeadEstimator(nn.Module):
    """Angles in degrees [N, 3], translation [N, 3] and deformation [N, K, 3] of the head in each picture.

    An angle is the expectation over bins of three degrees (Ruiz et al. 2018).
    """

    def __init__(self, config: Vid2VidConfig) -> None:
        super().__init__()
        widths = config.pose_levels
        self.conv1 = nn.Conv2d(3, config.pose_width, 7, 2, 3)
        self.norm1 = nn.BatchNorm2d(config.pose_width)
        for level, (inputs, outputs) in enumerate(zip((config.pose_width, *widths), widths, strict=False)):
            self.add_module(f"conv{level + 2}", nn.Conv2d(inputs, outputs, 1))
            self.add_module(f"norm{level + 2}", nn.BatchNorm2d(outputs))
            if level:
                self.add_module(f"block{2 * level}", Bottleneck(outputs, 2))
            same, name = nn.Sequential(), 2 * level + 1
            for k in range(BLOCKS[level]):
                same.add_module(f"b{name}_{k}", Bottleneck(outputs))
            self.add_module(f"block{name}", same)
        for part, count in (("roll", config.bins), ("pitch", config.bins), ("yaw", config.bins), ("t", 3)):
            self.add_module(f"fc_{part}", nn.Linear(widths[-1], count))
        self.fc_exp = nn.Linear(widths[-1], 3 * config.num_keypoints)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Angles, translation and deformation."""
        layer = self.get_submodule
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(pictures))), 3, 2, 1)
        for level in range(len(BLOCKS)):
            x = F.relu(layer(f"norm{level + 2}")(layer(f"conv{level + 2}")(x)))
            x = layer(f"block{2 * level}")(x) if level else x
            x = layer(f"block{2 * level + 1}")(x)
        features = x.mean((2, 3))
        # The published estimator reads yaw from fc_roll and roll from fc_yaw; its weights were trained that way.
        angles = torch.stack([_degrees(layer(f"fc_{name}")(features)) for name in ("roll", "pitch", "yaw")], dim=1)
        return angles, layer("fc_t")(features).float(), self.fc_exp(features).float().view(len(x), -1, 3)


def _degrees(logits: Tensor) -> Tensor:
    """Expected angles [N] of bins [N, B]."""
    places = torch.arange(logits.shape[1], device=logits.device, dtype=torch.float32)
    return logits.float().softmax(1) @ places * DEGREES + LEAST
