"""Train the built-in 68-landmark network on renders: `python -m latentface.training.landmarks --data DIR --out DIR`.

DIR holds the renderer's shards (FFHQ crops with landmarks). The loss is the distance to the true points, in
inter-ocular distances, plus a weak pull of every heat map towards a small spot. The brow labels are first moved onto
the drawn brows (landmark_definition). The saved network is the running average of the weights. A stopped run
continues from its checkpoint; one that is measured in steps ends with the same bytes as if it had not been stopped.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from latentface.errors import InputError, UsageError
from latentface.files import atomic_path
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet, spatial_mean
from latentface.pretrained.native import write_network
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.landmark_definition import measure_brow_drop, move_brows

COLUMNS = ("step", "seconds", "images", "loss", "held_out_error")


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    steps ends the run, or minutes (of training time, over all sittings) when steps is None. batch is in images.
    learning_rate is the peak of a short warm-up and a cosine. held_out images, the last, are kept for measuring.
    jaw_weight: the jaw line is a contour that moves with the view, so it counts less. spot_weight, spot_cells: weight
    and deviation, in cells, of the target spots on the heat maps.
    """

    steps: int | None = None
    minutes: float | None = 20.0
    batch: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: int = 200
    average: float = 0.999
    held_out: int = 500
    jaw_weight: float = 0.4
    spot_weight: float = 0.01
    spot_cells: float = 1.2
    measure_every: int = 250
    seed: int = 0
    bfloat16: bool = True


@dataclass(frozen=True)
class FaceData:
    """images uint8 [M, 3, H, H], points float32 [M, 68, 2] in their pixels, masks uint8 [M, 1, H, H] or None."""

    images: torch.Tensor
    points: torch.Tensor
    masks: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def part(self, start: int, stop: int) -> FaceData:
        """The samples start..stop."""
        masks = None if self.masks is None else self.masks[start:stop]
        return FaceData(self.images[start:stop], self.points[start:stop], masks)


def load_faces(folder: Path) -> FaceData:
    """Read all shards of a folder (arrays images [n, H, H, 3], landmarks [n, 68, 2], mask [n, H, H] if in all).

    The brow labels are moved onto the drawn brows.

    Raises InputError for a folder without shards or a shard that lacks an array.
    """
    paths = sorted(folder.glob("shard-*.npz"))
    if not paths:
        raise InputError(f"{folder}: no shard-*.npz files; render some with latentface.synthface first")
    images: list[NDArray[np.uint8]] = []
    points: list[NDArray[np.float32]] = []
    masks: list[NDArray[np.uint8]] = []
    for path in paths:
        with np.load(path) as shard:
            if not {"images", "landmarks"} <= set(shard.files):
                raise InputError(f"{path}: expected the arrays images and landmarks, got {', '.join(shard.files)}")
            images.append(np.ascontiguousarray(shard["images"].transpose(0, 3, 1, 2)))
            points.append(shard["landmarks"].astype(np.float32))
            if "mask" in shard.files:
                masks.append(shard["mask"][:, None])
    pictures, labels = torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(points))
    return FaceData(
        pictures,
        move_brows(labels, measure_brow_drop(pictures, labels), pictures.shape[-1]),
        torch.from_numpy(np.concatenate(masks)) if len(masks) == len(paths) else None,
    )


