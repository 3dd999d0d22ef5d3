"""Train the head reader on renders: ``python -m latentface.training.head_reader --data DIR --out RUN``.

DIR holds the shards of `latentface.training.head_reader_data`. Pictures are mirrored (left and right shapes change
places), framed a little differently each time, and given glasses, shadows, things in front of the face, other colours
or none, blur, block noise and noise, as for the landmark network. The loss is smooth L1 on weights and angles, and the
Gaussian likelihood of the error for the deviations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from latentface.errors import InputError, UsageError
from latentface.faces.crop import MIRROR
from latentface.head.reader import mirror_order
from latentface.networks.head_reader import ANGLE_UNIT, ANGLES, HeadReaderConfig, HeadReaderNet
from latentface.training import landmark_augmentation as changes
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options

Tensor = torch.Tensor
Batch = tuple[Tensor, Tensor]

OPTIONS = LoopOptions(minutes=40.0, learning_rate=1.5e-3, measure_every=100)
FRAMING = changes.AugmentOptions(
    rotation=3.0, rotation_limit=8.0, log_scale=0.04, shift=0.015, log_stretch=0.02, bend=0.0, brow_lift=(0.0, 0.0)
)
DEVIATION_WEIGHT = 0.02


@dataclass(frozen=True, eq=False)
class HeadData:
    """Pictures of heads and their labels.

    Attributes:
        images: uint8 [M, 3, H, H].
        points: landmarks, float32 [M, 68, 2] in their pixels.
        labels: float32 [M, E + 4], in the order of the network's outputs.
        names: of the E shapes.
    """

    images: Tensor
    points: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, stop: int) -> HeadData:
        """The samples start..stop."""
        cut = slice(start, stop)
        return replace(self, images=self.images[cut], points=self.points[cut], labels=self.labels[cut])


def load_heads(folders: list[Path]) -> HeadData:
    """All shards of the folders, in order. Raises InputError for none, or one that lacks an array."""
    paths = [path for folder in folders for path in sorted(folder.glob("shard-*.npz"))]
    if not paths:
        raise InputError("no shard-*.npz in the folders: render some with `latentface.training.head_reader_data`")
    images, points, labels = [], [], []
    names: tuple[str, ...] = ()
    for path in paths:
        with np.load(path, allow_pickle=False) as shard:
            missing = {"images", "landmarks", "expression", "expression_names", "gaze", "pose"} - set(shard.files)
            if missing:
                raise InputError(f"{path} lacks {', '.join(sorted(missing))}: render it again")
            every = tuple(map(str, shard["expression_names"]))
            kept = [k for k, name in enumerate(every) if not name.startswith("eyeLook")]
            names = tuple(every[k] for k in kept)
            angles = np.concatenate([shard["gaze"], shard["pose"][:, :2]], 1) / ANGLE_UNIT
            labels.append(torch.from_numpy(np.concatenate([shard["expression"][:, kept], angles], 1)).float())
            images.append(torch.from_numpy(shard["images"]).permute(0, 3, 1, 2).contiguous())
            points.append(torch.from_numpy(shard["landmarks"]).float())
    return HeadData(torch.cat(images), torch.cat(points), torch.cat(labels), names)


def mirror_some(
    data: tuple[Tensor, Tensor, Tensor], names: tuple[str, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Images [N, 3, H, H], points (pixels) and labels with half of them mirrored."""
    images, points, labels = data
    flip = torch.rand(len(images), generator=generator, device=generator.device) < 0.5
    order, sign = mirror_order(names)
    width = images.shape[-1]
    mirrored = points[:, list(MIRROR)] * points.new_tensor([-1, 1]) + points.new_tensor([width - 1, 0])
    return (
        torch.where(flip[:, None, None, None], images.flip(3), images),
        torch.where(flip[:, None, None], mirrored, points),
        torch.where(flip[:, None], labels[:, order] * torch.from_numpy(sign).to(labels), labels),
    )


