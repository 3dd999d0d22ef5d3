"""The estimators that can be quantised, each as a module from pictures in [-1, 1] to a tuple of tensors.

Before export they are rewritten, with the same result up to rounding, into fewer passes over the maps: the affine part
of a group norm is one batch norm, and a pooled 1 x 1 convolution is a 2 x 2 convolution with stride 2.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface import pretrained
from latentface.arrays import Float64Array
from latentface.errors import UsageError
from latentface.faces.alignment import frame_quad
from latentface.faces.crop import ffhq_quad
from latentface.faces.square import SIDE
from latentface.io.tensors import read_metadata
from latentface.networks.motion import MotionModel
from latentface.networks.trunk import ResidualBlock
from latentface.pretrained.catalogue import BUILTIN
from latentface.pretrained.published import PUBLISHED

LANDMARKS, HEAD_READER, MOTION = "landmarks", "head-reader", "motion"


@dataclass(frozen=True, eq=False)
class Estimator:
    """A network to quantise.

    Attributes:
        kind: `landmarks`, `head-reader` or `motion` (its keypoint detector).
        path: the file of its weights.
        config: its shape, a frozen dataclass.
        network: pictures [N, 3, size, size] in [-1, 1] -> a tuple of tensors.
        outputs: their names.
        size: side of the pictures in pixels.
        frame: landmarks [68, 2] in a photo -> the square [4, 2] of the photo that the network sees.
        limit: the error that quantisation may add, in points.
    """

    kind: str
    path: Path
    config: Any
    network: nn.Module
    outputs: tuple[str, ...]
    size: int
    frame: Callable[[Float64Array], Float64Array]
    limit: float


def open_estimator(name: str) -> Estimator:
    """The estimator of a name or file.

    Raises:
        UnknownNetwork, WeightsError: it cannot be found or read.
        UsageError: it is a network of another kind, or a predictor of dlib.
    """
    path = pretrained.resolve(name)
    kind = _kind(name, path)
    if kind == LANDMARKS:
        return _landmarks(path)
    if kind == HEAD_READER:
        return _head_reader(path)
    if kind == MOTION:
        return _motion(path)
    raise UsageError(
        f"{name} is {f'a network of kind {kind}' if kind else 'of another format'}; expected one of kind {LANDMARKS}, "
        f"{HEAD_READER} or {MOTION}, see latentface weights list"
    )


def _kind(name: str, path: Path) -> str | None:
    known = {entry.name: entry.kind for entry in BUILTIN} | {entry.name: entry.kind for entry in PUBLISHED}
    if known.get(name, LANDMARKS) == LANDMARKS:  # a file, or one of dlib, which contains no network
        return (read_metadata(path) or {}).get("kind")
    return known[name]


def _framed(config: Any) -> Callable[[Float64Array], Float64Array]:
    return lambda points: frame_quad(ffhq_quad(points), config.frame_scale, config.frame_shift)


def _landmarks(path: Path) -> Estimator:
    network = pretrained.load_landmarks(path)
    config = network.config
    shown = rewritten(_One(network))
    return Estimator(LANDMARKS, path, config, shown, ("points",), config.input_size, _framed(config), 0.05)


def _head_reader(path: Path) -> Estimator:
    network = pretrained.load_head_reader(path)
    config, outputs = network.config, ("means", "deviations")
    return Estimator(HEAD_READER, path, config, rewritten(network), outputs, config.input_size, _framed(config), 0.1)


def _motion(path: Path) -> Estimator:
    model = pretrained.load_motion(path)

    def upright(points: Float64Array) -> Float64Array:
        """The square of `faces.square.Square.around`."""
        quad = ffhq_quad(points)
        half = float(np.linalg.norm(quad[3] - quad[0])) * SIDE / 2
        corners: Float64Array = quad.mean(0) + half * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
        return corners

    config, outputs = model.config, ("value", "jacobian")
    return Estimator(MOTION, path, config, _Points(model), outputs, config.resolution, upright, 0.05)


class _One(nn.Module):
    """A network of one output, as a tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.network(images),)


class _Points(nn.Module):
    """The keypoints [N, K, 2] and Jacobians [N, K, 2, 2] of a motion model."""

    def __init__(self, model: MotionModel) -> None:
        super().__init__()
        self.detector = model.kp_detector

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.detector((images + 1) / 2)
        return found.value, found.jacobian


# ---------------------------------------------------------------------------------------------- for export


def rewritten(network: nn.Module) -> nn.Module:
    """A copy with fewer passes over the maps; it agrees with the network to about 1e-6."""
    changed = copy.deepcopy(network).eval().requires_grad_(False)
    for parent in list(changed.modules()):
        if isinstance(parent, ResidualBlock) and parent.stride == 2:
            parent.skip, parent.pool = _pooled(parent.skip), nn.Identity()
        for name, child in parent.named_children():
            if isinstance(child, nn.GroupNorm):
                setattr(parent, name, _Norm(child))
    return changed


def _pooled(convolution: nn.Module) -> nn.Conv2d:
    """The mean of 2 x 2 pixels and then a 1 x 1 convolution, as one convolution."""
    assert isinstance(convolution, nn.Conv2d) and convolution.kernel_size == (1, 1)
    whole = nn.Conv2d(convolution.in_channels, convolution.out_channels, 2, 2, bias=False)
    whole.weight = nn.Parameter((convolution.weight / 4).repeat(1, 1, 2, 2), requires_grad=False)
    return whole


class _Norm(nn.Module):
    """A group norm whose scale and shift are one batch norm, which runtimes compute in one pass."""

    mean: Tensor
    variance: Tensor

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.weight, self.bias = norm.weight, norm.bias
        self.register_buffer("mean", torch.zeros(norm.num_channels))
        self.register_buffer("variance", torch.ones(norm.num_channels))

    def forward(self, x: Tensor) -> Tensor:
        x = F.group_norm(x, self.groups, eps=self.eps)
        return F.batch_norm(x, self.mean, self.variance, self.weight, self.bias, eps=0.0)
