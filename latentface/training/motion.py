"""The recipe of `face-motion`, and the training of a motion model on anybody's clips.

    python -m latentface.training.motion --data DIR... --held-out DIR --out DIR      # driven and rendered clips
    latentface train motion CLIPS... -o DIR                                          # the user's own clips

Self-supervised after Siarohin et al. 2019: one of two frames of a clip is reconstructed from the other by the motion
between their keypoints, which must be equivariant to random deformations of the picture. In rendered clips, and in
those of photographs that a head drives (`portrait_clips`), 68 landmarks are known. With `guide_weight`, the keypoints
and their distances across lids, lips and brows are those of some of them, the motion field is fitted to all of them,
and each pixel is made to follow its nearest keypoints. This is trained first, without the generator, which is quick;
the generator is trained afterwards. Logs to curves.csv, draws sheet.png, resumes from checkpoint.pt (our own tensors,
read with weights_only). On several GPUs: `torchrun --nproc-per-node N -m latentface.training.motion ...`.
"""

from __future__ import annotations

import copy
import csv
import math
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import click
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from latentface.api import pick_device
from latentface.errors import OutputError
from latentface.io.images import to_uint8, write_image
from latentface.io.paths import advice
from latentface.io.provenance import COMPOSITE
from latentface.io.tensors import write_torch
from latentface.networks.motion import MotionConfig, MotionModel
from latentface.networks.motion.discriminator import MultiScaleDiscriminator
from latentface.networks.motion.geometry import Keypoints
from latentface.pretrained import load_motion
from latentface.pretrained.native import write_network
from latentface.training import motion_losses as losses
from latentface.training.motion_data import Clips, load_clips, sample_pairs
from latentface.training.motion_recipe import BUILTIN, COMPACT, TERMS, Recipe, Stage, grow, staged, start_from, step_of

LOGGED = 50  # steps from one line of the curves, and checkpoint, to the next


