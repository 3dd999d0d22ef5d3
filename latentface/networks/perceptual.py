"""Perceptual distances: their common base, the small built-in one, and a distilled VGG-19 from the user's arrays.

All of them follow LPIPS (Zhang et al. 2018, eq. 1): feature maps at several scales, each pixel's feature vector
normalised to unit length, squared differences weighted by channel, averaged over the image and summed over the scales.
Images are [N, 3, H, W] in [-1, 1]; a distance is [N], zero for equal images. This module does not load built-in
weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import Tensor, nn

from latentface.errors import UsageError, WeightsError

#: Smallest side of an image: below it the deepest scale of the networks would have only a pixel or two.
MINIMUM_SIDE = 32

Arrays = Mapping[str, ArrayLike] | str | Path  # by name, or the .npz file that contains them


@dataclass(frozen=True)
class PerceptualConfig:
    """Shape of a `PerceptualNet`: `widths[i]` channels in each of `depths[i]` 3x3 convolutions at scale 1 / 2^i.

    `pooling` halves the maps in between: "max", as in the networks of LPIPS, or "average". `epsilon` is added under the
    square root when a feature vector is normalised. The published networks use 1e-10, which makes the gradient that a
    projector follows explode where all features vanish.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 128)
    depths: tuple[int, ...] = (2, 2, 3, 2, 1)
    pooling: str = "max"
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if self.pooling not in ("max", "average"):
            raise WeightsError(f"a perceptual network with {self.pooling!r} pooling: expected max or average")
        if not self.widths or len(self.widths) != len(self.depths) or min(self.widths + self.depths) < 1:
            raise WeightsError(
                f"a perceptual network of widths {self.widths} and depths {self.depths}: "
                "expected as many of both, all 1 or more"
            )

    def to_dict(self) -> dict[str, object]:
        """The fields in a form that JSON can represent."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PerceptualConfig:
        """The reverse of `to_dict`. Raises WeightsError for missing or unusable fields."""
        try:
            return cls(
                widths=tuple(int(width) for width in values["widths"]),
                depths=tuple(int(depth) for depth in values["depths"]),
                pooling=str(values.get("pooling", "average")),  # the value for files that do not contain it
                epsilon=float(values["epsilon"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"config of a perceptual network is {dict(values)!r}; expected widths, depths, pooling and epsilon"
            ) from error


class FeatureDistance(nn.Module):
    """A distance from the feature maps of a network; subclasses give `features` and `channel_weights`."""

    epsilon: float = 1e-10

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of images [N, 3, H, W] in [-1, 1], finest scale first, each [N, C, h, w]."""
        raise NotImplementedError(f"{type(self).__name__} does not provide features")

    def channel_weights(self) -> tuple[Tensor | None, ...]:
        """For each map, the non-negative weights of its channels [C], or None for ones."""
        raise NotImplementedError(f"{type(self).__name__} does not provide channel weights")

    def normalise(self, features: Tensor) -> Tensor:
        """Each pixel's feature vector normalised to unit length, x / (|x| + epsilon), as in LPIPS."""
        length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        return features / (length + self.epsilon)

    def unit_features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of `features`, normalised. Compute them once for an image that is compared often."""
        return tuple(self.normalise(features) for features in self.features(images))

    def compare(
        self, unit_a: tuple[Tensor, ...], unit_b: tuple[Tensor, ...], attention: Tensor | None = None
    ) -> Tensor:
        """The distance [N] between two results of `unit_features`.

        attention [N, 1, H, W] is the weight of each place; with a mean of 1 the scale of the distance does not change.
        """
        total = torch.zeros((), dtype=unit_a[0].dtype, device=unit_a[0].device)
        for a, b, weights in zip(unit_a, unit_b, self.channel_weights(), strict=True):
            squared = (a - b).square()  # [N, C, h, w]
            if attention is not None:
                squared = squared * F.adaptive_avg_pool2d(attention, (a.shape[2], a.shape[3]))
            by_channel = squared.mean(dim=(2, 3))
            total = total + (by_channel if weights is None else by_channel * weights).sum(dim=1)
        return total

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """The distance [N] between images a and b, both [N, 3, H, W] in [-1, 1].

        Raises:
            UsageError: the shapes differ, or are not those of RGB images with sides of 32 pixels or more.
        """
        if a.shape != b.shape:
            raise UsageError(f"images of shapes {list(a.shape)} and {list(b.shape)}: expected equal shapes")
        return self.compare(self.unit_features(a), self.unit_features(b))


def check_images(images: Tensor) -> None:
    """Raise UsageError unless images are [N, 3, H, W] with both sides 32 or more."""
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < MINIMUM_SIDE:
        raise UsageError(
            f"images of shape {list(images.shape)}: expected [N, 3, H, W] with both sides {MINIMUM_SIDE} or more"
        )


class PerceptualNet(FeatureDistance):
    """The built-in distance: five scales of 3x3 convolutions with ReLU, with pooling in between.

    The maps are those after the first convolution of each scale, like relu1_1 ... relu5_1 of VGG. At 128 x 128 the
    default takes 0.52 GFLOP for an image, and 1.0 MB in float16.
    """

    def __init__(self, config: PerceptualConfig | None = None) -> None:
        super().__init__()
        self.config = config or PerceptualConfig()
        self.epsilon = self.config.epsilon
        self.stages = nn.ModuleList()
        self.weights = nn.ParameterList()
        inputs = 3
        for width, depth in zip(self.config.widths, self.config.depths, strict=True):
            convolutions = [nn.Conv2d(inputs if i == 0 else width, width, 3) for i in range(depth)]
            self.stages.append(nn.ModuleList(convolutions))
            self.weights.append(nn.Parameter(torch.ones(width)))
            inputs = width

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """Feature maps of images [N, 3, H, W] in [-1, 1]: one for each scale, [N, widths[i], H / 2^i, W / 2^i]."""
        check_images(images)
        x, maps = images, []
        for level, stage in enumerate(self.stages):
            if level:
                x = F.max_pool2d(x, 2) if self.config.pooling == "max" else F.avg_pool2d(x, 2)
            assert isinstance(stage, nn.ModuleList)
            for position, convolution in enumerate(stage):
                x = F.relu(convolution(F.pad(x, (1, 1, 1, 1), mode="replicate")))
                if position == 0:
                    maps.append(x)
        return tuple(maps)

    def normalise(self, features: Tensor) -> Tensor:
        """Each pixel's feature vector at about unit length: x / sqrt(|x|^2 + epsilon), smooth also where x vanishes."""
        return features * (features.square().sum(dim=1, keepdim=True) + self.epsilon).rsqrt()

    def channel_weights(self) -> tuple[Tensor, ...]:
        """The learnt weights; negative ones count as zero, so that the distance is never negative."""
        return tuple(weights.clamp(min=0.0) for weights in self.weights)


