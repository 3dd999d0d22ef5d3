"""The recipe of `synthface-128`: a StyleGAN2 generator trained on pairs of scene and render.

    python -m latentface.training.generator --data DIR --teacher vgg19_distilled16x.npz --out DIR

Three steps. (1) A coder and a growing generator are trained together, render and scene -> w -> picture, by L1 at two
scales (more at eyes and mouth), a perceptual distance and, in the last stage, the texture; with noise on w, so that
codes between those of renders give faces too. Since the scene is known, w contains all of expression, pose and light;
with an encoder alone, every face had the same mouth. (2) The mapping network is fitted so that mapped z are distributed
like the codes. (3) `synthface-128.safetensors` is written, and beside it `coder.safetensors`, from which
training.growth goes on. Step 1 logs to curves.csv and resumes from checkpoint.pt (our own tensors, read with
weights_only).
"""

from __future__ import annotations

import copy
import csv
import functools
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from latentface import pretrained
from latentface.arrays import Pixels
from latentface.io.images import to_uint8, write_image
from latentface.io.provenance import COMPOSITE
from latentface.io.tensors import write_torch
from latentface.networks.encoder import LatentEncoder
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import DistilledVgg, FeatureDistance
from latentface.pretrained.native import write_network
from latentface.training.data import Pairs, load_pairs
from latentface.training.picture_losses import compare_pictures, perceptual_and_texture
from latentface.training.prior import fit_mapping, move_codes
from latentface.training.scene_coder import SceneCoder, code_all, write_coder

HELD_OUT_SHARDS = 1  # held out, at the end of the data


@dataclass(frozen=True)
class Stage:
    """`images` pictures at `resolution` in batches of `batch`.

    A kept encoder is not trained further. `rate` multiplies the learning rates; a settling stage lowers them to a
    twentieth. `texture` is the weight of the difference of textures (`looks.texture`).
    """

    resolution: int
    images: int
    batch: int
    keep_encoder: bool = False
    settle: bool = False
    rate: float = 1.0
    texture: float = 0.0


@dataclass(frozen=True)
class Recipe:
    """Every choice of the training. `latent_noise` is in units of the codes' spread, which is held near one."""

    network: GeneratorConfig = GeneratorConfig(  # noqa: RUF009 (frozen)
        resolution=128, z_dim=256, w_dim=256, num_mapping_layers=2, channel_base=4096, channel_max=256
    )
    stages: tuple[Stage, ...] = (
        Stage(32, 10_000, 32), Stage(64, 16_000, 16), Stage(128, 34_000, 16),
        Stage(128, 70_000, 16, keep_encoder=True, settle=True),
        Stage(128, 42_000, 12, keep_encoder=True, settle=True, rate=0.7, texture=0.5),
    )  # fmt: skip
    learning_rate: float = 2e-3
    coder_learning_rate: float = 8e-4
    perceptual_weight: float = 1.5
    feature_weight: float = 3.0  # added to the weight 1 of the pixels at eyes and mouth
    spread_weight: float = 0.02
    latent_noise: float = 0.03
    noise_strength: float = 0.05  # kept above zero, so that noise maps stay useful for projection
    ema_images: int = 6_000  # half-life of the averaged weights
    seed: int = 0


class Pair(nn.Module):
    """Coder and generator of one stage."""

    def __init__(self, recipe: Recipe, stage: Stage, factors: int) -> None:
        super().__init__()
        config = recipe.network
        with torch.random.fork_rng(devices=[]):  # the layers' own initialisation draws from the global stream
            torch.manual_seed(recipe.seed)
            self.coder = SceneCoder(config.resolution, factors, config.w_dim)
        self.generator = Generator(replace(config, resolution=stage.resolution))
        for name, parameter in self.generator.named_parameters():
            if name.endswith("noise_strength"):
                nn.init.constant_(parameter, recipe.noise_strength)
                parameter.requires_grad_(False)

    def grow_from(self, smaller: Pair) -> None:
        """Take over the stage before; a new to-RGB starts at zero, so that its picture starts as the old one."""
        self.coder.load_state_dict(smaller.coder.state_dict())
        self.generator.load_state_dict(smaller.generator.state_dict(), strict=False)
        if smaller.generator.config == self.generator.config:
            return
        name = f"synthesis.b{self.generator.config.resolution}.torgb.weight"
        with torch.no_grad():
            self.generator.get_parameter(name).zero_()

    def start_from(self, generator: Generator, encoder: LatentEncoder) -> None:
        """Start from trained networks; codes are centred at zero again, and the scene contributes nothing yet."""
        self.generator.load_state_dict(generator.state_dict())
        self.coder.encoder.load_state_dict(encoder.trunk.state_dict())
        move_codes(self.generator, -encoder.centre)

    def spread(self, w: torch.Tensor) -> torch.Tensor:
        """The latents ws [N, num_ws, w_dim] with w [N, w_dim] on every layer."""
        return w[:, None].expand(-1, self.generator.config.num_ws, -1)


