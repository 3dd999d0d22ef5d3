"""An identity-conditioned variational autoencoder of faces with two views, pictures and landmarks.

Each view has its encoder; the posteriors of the views that are given are multiplied with the prior (product of experts,
MVAE: Wu and Goodman, NeurIPS 2018) into one code, which says what a face does and not whose it is. The decoder draws
that in the picture of a person (conditional VAE: Sohn, Lee and Yan, NeurIPS 2015). A person is a vector, which scales
and shifts the decoder's channels (FiLM: Perez et al., AAAI 2018), and a small portrait,
which the decoder warps and repaints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from latentface.arrays import Float32Array
from latentface.errors import UsageError

POINTS = 68
IMAGE, KEYPOINTS = "image", "keypoints"
CERTAIN = -4.0  # log variance of an expert that has learnt nothing: else the decoder takes codes for noise


def in_units(landmarks: NDArray[np.floating], side: int) -> Float32Array:
    """Landmarks in pixels of a crop (integers at pixel centres) in units of half the crop, from its middle."""
    units: Float32Array = ((landmarks + 0.5) * (2 / side) - 1).astype(np.float32)
    return units


@dataclass(frozen=True)
class RetargetConfig:
    """Shape of a `RetargetNet`.

    Attributes:
        people: names of the persons that it was trained on.
        views: what it encodes: "image", "keypoints" or both.
        resolution: side of the pictures, twice that of a portrait.
        code: length of the code.
        person: length of a person's vector.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the resolution.
        hidden: width of the layers for landmarks.
    """

    people: tuple[str, ...]
    views: tuple[str, ...] = (IMAGE, KEYPOINTS)
    resolution: int = 96
    code: int = 32
    person: int = 64
    widths: tuple[int, int, int, int] = (32, 64, 96, 96)
    hidden: int = 128

    def __post_init__(self) -> None:
        for name in ("people", "views", "widths"):  # lists if they come from a file
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.views or not set(self.views) <= {IMAGE, KEYPOINTS}:
            raise UsageError(f"views must be {IMAGE}, {KEYPOINTS} or both, got {self.views}")
        if not self.people:
            raise UsageError("a network for retargeting needs at least one person")
        if self.resolution < 32 or self.resolution % 16:
            raise UsageError(f"resolution must be a multiple of 16 from 32 on, got {self.resolution}")


@dataclass(frozen=True, eq=False)
class Code:
    """A Gaussian posterior of codes: mean and logarithm of the variance, each [N, code]."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Codes [N, code] drawn by the reparametrisation trick (Kingma and Welling, ICLR 2014)."""
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.mean + noise * (0.5 * self.log_variance).exp()

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence [N] from the standard normal prior, nats."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance).sum(1)


@dataclass(frozen=True, eq=False)
class Person:
    """Who is shown: vectors [N, person] and portraits [N, 3, R / 2, R / 2] in [-1, 1]."""

    vector: Tensor
    portrait: Tensor

    def expand(self, count: int) -> Person:
        """One person, `count` times."""
        return Person(self.vector.expand(count, -1), self.portrait.expand(count, -1, -1, -1))


def product(codes: Sequence[Code], given: Tensor | None = None) -> Code:
    """The normalised product of Gaussian experts and the standard normal prior.

    Args:
        codes: the experts, one for each view.
        given: which of them count, bool [N, views]; None for all.
    """
    precision = torch.stack([(-each.log_variance).exp() for each in codes], 1)  # [N, views, code]
    if given is not None:
        precision = precision * given[:, :, None]
    total = 1 + precision.sum(1)
    mean = (precision * torch.stack([each.mean for each in codes], 1)).sum(1) / total
    return Code(mean, -total.log())


class _Conditioned(nn.Module):
    """A convolution, then scale and shift of its channels by the condition, then leaky ReLU."""

    def __init__(self, channels: int, out: int, condition: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)
        self.film = nn.Linear(condition, 2 * out)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(condition)[:, :, None, None].chunk(2, 1)
        return F.leaky_relu(self.conv(x) * (1 + scale) + shift, 0.2)


