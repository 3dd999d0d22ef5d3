"""Train the networks of the invisible mark: `python -m latentface.training.mark --faces FOLDER --out DIR`.

FOLDER holds `faces.jsonl` (name, source, landmarks [68, 2] in the crop) and `crops/`, FFHQ crops of 256 px. The mark is
added at a random size, the picture attacked (`latentface.training.mark_attacks`), the face found again a little off,
and the bits are learnt by cross-entropy. There is no loss of the picture: the writer scales every mark to a fixed PSNR.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from latentface.faces.mark_region import mark_region
from latentface.io.tensors import write_torch
from latentface.networks.mark import BITS, SIDE, MarkConfig, MarkNets
from latentface.pretrained.native import write_network
from latentface.training import mark_attacks as attacks
from latentface.training.loop import write_curve
from latentface.training.portraits import read_rows

#: Collections that are not trained on.
HELD_OUT = ("pif", "interfaces")
SIDES = (128, 160, 208, 256)  # pixels of the crop in the photo
_LARGE = 256


@dataclass(frozen=True)
class MarkOptions:
    """How to train: steps of `batch` faces each; seed of all random numbers; whether to convolve in bfloat16."""

    steps: int = 6000
    batch: int = 32
    learning_rate: float = 1e-3
    average: float = 0.998
    measure_every: int = 200
    seed: int = 0
    bfloat16: bool = True


@dataclass(frozen=True, eq=False)
class MarkData:
    """Brightness uint8 [F, 256, 256] of faces, and their masks uint8 [F, 128, 128]."""

    light: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.light)

    def take(self, index: Tensor, side: int) -> tuple[Tensor, Tensor]:
        """Faces as floats [N, 1, side, side] in whole levels, and their masks [N, 1, 128, 128] from 0 to 1."""
        light = attacks.resized(self.light[index][:, None].float(), side)
        return light.round().clamp(0, 255), self.masks[index][:, None].float() / 255


def load_faces(folder: Path, limit: int = 0) -> tuple[MarkData, MarkData]:
    """The faces to train on, and those held out; limit: at most so many in all, 0 for all."""
    rows = read_rows(folder)
    rows = rows[:: max(1, len(rows) // limit)] if limit else rows
    held = torch.tensor([row["source"] in HELD_OUT for row in rows])
    light = np.empty((len(rows), _LARGE, _LARGE), np.uint8)
    masks = np.empty((len(rows), SIDE, SIDE), np.uint8)
    for k, row in enumerate(rows):
        with Image.open(folder / "crops" / row["name"]) as image:
            light[k] = np.asarray(image.convert("L"))
        points = (np.asarray(row["landmarks"]) + 0.5) * SIDE / _LARGE - 0.5
        masks[k] = np.rint(mark_region(points, SIDE) * 255)
    both = torch.from_numpy(light), torch.from_numpy(masks)
    return MarkData(*(part[~held] for part in both)), MarkData(*(part[held] for part in both))


def marked(nets: MarkNets, light: Tensor, mask: Tensor, bits: Tensor) -> Tensor:
    """Faces [N, 1, R, R] with the mark of the bits, in whole levels; the mark is computed at 128 px and enlarged."""
    found = nets(attacks.resized(light, SIDE), mask, bits)
    return attacks.rounded(light + attacks.resized(found, light.shape[-1]))


class MarkRun:
    """A training run: networks, optimiser and the random state. A stopped run goes on from its checkpoint."""

    def __init__(self, data: MarkData, held: MarkData, out: Path, options: MarkOptions, config: MarkConfig) -> None:
        self.data, self.held, self.out, self.options = data, held, out, options
        self.generator = torch.Generator().manual_seed(options.seed)
        with torch.random.fork_rng():
            torch.manual_seed(options.seed)
            self.network, self.averaged = MarkNets(config), MarkNets(config)
        self.network.start(self.generator)
        self.averaged.load_state_dict(self.network.state_dict())
        self.averaged.eval().requires_grad_(False)
        slow = [self.network.writer.carriers, self.network.reader.templates]
        quick = [p for p in self.network.parameters() if all(p is not each for each in slow)]
        self.optimiser = torch.optim.AdamW(
            [{"params": quick, "share": 1.0}, {"params": slow[:1], "share": 3.0}, {"params": slow[1:], "share": 0.2}],
            betas=(0.9, 0.99), weight_decay=1e-4,
        )  # fmt: skip
        self.step = 0
        self.curve: list[dict[str, float]] = []

    @property
    def parts(self) -> dict[str, Any]:
        """Everything with a state."""
        return {name: getattr(self, name) for name in ("network", "averaged", "optimiser")}

    def run(self, say: Callable[[str], object] = print) -> Path:
        """Train to the end; the path of the network."""
        self.out.mkdir(parents=True, exist_ok=True)
        self._resume()
        losses: list[float] = []
        began = time.perf_counter()
        while self.step < self.options.steps:
            losses.append(self._one_step())
            self.step += 1
            if self.step % self.options.measure_every == 0 or self.step == self.options.steps:
                row = {"step": float(self.step), "seconds": time.perf_counter() - began, "loss": float(np.mean(losses))}
                row |= self.measure()
                losses = []
                self.curve.append(row)
                say(" ".join(f"{name} {value:.4g}" for name, value in row.items()))
                self._save()
        target = self.out / "mark.safetensors"
        write_network(target, "mark", asdict(self.network.config), self.averaged.state_dict())
        return target

    def measure(self, count: int = 96) -> dict[str, float]:
        """The share of wrong bits of held-out faces of 256 px after some attacks, and the PSNR within the mask."""
        source = torch.Generator().manual_seed(1)
        light, mask = self.held.take(torch.linspace(0, len(self.held) - 1, count).long(), _LARGE)
        bits = torch.randint(0, 2, (count, BITS), generator=source).float()
        with torch.no_grad():
            faces = marked(self.averaged, light, mask, bits)
            found = {
                "plain": faces,
                "jpeg50": attacks.as_jpeg(faces, 50),
                "half": attacks.rounded(attacks.resized(faces, _LARGE // 2)),
                "crf28": attacks.as_h264(faces, 28),
                "shot": attacks.screenshot(faces, source),
            }
            wrong = {}
            for name, images in found.items():
                odds = self.averaged.reader(attacks.realigned(images, SIDE, source))
                wrong[name] = float(((odds > 0) != (bits > 0.5)).float().mean())
            weight = attacks.resized(mask, _LARGE)
            error = float(((faces - light).square() * weight).sum() / weight.sum())
        return wrong | {"psnr": 10 * math.log10(255**2 / error)}

    def _one_step(self) -> float:
        options, source = self.options, self.generator
        progress = self.step / options.steps
        rate = options.learning_rate * min(1, (self.step + 1) / 50) * (0.02 + 0.98 * math.cos(math.pi / 2 * progress))
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        side = SIDES[int(torch.randint(len(SIDES), (), generator=source))]
        light, mask = self.data.take(torch.randint(len(self.data), (options.batch,), generator=source), side)
        if attacks.uniform(0, 1, source) < 0.5:
            light, mask = light.flip(-1), mask.flip(-1)
        bits = torch.randint(0, 2, (options.batch, BITS), generator=source).float()
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            faces = marked(self.network, light, mask, bits).float()
            seen = attacks.realigned(attacks.choose(source)(faces, source), SIDE, source)
            odds = self.network.reader(seen)
        loss = F.binary_cross_entropy_with_logits(odds, bits)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        keep = min(options.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(loss.detach())

    def _save(self) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        state |= {"generator": self.generator.get_state(), "step": self.step, "curve": self.curve}
        write_torch(self.out / "checkpoint.pt", state)
        write_curve(self.out, self.curve)

    def _resume(self) -> None:
        path = self.out / "checkpoint.pt"
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.step, self.curve = state["step"], state["curve"]


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser("latentface.training.mark", description=__doc__)
    parser.add_argument("--faces", type=Path, required=True, help="folder of faces.jsonl and crops/")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint, the curve and the network")
    parser.add_argument("--steps", type=int, default=MarkOptions.steps)
    parser.add_argument("--batch", type=int, default=MarkOptions.batch)
    parser.add_argument("--limit", type=int, default=0, help="use at most so many faces, 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast (for CPUs without AVX-512)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    options = MarkOptions(given.steps, given.batch, seed=given.seed, bfloat16=not given.float32)
    data, held = load_faces(given.faces, given.limit)
    print(MarkRun(data, held, given.out, options, MarkConfig()).run(say=lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
