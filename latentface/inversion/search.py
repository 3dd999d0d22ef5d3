"""The optimisation behind the projector: statistics of w, the noise penalty, the loss and the search itself.

The recipe is that of StyleGAN2 (Karras et al. 2020, appendix D): Adam from the mean w with a ramped learning rate,
exploratory noise on w, noise maps optimised (on request) under a penalty that keeps them noise-like. Networks above 128
px are first searched at low resolutions, using the images of their first blocks. W+ follows Image2StyleGAN (Abdal et
al. 2019), the prior on w II2S (Zhu et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import LatentfaceError, UsageError
from latentface.inversion.schedule import COMPARED_SIDE, Pace, coarse_sides, learning_rate, noise_strength, side_at
from latentface.latents.preconditioner import Preconditioner
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.precision import convolving, is_rough
from latentface.ops.adam import Adam
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator, SynthesisNetwork

#: Adam's betas, small because runs are short: an average of about 5 steps for gradients and 10 for their squares.
BETAS = (0.8, 0.9)
#: Samples and seed of the statistics of w (reference values).
W_SAMPLES, W_SEED = 10_000, 123
#: Scales at which pixels are compared (full, half, quarter): coarse ones give large errors a smooth gradient.
PIXEL_LEVELS = 3


@dataclass(frozen=True, eq=False)
class WStatistics:
    """Statistics of a generator's w: mean [w_dim], total standard deviation (a number), and principal axes.

    The axes are those of P, a leaky ReLU of slope 5 applied to w, which inverts the mapping network's last activation
    and makes w close to Gaussian: centre [w_dim], axes [w_dim, w_dim] (columns), deviations [w_dim].
    """

    mean: Tensor
    std: float
    centre: Tensor
    axes: Tensor
    deviations: Tensor

    def penalty(self, ws: Tensor) -> Tensor:
        """Mean squared P-norm [N] of ws [N, L, w_dim]; about 1 for mapped w (Zhu et al. 2020, eq. 3)."""
        gaussian = F.leaky_relu(ws, 5.0) - self.centre
        return ((gaussian @ self.axes) / self.deviations).square().mean(dim=(1, 2))


def measure_w(generator: Generator, label: Tensor | None = None) -> WStatistics:
    """Statistics of 10,000 mapped z from a fixed seed; for a conditional network label is [1, c_dim]."""
    config = generator.config
    if config.c_dim and label is None:
        raise UsageError(f"this network has labels of {config.c_dim} numbers; give one to project into")
    source = torch.Generator().manual_seed(W_SEED)
    with torch.inference_mode(False), torch.no_grad():  # they are used in a differentiable loss
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
        # otherwise axes along which w hardly varies would rule out any step along them
        floor = 1e-3 * variances.max().clamp(min=1e-12)
        deviations = variances.clamp(min=floor).sqrt()
    return WStatistics(mean, std, centre, axes.to(mean), deviations.to(mean))


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

    attention [N, 1, R, R], with mean 1, is the weight of each pixel in the loss. hidden [N, 1, R, R] is how far images
    are not compared: where it is 1, the target's own pixels replace them, so that no feature reaches across its edge.
    """

    def __init__(
        self, targets: Tensor, distance: FeatureDistance, options: ProjectOptions, attention: Tensor | None = None,
        hidden: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.attention = torch.ones_like(targets[:, :1]) if attention is None else attention
        self.hidden = hidden
        self.distance = distance
        self.options = options
        self.targets = shrink(targets)
        self._seen: dict[int, tuple[list[Tensor], tuple[Tensor, ...]]] = {}

    def perceptual(self, images: Tensor) -> Tensor:
        """The distance [N] of images [N, 3, r, r] to the targets."""
        images = self._shown(shrink(images))
        return self.distance.compare(self.distance.unit_features(images), self._at(images.shape[-1])[1])

    def loss(self, images: Tensor) -> Tensor:
        """The weighted sum [N] of the distance and the mean squared error, averaged over the levels of a pyramid."""
        levels = pyramid(self._shown(shrink(images)))
        targets, features = self._at(levels[0].shape[-1])
        errors = [
            ((a - b).square() * F.adaptive_avg_pool2d(self.attention, a.shape[-1])).mean(dim=(1, 2, 3))
            for a, b in zip(levels, targets, strict=True)
        ]
        pixel = torch.stack(errors).mean(dim=0)
        perceptual = self.distance.compare(self.distance.unit_features(levels[0]), features, self.attention)
        return self.options.perceptual_weight * perceptual + self.options.pixel_weight * pixel

    def of(self, which: Sequence[int]) -> Comparison:
        """The comparison restricted to the targets with these indices."""
        index = list(which)
        hidden = None if self.hidden is None else self.hidden[index]
        part = Comparison(self.targets[index], self.distance, self.options, self.attention[index], hidden)
        for side, (levels, features) in self._seen.items():
            part._seen[side] = [each[index] for each in levels], tuple(each[index] for each in features)
        return part

    def _shown(self, images: Tensor) -> Tensor:
        """Images [N, 3, r, r] with the targets' pixels where these are hidden."""
        if self.hidden is None:
            return images
        side = images.shape[-1]
        return torch.lerp(images, self._at(side)[0][0], F.adaptive_max_pool2d(self.hidden, side).to(images.dtype))

    def _at(self, side: int) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Pyramid and features of the targets at this size, computed on first use."""
        if side not in self._seen:
            with torch.no_grad():
                levels = pyramid(shrink(self.targets, side))
                self._seen[side] = levels, self.distance.unit_features(levels[0])
        return self._seen[side]


def pyramid(images: Tensor) -> list[Tensor]:
    """Images [N, 3, r, r] and their repeated averages over 2 x 2 pixels, PIXEL_LEVELS in all."""
    levels = [images]
    while len(levels) < PIXEL_LEVELS:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def shrink(images: Tensor, side: int = COMPARED_SIDE) -> Tensor:
    """Reduce images to `side` pixels by area averaging if they are larger."""
    factor = images.shape[-1] // side
    return F.avg_pool2d(images, factor) if factor > 1 else images


def synthesise(
    synthesis: SynthesisNetwork, ws: Tensor, noise: Sequence[Tensor] | None, rough: bool, side: int | None = None
) -> Tensor:
    """Images [N, 3, side, side] of ws [N, num_ws, w_dim] in their dtype, convolved in bfloat16 if rough."""
    with convolving(rough, ws.device):
        images: Tensor = synthesis(ws, noise_mode="const", noise=noise, resolution=side)
    return images.to(ws.dtype)


class _Crop:
    """One crop of a batch: its search variables, and everything that must not depend on the other crops.

    start: the latent [1, 1 or num_ws, w_dim] at which it begins. coordinates: the displacement from there, apart from
    the part shared by all rows [1, 1, w_dim]. maps: its noise, [1, 1, r, r].
    """

    def __init__(
        self,
        start: Tensor,
        noise_shapes: Sequence[Sequence[int]],
        from_mean: bool,
        options: ProjectOptions,
        preconditioner: Preconditioner | None,
    ) -> None:
        self.start, self.preconditioner = start, preconditioner
        self.coordinates = torch.zeros_like(start)
        # shared by all rows: a search from the mean finds this first, and it also moves rows that low resolutions do
        # not use
        self.shared = torch.zeros_like(start[:, :1])
        # the same seed for every crop, so that a crop in a batch gives the same result as on its own
        self.stream = torch.Generator().manual_seed(options.seed)
        self.maps = [self.noise(1, *shape) for shape in noise_shapes]
        self.learnt = [self.coordinates, *self.maps]
        if from_mean and start.shape[1] > 1:
            self.learnt.append(self.shared)
        for tensor in self.learnt:
            tensor.requires_grad_(True)
        self.optimisers = [Adam(tensor, 0.0, BETAS) for tensor in self.learnt]
        self.pace = Pace(options.steps, options.flat)
        self.losses: list[float] = []
        self.best_loss = math.inf
        self.best: list[Tensor] = []

    @property
    def ws(self) -> Tensor:
        """The current latent [1, 1 or num_ws, w_dim]."""
        step = self.coordinates if self.preconditioner is None else self.preconditioner(self.coordinates)
        return self.start + self.shared + step

    def explored(self, sigma: float) -> Tensor:
        """The current latent, with exploratory noise of this standard deviation."""
        return self.ws + sigma * self.noise(*self.start.shape[1:]) if sigma else self.ws

    def noise(self, *shape: int) -> Tensor:
        """Normal random numbers [1, *shape] from the crop's own generator."""
        return torch.randn(1, *shape, generator=self.stream).to(self.start)

    def learn(self, rate: float) -> None:
        """A step against the gradients, which are forgotten. Maps that a low resolution does not use have none."""
        for tensor, optimiser in zip(self.learnt, self.optimisers, strict=True):
            if tensor.grad is not None:
                optimiser.rate = rate
                optimiser.step(tensor.grad)
                tensor.grad = None

    def keep(self, total: float) -> None:
        """Remember the current state if its loss, for the full image and without exploratory noise, is the lowest."""
        if total < self.best_loss:
            self.best_loss = total
            self.best = [tensor.detach().clone() for tensor in (self.ws, *self.maps)]


class Search:
    """The optimisation of one batch of crops, each with its own schedule.

    A crop whose search has ended leaves the batch, which speeds up the rest. `active` are the indices of the crops that
    are still being searched.
    """

    def __init__(
        self,
        generator: Generator,
        comparison: Comparison,
        statistics: WStatistics,
        options: ProjectOptions,
        start: Tensor | None,
        count: int,
        preconditioner: Preconditioner | None = None,
    ) -> None:
        self.generator, self.comparison, self.statistics, self.options = generator, comparison, statistics, options
        config = generator.config
        self.rough = is_rough(options.precision, generator.w_avg.device)
        rows = statistics.mean.expand(count, config.num_ws if options.space == "w+" else 1, -1)
        if start is not None:
            rows = _checked_start(start, generator, count, options.space).to(rows)
        # a start chosen for the crop is already close, and noise would only move it away
        self.exploration = statistics.std * options.w_noise if start is None else 0.0
        self.full = generator.synthesis.drawn[-1]
        self.coarse = coarse_sides(generator.synthesis.drawn, near=start is not None)
        shapes = generator.synthesis.noise_shapes() if options.optimise_noise else []
        if options.space == "w":
            preconditioner = None  # it separates the rows of W+
        if preconditioner is not None and preconditioner.directions.shape[1:] != rows.shape[1:]:
            raise UsageError(f"a preconditioner of {list(preconditioner.directions.shape)} for ws {list(rows.shape)}")
        self.crops = [_Crop(rows[k : k + 1], shapes, start is None, options, preconditioner) for k in range(count)]
        self.active, self.present = list(range(count)), comparison

    def synthesise(self, ws: Tensor, maps: Sequence[Tensor], side: int | None = None) -> Tensor:
        """Images [N, 3, side, side] of ws [N, 1 or num_ws, w_dim]; of full size when no side is given."""
        rows = ws.expand(-1, self.generator.config.num_ws, -1)
        return synthesise(self.generator.synthesis, rows, maps or None, self.rough, side)

    def objective(self, ws: Tensor, images: Tensor, comparison: Comparison) -> tuple[Tensor, Tensor]:
        """The loss [N] that is reported, and the one with the penalties on ws by which the best state is chosen."""
        loss = total = comparison.loss(images)
        if self.options.prior_regularise:
            total = total + self.options.prior_regularise * self.statistics.penalty(ws)
        if self.options.spread_regularise and ws.shape[1] > 1:
            spread = (ws - ws.mean(dim=1, keepdim=True)).square().sum(dim=2).mean(dim=1)
            total = total + self.options.spread_regularise * spread / max(self.statistics.std, 1e-8) ** 2
        return loss, total

    @property
    def ws(self) -> Tensor:
        """Where the search of each crop stands, [N, num_ws, w_dim]."""
        ws = torch.cat([crop.ws.detach() for crop in self.crops])
        return ws.expand(-1, self.generator.config.num_ws, -1)

    def step(self) -> float:
        """One step of Adam for the active crops; returns the highest of their learning rates."""
        options, crops = self.options, [self.crops[k] for k in self.active]
        sigmas = [self.exploration * noise_strength(crop.pace.at, options.steps) for crop in crops]
        rates = [learning_rate(crop.pace.at, options.steps, options.learning_rate) for crop in crops]
        # One resolution for all crops: they can end early only on full-size images, so until then they stay in step.
        side = side_at(crops[0].pace.at, options.steps, options.coarse, self.coarse, self.full)
        ws = torch.cat([crop.explored(sigma) for crop, sigma in zip(crops, sigmas, strict=True)])
        maps = join([crop.maps for crop in crops])
        loss, total = self.objective(ws, self.synthesise(ws, maps, side), self.present)
        check_finite(total, f"projection diverged at step {crops[0].pace.step}", options.learning_rate)
        for crop, sigma, value, whole in zip(crops, sigmas, loss.tolist(), total.tolist(), strict=True):
            crop.losses.append(value)
            if not sigma and side == self.full:
                crop.keep(whole)
                crop.pace.update(whole)
        if maps and options.noise_regularise:
            total = total + options.noise_regularise * noise_penalty(maps)
        total.sum().backward()  # type: ignore[no-untyped-call]
        for crop, rate in zip(crops, rates, strict=True):
            crop.learn(rate)
            normalise_noise(crop.maps)
            crop.pace.step += 1
        self._let_go()
        return max(rates)

    def _let_go(self) -> None:
        """Remove the crops that are done."""
        still = [k for k in self.active if not self.crops[k].pace.through]
        if len(still) < len(self.active):
            self.active, self.present = still, self.comparison.of(still)

    def finish(self) -> tuple[Tensor, list[Tensor]]:
        """Latents ws [N, num_ws, w_dim] and noise maps of the best states, the last one included."""
        if not self.options.steps:  # there is nothing to choose from
            for crop in self.crops:
                crop.keep(0.0)
        else:
            self._compare_last()
        ws, *maps = join([crop.best for crop in self.crops])
        return ws.expand(-1, self.generator.config.num_ws, -1).clone(), maps

    def _compare_last(self) -> None:
        """Keep the last states that are better than all before."""
        with torch.no_grad():
            ws = torch.cat([crop.ws for crop in self.crops])
            images = self.synthesise(ws, join([crop.maps for crop in self.crops]))
            for crop, total in zip(self.crops, self.objective(ws, images, self.comparison)[1].tolist(), strict=True):
                crop.keep(total)


def join(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Concatenate the tensors [1, ...] of all crops into batches [N, ...]."""
    return [torch.cat(each) for each in zip(*parts, strict=True)]


def check_finite(values: Tensor, what: str, rate: float) -> None:
    """Raise LatentfaceError if a loss is not a finite number."""
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