def augment(images: Tensor, points: Tensor, config: HeadReaderConfig, generator: torch.Generator) -> Tensor:
    """Training pictures [N, 3, S, S] in [-1, 1] of crops float [N, 3, H, H] in [0, 1]."""
    pictures, units = changes.frame(images, points, config, FRAMING, generator)
    pictures = changes.add_glasses(pictures, units * config.input_size - 0.5, 0.2, generator)
    pictures = changes.shade(pictures, generator)
    pictures = changes.occlude(pictures, 0.2, generator)
    pictures = changes.recolour(pictures, 0.2, generator)
    pictures = changes.soften(pictures, 0.5, generator)
    pictures = changes.compress(pictures, 0.4, generator)
    pictures = changes.add_noise(pictures, generator)
    return pictures.clamp(0, 1) * 2 - 1


def reader_loss(mean: Tensor, deviation: Tensor, truth: Tensor) -> Tensor:
    """Smooth L1 of the means plus the Gaussian negative log-likelihood of their errors, which trains the deviations."""
    miss = F.smooth_l1_loss(mean, truth, beta=0.1)
    error = (mean - truth).detach()
    likelihood = (0.5 * (error / deviation).square() + deviation.log()).mean()
    return miss + DEVIATION_WEIGHT * likelihood


class HeadReaderTask:
    """Batches, loss and figures: what `Loop` needs of the data. The first `held_out` pictures are for measuring."""

    kind = "head-reader"

    def __init__(self, data: HeadData, held_out: int = 1000, batch: int = 32) -> None:
        if not 0 < held_out < len(data):
            raise UsageError(f"{len(data)} images are too few: {held_out} are held out for measuring")
        self.data, self.batch, self.held_out = data, batch, held_out
        self.config = HeadReaderConfig(data.names)
        self.held = data.part(0, min(held_out, 500))

    def build(self) -> HeadReaderNet:
        """A fresh network."""
        return HeadReaderNet(self.config)

    def sample_batch(self, generator: torch.Generator) -> Batch:
        """An augmented batch: pictures [N, 3, S, S] and labels [N, E + 4]."""
        span = len(self.data) - self.held_out
        chosen = torch.randint(span, (self.batch,), generator=generator, device=generator.device).cpu() + self.held_out
        device = generator.device
        images = self.data.images[chosen].to(device).float() / 255
        labelled = (images, self.data.points[chosen].to(device), self.data.labels[chosen].to(device))
        images, points, labels = mirror_some(labelled, self.data.names, generator)
        return augment(images, points, self.config, generator), labels

    def loss(self, network: HeadReaderNet, batch: Batch) -> Tensor:
        """`reader_loss` of a batch."""
        pictures, truth = batch
        mean, deviation = network(pictures)
        return reader_loss(mean, deviation, truth)

    def measure(self, network: HeadReaderNet) -> Mapping[str, float]:
        """Mean absolute errors on held-out pictures: weights, those of shown shapes, and degrees of gaze and pose."""
        device = next(network.parameters()).device
        errors = []
        for start in range(0, len(self.held), 50):
            part = self.held.part(start, start + 50)
            framed = frame_plainly(part.images.float() / 127.5 - 1, self.config)
            errors.append((network(framed.to(device))[0].cpu() - part.labels).abs())
        error, truth = torch.cat(errors), self.held.labels
        weights, shown = error[:, :-ANGLES], truth[:, :-ANGLES] > 0.1
        angles = error[:, -ANGLES:].mean(0) * ANGLE_UNIT
        figures = {"weights": weights.mean(), "shown": weights[shown].mean()}
        names = ("gaze_yaw", "gaze_pitch", "yaw", "pitch")
        return {k: float(v) for k, v in (figures | dict(zip(names, angles, strict=True))).items()}


def frame_plainly(crops: Tensor, config: HeadReaderConfig) -> Tensor:
    """The part [N, 3, S, S] of crops [N, 3, H, H] that the network looks at."""
    line = (torch.arange(config.input_size) + 0.5) / config.input_size - 0.5
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1) * (2 * config.frame_scale)
    grid[..., 1] += 2 * config.frame_shift
    where = grid.expand(len(crops), -1, -1, -1)
    return F.grid_sample(crops, where, padding_mode="reflection", align_corners=False)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    given = command_line("latentface.training.head_reader", __doc__, OPTIONS).parse_args(arguments)
    task = HeadReaderTask(load_heads(given.data))
    print(Loop(task, given.out, loop_options(given, OPTIONS), given.device).run())


if __name__ == "__main__":
    main()
