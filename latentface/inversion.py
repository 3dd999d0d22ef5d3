"""What the projector optimises: where w lie, the schedules, the noise penalty, the loss and the search itself.

The recipe is that of StyleGAN2 (Karras et al. 2020, appendix D): Adam from the mean w with a ramped learning rate,
exploratory noise on w, noise maps optimised (on request) under a penalty that keeps them noise; a search from the mean
works at low resolutions first, through the images that the network draws on its way. W+ follows Image2StyleGAN (Abdal
et al. 2019), the prior on w II2S (Zhu et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from latentface.errors import LatentfaceError, UsageError
from latentface.networks.generator import Generator, SynthesisNetwork
from latentface.networks.perceptual import FeatureDistance
from latentface.options import ProjectOptions
from latentface.precision import convolving, is_rough

#: Larger pictures are averaged down to this side before they are compared, as in the reference projector.
COMPARED_SIDE = 256
#: The lowest resolution that is searched at: below it the perceptual network sees little.
COARSEST_SIDE = 64
#: Fractions of the run: learning rate up, learning rate down, exploratory noise (reference values).
RAMP_UP, RAMP_DOWN, NOISE_RAMP = 0.05, 0.25, 0.75
#: Adam's memory, short because a run is: of the gradients about 5 steps, of their squares about 10.
BETAS = (0.8, 0.9)
#: Samples and seed of the statistics of w (reference values).
W_SAMPLES, W_SEED = 10_000, 123
#: Sizes at which pixels are compared (full, half, quarter): coarse ones give large errors a smooth slope.
PIXEL_LEVELS = 3


@dataclass(frozen=True, eq=False)
class WStatistics:
    """Where a generator's w lie: mean [w_dim], total standard deviation (a number), and their principal axes.

    The axes are those of P = leaky ReLU of slope 5 applied to w, where the mapping network's last activation is undone
    and w is close to Gaussian: centre [w_dim], axes [w_dim, w_dim] (columns), deviations [w_dim].
    """

    mean: Tensor
    std: float
    centre: Tensor
    axes: Tensor
    deviations: Tensor

    def penalty(self, ws: Tensor) -> Tensor:
        """Mean squared P-norm of ws [N, L, w_dim], about 1 for mapped w: [N] (Zhu et al. 2020, eq. 3)."""
        gaussian = F.leaky_relu(ws, 5.0) - self.centre
        return ((gaussian @ self.axes) / self.deviations).square().mean(dim=(1, 2))


def measure_w(generator: Generator, label: Tensor | None = None) -> WStatistics:
    """Statistics of 10,000 mapped z from a fixed seed; for a conditional network label is [1, c_dim]."""
    config = generator.config
    if config.c_dim and label is None:
        raise UsageError(f"this network has labels of {config.c_dim} numbers; give one to project into")
    source = torch.Generator().manual_seed(W_SEED)
    with torch.no_grad():
        z = torch.randn(W_SAMPLES, config.z_dim, generator=source).to(generator.w_avg)
        c = None if label is None else label.to(z).expand(W_SAMPLES, -1)
        return summarise_w(generator.mapping(z, c)[:, 0])


def summarise_w(w: Tensor) -> WStatistics:
    """Statistics of samples w [M, w_dim]."""
    with torch.no_grad():
        mean = w.mean(dim=0)
        std = float(((w - mean).square().sum() / len(w)).sqrt())
        gaussian = F.leaky_relu(w, 5.0)
        centre = gaussian.mean(dim=0)
        centred = (gaussian - centre).double()
        variances, axes = torch.linalg.eigh(centred.T @ centred / len(w))
        # axes along which w hardly varies would otherwise forbid every step along them
        floor = 1e-3 * variances.max().clamp(min=1e-12)
        deviations = variances.clamp(min=floor).sqrt()
    return WStatistics(mean, std, centre, axes.to(mean), deviations.to(mean))


def learning_rate(step: int, steps: int, peak: float) -> float:
    """The reference's ramp at step of steps: linear up over the first 5 %, cosine down over the last 25 %."""
    t = step / steps
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1.0 - t) / RAMP_DOWN))
    return peak * down * min(1.0, t / RAMP_UP)


def noise_strength(step: int, steps: int) -> float:
    """Strength of the exploratory noise relative to its start: (1 - t / 0.75)^2, then 0."""
    return max(0.0, 1.0 - step / steps / NOISE_RAMP) ** 2


def noise_penalty(maps: Sequence[Tensor]) -> Tensor:
    """Squared autocorrelation at a shift of one pixel, over all maps [N, 1, r, r] and their 2x2 pyramids: [N]."""
    total = torch.zeros(maps[0].shape[0], dtype=maps[0].dtype, device=maps[0].device)
    for noise in maps:
        while True:
            for axis in (2, 3):
                total = total + (noise * noise.roll(1, axis)).mean(dim=(1, 2, 3)).square()
            if noise.shape[2] <= 8:
                break
            noise = F.avg_pool2d(noise, 2)
    return total