class MotionTrainer:
    """`run` trains to the end of the last stage, or until the time is up."""

    def __init__(
        self, recipe: Recipe, clips: Clips, held_out: Clips, perceptual: nn.Module, out: Path, device: str = "cpu",
        bfloat16: bool = True, start: MotionModel | None = None,
    ) -> None:  # fmt: skip
        self.recipe, self.clips, self.held_out, self.out, self.device = recipe, clips, held_out, out, device
        self.bfloat16 = bfloat16
        self.perceptual = perceptual.to(device)
        self.rank, self.ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.steps = 0
        self.discriminator: MultiScaleDiscriminator | None = None
        self.discriminator_optimizer: torch.optim.Adam | None = None
        self._enter_stage(0)
        if start is not None:
            for model in (self.model, self.average):
                start_from(model, start.state_dict())
        if (out / "checkpoint.pt").exists():
            self._resume()

    @property
    def stage(self) -> Stage:
        """The stage that is being trained."""
        return self.recipe.stages[self.stage_index]

    def run(self, minutes: float = float("inf")) -> MotionModel:
        """Train; returns the averaged model."""
        until = time.monotonic() + 60 * minutes
        while True:
            while self.seen < self.stage.pairs:
                self._step()
                if self.steps % LOGGED == 0 and self.rank == 0:
                    self._log()
                    self._save()
                if time.monotonic() > until:
                    return self._end()
            if self.stage_index + 1 == len(self.recipe.stages):
                return self._end()
            self._enter_stage(self.stage_index + 1)

    def _end(self) -> MotionModel:
        if self.rank == 0:
            self._save()
        return self.average

    def _enter_stage(self, index: int) -> None:
        """Build the networks of a stage, initialised from the previous stage."""
        before = {name: part.state_dict() for name, part in self._parts().items() if part} if index else {}
        self.stage_index, self.seen, self._recent = index, 0, list[dict[str, float]]()
        recipe = self.recipe
        with torch.random.fork_rng(devices=[]):  # the layers' own initialisation draws from the global stream
            torch.manual_seed(recipe.seed)
            self.model: MotionModel = MotionModel(staged(recipe.network, self.stage.resolution)).to(self.device)
            if not index and recipe.generator_gan:
                keypoints = recipe.network.num_keypoints if recipe.discriminator_sees_keypoints else 0
                self.discriminator = MultiScaleDiscriminator(keypoints=keypoints).to(self.device)
                self.discriminator_optimizer = torch.optim.Adam(
                    self.discriminator.parameters(), recipe.learning_rate, (0.5, 0.999)
                )
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        if recipe.network.blend:
            generator = self.model.generator
            share, there = generator.final.bias, generator.dense_motion_network.occlusion.bias
            assert share is not None and there is not None
            with torch.no_grad():  # start by showing the warped source, without occlusion
                share[3] = there[0] = 2.0
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        if self.ranks > 1 and self.device != "cpu":
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)  # type: ignore[no-untyped-call]
        self.step: nn.Module = step_of(recipe, self.stage, self.model, self.perceptual)
        if self.ranks > 1:
            rests = self.stage.motion_only
            self.step = nn.parallel.DistributedDataParallel(self.step, find_unused_parameters=rests)
        self.optimizer = torch.optim.Adam(self.model.parameters(), recipe.learning_rate, (0.5, 0.999))
        if before:
            grow(self.model, before["model"])
            grow(self.average, before["average"])
            self.optimizer.load_state_dict(before["optimizer"])

    def _step(self) -> None:
        recipe, stage = self.recipe, self.stage
        # Every step has its own streams, so that a resumed run goes on as if it had not stopped.
        rng = np.random.default_rng([recipe.seed, self.stage_index, self.steps, self.rank])
        batch = sample_pairs(self.clips, stage.batch, stage.resolution, rng).to(self.device)
        source = torch.Generator().manual_seed(int(rng.integers(2**62)))
        bend = losses.RandomBend.sample(stage.batch, batch.source, source)
        self._set_rate()
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.bfloat16):
            terms, prediction, driving = self.step(batch, bend, self._guide(), self.discriminator)
        loss = torch.stack([term.float() for term in terms.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        self.optimizer.step()
        if self.discriminator is not None and self.discriminator_optimizer is not None and not stage.motion_only:
            terms["discriminator"] = self._train_discriminator(prediction.detach(), batch.driving, driving.detach())
        self.seen += stage.batch * self.ranks
        self.steps += 1
        self._average(0.5 ** (stage.batch * self.ranks / min(recipe.average_pairs, self._total() / 4 + 1)))
        self._recent.append({name: float(term.detach()) for name, term in terms.items()})

    def _train_discriminator(self, fake: Tensor, real: Tensor, at: Keypoints) -> Tensor:
        assert self.discriminator is not None and self.discriminator_optimizer is not None
        pyramid = losses.Pyramid((1.0,)).to(self.device)
        loss = self.recipe.generator_gan * losses.discriminator_gan(
            self.discriminator(pyramid(real), at), self.discriminator(pyramid(fake), at)
        )
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter in self.discriminator.parameters() if self.ranks > 1 else ():
            dist.all_reduce(parameter.grad, dist.ReduceOp.AVG)
        self.discriminator_optimizer.step()
        return loss

    def _total(self) -> int:
        return sum(stage.pairs for stage in self.recipe.stages[: self.stage_index]) + self.seen

    def _guide(self) -> float:
        fall = min(1.0, self._total() / self.recipe.guide_pairs)
        return self.recipe.guide_weight * (1 - 0.5 * fall)

    def _set_rate(self) -> None:
        """Warm up, then a cosine over all stages down to a twentieth."""
        total = self._total()
        share = total / sum(stage.pairs for stage in self.recipe.stages)
        rate = min(1.0, total / self.recipe.warm_up + 0.05) * (0.05 + 0.475 * (1 + math.cos(math.pi * min(share, 1.0))))
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups if optimizer else ():
                group["lr"] = self.recipe.learning_rate * rate

    @torch.no_grad()
    def _average(self, keep: float) -> None:
        mean, now = self.average.state_dict(), self.model.state_dict()
        for name, value in mean.items():
            if value.is_floating_point():
                value.lerp_(now[name], 1 - keep)
            else:
                value.copy_(now[name])

    def _log(self) -> None:
        """Append a line to curves.csv; terms that the stage lacks stay empty.

        Every fourth has the held-out PSNR of the averaged model, and comes with a sheet to look at.
        """
        means = {name: float(np.mean([row[name] for row in self._recent])) for name in self._recent[0]}
        self._recent.clear()
        score = ""
        if self.steps % (4 * LOGGED) == 0 and len(self.held_out):
            score = f"{held_out_psnr(self.average, self.held_out, self.stage.resolution, self.out / 'sheet.png'):.3f}"
        row = {"resolution": self.stage.resolution, "seen": self.seen, "psnr": score, "time": round(time.time())}
        path = self.out / "curves.csv"
        new = not path.exists()
        try:
            with open(path, "a", newline="") as stream:
                writer = csv.DictWriter(stream, [*row, *TERMS])
                if new:
                    writer.writeheader()
                writer.writerow(row | {name: f"{value:.5f}" for name, value in means.items()})
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}{advice(error.errno)}") from error

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer | None]:
        return {
            "model": self.model, "average": self.average, "optimizer": self.optimizer,
            "discriminator": self.discriminator, "judge": self.discriminator_optimizer,
        }  # fmt: skip

    def _save(self) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items() if part is not None}
        write_torch(
            self.out / "checkpoint.pt", state | {"stage": self.stage_index, "seen": self.seen, "steps": self.steps}
        )

    def _resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        for index in range(1, state["stage"] + 1):
            self._enter_stage(index)
        for name, part in self._parts().items():
            if part is not None:
                part.load_state_dict(state[name])
        self.seen, self.steps = state["seen"], state["steps"]