def landmark_loss(logits: torch.Tensor, truth: torch.Tensor, options: TrainOptions) -> torch.Tensor:
    """Weighted distance in inter-ocular units plus the spot term, over the points that lie inside the picture.

    logits: [N, 68, H, W] heat maps; truth: [N, 68, 2] in crop units.
    """
    logits = logits.float()
    points = spatial_mean(logits)
    eyes = (truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm(dim=1).clamp(min=0.05)
    weight = torch.ones(68, device=truth.device)
    weight[:17] = options.jaw_weight
    weight = weight * ((truth > 0.01) & (truth < 0.99)).all(2)  # [N, 68]
    total = weight.sum().clamp(min=1.0)
    miss = F.smooth_l1_loss(points, truth, reduction="none", beta=0.01).sum(2) / eyes[:, None]
    height, width = logits.shape[2:]
    x = torch.arange(width, device=truth.device) + 0.5
    y = torch.arange(height, device=truth.device) + 0.5
    gap_x = (x - truth[..., :1] * width) ** 2  # [N, 68, W]
    gap_y = (y - truth[..., 1:] * height) ** 2
    spot = torch.exp(-(gap_x[..., None, :] + gap_y[..., :, None]) / (2 * options.spot_cells**2)).flatten(2)
    spot = spot / spot.sum(2, keepdim=True).clamp(min=1e-6)
    cross = -(spot * logits.flatten(2).log_softmax(2)).sum(2)
    loss: torch.Tensor = (weight * (miss + options.spot_weight * cross)).sum() / total
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
    network.eval()
    with torch.no_grad():
        for pictures, truth in framed(data, network.config):
            answer = network(pictures.to(device)).cpu()
            eyes = (truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm(dim=1)
            errors.append((answer - truth)[:, 17:].norm(dim=2).mean(1) / eyes)
    network.train()
    return float(torch.cat(errors).mean())


class Trainer:
    """One training run: all its state, so that it can stop and go on."""

    def __init__(
        self,
        data: FaceData,
        out: Path,
        options: TrainOptions,
        config: LandmarkConfig | None = None,
        changes: AugmentOptions | None = None,
        device: str = "cpu",
    ) -> None:
        if options.steps is None and options.minutes is None:
            raise UsageError("give steps or minutes: without either the training would never end")
        held = options.held_out
        if not 0 < held < len(data):
            raise UsageError(f"{len(data)} images are too few: {held} are held out for measuring")
        self.train_data, self.held_out = data.part(0, len(data) - held), data.part(len(data) - held, len(data))
        self.out, self.options, self.changes = out, options, changes or AugmentOptions()
        self.config = config or LandmarkConfig()
        self.device = torch.device(device)
        with torch.random.fork_rng():  # the layers draw from the global generator
            torch.manual_seed(options.seed)
            self.network = LandmarkNet(self.config).to(self.device)
        self.averaged = copy.deepcopy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, betas=(0.9, 0.98), weight_decay=options.weight_decay
        )
        self.picker = torch.Generator().manual_seed(options.seed + 1)
        self.changer = torch.Generator(self.device).manual_seed(options.seed + 2)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []

    def run(self, stop_after: int | None = None) -> Path:
        """Train to the end (or for stop_after more steps), from the checkpoint if there is one; the network's path."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        first, began = self.step, time.monotonic() - self.seconds
        while self.progress() < 1 and (stop_after is None or self.step - first < stop_after):
            self.losses.append(self._one_step())
            self.step += 1
            self.seconds = time.monotonic() - began
            if self.step % self.options.measure_every == 0:
                self._log()
                self._save()
        if self.step % self.options.measure_every and self.step > first:
            self._log()
        self._save()
        target = self.out / "landmarks.safetensors"
        write_network(target, "landmarks", asdict(self.config), self.averaged.state_dict(), dtype=torch.float16)
        return target

    def progress(self) -> float:
        """Share of the run that is done."""
        if self.options.steps is not None:
            return self.step / self.options.steps
        return self.seconds / (60.0 * (self.options.minutes or 0.0))

    def _one_step(self) -> float:
        options = self.options
        index = torch.randint(len(self.train_data), (options.batch,), generator=self.picker)
        masks = self.train_data.masks
        pictures, truth = augment(
            self.train_data.images[index].to(self.device),
            self.train_data.points[index].to(self.device),
            None if masks is None else masks[index].to(self.device).float() / 255.0,
            self.config,
            self.changes,
            self.changer,
        )
        ramp = min(1.0, (self.step + 1) / options.warm_up)
        rate = options.learning_rate * ramp * (0.5 + 0.5 * math.cos(math.pi * min(1.0, self.progress())))
        for group in self.optimiser.param_groups:
            group["lr"] = max(rate, 1e-6)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=options.bfloat16):
            logits = self.network.heat_maps(pictures)
        loss = landmark_loss(logits, truth, options)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        # early on the average must forget the random start
        keep = min(options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(loss.detach())

    def _log(self) -> None:
        row = (
            self.step,
            f"{self.seconds:.1f}",
            self.step * self.options.batch,
            f"{np.mean(self.losses):.5f}",
            f"{measure(self.averaged, self.held_out):.5f}",
        )
        self.losses = []
        path = self.out / "curve.csv"
        rows = [r for r in self._rows(path) if int(r[0]) < self.step]  # a resumed run replaces what it repeats
        with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows, row])
        print(" ".join(f"{name} {value}" for name, value in zip(COLUMNS, row, strict=True)), flush=True)

    @staticmethod
    def _rows(path: Path) -> list[list[str]]:
        if not path.is_file():
            return []
        with path.open(newline="") as file:
            return list(csv.reader(file))[1:]

    def _save(self) -> None:
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "picker": self.picker.get_state(),
            "changer": self.changer.get_state(),
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "config": asdict(self.config),
        }
        with atomic_path(self.out / "checkpoint.pt") as temporary:
            torch.save(state, temporary)

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if LandmarkConfig(**state["config"]) != self.config:
            raise InputError(f"{path}: made for another network shape; give an empty folder with --out")
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.picker.set_state(state["picker"].cpu())
        self.changer.set_state(state["changer"].cpu())
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m latentface.training.landmarks", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of shard-*.npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for the network, the checkpoint and the curve")
    parser.add_argument("--minutes", type=float, default=20.0, help="training time (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="train for this many steps instead of a time")
    parser.add_argument("--batch", type=int, default=TrainOptions.batch)
    parser.add_argument("--learning-rate", type=float, default=TrainOptions.learning_rate)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast (for CPUs without AVX-512)")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    options = TrainOptions(
        steps=given.steps,
        minutes=given.minutes,
        batch=given.batch,
        learning_rate=given.learning_rate,
        seed=given.seed,
        bfloat16=not given.float32,
    )
    print(Trainer(load_faces(given.data), given.out, options, device=given.device).run())


if __name__ == "__main__":
    main()
