"""Train the built-in 68-landmark network on renders: `python -m latentface.training.landmarks --data DIR --out DIR`.

Each DIR holds the renderer's shards (FFHQ crops with landmarks). The loss is the distance to the true points, in
inter-ocular distances, plus a weak pull of every heat map towards a small spot. The labels are first moved to where
annotators put them (landmark_definition).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from latentface.errors import UsageError
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet, spatial_mean
from latentface.training.faces import FaceData, load_faces
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.landmark_definition import redefine
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options

CONFIG = LandmarkConfig()
CHANGES = AugmentOptions()
OPTIONS = LoopOptions(minutes=25.0)


@dataclass(frozen=True)
class LandmarkLoss:
    """jaw_weight: the jaw line is a contour that moves with the view, so it counts less.

    spot_weight, spot_cells: weight and deviation, in cells, of the target spots on the heat maps.
    """

    jaw_weight: float = 0.4
    spot_weight: float = 0.01
    spot_cells: float = 1.2


def load_annotated(folders: list[Path]) -> FaceData:
    """All shards of the folders (see `load_faces`), their labels moved to where annotators put them."""
    data = load_faces(folders)
    return replace(data, points=redefine(data.images, data.points))


def landmark_loss(logits: torch.Tensor, truth: torch.Tensor, weights: LandmarkLoss) -> torch.Tensor:
    """Weighted distance in inter-ocular units plus the spot term, over the points that lie inside the picture.

    logits: [N, 68, H, W] heat maps; truth: [N, 68, 2] in crop units.
    """
    logits = logits.float()
    points = spatial_mean(logits)
    eyes = (truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm(dim=1).clamp(min=0.05)
    weight = torch.ones(68, device=truth.device)
    weight[:17] = weights.jaw_weight
    weight = weight * ((truth > 0.01) & (truth < 0.99)).all(2)  # [N, 68]
    total = weight.sum().clamp(min=1.0)
    miss = F.smooth_l1_loss(points, truth, reduction="none", beta=0.01).sum(2) / eyes[:, None]
    height, width = logits.shape[2:]
    x = torch.arange(width, device=truth.device) + 0.5
    y = torch.arange(height, device=truth.device) + 0.5
    gap_x = (x - truth[..., :1] * width) ** 2  # [N, 68, W]
    gap_y = (y - truth[..., 1:] * height) ** 2
    spot = torch.exp(-(gap_x[..., None, :] + gap_y[..., :, None]) / (2 * weights.spot_cells**2)).flatten(2)
    spot = spot / spot.sum(2, keepdim=True).clamp(min=1e-6)
    cross = -(spot * logits.flatten(2).log_softmax(2)).sum(2)
    loss: torch.Tensor = (weight * (miss + weights.spot_weight * cross)).sum() / total
    return loss


def framed(data: FaceData, config: LandmarkConfig) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of unchanged pictures [n, 3, S, S] in [-1, 1] in the network's frame, with points in crop units."""
    line = (torch.arange(config.input_size) + 0.5) / config.input_size - 0.5
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1) * (2 * config.frame_scale)
    grid[..., 1] += 2 * config.frame_shift
    for start in range(0, len(data), 64):
        part = data.part(start, start + 64)
        pictures = part.images.float() / 127.5 - 1
        where = grid.expand(len(part), -1, -1, -1)
        pictures = F.grid_sample(pictures, where, padding_mode="reflection", align_corners=False)
        units = (part.points + 0.5) / part.images.shape[-1] - 0.5
        units = (units - torch.tensor([0.0, config.frame_shift])) / config.frame_scale + 0.5
        yield pictures, units


def measure(network: LandmarkNet, data: FaceData) -> float:
    """Mean distance of the 51 inner points (17-67) to the truth, in inter-ocular distances."""
    device = next(network.parameters()).device
    errors = []
    for pictures, truth in framed(data, network.config):
        answer = network(pictures.to(device)).cpu()
        eyes = (truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm(dim=1)
        errors.append((answer - truth)[:, 17:].norm(dim=2).mean(1) / eyes)
    return float(torch.cat(errors).mean())


class LandmarkTask:
    """Batches, loss and figures: what `Loop` needs of the data. The last `held_out` pictures are for measuring."""

    kind = "landmarks"

    def __init__(self, data: FaceData, config: LandmarkConfig = CONFIG, held_out: int = 500, batch: int = 32) -> None:
        if not 0 < held_out < len(data):
            raise UsageError(f"{len(data)} images are too few: {held_out} are held out for measuring")
        self.data, self.config, self.batch, self.count = data, config, batch, len(data) - held_out
        self.held = data.part(self.count, len(data))

    def build(self) -> LandmarkNet:
        """A fresh network."""
        return LandmarkNet(self.config)

    def sample_batch(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """An augmented batch: pictures [N, 3, S, S] and points [N, 68, 2] in crop units."""
        chosen = torch.randint(self.count, (self.batch,), generator=generator, device=generator.device).cpu()
        images, points, masks = self.data.batch(chosen, generator.device)
        return augment(images, points, masks, self.config, CHANGES, generator)

    def loss(self, network: LandmarkNet, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """`landmark_loss` of a batch."""
        pictures, truth = batch
        return landmark_loss(network.heat_maps(pictures), truth, LandmarkLoss())

    def measure(self, network: LandmarkNet) -> Mapping[str, float]:
        """Error on the held-out pictures."""
        return {"held_out_error": measure(network, self.held)}


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    given = command_line("latentface.training.landmarks", __doc__, OPTIONS).parse_args(arguments)
    task = LandmarkTask(load_annotated(given.data))
    print(Loop(task, given.out, loop_options(given, OPTIONS), given.device).run())


if __name__ == "__main__":
    main()
