"""LPIPS written out plainly: torchvision's layers in a row with random weights, and the formula in double precision."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

#: After which of torchvision's `features` maps are compared, and their channels (lpips, pretrained_networks.py).
COMPARED = {"alexnet": (1, 4, 7, 9, 11), "vgg16": (3, 8, 15, 22, 29), "squeezenet1_1": (1, 4, 7, 9, 10, 11, 12)}
CHANNELS = {
    "alexnet": (64, 192, 384, 256, 256),
    "vgg16": (64, 128, 256, 512, 512),
    "squeezenet1_1": (64, 128, 256, 384, 384, 512, 512),
}


class Fire(nn.Module):
    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def layers(backbone: str) -> nn.Sequential:
    """The layers by torchvision's numbers, with random weights from a fixed seed."""
    with torch.random.fork_rng():
        torch.manual_seed(len(backbone))
        if backbone == "alexnet":
            return nn.Sequential(
                nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(),
                nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1),
                nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
            )  # fmt: skip
        if backbone == "squeezenet1_1":
            return nn.Sequential(
                nn.Conv2d(3, 64, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(64, 16, 64),
                Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(128, 32, 128), Fire(256, 32, 128),
                nn.MaxPool2d(3, 2, ceil_mode=True), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256),
                Fire(512, 64, 256),
            )  # fmt: skip
        made: list[nn.Module] = []
        inputs = 3
        for part in (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"):
            if isinstance(part, str):
                made.append(nn.MaxPool2d(2, 2))
            else:
                made += [nn.Conv2d(inputs, part, 3, padding=1), nn.ReLU()]
                inputs = part
        return nn.Sequential(*made)


def state_of(backbone: str) -> dict[str, Tensor]:
    """As torchvision's file has it: the convolutions, and a classifier (here a small one) that nobody asks for."""
    state = {f"features.{name}": value for name, value in layers(backbone).state_dict().items()}
    return {**state, "classifier.1.weight": torch.ones(5, 4), "classifier.1.bias": torch.ones(5)}


def random_heads(backbone: str) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(1)
    channels = CHANNELS[backbone]
    return {f"lin{level}.weight": torch.rand(count, generator=source) for level, count in enumerate(channels)}


def maps_of(backbone: str, images: Tensor) -> list[Tensor]:
    """The compared maps of images [N, 3, H, W] in [-1, 1]."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x, maps = (images - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1), []
    with torch.no_grad():
        for number, layer in enumerate(layers(backbone)):
            x = layer(x)
            if number in COMPARED[backbone]:
                maps.append(x)
    return maps


def distances(backbone: str, heads: dict[str, Tensor], a: Tensor, b: Tensor) -> np.ndarray:
    """LPIPS (Zhang et al. 2018, eq. 1) of pairs of images, [N]."""
    total = np.zeros(len(a))
    for level, (first, second) in enumerate(zip(maps_of(backbone, a), maps_of(backbone, b), strict=True)):
        x, y = first.double().numpy(), second.double().numpy()
        x = x / (np.sqrt((x**2).sum(1, keepdims=True)) + 1e-10)
        y = y / (np.sqrt((y**2).sum(1, keepdims=True)) + 1e-10)
        weights = heads[f"lin{level}.weight"].double().numpy()
        total += ((x - y) ** 2 * weights[None, :, None, None]).sum(1).mean((1, 2))
    return total