def read_arrays(arrays: Arrays, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The wanted arrays of a mapping or an .npz file as float32 tensors, or WeightsError."""
    name = "the given arrays"
    if isinstance(arrays, str | Path):
        name = str(arrays)
        try:
            with np.load(arrays, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise WeightsError(f"{name} cannot be read as an .npz file of perceptual weights: {error}") from error
    out = {}
    for key, shape in wanted.items():
        if key not in arrays:
            raise WeightsError(f"{name} lacks {key}; expected an array of shape {list(shape)}")
        tensor = torch.as_tensor(np.asarray(arrays[key], dtype=np.float32).copy())
        if tuple(tensor.shape) != shape:
            raise WeightsError(f"{key} in {name} has shape {list(tensor.shape)}; expected {list(shape)}")
        out[key] = tensor
    return out


def freeze(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Register tensors as buffers under names without dots."""
    for name, tensor in tensors.items():
        module.register_buffer(name.replace(".", "_"), tensor)


#: Convolutions of the distilled VGG-19: name, input channels, output channels. Pooling follows 12, 22, 34 and 44.
_VGG = (
    ("11", 3, 16),
    ("12", 16, 16),
    ("21", 16, 32),
    ("22", 32, 32),
    ("31", 32, 64),
    ("32", 64, 64),
    ("33", 64, 64),
    ("34", 64, 64),
    ("41", 64, 128),
    ("42", 128, 128),
    ("43", 128, 128),
    ("44", 128, 128),
    ("51", 128, 128),
)

#: Weight of each scale. On distorted faces the mean squared differences have the ratios .37 : .13 : .15 : .15 : .08;
#: with these weights each scale counts about twice as much as the one before, and a typical distance is that of LPIPS,
#: 0.3. Equal weights ranked distorted faces less like the judgement-trained LPIPS (rank correlation .82 against .91).
VGG_SCALES = (0.025, 0.15, 0.25, 0.5, 2.0)


class DistilledVgg(FeatureDistance):
    """VGG-19 to relu5_1 with 16 times fewer channels (Collaborative Distillation, Wang et al. 2020), from an .npz file.

    The maps are relu1_1, 2_1, 3_1, 4_1 and 5_1 (16, 32, 64, 128, 128 channels), limited to the number of `scales`.
    The file has no learnt linear heads; in their place each scale has one weight.

    Raises:
        WeightsError: the file cannot be read, or an array is missing or misshapen.
    """

    def __init__(self, arrays: Arrays, scales: tuple[float, ...] = VGG_SCALES) -> None:
        super().__init__()
        self.levels = len(scales)
        wanted: dict[str, tuple[int, ...]] = {"conv0.weight": (3, 3, 1, 1), "conv0.bias": (3,)}
        for name, inputs, outputs in _VGG:
            wanted[f"conv{name}.weight"] = (outputs, inputs, 3, 3)
            wanted[f"conv{name}.bias"] = (outputs,)
        freeze(self, read_arrays(arrays, wanted))
        for level, (channels, scale) in enumerate(zip((16, 32, 64, 128, 128), scales, strict=False)):
            self.register_buffer(f"scale{level}", torch.full((channels,), scale))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of images [N, 3, H, W] in [-1, 1], at full, half, ... and, for five, a sixteenth of the size."""
        check_images(images)
        x = F.conv2d((images + 1) / 2, self.get_buffer("conv0_weight"), self.get_buffer("conv0_bias"))
        maps = []
        for name, *_ in _VGG:
            if name in ("21", "31", "41", "51"):
                x = F.max_pool2d(x, 2)
            x = F.pad(x, (1, 1, 1, 1), mode="reflect")
            x = F.relu(F.conv2d(x, self.get_buffer(f"conv{name}_weight"), self.get_buffer(f"conv{name}_bias")))
            if name.endswith("1"):
                maps.append(x)
            if len(maps) == self.levels:
                break
        return tuple(maps)

    def channel_weights(self) -> tuple[Tensor, ...]:
        """The weights of the scales, the same for every channel of a scale."""
        return tuple(self.get_buffer(f"scale{level}") for level in range(self.levels))