def normalise_noise(maps: Sequence[Tensor]) -> None:
    """Bring each map [N, 1, r, r] of each crop to mean 0 and root mean square 1, in place."""
    with torch.no_grad():
        for noise in maps:
            noise -= noise.mean(dim=(1, 2, 3), keepdim=True)
            noise *= noise.square().mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-20).rsqrt()


class Comparison:
    """Perceptual and pixel loss against fixed targets [N, 3, R, R], also of images drawn at a lower resolution.

    attention [N, 1, R, R], of mean 1, says how much each pixel counts in the loss.
    """

    def __init__(
        self, targets: Tensor, distance: FeatureDistance, options: ProjectOptions, attention: Tensor | None = None
    ) -> None:
        self.attention = torch.ones_like(targets[:, :1]) if attention is None else attention
        self.distance = distance
        self.options = options
        self.targets = shrink(targets)
        self._seen: dict[int, tuple[list[Tensor], tuple[Tensor, ...]]] = {}

    def perceptual(self, images: Tensor) -> Tensor:
        """The distance [N] of images [N, 3, r, r] to the targets."""
        images = shrink(images)
        return self.distance.compare(self.distance.unit_features(images), self._at(images.shape[-1])[1])

    def loss(self, images: Tensor) -> Tensor:
        """The weighted sum [N] of the distance and the mean squared error, averaged over the levels of a pyramid."""
        levels = self._pyramid(shrink(images))
        targets, features = self._at(levels[0].shape[-1])
        errors = [
            ((a - b).square() * F.adaptive_avg_pool2d(self.attention, a.shape[-1])).mean(dim=(1, 2, 3))
            for a, b in zip(levels, targets, strict=True)
        ]
        pixel = torch.stack(errors).mean(dim=0)
        perceptual = self.distance.compare(self.distance.unit_features(levels[0]), features, self.attention)
        return self.options.perceptual_weight * perceptual + self.options.pixel_weight * pixel

    def _at(self, side: int) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Pyramid and features of the targets at this side, computed when first asked for."""
        if side not in self._seen:
            with torch.no_grad():
                levels = self._pyramid(shrink(self.targets, side))
                self._seen[side] = levels, self.distance.unit_features(levels[0])
        return self._seen[side]

    @staticmethod
    def _pyramid(images: Tensor) -> list[Tensor]:
        levels = [images]
        while len(levels) < PIXEL_LEVELS:
            levels.append(F.avg_pool2d(levels[-1], 2))
        return levels


def shrink(images: Tensor, side: int = COMPARED_SIDE) -> Tensor:
    """Average images down to `side` pixels a side when they are larger."""
    factor = images.shape[-1] // side
    return F.avg_pool2d(images, factor) if factor > 1 else images


def side_at(step: int, steps: int, share: float, drawn: Sequence[int]) -> int:
    """The resolution that a step draws, of those the network draws on its way (ascending).

    For a network larger than what is compared, the first `share` of the run goes through the sides from COARSEST_SIDE
    to COMPARED_SIDE in equal parts; the rest draws the full image. A smaller one gains nothing from it.
    """
    coarse = [side for side in drawn if COARSEST_SIDE <= side <= COMPARED_SIDE < drawn[-1]]
    passed = step / (share * steps) if share else 1.0
    return coarse[int(passed * len(coarse))] if passed < 1 and coarse else drawn[-1]


def draw(
    synthesis: SynthesisNetwork, ws: Tensor, noise: Sequence[Tensor] | None, rough: bool, side: int | None = None
) -> Tensor:
    """Images [N, 3, side, side] of ws [N, num_ws, w_dim] in their dtype, convolved in bfloat16 if rough."""
    with convolving(rough, ws.device):
        images: Tensor = synthesis(ws, noise_mode="const", noise=noise, resolution=side)
    return images.to(ws.dtype)


class Search:
    """The optimisation of one batch; every crop has its own stream of random numbers, its own loss and its own best."""

    def __init__(
        self,
        generator: Generator,
        comparison: Comparison,
        statistics: WStatistics,
        options: ProjectOptions,
        start: Tensor | None,
        count: int,
    ) -> None:
        self.generator, self.comparison, self.statistics, self.options = generator, comparison, statistics, options
        config = generator.config
        self.rough = is_rough(options.precision, generator.w_avg.device)
        # the same seed for every crop: a crop in a batch gives what it gives alone
        self.streams = [torch.Generator().manual_seed(options.seed) for _ in range(count)]
        rows = config.num_ws if options.space == "w+" else 1
        self.rows = statistics.mean.expand(count, rows, -1).clone()
        # what all rows share: a search from the mean first finds that, and the rows that low resolutions do not
        # draw come along
        self.shared = torch.zeros_like(self.rows[:, :1])
        if start is not None:
            self.rows = _checked_start(start, generator, count, options.space).to(self.rows)
        # a start that was chosen for the crop is near already: noise would only take it away again, and what low
        # resolution would find, it has
        self.exploration = options.w_noise if start is None else 0.0
        self.coarse = options.coarse if start is None else 0.0
        self.maps: list[Tensor] = []
        if options.optimise_noise:
            self.maps = [self._draw(1, *shape) for shape in generator.synthesis.noise_shapes()]
        learnt = [self.rows, *self.maps]
        if start is None and rows > 1:
            learnt.append(self.shared)
        for tensor in learnt:
            tensor.requires_grad_(True)
        self.optimiser = torch.optim.Adam(learnt, lr=0.0, betas=BETAS)
        self.best_loss = torch.full((count,), math.inf, device=self.rows.device)
        self.best = [tensor.detach().clone() for tensor in (self.ws, *self.maps)]
        self.losses: list[NDArray[np.float32]] = []

    @property
    def ws(self) -> Tensor:
        """The present latents [N, 1 or num_ws, w_dim]."""
        return self.shared + self.rows

    def _draw(self, *shape: int) -> Tensor:
        """Normal numbers [N, *shape], each crop's from its own stream."""
        return torch.stack([torch.randn(shape, generator=stream) for stream in self.streams]).to(self.rows)

    def synthesise(self, ws: Tensor, maps: Sequence[Tensor], side: int | None = None) -> Tensor:
        """Images [N, 3, side, side] of ws [N, 1 or num_ws, w_dim]; of full size when no side is given."""
        rows = ws.expand(-1, self.generator.config.num_ws, -1)
        return draw(self.generator.synthesis, rows, maps or None, self.rough, side)

    def objective(self, ws: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """The loss [N] that is reported, and with the penalties on ws the one by which the best is chosen."""
        loss = total = self.comparison.loss(images)
        if self.options.prior_regularise:
            total = total + self.options.prior_regularise * self.statistics.penalty(ws)
        if self.options.spread_regularise and ws.shape[1] > 1:
            spread = (ws - ws.mean(dim=1, keepdim=True)).square().sum(dim=2).mean(dim=1)
            total = total + self.options.spread_regularise * spread / max(self.statistics.std, 1e-8) ** 2
        return loss, total

    def step(self, step: int) -> float:
        """One step of Adam; returns its learning rate."""
        options = self.options
        rate = learning_rate(step, options.steps, options.learning_rate)
        self.optimiser.param_groups[0]["lr"] = rate
        sigma = self.statistics.std * self.exploration * noise_strength(step, options.steps)
        ws = self.ws
        if sigma:
            ws = ws + sigma * self._draw(*ws.shape[1:])
        drawn = self.generator.synthesis.drawn
        side = side_at(step, options.steps, self.coarse, drawn)
        loss, total = self.objective(ws, self.synthesise(ws, self.maps, side))
        if not sigma and side == drawn[-1]:
            self.keep(total.detach())
        self.losses.append(loss.detach().float().cpu().numpy())
        check_finite(total, f"projection diverged at step {step}", options.learning_rate)
        if self.maps and options.noise_regularise:
            total = total + options.noise_regularise * noise_penalty(self.maps)
        self.optimiser.zero_grad(set_to_none=True)
        total.sum().backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        normalise_noise(self.maps)
        return rate

    def keep(self, total: Tensor) -> None:
        """Remember the present state of the crops whose loss, of the full image and taken without exploratory noise, is
        the lowest so far."""
        better = total < self.best_loss
        self.best_loss = torch.where(better, total, self.best_loss)
        for kept, tensor in zip(self.best, (self.ws, *self.maps), strict=True):
            kept.copy_(torch.where(better.view(-1, *[1] * (tensor.ndim - 1)), tensor.detach(), kept))

    def finish(self) -> tuple[Tensor, list[Tensor]]:
        """ws [N, num_ws, w_dim] and noise maps of the best states, the last one included."""
        with torch.no_grad():
            self.keep(self.objective(self.ws, self.synthesise(self.ws, self.maps))[1])
        ws, *maps = self.best
        return ws.expand(-1, self.generator.config.num_ws, -1).clone(), maps


def check_finite(values: Tensor, what: str, rate: float) -> None:
    """Raise LatentfaceError when a loss is not a finite number."""
    if not bool(torch.isfinite(values).all()):
        raise LatentfaceError(
            f"{what}: the loss is {values.detach().float().cpu().tolist()}; "
            f"lower the learning rate (now {rate:g}) or check the network's weights"
        )


def _checked_start(start: Tensor, generator: Generator, count: int, space: str) -> Tensor:
    config = generator.config
    full = (count, config.num_ws, config.w_dim)
    if tuple(start.shape) not in (full, (count, config.w_dim)):
        expected = f"{list(full)} or {[count, config.w_dim]}"
        raise UsageError(f"start has shape {list(start.shape)}: this network and these crops expect {expected}")
    rows = start.detach() if start.ndim == 3 else start.detach()[:, None]
    if space == "w":
        return rows.mean(dim=1, keepdim=True).clone()
    return rows.expand(full).clone()
