"""Distil a perceptual network: `python -m latentface.training.perceptual --data DIR --teacher FILE.npz --out DIR`.

DIR holds the renderer's shards of face crops; FILE the teacher, VGG-19 of 16 times fewer channels (see
`networks.perceptual.DistilledVgg`). The student starts from those of the teacher's convolutions it has room for (a
student of its own, trained on faces alone, was fooled far more easily). It sees pictures and distorted copies of them,
and learns the teacher's unit-length features at five scales, channel by channel, and how they differ between a picture
and its copy.

A projection minimises the distance and thereby finds pictures that the student wrongly considers close: with a student
trained only on distorted copies, LPIPS grew while the student's own distance fell. So half of each batch are copies
that were moved by gradient descent on the student's own distance (lured), on which the teacher then corrects it.

A stopped run continues from checkpoint.pt; log.csv keeps the curve.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from latentface.arrays import Float64Array
from latentface.errors import UsageError
from latentface.io.tensors import write_torch
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.perceptual import (
    DistilledVgg,
    FeatureDistance,
    PerceptualConfig,
    PerceptualNet,
)
from latentface.pretrained.native import write_network
from latentface.training.data import image_batch, load_shards
from latentface.training.distortions import distort, vary

COLUMNS = ("step", "seconds", "loss", "feature_loss", "difference_loss", "spearman_teacher", "spearman_lpips")
HELD_OUT = 256  # held-out pictures at the end of the data


@dataclass(frozen=True)
class TrainOptions:
    """How to train: until `steps`, or `minutes` of training over all sessions when steps is None.

    batch pictures a step, each `side` pixels; learning_rate is the peak of a warm-up and a cosine; difference_weight
    balances the two losses; shards limits how much data is held in memory. lured is the number of pairs of a batch
    whose copy is being moved down the student's distance; lure_steps of it are done each step, and after lure_life
    training steps, on average, a copy is replaced by a fresh one.
    """

    steps: int | None = None
    minutes: float = 15.0
    batch: int = 8
    side: int = 96
    learning_rate: float = 5e-4
    warm_up: int = 100
    difference_weight: float = 1.0
    lured: int = 4
    lure_steps: int = 2
    lure_life: int = 15
    measure_every: int = 250
    shards: int = 12
    seed: int = 0


class Distillation:
    """Teacher, student and optimiser; `step` trains, `checkpoint` and `resume` carry a run over a break."""

    def __init__(self, images: NDArray[np.generic], teacher: FeatureDistance, options: TrainOptions) -> None:
        if len(images) < HELD_OUT + options.batch:
            raise UsageError(f"{len(images)} pictures: training needs more than {HELD_OUT} held out; render more")
        self.images, self.teacher, self.options = images, teacher, options
        torch_state = torch.random.get_rng_state()
        torch.manual_seed(options.seed)  # layers are initialised from the global stream, which is put back
        self.student = PerceptualNet(PerceptualConfig())
        if isinstance(teacher, DistilledVgg):
            start_from(self.student, teacher)
        torch.random.set_rng_state(torch_state)
        self.optimiser = torch.optim.Adam(self.student.stages.parameters(), lr=options.learning_rate, betas=(0.9, 0.99))
        self.steps_done, self.seconds = 0, 0.0
        self.pool = self.pairs(-1, options.lured)

    def progress(self) -> float:
        """Share of the run that is done, 0 ... 1."""
        options = self.options
        if options.steps is not None:
            return self.steps_done / options.steps
        return self.seconds / (60 * options.minutes)

    def rate(self) -> float:
        """Linear warm-up, then a cosine to zero at the end of the run."""
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.progress()))
        return self.options.learning_rate * min(1.0, (self.steps_done + 1) / self.options.warm_up) * cosine

    def pairs(self, step: int, count: int) -> tuple[Tensor, Tensor]:
        """Pictures and distorted copies of step `step`, [count, 3, side, side], whatever came before."""
        options = self.options
        source = self._source(step)
        chosen = torch.randint(0, len(self.images) - HELD_OUT, (count,), generator=source).numpy()
        pictures = vary(image_batch(self.images, chosen, self.images.shape[1]), options.side, source)
        return pictures, distort(pictures, source)

    def _source(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.options.seed * 1_000_003 + step + 2)

    def lure(self, step: int, fresh: tuple[Tensor, Tensor]) -> None:
        """Move the pool's copies down the student's distance, some first replaced by fresh pairs."""
        source = torch.Generator().manual_seed(self.options.seed * 1_000_003 + step + 500_000_001)
        old = torch.rand(self.options.lured, 1, 1, 1, generator=source) > 1 / self.options.lure_life
        pictures, copies = (torch.where(old, a, b) for a, b in zip(self.pool, fresh, strict=True))
        for _ in range(self.options.lure_steps):
            copies = descend(self.student, pictures, copies, source)
        self.pool = (pictures, copies)

    def losses(self, pictures: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
        """Feature loss and difference loss of pictures and copies, both [N, 3, H, W], as means over the scales.

        The first is the squared distance of the student's unit features from the teacher's. The second is that of their
        differences between a picture and its copy, relative to the square of the teacher's difference.
        """
        both, count = torch.cat([pictures, copies]), len(pictures)
        with torch.no_grad():
            targets = self.teacher.unit_features(both)
        features, differences = [], []
        for ours, theirs in zip(self.student.unit_features(both), targets, strict=True):
            features.append((ours - theirs).square().sum(dim=1).mean())
            wanted = theirs[:count] - theirs[count:]
            missed = ours[:count] - ours[count:] - wanted
            squares = [each.square().sum(dim=1).mean(dim=(1, 2)) for each in (missed, wanted)]
            differences.append((squares[0] / (squares[1] + 1e-3)).mean())
        return torch.stack(features).mean(), torch.stack(differences).mean()

    def step(self) -> tuple[float, float]:
        """One step; returns the feature loss and the difference loss before it."""
        began = time.monotonic()
        self.optimiser.param_groups[0]["lr"] = self.rate()
        pictures, copies = self.pairs(self.steps_done, self.options.batch)
        if lured := self.options.lured:
            self.lure(self.steps_done, (pictures[:lured], copies[:lured]))
            pictures = torch.cat([pictures[lured:], self.pool[0]])
            copies = torch.cat([copies[lured:], self.pool[1]])
        features, differences = self.losses(pictures, copies)
        self.optimiser.zero_grad(set_to_none=True)
        (features + self.options.difference_weight * differences).backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.steps_done += 1
        self.seconds += time.monotonic() - began
        return features.item(), differences.item()

    def checkpoint(self, path: Path) -> None:
        """Write everything a later sitting needs."""
        state = {name: getattr(self, name).state_dict() for name in ("student", "optimiser")}
        write_torch(path, {**state, "pool": self.pool, "steps_done": self.steps_done, "seconds": self.seconds})

    def resume(self, path: Path) -> None:
        """Continue where `checkpoint` stopped."""
        state = torch.load(path, weights_only=True)
        for name in ("student", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.pool = state["pool"]
        self.steps_done, self.seconds = int(state["steps_done"]), float(state["seconds"])


def start_from(student: PerceptualNet, teacher: DistilledVgg) -> None:
    """Copy the teacher's first convolutions of each scale, and its scale weights, into a student of its widths.

    The teacher's input layer (1x1, on images in [0, 1]) is folded into the first convolution. Layers that the student
    lacks leave a gap that training closes.
    """
    arrays = dict(teacher.named_buffers())
    with torch.no_grad():
        for level, stage in enumerate(student.stages, 1):
            assert isinstance(stage, nn.ModuleList)
            for position, layer in enumerate(stage, 1):
                assert isinstance(layer, nn.Conv2d) and layer.bias is not None
                weight = arrays[f"conv{level}{position}_weight"]
                bias = arrays[f"conv{level}{position}_bias"].clone()
                if (level, position) == (1, 1):
                    colours = arrays["conv0_weight"][:, :, 0, 0] / 2  # [c, i]; images in [-1, 1] are (x + 1) / 2
                    offset = arrays["conv0_bias"] + colours.sum(dim=1)
                    bias += torch.einsum("ockl,c->o", weight, offset)
                    weight = torch.einsum("ockl,ci->oikl", weight, colours)
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        for parameter, scale in zip(student.weights.parameters(), teacher.channel_weights(), strict=True):
            assert scale is not None
            parameter.copy_(scale)


def descend(network: FeatureDistance, pictures: Tensor, copies: Tensor, source: torch.Generator) -> Tensor:
    """Move copies by one gradient step of the network's distance from the pictures, as a projection would.

    The gradient is averaged over random cells of 1 to 8 pixels, since a generator moves neighbouring pixels together,
    and scaled to a random root mean square of up to 0.04 for each copy.
    """
    with torch.no_grad():
        target = network.unit_features(pictures)
    moved = copies.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(network.compare(network.unit_features(moved), target).sum(), moved)
    cell = 2 ** int(torch.randint(0, 4, (), generator=source))
    coarse = F.avg_pool2d(gradient, cell, ceil_mode=True)
    smooth = F.interpolate(coarse, size=gradient.shape[2:], mode="bilinear", align_corners=False)
    length = smooth.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-12)
    pace = 0.04 * torch.rand(len(copies), 1, 1, 1, generator=source)
    return (copies - pace * smooth / length).clamp(-1, 1)


def measure_distances(network: FeatureDistance, pictures: Tensor, copies: Tensor) -> Float64Array:
    """Distances [N] of pictures from copies, float64."""
    with torch.no_grad():
        parts = [network(a, b) for a, b in zip(torch.split(pictures, 32), torch.split(copies, 32), strict=True)]
    return torch.cat(parts).double().numpy()


def spearman(a: Float64Array, b: Float64Array) -> float:
    """Rank correlation of two samples [N] without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def held_out_pairs(images: NDArray[np.generic]) -> tuple[Tensor, Tensor]:
    """The last pictures of the data, whole, and one distorted copy of each; the same at every call."""
    last = np.arange(len(images) - HELD_OUT, len(images))
    pictures = image_batch(images, last, images.shape[1])
    return pictures, distort(pictures, torch.Generator().manual_seed(20_260_101))