class _Decoder(nn.Module):
    """Codes and persons -> pictures [N, 3, R, R] in [-1, 1] and landmarks [N, 68, 2]."""

    def __init__(self, config: RetargetConfig) -> None:
        super().__init__()
        self.side = config.resolution // 16
        half, quarter, eighth, coarse = config.widths
        condition = config.code + config.person
        self.start = nn.Linear(config.code, coarse * self.side**2)
        self.enter = _Conditioned(coarse, coarse, condition)
        ins, outs = (coarse, eighth + 12, quarter + 3), (eighth, quarter, half)
        self.rise = nn.ModuleList(_Conditioned(a, b, condition) for a, b in zip(ins, outs, strict=True))
        self.refine = nn.ModuleList(_Conditioned(b, b, condition) for b in outs)
        self.leave = nn.Conv2d(half, 12, 3, padding=1)  # four pixels at each place of the last map
        self.points = _perceptron(condition, config.hidden, 2 * POINTS)
        self.cells = config.resolution // 8
        self.flow = _perceptron(condition, config.hidden, 2 * self.cells**2)
        _initialise(self)
        for last in (self.leave, self.flow[-1]):  # the training begins with the portraits
            nn.init.normal_(last.weight, 0, 1e-3)  # type: ignore[arg-type]

    def warped(self, portraits: Tensor, condition: Tensor) -> Tensor:
        """Portraits moved by a coarse flow, which the condition says."""
        coarse = self.flow(condition).float().unflatten(1, (2, self.cells, self.cells))
        shape = [len(portraits), 3, portraits.shape[2], portraits.shape[3]]
        flow = F.interpolate(coarse, size=shape[2:], mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
        rest = torch.eye(2, 3, device=portraits.device).expand(len(portraits), -1, -1)
        grid = F.affine_grid(rest, shape, align_corners=False) + flow
        return F.grid_sample(portraits.float(), grid, padding_mode="border", align_corners=False)

    def forward(self, codes: Tensor, person: Person) -> tuple[Tensor, Tensor]:
        condition = torch.cat([codes, person.vector], 1)
        x = self.start(codes).unflatten(1, (-1, self.side, self.side)).contiguous(memory_format=torch.channels_last)
        x = self.enter(x, condition)
        moved = self.warped(person.portrait, condition)
        seen = (None, F.pixel_unshuffle(moved, 2), moved)
        for rise, refine, portrait in zip(self.rise, self.refine, seen, strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = rise(x if portrait is None else torch.cat([x, portrait.to(x)], 1), condition)
            x = x + refine(x, condition)
        plain = F.interpolate(moved, scale_factor=2.0, mode="bilinear", align_corners=False)
        pictures = plain + F.pixel_shuffle(self.leave(x), 2).float()
        return pictures, self.points(condition).float().unflatten(1, (POINTS, 2))


def _initialise(network: nn.Module) -> None:
    """Weights that keep the variance from layer to layer (He et al., ICCV 2015), since nothing normalises it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=0.2, nonlinearity="leaky_relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
        if isinstance(module, _Conditioned):
            nn.init.normal_(module.film.weight, 0, 0.03)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
        nn.Linear(hidden, outputs),
    )  # fmt: skip


def _image_encoder(config: RetargetConfig) -> nn.Sequential:
    half, quarter, eighth, _ = config.widths
    layers: list[nn.Module] = []
    for a, b in pairwise((3, half, quarter, eighth, half)):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(half * (config.resolution // 16) ** 2, 2 * config.code))


class RetargetNet(nn.Module):
    """Pictures and landmarks of anybody -> codes of what the face does -> the same in the picture of a person.

    Pictures are FFHQ crops [N, 3, R, R] in [-1, 1]. Landmarks are [N, 68, 2] in units of half the crop from its
    middle, so that the crop reaches from -1 to 1.
    """

    points_mean: Tensor
    points_scale: Tensor

    def __init__(self, config: RetargetConfig) -> None:
        super().__init__()
        self.config = config
        encoders: dict[str, nn.Module] = {}
        if IMAGE in config.views:
            encoders[IMAGE] = _image_encoder(config)
        if KEYPOINTS in config.views:
            encoders[KEYPOINTS] = nn.Sequential(nn.Flatten(), _perceptron(2 * POINTS, config.hidden, 2 * config.code))
        self.encoders = nn.ModuleDict(encoders)
        _initialise(self.encoders)
        self.register_buffer("points_mean", torch.zeros(POINTS, 2))  # of all people's landmarks
        self.register_buffer("points_scale", torch.ones(1))  # how far they move from a person's mean
        self.vectors = nn.Parameter(0.3 * torch.randn(len(config.people), config.person))
        side = config.resolution // 2
        self.portraits = nn.Parameter(torch.zeros(len(config.people), 3, side, side))
        self.decoder = _Decoder(config)

    def encode(self, pictures: Tensor | None, landmarks: Tensor | None = None, given: Tensor | None = None) -> Code:
        """The posterior of the code, from the views that the network has and that are given.

        Args:
            pictures: [N, 3, R, R], or None.
            landmarks: [N, 68, 2], or None.
            given: which views count in each sample, bool [N, views] in their order.

        Raises:
            UsageError: a view has another shape, or none of the network's views is given.
        """
        side = self.config.resolution
        found = []
        for view, value, shape in ((IMAGE, pictures, (3, side, side)), (KEYPOINTS, landmarks, (POINTS, 2))):
            if value is None or view not in self.encoders:
                continue
            if tuple(value.shape[1:]) != shape:
                raise UsageError(f"{view}: expected [N, {', '.join(map(str, shape))}], got {list(value.shape)}")
            if view == KEYPOINTS:
                value = (value - self.points_mean) / self.points_scale
            mean, log_variance = self.encoders[view](value).float().chunk(2, 1)
            found.append(Code(mean, (log_variance + CERTAIN).clamp(-8, 8)))
        if not found:
            raise UsageError(f"this network encodes {' and '.join(self.config.views)}; give at least one of these")
        return product(found, given)

    def people(self, numbers: Tensor) -> Person:
        """Persons that the network was trained on, by number [N]."""
        return Person(self.vectors[numbers], self.portraits[numbers])

    def decode(self, codes: Tensor, person: Person) -> tuple[Tensor, Tensor]:
        """Pictures [N, 3, R, R] in [-1, 1] and landmarks [N, 68, 2] of persons who do what codes [N, code] say."""
        pictures, moved = self.decoder(codes, person)
        return pictures, self.points_mean + self.points_scale * moved

    @torch.no_grad()
    def shorten(self, kept: Tensor, values: Tensor) -> None:
        """Leave out directions of the code, in place.

        Args:
            kept: which remain, bool [code].
            values: what the decoder takes the others for, [code].
        """
        decoder, code = self.decoder, len(kept)
        films = [part.film for part in decoder.modules() if isinstance(part, _Conditioned)]
        for layer in (decoder.start, *films, decoder.points[0], decoder.flow[0]):  # the code is what they see first
            assert isinstance(layer, nn.Linear)
            told, beside = layer.weight[:, :code], layer.weight[:, code:]
            layer.bias.add_(told[:, ~kept] @ values[~kept])
            layer.weight = nn.Parameter(torch.cat([told[:, kept], beside], 1))
        for encoder in self.encoders.values():
            last = [part for part in encoder.modules() if isinstance(part, nn.Linear)][-1]  # mean and log variance
            last.weight, last.bias = (nn.Parameter(each[kept.repeat(2)]) for each in (last.weight, last.bias))
        self.config = replace(self.config, code=int(kept.sum()))