class PairTrainer:
    """Step 1 of the recipe; `run` trains to the end of the last stage or until the time is up."""

    def __init__(
        self, recipe: Recipe, pairs: Pairs, held_out: Pairs, teacher: FeatureDistance, out: Path,
        compiled: bool = False, start: Pair | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.pairs, self.held_out, self.out, self.compiled = recipe, pairs, held_out, out, compiled
        self.teacher = teacher.requires_grad_(False)
        self.pair = self.average = Pair(recipe, recipe.stages[0], pairs.factors.shape[1])
        self._enter_stage(0)
        if start is not None:
            self.pair.grow_from(start)
            self.average.grow_from(start)
        if (out / "checkpoint.pt").exists():
            self._resume()

    @property
    def stage(self) -> Stage:
        """The stage that is being trained."""
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
        self.pair = Pair(self.recipe, self.stage, self.pairs.factors.shape[1])
        self.pair.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        self.average = copy.deepcopy(self.pair).requires_grad_(False)
        if old is not None:
            self.pair.grow_from(old[0])
            self.average.grow_from(old[1])
        self.pair.coder.encoder.requires_grad_(not self.stage.keep_encoder)
        synthesis, coder = (
            [p for p in module.parameters() if p.requires_grad]
            for module in (self.pair.generator.synthesis, self.pair.coder)
        )
        self.optimizer = torch.optim.Adam(
            [
                {"params": synthesis, "lr": self.recipe.learning_rate},
                {"params": coder, "lr": self.recipe.coder_learning_rate},
            ],
            betas=(0.9, 0.99),
        )
        self._base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._recent: list[tuple[float, ...]] = []
        self._draw: Callable[..., torch.Tensor] = self.pair.generator.synthesis
        self._code: Callable[..., torch.Tensor] = self.pair.coder
        self._compare: Callable[..., torch.Tensor] = functools.partial(perceptual_and_texture, self.teacher)
        if self.compiled:
            self._draw, self._code = torch.compile(self._draw), torch.compile(self._code)
            self._compare = torch.compile(self._compare)

    def _step(self) -> None:
        stage, recipe = self.stage, self.recipe
        # Every step has its own streams, so that a resumed run goes on as if it had not stopped.
        order = np.random.default_rng([recipe.seed, self.stage_index, self.steps])
        random = torch.Generator().manual_seed(int(order.integers(2**62)))
        self._set_rate()
        chosen = order.integers(len(self.pairs), size=stage.batch)
        images, weights = self.pairs.batch(chosen, stage.resolution, recipe.feature_weight)
        with torch.autocast("cpu", torch.bfloat16):
            w = self._code(images, self.pairs.factors[chosen]).float()
        codes = w + torch.randn(w.shape, generator=random) * recipe.latent_noise
        shapes = self.pair.generator.synthesis.noise_shapes()
        noise = [torch.randn(len(codes), 1, *shape, generator=random) for shape in shapes]
        with torch.autocast("cpu", torch.bfloat16):
            drawn = self._draw(self.pair.spread(codes).contiguous(), noise=noise).float()
            pixel, perceptual, texture = compare_pictures(drawn, images, weights, self._compare, order)
        held = (w.square().mean(1) - 1).square().mean() + w.mean(0).square().mean()
        loss = pixel + recipe.perceptual_weight * perceptual + recipe.spread_weight * held
        self.optimizer.zero_grad(set_to_none=True)
        (loss + stage.texture * texture).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.pair.parameters(), 2.0)
        self.optimizer.step()
        self.seen += stage.batch
        self.steps += 1
        self._average(0.5 ** (stage.batch / min(recipe.ema_images, self.seen / 4 + 1)))
        self._recent.append(tuple(float(term.detach()) for term in (pixel, perceptual, texture, held)))

    def _set_rate(self) -> None:
        """Warm up each stage, and lower the rates of settling stages."""
        rate = self.stage.rate * min(1.0, self.seen / 2000 + 0.05)
        if self.stage.settle:
            rate *= 0.05 + 0.475 * (1 + math.cos(math.pi * self.seen / self.stage.images))
        for group, base in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = base * rate

    @torch.no_grad()
    def _average(self, keep: float) -> None:
        for mean, now in zip(self.average.parameters(), self.pair.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    def _log(self) -> None:
        """A line in curves.csv; every fifth with the held-out PSNR of the averaged pair, and a sheet to look at."""
        row = [self.stage.resolution, self.seen, *np.mean(self._recent, 0).round(5), round(time.time())]
        self._recent.clear()
        if self.steps % 500 == 0:
            row.append(round(held_out_psnr(self.average, self.held_out, self.out / "sheet.png"), 3))
        with open(self.out / "curves.csv", "a", newline="") as stream:
            csv.writer(stream).writerow(row)

    def _save(self) -> None:
        state = {
            "stage": self.stage_index, "seen": self.seen, "steps": self.steps, "pair": self.pair.state_dict(),
            "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        write_torch(self.out / "checkpoint.pt", state)

    def _resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        for index in range(1, state["stage"] + 1):
            self._enter_stage(index)
        self.seen, self.steps = state["seen"], state["steps"]
        self.pair.load_state_dict(state["pair"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])


@torch.no_grad()
def held_out_psnr(pair: Pair, pairs: Pairs, sheet: Path | None = None, count: int = 64) -> float:
    """Mean PSNR in dB of the pair's pictures against the renders; `sheet` gets both, side by side."""
    resolution = pair.generator.config.resolution
    chosen = np.arange(min(count, len(pairs)))
    batch, _ = pairs.batch(chosen, resolution)
    drawn = pair.generator.synthesis(pair.spread(pair.coder(batch, pairs.factors[chosen]))).clamp(-1, 1)
    if sheet is not None:
        write_image(sheet, side_by_side(batch[:32], drawn[:32]), source_type=COMPOSITE)
    error = (drawn - batch).square().mean((1, 2, 3))
    return float((10 * torch.log10(4 / error)).mean())


def side_by_side(images: torch.Tensor, drawn: torch.Tensor) -> Pixels:
    """A sheet of renders [N, 3, R, R] and their drawings, eight to a row: render, drawing, render, ..."""
    rows = torch.stack([images, drawn], 1).flatten(0, 1)
    side = rows.shape[-1]
    tiles = to_uint8(rows).reshape(-1, 8, side, side, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(tiles.reshape(-1, 8 * side, 3))


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--teacher", required=True, type=click.Path(exists=True, path_type=Path), help="vgg19_distilled16x.npz")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", default=float("inf"), help="Stop training after this long (resumable).")
@click.option("--threads", default=2, show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Compile with torch.compile: 1.4 times faster, needs g++.")
@click.option("--start", help="A trained generator, built-in name or file: only the last stage, for texture.")
def main(data: Path, teacher: Path, out: Path, minutes: float, threads: int, compiled: bool, start: str | None) -> None:
    """Train synthface-128 on rendered faces."""
    recipe = Recipe()
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    pairs = load_pairs(data)
    begin = None
    if start is not None:
        recipe = replace(recipe, stages=recipe.stages[-1:])
        generator = pretrained.load_generator(start)
        begin = Pair(recipe, recipe.stages[0], pairs.factors.shape[1])
        encoder = pretrained.find_encoder(generator.fingerprint)
        if encoder is None:
            raise click.UsageError(f"there is no built-in encoder for {start}, so its codes cannot be computed")
        begin.start_from(generator, encoder)
    held = HELD_OUT_SHARDS * 500
    trainer = PairTrainer(recipe, pairs[:-held], pairs[-held:], DistilledVgg(teacher), out, compiled, begin)
    pair = trainer.run(minutes)
    psnr = held_out_psnr(pair, pairs[-held:], count=256)  # before the mapping is fitted, which moves the codes
    resolution = pair.generator.config.resolution
    codes = code_all(pair.coder, pairs[:-held:3], resolution)  # a third are enough for 256 dimensions
    moved = fit_mapping(pair.generator, codes)
    write_coder(out / "coder.safetensors", pair.coder, moved)
    path = out / f"synthface-{resolution}.safetensors"
    write_network(path, "generator", asdict(pair.generator.config), pair.generator.state_dict())
    click.echo(f"{path}: held-out PSNR {psnr:.2f} dB", err=True)


if __name__ == "__main__":
    main()
