"""The recipe of `synthface-128`: a StyleGAN2 generator trained as the second half of an autoencoder on renders.

    python -m latentface.training.generator --data DIR --teacher vgg19_distilled16x.npz --out DIR

Three steps. (1) An encoder and a growing generator are trained as a pair, picture -> w -> picture, by L1 at two scales
and a perceptual distance, with noise on w so that the space between the codes draws faces too. (2) The mapping network
is fitted so that mapped z are distributed as the codes. (3) `synthface-128.safetensors` is written. Step 1 logs to
curves.csv and resumes from checkpoint.pt (our own tensors, read with weights_only).
"""

from __future__ import annotations

import copy
import csv
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from latentface.files import atomic_path
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import DistilledVgg
from latentface.pretrained.native import write_network
from latentface.training.autoencoder import CropEncoder
from latentface.training.data import image_batch, load_shards
from latentface.training.prior import fit_mapping

HELD_OUT_SHARDS = 1  # the last ones: never trained on, only measured


@dataclass(frozen=True)
class Stage:
    """`images` pictures at `resolution` in batches of `batch`."""

    resolution: int
    images: int
    batch: int


@dataclass(frozen=True)
class Recipe:
    """Every choice of the training. `latent_noise` is in units of the codes' spread, which is held near one."""

    network: GeneratorConfig = GeneratorConfig(  # noqa: RUF009 (frozen)
        resolution=128, z_dim=256, w_dim=256, num_mapping_layers=2, channel_base=4096, channel_max=256
    )
    stages: tuple[Stage, ...] = (Stage(32, 10_000, 32), Stage(64, 16_000, 16), Stage(128, 34_000, 16))
    learning_rate: float = 2e-3
    encoder_learning_rate: float = 8e-4
    perceptual_weight: float = 1.5
    spread_weight: float = 0.02
    latent_noise: float = 0.03
    noise_strength: float = 0.05  # kept, so that noise maps stay a handle for the projector
    ema_images: int = 6_000  # half-life of the averaged weights
    seed: int = 0


