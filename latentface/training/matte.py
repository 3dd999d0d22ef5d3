"""Train the network that tells people from their background: `python -m latentface.training.matte`.

`--data` holds photographs (crops, and faces.jsonl), `--masks` is what `training.person_masks` wrote of them. Some
people are put in front of the background of another picture, so that what stands behind them says nothing about them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from latentface.arrays import BoolArray, Pixels
from latentface.errors import InputError
from latentface.io.images import read_image
from latentface.networks.matte import MatteConfig, MatteNet
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.portraits import read_rows
from latentface.training.spectacles import Batch, varied

CONFIG = MatteConfig()
OPTIONS = LoopOptions(minutes=20.0, learning_rate=2e-3, average=0.998)
HELD_OUT = 20  # one face in so many is held out
SHARE_ELSEWHERE = 0.4  # of a batch: people in front of another background


@dataclass(frozen=True, eq=False)
class People:
    """Crops uint8 [N, S, S, 3] and how much of each pixel belongs to a person, uint8 [N, S, S], 255 for all of it."""

    pictures: Pixels
    shares: Pixels

    def __getitem__(self, chosen: BoolArray) -> People:
        return People(self.pictures[chosen], self.shares[chosen])


def read_people(folder: Path, masks: Path, size: int = CONFIG.size) -> People:
    """The crops of a folder and their masks, made as small as the network sees them.

    Raises:
        InputError: no faces there, or one of them without a mask.
    """
    names = [str(row["name"]) for row in read_rows(folder)]
    with np.load(masks, allow_pickle=False) as file:
        known = dict(zip(map(str, file["name"]), file["share"], strict=True))
    missing = [name for name in names if name not in known]
    if not names or missing:
        what = f"has no mask of {missing[0]}" if missing else f"no faces in {folder}"
        raise InputError(f"{masks}: {what}; write it with latentface.training.person_masks")
    pictures = [_smaller(read_image(folder / "crops" / name), size) for name in names]
    return People(np.stack(pictures), np.stack([_smaller(known[name], size) for name in names]))


def elsewhere(colours: Tensor, truth: Tensor, generator: torch.Generator) -> Tensor:
    """People [N, 3, S, S] in front of the next picture's background, mirrored and shifted; the rest of it is blurred.

    What its person would leave is painted by its surroundings, on a small copy, over ever longer distances.
    """
    behind, empty = colours.roll(1, 0).flip(3), 1 - truth.roll(1, 0).flip(3)
    weight = F.avg_pool2d(empty, 4)
    scene = F.avg_pool2d(behind * empty, 4) / weight.clamp(min=1e-3)
    for width in (3, 9, 17):
        share = F.avg_pool2d(weight, width, 1, width // 2)
        further = F.avg_pool2d(scene * weight, width, 1, width // 2) / share.clamp(min=1e-3)
        scene, weight = (torch.where(weight > 0.02, near, far) for near, far in ((scene, further), (weight, share)))
    filled = F.interpolate(scene, colours.shape[2:], mode="bilinear", align_corners=False)
    scene = empty * behind + (1 - empty) * filled
    step = int(torch.randint(-scene.shape[3] // 4, scene.shape[3] // 4, (1,), generator=generator))
    made: Tensor = truth * colours + (1 - truth) * scene.roll(step, 3)
    return made


class MatteTask:
    """Batches, loss and figures: what `Loop` needs of the people to train on, and of those to measure on."""

    kind = "matte"

    def __init__(self, people: People, held: People, config: MatteConfig = CONFIG, batch: int = 16) -> None:
        self.people, self.config, self.batch = people, config, batch
        self.held = _tensors(held)

    def build(self) -> MatteNet:
        """A fresh network."""
        return MatteNet(self.config)

    def sample_batch(self, generator: torch.Generator) -> Batch:
        """Crops [N, 3, S, S] in [-1, 1] and how much of each pixel belongs to a person, [N, 1, S, S]."""
        chosen = torch.randint(len(self.people.pictures), (self.batch,), generator=generator).numpy()
        colours, truth = _tensors(self.people[chosen])
        moved = torch.rand(self.batch, generator=generator) < SHARE_ELSEWHERE
        there = elsewhere(colours, truth, generator)
        return varied(torch.where(moved[:, None, None, None], there, colours), truth, generator)

    def loss(self, network: MatteNet, batch: Batch) -> Tensor:
        """Cross-entropy against the teacher's shares."""
        colours, truth = batch
        return F.binary_cross_entropy_with_logits(network(colours).float(), truth)

    def measure(self, network: MatteNet) -> Mapping[str, float]:
        """Held-out faces: mean error of the shares, intersection over union, and the same of the background."""
        colours, truth = self.held
        share = torch.cat([network(part).float() for part in torch.split(colours, 64)]).sigmoid()
        found, there = share > 0.5, truth > 0.5

        def overlap(a: Tensor, b: Tensor) -> float:
            return float(((a & b).sum((1, 2, 3)) / (a | b).sum((1, 2, 3)).clamp(min=1)).mean())

        return {
            "error": float((share - truth).abs().mean()),
            "iou": overlap(found, there),
            "iou_background": overlap(~found, ~there),
        }


def _tensors(people: People) -> Batch:
    pictures = torch.from_numpy(people.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pictures.contiguous(), torch.from_numpy(people.shares)[:, None].float() / 255


def _smaller(picture: Pixels, size: int) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BOX))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.matte", __doc__, OPTIONS, data="folder of photographs")
    parser.add_argument("--masks", type=Path, nargs="+", required=True, help="masks of each folder of --data")
    given = parser.parse_args(arguments)
    parts = [read_people(folder, masks) for folder, masks in zip(given.data, given.masks, strict=True)]
    people = People(*(np.concatenate(each) for each in zip(*((p.pictures, p.shares) for p in parts), strict=True)))
    apart = np.arange(len(people.pictures)) % HELD_OUT == 0
    task = MatteTask(people[~apart], people[apart])
    print(Loop(task, given.out, loop_options(given, OPTIONS), given.device).run())


if __name__ == "__main__":
    main()
