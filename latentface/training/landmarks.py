"""Train the built-in 68-landmark network: `python -m latentface.training.landmarks --data DIR --out DIR`.

Each DIR holds the renderer's shards (FFHQ crops with landmarks), whose labels are moved to where annotators put them
(landmark_definition). `--photos` and `--rigged` add photographs of people and the same people driven by a head
model, each with the face mesh that was detected in it (photo_landmarks); the error is then measured on held-out
photographs. The loss is the distance to the landmarks in inter-ocular distances, the error of the distances that
expressions change (lips, lids, brows), and a weak pull of every heat map towards a small spot.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F

from latentface.errors import UsageError
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet, spatial_mean
from latentface.training.faces import FaceData, join, load_faces
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.landmark_definition import redefine
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.photo_landmarks import load_driven, load_photos, names_of_held_people

CONFIG = LandmarkConfig(input_size=128)  # eyes are 22 pixels wide; at 96 they have 16, and blinks are missed
CHANGES = AugmentOptions()
OPTIONS = LoopOptions(minutes=25.0)
SHARES = (0.5, 0.35, 0.15)  # shares of photographs, driven faces and renders in a batch
#: Pairs of points that move relative to each other: lips and lids that close, brows over the corners of eyes, corners
#: of the mouth.
MOTIONS = (
    (61, 67), (62, 66), (63, 65), (37, 41), (38, 40), (43, 47), (44, 46),
    (17, 36), (19, 36), (19, 39), (21, 39), (22, 42), (24, 42), (24, 45), (26, 45),
    (48, 54), (48, 51), (54, 51), (48, 57), (54, 57),
)  # fmt: skip


@dataclass(frozen=True)
class LandmarkLoss:
    """jaw_weight: the jaw line is a contour that moves with the view, so it counts less.

    motion_weight: of the differences between `MOTIONS`, which are what expressions are read from.
    beta: distance, in crop units, below which misses count by their square.
    spot_weight, spot_cells: weight and deviation, in cells, of the target spots on the heat maps.
    """

    jaw_weight: float = 0.4
    motion_weight: float = 0.8
    beta: float = 0.004
    spot_weight: float = 0.01
    spot_cells: float = 1.2


def load_annotated(folders: list[Path]) -> FaceData:
    """All shards of the folders (see `load_faces`), with labels moved to where annotators would put them."""
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
    miss = F.smooth_l1_loss(points, truth, reduction="none", beta=weights.beta).sum(2) / eyes[:, None]
    first, second = torch.tensor(MOTIONS, device=truth.device).T
    moved, asked = points[:, first] - points[:, second], truth[:, first] - truth[:, second]
    motion = F.smooth_l1_loss(moved, asked, reduction="none", beta=weights.beta).sum(2) / eyes[:, None]
    height, width = logits.shape[2:]
    x = torch.arange(width, device=truth.device) + 0.5
    y = torch.arange(height, device=truth.device) + 0.5
    gap_x = (x - truth[..., :1] * width) ** 2  # [N, 68, W]
    gap_y = (y - truth[..., 1:] * height) ** 2
    spot = torch.exp(-(gap_x[..., None, :] + gap_y[..., :, None]) / (2 * weights.spot_cells**2)).flatten(2)
    spot = spot / spot.sum(2, keepdim=True).clamp(min=1e-6)
    cross = -(spot * logits.flatten(2).log_softmax(2)).sum(2)
    loss: torch.Tensor = (weight * (miss + weights.spot_weight * cross)).sum() / total
    loss = loss + weights.motion_weight * motion.mean()
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
    """Batches, loss and figures: what `Loop` needs of the data.

    parts: sets of pictures to learn from, and what share of a batch each makes. held: those to measure on.
    """

    kind = "landmarks"

    def __init__(
        self,
        parts: Sequence[tuple[FaceData, float]],
        held: FaceData,
        config: LandmarkConfig = CONFIG,
        batch: int = 32,
    ) -> None:
        self.data, self.held, self.config, self.batch = join([part for part, _ in parts]), held, config, batch
        self.chances = torch.cat([torch.full((len(part),), share / len(part)) for part, share in parts])

    def build(self) -> LandmarkNet:
        """A fresh network."""
        return LandmarkNet(self.config)

    def sample_batch(self, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """An augmented batch: pictures [N, 3, S, S] and points [N, 68, 2] in crop units."""
        chances = self.chances.to(generator.device)
        chosen = torch.multinomial(chances, self.batch, replacement=True, generator=generator).cpu()
        images, points, masks = self.data.batch(chosen, generator.device)
        return augment(images, points, masks, self.config, CHANGES, generator)

    def loss(self, network: LandmarkNet, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """`landmark_loss` of a batch."""
        pictures, truth = batch
        return landmark_loss(network.heat_maps(pictures), truth, LandmarkLoss())

    def measure(self, network: LandmarkNet) -> Mapping[str, float]:
        """Error on the held-out pictures."""
        return {"held_out_error": measure(network, self.held)}


def gather(given: argparse.Namespace) -> LandmarkTask:
    """The task of a parsed command line.

    Raises:
        UsageError: too few renders, or pictures without their mesh.
    """
    if (given.photos is None) != (given.photo_mesh is None) or (given.rigged is None) != (given.rigged_mesh is None):
        raise UsageError("give --photo-mesh with --photos and --rigged-mesh with --rigged; face_mesh writes them")
    renders = load_annotated(given.data)
    if given.photos is None:
        return LandmarkTask(*hold_out(renders))
    photos, held = load_photos(given.photos, given.photo_mesh)
    parts = [(photos, SHARES[0]), (renders, SHARES[2])]
    if given.rigged is not None:
        parts.append((load_driven(given.rigged, given.rigged_mesh, names_of_held_people(given.photos)), SHARES[1]))
    return LandmarkTask(parts, held)


def hold_out(data: FaceData, count: int = 500) -> tuple[list[tuple[FaceData, float]], FaceData]:
    """All but the last `count` pictures as the one part of a `LandmarkTask`, and those.

    Raises:
        UsageError: there are no more than these.
    """
    if not 0 < count < len(data):
        raise UsageError(f"{len(data)} images are too few: {count} are held out for measuring")
    return [(data.part(0, len(data) - count), 1.0)], data.part(len(data) - count, len(data))


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.landmarks", __doc__, OPTIONS)
    parser.add_argument("--photos", type=Path, help="folder of photographs (faces.jsonl, crops)")
    parser.add_argument("--photo-mesh", type=Path, help="the mesh read in them")
    parser.add_argument("--rigged", type=Path, help="folder of shards of these people driven by the head")
    parser.add_argument("--rigged-mesh", type=Path, help="the mesh read in them")
    given = parser.parse_args(arguments)
    print(Loop(gather(given), given.out, loop_options(given, OPTIONS), given.device).run())


if __name__ == "__main__":
    main()