class Pair(nn.Module):
    """Encoder and generator of one stage."""

    def __init__(self, recipe: Recipe, stage: Stage) -> None:
        super().__init__()
        config = recipe.network
        with torch.random.fork_rng(devices=[]):  # the layers' own initialisation draws from the global stream
            torch.manual_seed(recipe.seed)
            self.encoder = CropEncoder(config.resolution, config.w_dim)
        self.generator = Generator(replace(config, resolution=stage.resolution))
        for name, parameter in self.generator.named_parameters():
            if name.endswith("noise_strength"):
                nn.init.constant_(parameter, recipe.noise_strength)
                parameter.requires_grad_(False)

    def grow_from(self, smaller: Pair) -> None:
        """Take over a smaller stage; the new to-RGB starts at zero, so that its picture starts as the old one."""
        self.encoder.load_state_dict(smaller.encoder.state_dict())
        self.generator.load_state_dict(smaller.generator.state_dict(), strict=False)
        name = f"synthesis.b{self.generator.config.resolution}.torgb.weight"
        with torch.no_grad():
            self.generator.get_parameter(name).zero_()

    def forward(
        self, images: torch.Tensor, random: torch.Generator, latent_noise: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        w = self.encoder(images).float()
        jitter = torch.randn(w.shape, generator=random).to(w) * latent_noise
        ws = (w + jitter)[:, None].expand(-1, self.generator.config.num_ws, -1)
        return self.generator.synthesis(ws, noise_mode="random", generator=random), w


class PairTrainer:
    """Step 1 of the recipe; `run` trains to the end of the last stage or until the time is up."""

    def __init__(
        self, recipe: Recipe, images: NDArray[np.uint8], held_out: NDArray[np.uint8], teacher: nn.Module, out: Path
    ) -> None:
        self.recipe, self.images, self.held_out, self.out = recipe, images, held_out, out
        self.teacher = teacher.requires_grad_(False)
        self.pair = self.average = Pair(recipe, recipe.stages[0])
        self._enter_stage(0)
        if (out / "checkpoint.pt").exists():
            self._resume()

    @property
    def stage(self) -> Stage:
        return self.recipe.stages[self.stage_index]

    def run(self, minutes: float = float("inf")) -> Pair:
        """Train; returns the averaged pair of the stage reached."""
        until = time.monotonic() + 60 * minutes
        while self.stage_index < len(self.recipe.stages):
            while self.seen < self.stage.images:
                self._step()
                if self.steps % 100 == 0:
                    self._log()
                if self.steps % 500 == 0:
                    self._save()
                if time.monotonic() > until:
                    self._save()
                    return self.average
            if self.stage_index + 1 == len(self.recipe.stages):
                break
            self._enter_stage(self.stage_index + 1)
        self._save()
        return self.average

    def _enter_stage(self, index: int) -> None:
        old = (self.pair, self.average) if index else None
        self.stage_index, self.seen, self.steps = index, 0, 0
        self.pair = Pair(self.recipe, self.stage)
        self.pair.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        self.average = copy.deepcopy(self.pair).requires_grad_(False)
        if old is not None:
            self.pair.grow_from(old[0])
            self.average.grow_from(old[1])
        recipe, generator = self.recipe, [p for p in self.pair.generator.synthesis.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(
            [
                {"params": generator, "lr": recipe.learning_rate},
                {"params": list(self.pair.encoder.parameters()), "lr": recipe.encoder_learning_rate},
            ],
            betas=(0.9, 0.99),
        )
        self._base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._recent: list[tuple[float, ...]] = []

    def _step(self) -> None:
        stage, recipe = self.stage, self.recipe
        # Every step has its own streams, so that a resumed run goes on as if it had not stopped.
        order = np.random.default_rng([recipe.seed, self.stage_index, self.steps])
        random = torch.Generator().manual_seed(int(order.integers(2**62)))
        images = image_batch(self.images, order.integers(len(self.images), size=stage.batch), stage.resolution)
        if order.random() < 0.5:
            images = images.flip(3)
        images = images.to(memory_format=torch.channels_last)
        # Warm up each stage, and let the last one settle to a fifth.
        done = self.seen / stage.images
        rate = min(1.0, self.seen / 2000 + 0.05)
        if self.stage_index + 1 == len(recipe.stages):
            rate *= 0.2 + 0.4 * (1 + math.cos(math.pi * done))
        for group, base in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * rate
        with torch.autocast("cpu", torch.bfloat16):
            drawn, w = self.pair(images, random, recipe.latent_noise)
            drawn = drawn.float()
            perceptual = self.teacher(drawn, images).float().mean()
            if stage.resolution >= 64:  # the teacher wants 32 pixels or more
                perceptual = perceptual + self.teacher(features_of_face(drawn), features_of_face(images)).float().mean()
        pixel = (drawn - images).abs().mean() + (F.avg_pool2d(drawn, 4) - F.avg_pool2d(images, 4)).abs().mean()
        pixel = pixel + (features_of_face(drawn) - features_of_face(images)).abs().mean()
        spread = (w.square().mean(1) - 1).square().mean() + w.mean(0).square().mean()
        loss = pixel + recipe.perceptual_weight * perceptual + recipe.spread_weight * spread
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.pair.parameters(), 2.0)
        self.optimizer.step()
        self.seen += stage.batch
        self.steps += 1
        self._average(0.5 ** (stage.batch / min(recipe.ema_images, self.seen / 4 + 1)))
        self._recent.append(tuple(float(term.detach()) for term in (pixel, perceptual, spread)))

    @torch.no_grad()
    def _average(self, keep: float) -> None:
        for mean, now in zip(self.average.parameters(), self.pair.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    def _log(self) -> None:
        """A line in curves.csv; every tenth with the held-out PSNR of the averaged pair, and a sheet to look at."""
        row = [self.stage.resolution, self.seen, *np.mean(self._recent, 0).round(5), round(time.time())]
        self._recent.clear()
        if self.steps % 500 == 0:
            row.append(round(held_out_psnr(self.average, self.held_out[:64], self.out / "sheet.png"), 3))
        with open(self.out / "curves.csv", "a", newline="") as stream:
            csv.writer(stream).writerow(row)

    def _save(self) -> None:
        state = {
            "stage": self.stage_index, "seen": self.seen, "steps": self.steps, "pair": self.pair.state_dict(),
            "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        with atomic_path(self.out / "checkpoint.pt") as partial:
            torch.save(state, partial)

    def _resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        for index in range(1, state["stage"] + 1):
            self._enter_stage(index)
        self.seen, self.steps = state["seen"], state["steps"]
        self.pair.load_state_dict(state["pair"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


def features_of_face(images: torch.Tensor) -> torch.Tensor:
    """The square from brows to chin, half the crop's side: small in the picture, most of what a person looks at."""
    side = images.shape[-1]
    return images[..., round(0.36 * side) : round(0.36 * side) + side // 2, side // 4 : side // 4 + side // 2]


@torch.no_grad()
def held_out_psnr(pair: Pair, images: NDArray[np.uint8], sheet: Path | None = None) -> float:
    """Mean PSNR in dB of the pair's pictures against the originals; `sheet` gets both, side by side."""
    from latentface.images import to_uint8, write_image

    resolution = pair.generator.config.resolution
    batch = image_batch(images, np.arange(len(images)), resolution)
    ws = pair.encoder(batch)[:, None].expand(-1, pair.generator.config.num_ws, -1)
    drawn = pair.generator.synthesis(ws, noise_mode="const").clamp(-1, 1)
    if sheet is not None:
        rows = torch.stack([batch[:32], drawn[:32]], 1).flatten(0, 1)  # original, drawing, original, ...
        tiles = to_uint8(rows).reshape(-1, 8, resolution, resolution, 3).transpose(0, 2, 1, 3, 4)
        write_image(sheet, np.ascontiguousarray(tiles.reshape(-1, 8 * resolution, 3)))
    error = (drawn - batch).square().mean((1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())


@torch.no_grad()
def encode_all(pair: Pair, images: NDArray[np.uint8]) -> torch.Tensor:
    """The codes [n, w_dim] of all pictures."""
    resolution = pair.generator.config.resolution
    parts = np.array_split(np.arange(len(images)), max(1, len(images) // 64))
    return torch.cat([pair.encoder(image_batch(images, part, resolution)) for part in parts])


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--teacher", required=True, type=click.Path(exists=True, path_type=Path), help="vgg19_distilled16x.npz")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", default=float("inf"), help="Stop training after this long (resumable).")
@click.option("--threads", default=2, show_default=True)
def main(data: Path, teacher: Path, out: Path, minutes: float, threads: int) -> None:
    """Train synthface-128 on rendered faces."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    images = load_shards(data)["images"].astype(np.uint8, copy=False)
    held = HELD_OUT_SHARDS * 500
    recipe = Recipe()
    trainer = PairTrainer(recipe, images[:-held], images[-held:], DistilledVgg(teacher), out)
    pair = trainer.run(minutes)
    psnr = held_out_psnr(pair, images[-held:][:256])  # before the mapping is fitted, which moves the codes
    fit_mapping(pair.generator, encode_all(pair, images[:-held]))
    path = out / f"synthface-{pair.generator.config.resolution}.safetensors"
    write_network(path, "generator", asdict(pair.generator.config), pair.generator.state_dict())
    click.echo(f"{path}: held-out PSNR {psnr:.2f} dB", err=True)


if __name__ == "__main__":
    main()
