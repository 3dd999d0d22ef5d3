"""Losses of the motion model (Siarohin et al. 2019, section 3.3). Pictures are [N, 3, H, W] in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface.errors import WeightsError
from latentface.networks.motion.blocks import anti_alias
from latentface.networks.motion.discriminator import Maps
from latentface.networks.motion.geometry import Keypoints, grid, invert, multiply, warp
from latentface.networks.perceptual import MINIMUM_SIDE, FeatureDistance

SCALES = (1.0, 0.5, 0.25, 0.125)


class Pyramid(nn.Module):
    """A picture at several scales, low-passed first: {scale: [N, 3, scale * H, scale * W]}, none below a least side."""

    def __init__(self, scales: tuple[float, ...] = SCALES, least: int = MINIMUM_SIDE) -> None:
        super().__init__()
        self.scales, self.least = scales, least
        self.downs = nn.ModuleList(anti_alias(3, scale) for scale in scales)

    def forward(self, pictures: Tensor) -> dict[float, Tensor]:
        """The pictures at each scale; the first scale is always among them."""
        side = min(pictures.shape[2:])
        steps = zip(self.scales, self.downs, strict=True)
        return {scale: down(pictures) for scale, down in steps if scale * side >= self.least or scale == self.scales[0]}


class Vgg19(nn.Module):
    """relu1_1, 2_1, 3_1, 4_1 and 5_1 of torchvision's VGG-19 (`vgg19-dcbb9e9d.pth`) and their mean L1 distance.

    Raises:
        WeightsError: the file is not a VGG-19's state.
    """

    WIDTHS = ((64,), (64, 128), (128, 256), (256, 256, 256, 512), (512, 512, 512, 512))

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            tensors = [state[name] for name in sorted(_convolutions(state), key=lambda name: int(name.split(".")[1]))]
        except Exception as error:
            raise WeightsError(f"{path}: cannot be read as torchvision's VGG-19 ({type(error).__name__})") from error
        if len(tensors) < 13 or tensors[12].shape != (512, 512, 3, 3):
            raise WeightsError(f"{path}: not torchvision's VGG-19; give vgg19-dcbb9e9d.pth")
        names = sorted(_convolutions(state), key=lambda name: int(name.split(".")[1]))
        self.convolutions = nn.ModuleList()
        for name in names[:13]:
            weight, bias = state[name], state[name.replace("weight", "bias")]
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            layer.load_state_dict({"weight": weight, "bias": bias})
            self.convolutions.append(layer)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def features(self, pictures: Tensor) -> list[Tensor]:
        """The five maps of pictures [N, 3, H, W] in [0, 1], finest first."""
        x = (pictures - self.get_buffer("mean")) / self.get_buffer("spread")
        layers, maps = iter(self.convolutions), []
        for level, widths in enumerate(self.WIDTHS):
            for position in range(len(widths)):
                if level and position == len(widths) - 1:
                    x = F.max_pool2d(x, 2)
                x = F.relu(next(layers)(x))
            maps.append(x)
        return maps

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Sum over the five layers of the mean L1 distance to b, which receives no gradient."""
        with torch.no_grad():
            truth = self.features(b)
        distances = [(x - y).abs().mean() for x, y in zip(self.features(a), truth, strict=True)]
        return torch.stack(distances).sum()


def _convolutions(state: dict[str, Tensor]) -> list[str]:
    return [name for name, value in state.items() if name.startswith("features.") and value.ndim == 4]


