"""Train the network that finds spectacles: `python -m latentface.training.spectacles --data FACES --out DIR`.

FACES holds photographs (crops, and faces.jsonl with their landmarks). Spectacles of all shapes are put on them
(synthface.drawn_spectacles), so that every pixel's truth is known. Some people in the photographs wear spectacles of
their own: with `--start`, those on whom that network sees frames are left out. So the recipe is run twice, the second
time from the first network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.arrays import BoolArray, Pixels
from latentface.errors import InputError
from latentface.head.spectacles import patch_places
from latentface.io.images import read_image
from latentface.networks.spectacles import SpectaclesConfig, SpectaclesNet
from latentface.ops.raster import sample
from latentface.pretrained import load_spectacles
from latentface.synthface.drawn_spectacles import put_on
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.portraits import read_rows

CONFIG = SpectaclesConfig()
OPTIONS = LoopOptions(minutes=15.0, learning_rate=2e-3, average=0.998)
HELD_OUT = 20  # one face in so many is held out
SHARE_WORN = 0.7  # of a batch
WEARS = 0.01  # a face wears spectacles if a larger share of its patch is frame

Batch = tuple[Tensor, Tensor]


def read_patches(folder: Path, config: SpectaclesConfig = CONFIG) -> Pixels:
    """The part of each face that the network sees, uint8 [N, H, W, 3].

    Raises:
        InputError: no faces there.
    """
    rows = read_rows(folder)
    if not rows:
        raise InputError(f"{folder}: no faces to put spectacles on")
    made = np.empty((len(rows), config.height, config.width, 3), np.uint8)
    for k, row in enumerate(rows):
        points = np.asarray(row["landmarks"], np.float64)
        irises = points[42:48].mean(axis=0), points[36:42].mean(axis=0)
        places = patch_places(*irises, config).astype(np.float32)
        made[k] = np.rint(np.clip(sample(read_image(folder / "crops" / str(row["name"])), places), 0, 255))
    return made


def find_wearers(network: SpectaclesNet, patches: Pixels) -> BoolArray:
    """Which of the faces [N, H, W, 3] wear spectacles, [N]."""
    shares = []
    with torch.no_grad():
        for start in range(0, len(patches), 64):
            part = torch.from_numpy(patches[start : start + 64]).permute(0, 3, 1, 2).float() / 127.5 - 1
            shares.append((network(part)[:, 0] > 0).float().mean((1, 2)))
    wear: BoolArray = (torch.cat(shares) > WEARS).numpy()
    return wear


def varied(colours: Tensor, truth: Tensor, generator: torch.Generator) -> Batch:
    """Patches [N, 3, H, W] in [-1, 1] and their truth [N, 2, H, W] in other positions, light and sharpness."""
    n, _, height, width = colours.shape

    def draw(least: float, most: float, *shape: int) -> Tensor:
        return least + (most - least) * torch.rand(n, *shape, generator=generator)

    angle, zoom = draw(-0.12, 0.12), draw(0.88, 1.12)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    turn = torch.stack([
        torch.stack([zoom * angle.cos() * mirror, zoom * angle.sin() * height / width, draw(-0.05, 0.05)], 1),
        torch.stack([-zoom * angle.sin() * width / height * mirror, zoom * angle.cos(), draw(-0.15, 0.15)], 1),
    ], 1)  # fmt: skip
    grid = F.affine_grid(turn, [n, 3, height, width], align_corners=False)
    colours = F.grid_sample(colours, grid, padding_mode="reflection", align_corners=False)
    truth = F.grid_sample(truth, grid, padding_mode="reflection", align_corners=False)
    soft = F.interpolate(F.avg_pool2d(colours, 2), (height, width), mode="bilinear", align_corners=False)
    colours = torch.lerp(colours, soft, draw(-0.4, 1.0, 1, 1, 1))  # sharper, or as blurred as a small photo
    grey = colours.mean(1, keepdim=True)
    colours = torch.lerp(grey, colours, torch.where(draw(0, 1, 1, 1, 1) < 0.1, 0.0, draw(0.6, 1.3, 1, 1, 1)))
    gamma = draw(0.6, 1.6, 1, 1, 1)
    colours = ((colours.clamp(-1, 1) + 1) / 2).pow(gamma) * draw(0.7, 1.15, 3, 1, 1)
    colours = colours + torch.randn(colours.shape, generator=generator) * draw(0.0, 0.03, 1, 1, 1)
    return colours.clamp(0, 1) * 2 - 1, truth


class SpectaclesTask:
    """Batches, loss and figures: what `Loop` needs of the patches [N, H, W, 3] to train on and those to measure on."""

    kind = "spectacles"

    def __init__(self, patches: Pixels, held: Pixels, config: SpectaclesConfig = CONFIG, batch: int = 16) -> None:
        self.patches, self.config, self.batch = patches, config, batch
        rng = np.random.default_rng(0)
        self.held = self._batch(held, np.arange(len(held)) % 4 > 0, rng)

    def build(self) -> SpectaclesNet:
        """A fresh network."""
        return SpectaclesNet(self.config)

    def sample_batch(self, generator: torch.Generator) -> Batch:
        """Patches [N, 3, H, W] in [-1, 1] and how much of each pixel is frame and glass, [N, 2, H, W]."""
        chosen = torch.randint(len(self.patches), (self.batch,), generator=generator).numpy()
        worn = torch.rand(self.batch, generator=generator).numpy() < SHARE_WORN
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        return varied(*self._batch(self.patches[chosen], worn, rng), generator)

    def loss(self, network: SpectaclesNet, batch: Batch) -> Tensor:
        """Cross-entropy, and what is missing of the overlap of frames (soft Dice loss)."""
        colours, truth = batch
        logits = network(colours).float()
        share = logits[:, 0].sigmoid()
        both = (share * truth[:, 0]).sum((1, 2)) + 4
        dice = 1 - 2 * both / (share.sum((1, 2)) + truth[:, 0].sum((1, 2)) + 8)
        loss: Tensor = 2 * F.binary_cross_entropy_with_logits(logits, truth) + 0.3 * dice.mean()
        return loss

    def measure(self, network: SpectaclesNet) -> Mapping[str, float]:
        """Intersection over union of frames and of glass on held-out faces, and frames seen where there are none."""
        colours, truth = self.held
        logits = torch.cat([network(part).float() for part in torch.split(colours, 64)])
        found, there = logits > 0, truth > 0.5
        worn = there.any(3).any(2).any(1)
        overlap = (found & there).sum((2, 3)) / (found | there).sum((2, 3)).clamp(min=1)
        names = ("frame", "glass")
        figures = {f"iou_{name}": float(overlap[worn, k].mean()) for k, name in enumerate(names)}
        share = found[:, 0].float().mean((1, 2))
        return figures | {
            "false_alarms": float((share[~worn] > WEARS).float().mean()),
            "missed": float((share[worn] <= WEARS).float().mean()),
        }

    def _batch(self, patches: Pixels, worn: BoolArray, rng: np.random.Generator) -> Batch:
        colours, truth = [], []
        for patch, wears in zip(patches, worn, strict=True):
            bare = patch.astype(np.float32) / 255
            nothing = np.zeros(bare.shape[:2], np.float32)
            if wears:
                made = put_on(bare, self.config.step, self.config.high, rng)
                bare, frame, glass = made.colours, made.frame, made.glass
            else:
                frame = glass = nothing
            colours.append(bare)
            truth.append(np.stack([frame, glass]))
        pictures = torch.from_numpy(np.stack(colours)).permute(0, 3, 1, 2)
        return (pictures * 2 - 1).contiguous(), torch.from_numpy(np.stack(truth))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.spectacles", __doc__, OPTIONS, data="folder of photographs")
    given = parser.parse_args(arguments)
    patches = np.concatenate([read_patches(folder) for folder in given.data])
    if given.start is not None:
        wear = find_wearers(load_spectacles(given.start), patches)
        print(f"{wear.sum()} of {len(wear)} wear spectacles of their own")
        patches = patches[~wear]
    apart = np.arange(len(patches)) % HELD_OUT == 0
    task = SpectaclesTask(patches[~apart], patches[apart])
    print(Loop(task, given.out, loop_options(given, OPTIONS), given.device).run())


if __name__ == "__main__":
    main()