def run(
    images: NDArray[np.generic],
    teacher: FeatureDistance,
    out: Path,
    options: TrainOptions,
    lpips: FeatureDistance | None,
) -> PerceptualNet:
    """Train to the end of the options, resuming from `out`; writes checkpoint.pt, log.csv, perceptual.safetensors."""
    out.mkdir(parents=True, exist_ok=True)
    training = Distillation(images, teacher, options)
    if (out / "checkpoint.pt").exists():
        training.resume(out / "checkpoint.pt")
    pictures, copies = held_out_pairs(images)
    references = [None if n is None else measure_distances(n, pictures, copies) for n in (teacher, lpips)]
    recent: list[tuple[float, float]] = []
    while training.progress() < 1:
        recent.append(training.step())
        if training.steps_done % options.measure_every == 0 or training.progress() >= 1:
            ours = measure_distances(training.student, pictures, copies)
            ranks = ["" if reference is None else f"{spearman(ours, reference):.4f}" for reference in references]
            features, differences = np.mean(recent, axis=0)
            loss = features + options.difference_weight * differences
            figures = [f"{value:.5f}" for value in (loss, features, differences)]
            _log(out / "log.csv", [str(training.steps_done), f"{training.seconds:.1f}", *figures, *ranks])
            training.checkpoint(out / "checkpoint.pt")
            recent = []
    student = training.student
    write_network(out / "perceptual.safetensors", "perceptual", student.config.to_dict(), student.state_dict())
    return student


