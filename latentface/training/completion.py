"""The recipe of `completion`, the network that completes faces.

    python -m latentface.training.completion --faces FACES --rigged RIGGED --perceptual DIR --out RUN

Residual blocks join one after the other (`STAGES`). Pictures are compared in and around their
holes by absolute difference, by a perceptual distance and by the texture of its features; in the last stage a
discriminator of patches, in the same features, joins in, and its weight rises while that of the reconstruction falls
(Yang et al., CVPR 2017, trained both together from the start). In the very last most pictures are twice as large, and
what the generator synthesises for what the network has painted is given as a proposal. Progress goes to curves.csv and
sheet.png; the run resumes from checkpoint.pt.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentface import api, hub
from latentface.io.images import write_image
from latentface.io.provenance import COMPOSITE
from latentface.io.tensors import write_torch
from latentface.networks.completion import FOLD, CompletionConfig, CompletionNet
from latentface.networks.lpips import Lpips, SqueezeLpips
from latentface.networks.perceptual import DistilledVgg, FeatureDistance
from latentface.pretrained.native import write_network
from latentface.training.completion_data import Batch, CompletionFaces, load_completion_faces, make_batch
from latentface.training.generator import side_by_side
from latentface.training.loop import append_means
from latentface.training.picture_losses import TEXTURE_MAPS, texture

Propose = Callable[[Tensor], Tensor]  # pictures with painted holes -> what a generator makes of them

SHRUNK = 64  # side of whole pictures, when the teacher is shown these
JUDGED = (1, 2, 3)  # maps of the teacher that the discriminator sees: 1/2, 1/4 and 1/8 of the picture's side


@dataclass(frozen=True)
class Stage:
    """A part of the training.

    blocks: how many take part. side: of the pictures. pictures: how many are seen. adversarial: with a discriminator.
    proposed: share of the steps whose pictures have the generator's side and a proposal.
    """

    blocks: int
    side: int
    pictures: int
    adversarial: bool = False
    proposed: float = 0.0


STAGES = (
    Stage(2, 128, 5_000), Stage(4, 128, 5_000), Stage(7, 128, 7_000), Stage(7, 128, 9_000, adversarial=True),
    Stage(7, 128, 13_000, adversarial=True, proposed=0.8),
)  # fmt: skip


@dataclass(frozen=True)
class CompletionRecipe:
    """Every choice of the training; weights of terms are beside the mean absolute difference in the hole."""

    stages: tuple[Stage, ...] = STAGES
    batch: int = 12
    rate: float = 1.2e-3
    critic_rate: float = 5e-4
    perceptual: float = 3.0
    texture: float = 0.1
    adversarial: float = 0.06  # at the end of the last stage
    annealed: float = 0.4  # what is left of the absolute difference then
    window: int = 96  # side of what the teacher is shown
    ema_pictures: int = 2_000  # half-life of the average, which begins anew in each stage
    warm_up: int = 1_000
    seed: int = 0

    @property
    def pictures(self) -> int:
        """Of the whole run."""
        return sum(stage.pictures for stage in self.stages)


class PatchCritic(nn.Module):
    """Whether places of pictures are real, by normalised features of a teacher at some scales."""

    def __init__(self, channels: tuple[int, ...], width: int = 64) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.spectral_norm
        self.heads = nn.ModuleList(
            nn.Sequential(
                norm(nn.Conv2d(count, width, 1)), nn.LeakyReLU(0.2), norm(nn.Conv2d(width, width, 3, padding=1)),
                nn.LeakyReLU(0.2), norm(nn.Conv2d(width, width, 3, padding=1)), nn.LeakyReLU(0.2),
                norm(nn.Conv2d(width, 1, 1)),
            )
            for count in channels
        )  # fmt: skip

    def forward(self, maps: tuple[Tensor, ...]) -> list[Tensor]:
        """Unbounded decisions about places, [N, 1, h, w] for each scale."""
        return [head(each * each.shape[1] ** 0.5).float() for head, each in zip(self.heads, maps, strict=True)]


class CompletionTrainer:
    """A training run; `run` goes on for some minutes or to the end. A stopped run goes on from its checkpoint."""

    def __init__(
        self, recipe: CompletionRecipe, config: CompletionConfig, faces: CompletionFaces, held_out: CompletionFaces,
        teacher: FeatureDistance, measure: Lpips, out: Path, propose: Propose,
    ) -> None:  # fmt: skip
        self.recipe, self.faces, self.held_out, self.out, self.propose = recipe, faces, held_out, out, propose
        self.teacher, self.lpips = teacher.requires_grad_(False), measure.requires_grad_(False)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.network = CompletionNet(config)
            widths = [len(weights) for weights in teacher.channel_weights() if weights is not None]
            self.critic = PatchCritic(tuple(widths[k] for k in JUDGED))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), recipe.rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.against = torch.optim.Adam(self.critic.parameters(), recipe.critic_rate, betas=(0.0, 0.99))
        self.seen, self.steps = 0, 0
        self.recent: list[dict[str, float]] = []
        if (out / "checkpoint.pt").exists():
            self._resume()

    @property
    def stage(self) -> tuple[Stage, float]:
        """The stage of now, and how much of it is done, from 0 to 1."""
        before = 0
        for stage in self.recipe.stages:
            if self.seen < before + stage.pictures:
                return stage, (self.seen - before) / stage.pictures
            before += stage.pictures
        return self.recipe.stages[-1], 1.0

    def run(self, minutes: float = float("inf")) -> CompletionNet:
        """Train until the recipe's pictures were seen or the time is up; returns the averaged network."""
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until and self.seen < self.recipe.pictures:
            self._step()
            if self.steps % 50 == 0:
                self._log()
            if self.steps % 250 == 0:
                self._save()
        self._save()
        return self.averaged

    def _step(self) -> None:
        recipe, (stage, done) = self.recipe, self.stage
        random = np.random.default_rng([recipe.seed, self.steps])  # a stream a step, so that runs resume exactly
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate * self._falling()
        batch, proposal = self._batch(stage, random)
        with torch.autocast("cpu", torch.bfloat16):
            made = self.network(batch.shown, batch.hole, batch.foreign, batch.guide, proposal, stage.blocks)
            terms = self._compare(made, batch, random, stage.adversarial)
        weight = 1.0 if not stage.adversarial else 1 - (1 - recipe.annealed) * done
        loss = weight * terms["pixel"] + recipe.perceptual * terms["perceptual"] + recipe.texture * terms["texture"]
        if stage.adversarial:
            loss = loss + recipe.adversarial * min(1.0, 2 * done) * terms["fooled"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.seen += len(batch.truth)
        self.steps += 1
        keep = 0.5 ** (len(batch.truth) / min(recipe.ema_pictures, done * stage.pictures / 4 + 1))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        self.recent.append({name: float(term.detach()) for name, term in terms.items()})

    def _batch(self, stage: Stage, random: np.random.Generator) -> tuple[Batch, Tensor | None]:
        """What a step is shown: small pictures or, with a proposal, half as many large ones."""
        large = random.random() < stage.proposed
        count = self.recipe.batch // 2 if large else self.recipe.batch
        chosen = random.choice(len(self.faces), count, p=self.faces.weights).tolist()
        if not large:
            return make_batch(self.faces, chosen, stage.side, random), None
        batch = make_batch(self.faces, chosen, self.faces.images.shape[-1], random, recoloured=0)
        return batch, self._proposed(batch)

    @torch.no_grad()
    def _proposed(self, batch: Batch) -> Tensor:
        """What the generator makes of large pictures whose holes the averaged network has painted at its own size."""
        side = self.network.config.size
        small, hole = F.adaptive_avg_pool2d(batch.shown, side), F.adaptive_max_pool2d(batch.hole, side)
        guide = F.adaptive_max_pool2d(batch.guide, side // FOLD)
        with torch.autocast("cpu", torch.bfloat16):
            painted = self.averaged(small, hole, guide=guide).float()
            painted = F.interpolate(painted, size=batch.shown.shape[2:], mode="bicubic", align_corners=False)
            return self.propose(torch.lerp(batch.shown, painted, batch.hole)).float().clamp(-1, 1)

    def _falling(self) -> float:
        """What the rates are multiplied by: a warm-up, then half a cosine down to a twentieth."""
        share = min(1.0, self.seen / self.recipe.pictures)
        return (0.05 + 0.475 * (1 + math.cos(math.pi * share))) * min(1.0, (self.seen + 100) / self.recipe.warm_up)

    def _compare(self, made: Tensor, batch: Batch, random: np.random.Generator, adversarial: bool) -> dict[str, Tensor]:
        """Terms of the loss, each a scalar."""
        area = batch.changed.sum((1, 2, 3)).clamp(min=64)
        difference = ((made - batch.truth).abs().mean(1, keepdim=True) * batch.changed).sum((1, 2, 3)) / area
        shown, truth, changed = windows((made, batch.truth, batch.changed), self.recipe.window, random)
        ours = self.teacher.features(shown)
        with torch.no_grad():
            theirs = self.teacher.features(truth)
        a, b = (tuple(self.teacher.normalise(each) for each in maps) for maps in (ours, theirs))
        terms = {
            "pixel": difference.mean(), "perceptual": self.teacher.compare(a, b).mean(),
            "texture": texture(ours[:TEXTURE_MAPS], theirs[:TEXTURE_MAPS]),
        }  # fmt: skip
        if adversarial:
            fake, real = (tuple(maps[k] for k in JUDGED) for maps in (a, b))
            weights = [F.adaptive_avg_pool2d(changed, (each.shape[2], each.shape[3])) for each in real]
            terms["critic"] = self._teach(real, tuple(each.detach() for each in fake), weights)
            self.critic.requires_grad_(False)
            terms["fooled"] = -_mean(self.critic(fake), weights)
            self.critic.requires_grad_(True)
        return terms

    def _teach(self, real: tuple[Tensor, ...], fake: tuple[Tensor, ...], weights: list[Tensor]) -> Tensor:
        """A step of the discriminator; its loss."""
        decisions = self.critic(tuple(torch.cat(each) for each in zip(real, fake, strict=True)))
        yes, no = zip(*(each.chunk(2) for each in decisions), strict=True)
        loss = _mean([F.relu(1 - each) for each in yes], weights) + _mean([F.relu(1 + each) for each in no], weights)
        self.against.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.against.step()
        return loss

    @torch.no_grad()
    def measure(self, count: int = 32) -> dict[str, float]:
        """LPIPS and absolute difference of completed held-out faces, as the stage of now completes them."""
        chosen = np.linspace(0, len(self.held_out) - 1, min(count, len(self.held_out))).astype(int).tolist()
        stage, random = self.stage[0], np.random.default_rng(self.recipe.seed)
        made, hidden, distances, error = [], [], [], 0.0
        for k in range(0, len(chosen), 8):
            if stage.proposed:
                batch = make_batch(self.held_out, chosen[k : k + 8], self.held_out.images.shape[-1], random, 0)
            else:
                batch = make_batch(self.held_out, chosen[k : k + 8], self.network.config.size, random)
            proposal = self._proposed(batch) if stage.proposed else None
            drawn = self.averaged(batch.shown, batch.hole, batch.foreign, None, proposal, stage.blocks).clamp(-1, 1)
            made.append(drawn)
            hidden.append(batch.shown * (1 - batch.hole))
            distances.append(self.lpips(drawn, batch.truth))
            error += float((drawn - batch.truth).abs().sum() / batch.changed.sum() / 3) * len(drawn)
        left, right = torch.cat(hidden)[:32], torch.cat(made)[:32]
        sheet = side_by_side(torch.cat([left[::2], left[1::2]]), torch.cat([right[::2], right[1::2]]))
        write_image(self.out / "sheet.png", sheet, source_type=COMPOSITE)
        return {"lpips": float(torch.cat(distances).mean()), "error": error / len(chosen)}

    def _log(self) -> None:
        """A line in curves.csv; every tenth with the held-out measurements, and a sheet to look at."""
        append_means(self.out, self.seen, self.recent, self.measure() if self.steps % 500 == 0 else None)
        self.recent.clear()

    def _save(self) -> None:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        write_torch(self.out / "checkpoint.pt", {**parts, "seen": self.seen, "steps": self.steps})

    def _resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.seen, self.steps = state["seen"], state["steps"]

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        names = ("network", "averaged", "critic", "optimiser", "against")
        return {name: getattr(self, name) for name in names}


def windows(pictures: tuple[Tensor, ...], side: int, random: np.random.Generator) -> tuple[Tensor, ...]:
    """Pictures [N, C, S, S], the last of them what changed [N, 1, S, S], in windows of a side that hold some of it.

    A third of the time these are the whole pictures instead, shrunk to `SHRUNK`.
    """
    whole = pictures[0].shape[-1]
    if random.random() < 1 / 3:
        return tuple(F.avg_pool2d(each, whole // SHRUNK) for each in pictures) if whole > SHRUNK else pictures
    side = min(side, whole)
    parts: list[list[Tensor]] = [[] for _ in pictures]
    for k, changed in enumerate(pictures[-1]):
        places = changed[0].nonzero()
        at = places[int(random.integers(len(places)))].tolist() if len(places) else [whole // 2] * 2
        y, x = (int(np.clip(v - random.integers(side // 4, 3 * side // 4), 0, whole - side)) for v in at)
        for part, each in zip(parts, pictures, strict=True):
            part.append(each[k, :, y : y + side, x : x + side])
    return tuple(torch.stack(part).contiguous(memory_format=torch.channels_last) for part in parts)


def _mean(decisions: list[Tensor], weights: list[Tensor]) -> Tensor:
    """The mean of decisions [N, 1, h, w] about places by their weights, over scales."""
    means = [(d * w).sum() / w.sum().clamp(min=1) for d, w in zip(decisions, weights, strict=True)]
    return torch.stack(means).mean()


def load_proposals() -> Propose:
    """What the built-in generator makes of aligned faces [N, 3, 256, 256] by its encoder."""
    generator = api.load_generator()
    encoder = hub.encoder(generator)
    assert encoder is not None, "the built-in generator comes with an encoder"

    def propose(pictures: Tensor) -> Tensor:
        images: Tensor = generator.synthesis(encoder(pictures).float(), noise_mode="const")
        return images

    return propose


@click.command()
@click.option("--faces", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rigged", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Shards of driven faces.")
@click.option(
    "--perceptual", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of vgg19_distilled16x.npz and lpips_squeeze.npz; the latter measures only.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", default=float("inf"), help="Stop after this long (resumable).")
@click.option("--threads", default=1, show_default=True)
def main(faces: Path, rigged: Path | None, perceptual: Path, out: Path, minutes: float, threads: int) -> None:
    """Train the network that completes faces."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    training, held_out = load_completion_faces(faces, rigged)
    trainer = CompletionTrainer(
        CompletionRecipe(), CompletionConfig(), training, held_out, DistilledVgg(perceptual / "vgg19_distilled16x.npz"),
        SqueezeLpips(perceptual / "lpips_squeeze.npz"), out, load_proposals(),
    )  # fmt: skip
    network = trainer.run(minutes)
    path = out / "completion.safetensors"
    write_network(path, "completion", asdict(network.config), network.state_dict())
    click.echo(f"{path}: {trainer.measure(128)}", err=True)


if __name__ == "__main__":
    main()