class BuiltinDistance(nn.Module):
    """The built-in perceptual distance on pictures in [0, 1], averaged over the batch."""

    def __init__(self, network: FeatureDistance) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Mean distance to b, which gets no gradient."""
        with torch.no_grad():
            truth = self.network.unit_features(b * 2 - 1)
        return self.network.compare(self.network.unit_features(a * 2 - 1), truth).mean()


@dataclass(frozen=True, eq=False)
class RandomBend:
    """A random affine map and thin-plate bend of the plane, one for each picture (reference: spreads .05 and .005).

    T(z) = A (z, 1) + sum_i w_i U(|z - c_i|_1), U(r) = r^2 log r; the bend is one number added to both coordinates.
    """

    affine: Tensor  # [N, 2, 3]
    weights: Tensor  # [N, 25]
    controls: Tensor  # [25, 2]

    @classmethod
    def sample(cls, count: int, like: Tensor, generator: torch.Generator) -> RandomBend:
        """Bends for `count` pictures, on the device of `like`."""
        affine = torch.eye(2, 3) + 0.05 * torch.randn(count, 2, 3, generator=generator)
        weights = 0.005 * torch.randn(count, 25, generator=generator)
        return cls(affine.to(like.device), weights.to(like.device), grid(5, 5, like).view(25, 2))

    def __call__(self, z: Tensor) -> Tensor:
        """Positions [N, M, 2] -> [N, M, 2]."""
        linear = (self.affine[:, None, :, :2] * z[:, :, None]).sum(-1) + self.affine[:, None, :, 2]
        r = (z[:, :, None] - self.controls).abs().sum(-1)  # [N, M, 25]
        return linear + (r.square() * torch.log(r + 1e-6) * self.weights[:, None]).sum(-1, keepdim=True)

    def derivative(self, z: Tensor) -> Tensor:
        """dT/dz at positions [N, M, 2]: [N, M, 2, 2]."""
        away = z[:, :, None] - self.controls
        r = away.abs().sum(-1)
        slope = (2 * r * torch.log(r + 1e-6) + r.square() / (r + 1e-6)) * self.weights[:, None]  # [N, M, 25]
        bend = (slope[..., None] * away.sign()).sum(2)  # [N, M, 2]: the same for both coordinates
        return self.affine[:, None, :, :2] + bend[:, :, None]

    def bend(self, pictures: Tensor) -> Tensor:
        """Pictures whose place z shows what was at T(z)."""
        count, _, height, width = pictures.shape
        z = grid(height, width, pictures).view(1, -1, 2).expand(count, -1, -1)
        field = self(z).view(count, height, width, 2)
        return F.grid_sample(pictures, field, padding_mode="reflection", align_corners=True)


def equivariance(driving: Keypoints, bent: Keypoints, bend: RandomBend) -> tuple[Tensor, Tensor]:
    """Value and Jacobian terms (eq. 10 and 11): keypoints of a bent frame, bent back, are those of the frame."""
    value = (driving.value - bend(bent.value)).abs().mean()
    back = multiply(bend.derivative(bent.value), bent.jacobian)
    identity = torch.eye(2, device=back.device)
    jacobian = (identity - multiply(invert(driving.jacobian), back)).abs().mean()
    return value, jacobian


def span_error(found: Tensor, wanted: Tensor, spans: Sequence[tuple[int, int]]) -> Tensor:
    """Mean L1 error of the vectors between pairs of points [N, K, 2]: of openings, which are smaller than faces."""
    first, second = zip(*spans, strict=True)
    error = found - wanted
    return (error[:, list(first)] - error[:, list(second)]).abs().mean()


def near_features(landmarks: Tensor, side: int, spread: float = 0.05) -> Tensor:
    """Closeness [N, 1, side, side] of each pixel to the eyes and mouth of landmarks [N, 68, 2] in [-1, 1].

    It is 1 on them and falls to 0 with a Gaussian of that spread.
    """
    axis = torch.linspace(-1, 1, side, device=landmarks.device)
    x, y = (torch.exp(-(axis - part[..., None]).square() / (2 * spread**2)) for part in landmarks[:, 36:].unbind(-1))
    return (y[..., :, None] * x[..., None, :]).amax(1, keepdim=True)


def flow_error(field: Tensor, driving: Tensor, source: Tensor) -> Tensor:
    """Mean L1 error of a field [N, h, w, 2] at known points: where it maps those of the driving frame in the source.

    driving, source: positions [N, M, 2] in [-1, 1] of the same M points.
    """
    found = warp(field.permute(0, 3, 1, 2), driving[:, :, None], align_corners=True)[..., 0]  # [N, 2, M]
    return (found.transpose(1, 2) - source).abs().mean()


def mask_error(mask: Tensor, places: Tensor, points: Tensor, spread: float = 0.06) -> Tensor:
    """Mean cross-entropy between the motion masks and masks in which each pixel follows its nearest keypoints.

    The target masks are a softmax of the squared distances from the keypoints. Without this term, a few keypoints end
    up moving everything: where a keypoint has no weight in the mask, its Jacobian receives no gradient.

    mask: weights [N, K + 1, h, w], the first of them of the background. places [N, M, 2], points [N, K, 2] in [-1, 1].
    """
    shares = warp(mask, places[:, :, None], align_corners=True)[:, 1:, :, 0]  # [N, K, M]
    wanted = (-torch.cdist(points, places).square() / (2 * spread**2)).softmax(1)
    return -(wanted * shares.clamp(min=1e-4).log()).sum(1).mean()


def generator_gan(verdicts: dict[str, Maps]) -> Tensor:
    """Least squares (Mao et al. 2017): the discriminator's output on generated pictures should be 1."""
    return torch.stack([(1 - verdict).square().mean() for _, verdict in verdicts.values()]).sum()


def discriminator_gan(real: dict[str, Maps], fake: dict[str, Maps]) -> Tensor:
    """Least squares: real pictures 1, generated ones 0."""
    terms = [(1 - real[name][1]).square().mean() + fake[name][1].square().mean() for name in real]
    return torch.stack(terms).sum()


def feature_matching(real: dict[str, Maps], fake: dict[str, Maps]) -> Tensor:
    """Mean L1 between the discriminator's maps of real and generated pictures, summed over the maps."""
    terms = [
        (theirs.detach() - ours).abs().mean()
        for name in real
        for theirs, ours in zip(real[name][0], fake[name][0], strict=True)
    ]
    return torch.stack(terms).sum()