def held_out_pairs(clips: Clips, resolution: int, count: int = 32) -> Iterator[tuple[Tensor, Tensor]]:
    """The first and the middle frame of clips [N, 3, R, R] in [-1, 1], as source and driving, eight at a time."""
    chosen = clips.pictures[:count]
    for start in range(0, len(chosen), 8):
        both = np.stack([clip[[0, len(clip) // 2]] for clip in chosen[start : start + 8]])
        frames = torch.from_numpy(both).permute(0, 1, 4, 2, 3).float() / 127.5 - 1
        frames = nn.functional.interpolate(frames.flatten(0, 1), size=(resolution,) * 2, mode="area")
        yield frames[::2], frames[1::2]


@torch.no_grad()
def held_out_psnr(model: MotionModel, clips: Clips, resolution: int, sheet: Path | None = None) -> float:
    """Mean PSNR in dB of reconstructed frames; `sheet` collects source, driving, prediction and warped source."""
    device = next(model.parameters()).device
    errors, rows = [], []
    for source, driving in held_out_pairs(clips, resolution):
        source, driving = source.to(device), driving.to(device)
        rendering = model.render(source, model.keypoints(source), model.keypoints(driving))
        errors.append((rendering.prediction - driving).square().mean((1, 2, 3)))
        rows.append(torch.stack([source, driving, rendering.prediction, rendering.deformed], 1))
    if sheet is not None:
        tiles = to_uint8(torch.cat(rows)[:16].flatten(0, 1).clamp(-1, 1))  # source, driving, prediction, warped, ...
        grid = tiles.reshape(-1, 8, *tiles.shape[1:]).transpose(0, 2, 1, 3, 4)
        write_image(sheet, np.ascontiguousarray(grid.reshape(-1, 8 * resolution, 3)), source_type=COMPOSITE)
    return float((10 * torch.log10(4 / torch.cat(errors))).mean())


def perceptual_distance(vgg19: Path | None) -> nn.Module:
    """VGG-19 if its file is given, otherwise the built-in perceptual network."""
    from latentface.pretrained import load_perceptual

    return losses.Vgg19(vgg19) if vgg19 else losses.BuiltinDistance(load_perceptual())


def join_group() -> str | None:
    """Under torchrun: join the other processes and return this one's device; else None."""
    if "LOCAL_RANK" not in os.environ:
        return None
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    if not cuda:
        return "cpu"
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return f"cuda:{os.environ['LOCAL_RANK']}"


def run_on_clips(
    clips: Clips, output: Path, size: str, vgg19: Path | None, adversarial: bool, pairs: int | None,
    batch: int | None, minutes: float, device: str,
) -> Path:  # fmt: skip
    """Train on a user's clips with the recipe of the paper; returns the file. One clip in twenty is held out."""
    recipe = Recipe(network=COMPACT if size == "compact" else MotionConfig())
    resolution = recipe.network.resolution
    stage = Stage(resolution, pairs or recipe.stages[0].pairs, batch or recipe.stages[0].batch)
    recipe = replace(recipe, stages=(stage,), generator_gan=float(adversarial))
    device = join_group() or pick_device(device)
    held = len(clips) // 20
    output.mkdir(parents=True, exist_ok=True)
    kept, held_out = clips[: len(clips) - held], clips[len(clips) - held :]
    trainer = MotionTrainer(recipe, kept, held_out, perceptual_distance(vgg19), output, device)
    return save(trainer.run(minutes), output / "motion.safetensors")


def save(model: MotionModel, path: Path, dtype: torch.dtype = torch.float16) -> Path:
    """Write the network file, in the first of several processes only; `dtype` as `write_network` takes it."""
    if dist.is_initialized() and dist.get_rank():
        return path
    write_network(path, "motion", asdict(model.config), model.state_dict(), dtype)
    return path


@click.command()
@click.option("--data", required=True, multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--held-out", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--vgg19", type=click.Path(exists=True, path_type=Path), help="torchvision's vgg19-dcbb9e9d.pth.")
@click.option("--start", help="Network to begin with, built-in or a file: what fits of its weights is taken.")
@click.option("--minutes", default=float("inf"), help="Stop training after this long (resumable).")
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
def main(
    data: tuple[Path, ...], held_out: Path, out: Path, vgg19: Path | None, start: str | None, minutes: float,
    threads: int, device: str,
) -> None:  # fmt: skip
    """Train face-motion on clips of folders, and measure it on those of another."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    clips, others = load_clips(*data), load_clips(held_out)
    device = join_group() or device
    known = load_motion(start) if start else None
    trainer = MotionTrainer(BUILTIN, clips, others, perceptual_distance(vgg19), out, device, start=known)
    model = trainer.run(minutes)
    path = save(model, out / "face-motion.safetensors", torch.int8)
    psnr = held_out_psnr(model, others, model.config.resolution)
    click.echo(f"{path}: held-out PSNR {psnr:.2f} dB", err=True)


if __name__ == "__main__":
    main()
