"""LPIPS as published (Zhang et al. 2018): AlexNet, VGG-16 or SqueezeNet 1.1 with heads trained on human judgements.

Shapes and arithmetic; `latentface.pretrained.lpips` reads the weights published by torchvision and the package lpips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import WeightsError
from latentface.networks.perceptual import FeatureDistance, check_images, freeze, read_arrays

Shape = tuple[int, ...]

#: Shift and scale that LPIPS applies to images in [-1, 1]: ImageNet's mean and standard deviation.
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@dataclass(frozen=True)
class Convolution:
    """A convolution and its ReLU; `index` is its index in torchvision's `features`."""

    index: int
    inputs: int
    outputs: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1

    def shapes(self) -> Iterator[tuple[str, Shape]]:
        """Names and shapes of its tensors."""
        yield f"features.{self.index}.weight", (self.outputs, self.inputs, self.kernel, self.kernel)
        yield f"features.{self.index}.bias", (self.outputs,)


@dataclass(frozen=True)
class Fire:
    """A module of SqueezeNet: squeezed to few channels by 1x1, expanded by 1x1 and 3x3 beside each other."""

    index: int
    inputs: int
    squeezed: int
    expanded: int

    def shapes(self) -> Iterator[tuple[str, Shape]]:
        """Names and shapes of its tensors."""
        for part, outputs, inputs, kernel in (
            ("squeeze", self.squeezed, self.inputs, 1),
            ("expand1x1", self.expanded, self.squeezed, 1),
            ("expand3x3", self.expanded, self.squeezed, 3),
        ):
            yield f"features.{self.index}.{part}.weight", (outputs, inputs, kernel, kernel)
            yield f"features.{self.index}.{part}.bias", (outputs,)


@dataclass(frozen=True)
class Pool:
    """Maximum pooling; with `ceil`, windows may extend beyond the edge."""

    kernel: int
    stride: int = 2
    ceil: bool = False


@dataclass(frozen=True)
class Backbone:
    """Layers in order, the indices of those whose maps are compared, and the channels of these maps."""

    layers: tuple[Convolution | Fire | Pool, ...]
    compared: tuple[int, ...]
    channels: tuple[int, ...]

    def shapes(self) -> dict[str, Shape]:
        """Names and shapes of the tensors from torchvision that it uses."""
        return dict(pair for layer in self.layers if not isinstance(layer, Pool) for pair in layer.shapes())

    def head_shapes(self) -> dict[str, Shape]:
        """The same of the linear heads."""
        return {f"lin{level}.weight": (count,) for level, count in enumerate(self.channels)}


def _vgg16() -> Backbone:
    layers: list[Convolution | Fire | Pool] = []
    compared, index, inputs = [], 0, 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        if layers:
            layers.append(Pool(2))
            index += 1
        for _ in range(depth):
            layers.append(Convolution(index, inputs, width))
            index, inputs = index + 2, width  # a ReLU has an index of its own
        compared.append(index - 2)
    return Backbone(tuple(layers), tuple(compared), (64, 128, 256, 512, 512))


#: By torchvision's names.
BACKBONES: Mapping[str, Backbone] = {
    "alexnet": Backbone(
        (
            Convolution(0, 3, 64, kernel=11, stride=4, padding=2), Pool(3),
            Convolution(3, 64, 192, kernel=5, padding=2), Pool(3),
            Convolution(6, 192, 384), Convolution(8, 384, 256), Convolution(10, 256, 256),
        ),
        (0, 3, 6, 8, 10), (64, 192, 384, 256, 256),
    ),
    "vgg16": _vgg16(),
    "squeezenet1_1": Backbone(
        (
            Convolution(0, 3, 64, stride=2, padding=0), Pool(3, ceil=True),
            Fire(3, 64, 16, 64), Fire(4, 128, 16, 64), Pool(3, ceil=True),
            Fire(6, 128, 32, 128), Fire(7, 256, 32, 128), Pool(3, ceil=True),
            Fire(9, 256, 48, 192), Fire(10, 384, 48, 192), Fire(11, 384, 64, 256), Fire(12, 512, 64, 256),
        ),
        (0, 4, 7, 9, 10, 11, 12), (64, 128, 256, 384, 384, 512, 512),
    ),
}  # fmt: skip


class Lpips(FeatureDistance):
    """LPIPS v0.1 on one of `BACKBONES`: images [N, 3, H, W] in [-1, 1] -> distances [N].

    Args:
        backbone: "alexnet", "vgg16" or "squeezenet1_1".
        state: torchvision's tensors `features.*` and the heads `lin0.weight` [C], `lin1.weight` ...; others are
            ignored.

    Raises:
        WeightsError: there is no such backbone, or a tensor is missing or misshapen.
    """

    def __init__(self, backbone: str, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise WeightsError(f"no LPIPS on {backbone!r}; expected one of {', '.join(BACKBONES)}")
        self.backbone, self.layout = backbone, BACKBONES[backbone]
        wanted = self.layout.shapes() | self.layout.head_shapes()
        for name, shape in wanted.items():
            found = list(state[name].shape) if name in state else "nothing"
            if found != list(shape):
                raise WeightsError(f"LPIPS on {backbone} takes {name} of shape {list(shape)}; got {found}")
        freeze(self, {name: state[name].float() for name in wanted})
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """The compared maps of images [N, 3, H, W] in [-1, 1], finest first: five, or seven for SqueezeNet."""
        check_images(images)
        x, maps = (images - self.get_buffer("shift")) / self.get_buffer("scale"), []
        for layer in self.layout.layers:
            x = self._step(x, layer)
            if not isinstance(layer, Pool) and layer.index in self.layout.compared:
                maps.append(x)
        return tuple(maps)

    def channel_weights(self) -> tuple[Tensor, ...]:
        """The published linear heads."""
        return tuple(self.get_buffer(f"lin{level}_weight") for level in range(len(self.layout.channels)))

    def _step(self, x: Tensor, layer: Convolution | Fire | Pool) -> Tensor:
        if isinstance(layer, Pool):
            return F.max_pool2d(x, layer.kernel, layer.stride, ceil_mode=layer.ceil)
        if isinstance(layer, Convolution):
            return self._convolve(x, f"features_{layer.index}", layer.stride, layer.padding)
        x = self._convolve(x, f"features_{layer.index}_squeeze")
        wide = [self._convolve(x, f"features_{layer.index}_expand{k}x{k}", padding=k // 2) for k in (1, 3)]
        return torch.cat(wide, dim=1)

    def _convolve(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias")
        return F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding))


class SqueezeLpips(Lpips):
    """LPIPS on SqueezeNet 1.1 from an .npz file (or a mapping of arrays) that contains both backbone and heads.

    Raises:
        WeightsError: the file cannot be read, or an array is missing or misshapen.
    """

    def __init__(self, arrays: Mapping[str, Any] | str | Path) -> None:
        layout = BACKBONES["squeezenet1_1"]
        super().__init__("squeezenet1_1", read_arrays(arrays, layout.shapes() | layout.head_shapes()))