def _log(path: Path, row: list[str]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if fresh:
            writer.writerow(COLUMNS)
        writer.writerow(row)


def main(arguments: list[str] | None = None) -> None:
    """The command line of the recipe."""
    defaults = TrainOptions()
    parser = argparse.ArgumentParser(description="Distil the built-in perceptual network on face crops.")
    parser.add_argument("--data", type=Path, required=True, help="folder of shard-*.npz")
    parser.add_argument("--teacher", type=Path, required=True, help="distilled VGG-19, .npz")
    parser.add_argument("--lpips", type=Path, help="SqueezeNet LPIPS, .npz: measured against, not trained on")
    parser.add_argument("--out", type=Path, required=True, help="folder for the network, its curve and checkpoint")
    parser.add_argument("--minutes", type=float, default=defaults.minutes, help="training time over all sittings")
    parser.add_argument("--steps", type=int, help="train this many steps instead")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--lured", type=int, default=defaults.lured, help="pairs of a batch moved down the distance")
    parser.add_argument("--shards", type=int, default=defaults.shards, help="how many shards to hold in memory")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    options = TrainOptions(
        steps=given.steps,
        minutes=given.minutes,
        seed=given.seed,
        shards=given.shards,
        lured=given.lured,
        learning_rate=given.learning_rate,
    )
    images = load_shards(given.data, ("images",), 0, options.shards)["images"]
    lpips = SqueezeLpips(given.lpips) if given.lpips else None
    run(images, DistilledVgg(given.teacher), given.out, options, lpips)


if __name__ == "__main__":
    main()
