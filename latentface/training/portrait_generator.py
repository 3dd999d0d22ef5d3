"""The recipe of `face-256`: a generator of rendered heads is trained further on photographs.

    python -m latentface.training.portrait_generator --faces FACES --rigged RIGGED --perceptual DIR --out RUN

An encoder and the generator are trained as an autoencoder of aligned photographs, beginning from the networks that draw
renders, by L1, a perceptual distance and texture in windows (`picture_losses`). Half of the pictures are synthesised
from w alone, without the offsets that the encoder predicts for each layer, so that w alone describes a person. Pictures
of people driven by the head (`--rigged`) come with the change of expression that drove them: the code of the photo plus
a linear map of that change must draw the driven picture. The identity network must see the same person in both. When
reconstructions are good, a discriminator in pretrained feature space (`adversary`) is trained on them, and on pictures
of codes between those of two people. Progress goes to curves.csv and sheet.png; the run resumes from checkpoint.pt (our
own tensors, read with weights_only).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from latentface import pretrained
from latentface.inversion.search import WStatistics, measure_w
from latentface.io.images import write_image
from latentface.io.provenance import COMPOSITE
from latentface.io.tensors import write_torch
from latentface.networks.identity import IdentityNet
from latentface.networks.lpips import Lpips, SqueezeLpips
from latentface.networks.perceptual import DistilledVgg, FeatureDistance
from latentface.training.adversary import ProjectedDiscriminator, augment
from latentface.training.generator import side_by_side
from latentface.training.loop import append_means
from latentface.training.picture_losses import compare_pictures, perceptual_and_texture
from latentface.training.portrait_networks import Autoencoder, begin, read_adversary, write_networks
from latentface.training.portraits import Portraits, load_portraits
from latentface.training.rigged_pairs import RiggedPairs, load_rigged

BETAS = (0.9, 0.99)  # of Adam, for encoder and generator
STUDY = 128  # side of what encoder and discriminator see


@dataclass(frozen=True)
class PortraitRecipe:
    """Every choice of the training. Weights of terms are beside the pixels'; `latent_noise` is added to codes."""

    batch: int = 8
    pairs: int = 2  # of each batch, pairs of a photo and its driven picture, when there are any
    mixed: int = 4  # pictures of codes between two people, judged by the discriminator alone
    generator_rate: float = 1e-3
    encoder_rate: float = 3e-4
    adversary_rate: float = 5e-4
    perceptual: float = 1.5
    texture: float = 0.5
    features: float = 3.0  # of the pixels at eyes and mouth
    additions: float = 0.01  # squared size of what the encoder adds by layer
    prior: float = 0.01
    identity: float = 0.5  # one minus the cosine of embeddings, in every second step, when nothing is judged
    latent_noise: float = 0.04
    adversarial: float = 0.2
    adversary_every: int = 2  # steps between updates; more frequent ones cost time that reconstructions use better
    adversary_from: int = 13_000  # pictures, before which there is no discriminator
    adversary_alone: int = 800  # pictures that it learns from before it has an effect on the generator
    warm_up: int = 1_000
    pictures: int = 100_000  # of the whole run, over which the rates fall
    ema_images: int = 6_000  # half-life of the averaged weights
    seed: int = 0


class PortraitTrainer:
    """The training of the autoencoder and its discriminator; `run` trains for some pictures or minutes."""

    def __init__(
        self, recipe: PortraitRecipe, pair: Autoencoder, faces: Portraits, held_out: Portraits,
        teacher: FeatureDistance, squeeze: Lpips, identity: IdentityNet, out: Path, rigged: RiggedPairs | None = None,
        compiled: bool = False,
    ) -> None:  # fmt: skip
        device = self.device = next(pair.parameters()).device
        self.recipe, self.pair, self.out = recipe, pair, out
        self.faces, self.held_out = faces.to(device), held_out.to(device)
        self.rigged = None if rigged is None else replace(rigged.to(device), faces=self.faces)
        self.squeeze = squeeze.to(device).requires_grad_(False)
        self.identity = copy.deepcopy(identity).to(device).requires_grad_(False)
        self.average = copy.deepcopy(pair).requires_grad_(False)
        self.adversary = ProjectedDiscriminator(self.squeeze).to(device)
        self.statistics: WStatistics = measure_w(pair.generator)
        teacher.to(device).requires_grad_(False)
        self.synthesise: Callable[..., Tensor] = pair.generator.synthesis
        self.parts: Callable[[Tensor], tuple[Tensor, Tensor]] = pair.encoder.parts
        self.compare: Callable[[Tensor, Tensor], Tensor] = lambda a, b: perceptual_and_texture(teacher, a, b)
        if compiled:
            # A graph for each of the few shapes: one for all of them takes minutes to compile. The synthesis stays as
            # it is: compiled for a CPU (torch 2.13), it gives gradients by ws that are not finite.
            self.parts = torch.compile(self.parts, dynamic=False)
            self.compare = torch.compile(self.compare, dynamic=False)
        self.optimizer = torch.optim.Adam(
            [
                {"params": [p for p in pair.generator.parameters() if p.requires_grad], "lr": recipe.generator_rate},
                {"params": [*pair.encoder.parameters(), *pair.change.parameters()], "lr": recipe.encoder_rate},
            ],
            betas=BETAS,
        )
        self.against = torch.optim.Adam(
            [p for p in self.adversary.parameters() if p.requires_grad], recipe.adversary_rate, betas=(0.0, 0.99)
        )
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.seen, self.steps = 0, 0
        self.recent: list[dict[str, float]] = []
        if (out / "checkpoint.pt").exists():
            self._resume()

    def run(self, minutes: float = float("inf"), pictures: int | None = None) -> Autoencoder:
        """Train until the recipe's pictures (or so many) were seen in all, or the time is up.

        Returns the averaged networks.
        """
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until and self.seen < (pictures or self.recipe.pictures):
            self._step()
            if self.steps % 25 == 0:
                self._log()
            if self.steps % 250 == 0:
                self._save()
        self._save()
        return self.average

    def _step(self) -> None:
        recipe = self.recipe
        # Every step has its own streams, so that a resumed run goes on as if it had not stopped.
        order = np.random.default_rng([recipe.seed, self.steps])
        random = torch.Generator(self.device).manual_seed(int(order.integers(2**62)))
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self._rate()
        images, near, change = self._sample(order)
        terms: dict[str, Tensor] = {}
        with torch.autocast(self.device.type, torch.bfloat16):
            w, ws, added = self._encode(images, change, order, random)
            drawn = self.synthesise(ws.contiguous(), noise=self._noise(len(ws), random)).float()
            weights = 1 + recipe.features * near
            found = compare_pictures(drawn, images, weights, self.compare, order)
            terms["pixel"], terms["perceptual"], terms["texture"] = found
            terms["additions"] = added.square().sum(2).mean() / self.statistics.std**2
            terms["prior"] = self.statistics.penalty(self.pair.spread(w)).mean()
            loss = (
                terms["pixel"] + recipe.perceptual * terms["perceptual"] + recipe.texture * terms["texture"]
                + recipe.additions * terms["additions"] + recipe.prior * terms["prior"]
            )  # fmt: skip
            if self.steps % 2:
                terms["identity"] = 1 - F.cosine_similarity(self.identity(drawn), self.identity(images)).mean()
                loss = loss + recipe.identity * terms["identity"]
            if self.seen >= recipe.adversary_from and self.steps % recipe.adversary_every == 0:
                judged = self._adversarial(images, drawn, w, order, random, terms)
                if self.seen >= recipe.adversary_from + recipe.adversary_alone:
                    loss = loss + recipe.adversarial * judged
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.pair.parameters(), 2.0)
        self.optimizer.step()
        self.seen += recipe.batch
        self.steps += 1
        self._average(0.5 ** (recipe.batch / min(recipe.ema_images, self.seen / 4 + 1)))
        self.recent.append({name: float(term.detach()) for name, term in terms.items()})

    def _rate(self) -> float:
        """What the learning rates are multiplied by: a warm-up, then half a cosine down to a twentieth."""
        recipe = self.recipe
        falling = 0.05 + 0.475 * (1 + math.cos(math.pi * min(1.0, self.seen / recipe.pictures)))
        return falling * min(1.0, (self.seen + recipe.batch) / recipe.warm_up)

    def _sample(self, order: np.random.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pictures [N, 3, S, S], maps of eyes and mouth, and of the pairs at the end the changes [pairs, P].

        The last 2 * pairs pictures are photos and then, in the same order, what these people look like when driven.
        """
        pairs = self.recipe.pairs if self.rigged is not None else 0
        count = self.recipe.batch - 2 * pairs
        images, near = self.faces.batch(self.faces.sample(count, order), order.random(count) < 0.5)
        if self.rigged is None:
            return images, near, None
        before, after, change = self.rigged.sample(pairs, order)
        together = [torch.cat(parts) for parts in zip((images, near), before, after, strict=True)]
        return together[0].contiguous(memory_format=torch.channels_last), together[1], change

    def _encode(
        self, images: Tensor, change: Tensor | None, order: np.random.Generator, random: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Codes w [N, w_dim], the latents to draw [N, num_ws, w_dim], and what the encoder adds by layer.

        A driven picture is drawn from the photo's code and the change in half of the steps.
        """
        recipe, pair = self.recipe, self.pair
        w, added = self.parts(F.avg_pool2d(images, images.shape[-1] // STUDY).contiguous(
            memory_format=torch.channels_last))  # fmt: skip
        w, added = w.float(), added.float()
        drawn_w, drawn_added = w, added
        if change is not None and order.random() < 0.5:
            n = len(change)
            moved = w[-2 * n : -n] + pair.change(change).float()
            drawn_w = torch.cat([w[:-n], moved])
            drawn_added = torch.cat([added[:-n], added[-2 * n : -n]])
        noise = torch.randn(w.shape, generator=random, device=self.device) * recipe.latent_noise
        whole = (torch.rand(len(w), 1, 1, generator=random, device=self.device) < 0.5).float()
        return w, (drawn_w + noise)[:, None] + drawn_added * whole, added

    def _noise(self, count: int, random: torch.Generator) -> list[Tensor]:
        shapes = self.pair.generator.synthesis.noise_shapes()
        return [torch.randn(count, 1, *shape, generator=random, device=self.device) for shape in shapes]

    def _adversarial(
        self, images: Tensor, drawn: Tensor, w: Tensor, order: np.random.Generator, random: torch.Generator,
        terms: dict[str, Tensor],
    ) -> Tensor:  # fmt: skip
        """Let the discriminator learn a step; returns the generator's loss.

        Photographs against reconstructions and against codes between two people. Half of the time whole pictures,
        half of it windows of them.
        """
        photos = len(images) - (self.recipe.pairs if self.rigged is not None else 0)  # driven pictures are no photos
        chosen = order.integers(photos, size=(2, self.recipe.mixed))
        share = torch.rand(self.recipe.mixed, 1, generator=random, device=self.device)
        between = torch.lerp(w[chosen[0]], w[chosen[1]], share)
        between = between + torch.randn(between.shape, generator=random, device=self.device) * self.recipe.latent_noise
        noise = self._noise(len(between), random)
        mixed = self.synthesise(self.pair.spread(between).contiguous(), noise=noise).float()
        look = self._look(images.shape[-1], order)
        real = augment(look(images[:photos]), random)
        fake = augment(look(torch.cat([drawn, mixed])), random)
        real_maps, fake_maps = self.adversary.project(real), self.adversary.project(fake)
        terms["adversary"] = self.adversary.hinge(
            [each.detach() for each in real_maps], [each.detach() for each in fake_maps]
        )
        self.against.zero_grad(set_to_none=True)
        terms["adversary"].backward()  # type: ignore[no-untyped-call]
        self.against.step()
        self.adversary.heads.requires_grad_(False)
        terms["judged"] = -self.adversary(fake_maps).mean()
        self.adversary.heads.requires_grad_(True)
        return terms["judged"]

    def _look(self, side: int, order: np.random.Generator) -> Callable[[Tensor], Tensor]:
        if side == STUDY or order.random() < 0.5:
            return lambda x: F.avg_pool2d(x, side // STUDY)
        y, x0 = (int(v) for v in order.integers(0, side - STUDY + 1, size=2))
        return lambda x: x[..., y : y + STUDY, x0 : x0 + STUDY].contiguous()

    @torch.no_grad()
    def _average(self, keep: float) -> None:
        for mean, now in zip(self.average.parameters(), self.pair.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    def _log(self) -> None:
        """A line in curves.csv; every tenth with the held-out distance, and a sheet to look at."""
        append_means(self.out, self.seen, self.recent, self.measure() if self.steps % 250 == 0 else None)
        self.recent.clear()

    @torch.no_grad()
    def measure(self, count: int = 32) -> dict[str, float]:
        """LPIPS of held-out photos drawn by the averaged networks, with all the encoder says and from w alone."""
        chosen = np.linspace(0, len(self.held_out) - 1, min(count, len(self.held_out))).astype(np.int64)
        images, _ = self.held_out.batch(chosen, np.zeros(len(chosen), bool))
        whole, alone = self.redraw(images)
        sheet = side_by_side(torch.cat([images[:16], images[:16]]), torch.cat([whole[:16], alone[:16]]))
        write_image(self.out / "sheet.png", sheet, source_type=COMPOSITE)
        small = F.avg_pool2d(images, 2)
        return {
            "lpips": float(self.squeeze(whole, images).mean()),
            "lpips_w": float(self.squeeze(alone, images).mean()),
            "lpips_half": float(self.squeeze(F.avg_pool2d(whole, 2), small).mean()),
        }

    @torch.no_grad()
    def redraw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Photos [N, 3, S, S] drawn by the averaged networks: by all the encoder says, and from w alone."""
        drawn = []
        for part in torch.split(images, 8):
            w, added = self.average.encoder.parts(F.avg_pool2d(part, images.shape[-1] // STUDY))
            for ws in (w[:, None] + added, self.average.spread(w)):
                drawn.append(self.average.generator.synthesis(ws.contiguous()).clamp(-1, 1))
        return torch.cat(drawn[::2]), torch.cat(drawn[1::2])

    def _save(self) -> None:
        state = {
            "seen": self.seen, "steps": self.steps,
            "pair": self.pair.state_dict(), "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(), "adversary": self.adversary.state_dict(),
            "against": self.against.state_dict(),
        }  # fmt: skip
        write_torch(self.out / "checkpoint.pt", state)

    def _resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        self.seen, self.steps = state["seen"], state["steps"]
        for pair, saved in ((self.pair, state["pair"]), (self.average, state["average"])):
            if saved["change.weight"].shape != pair.change.weight.shape:
                saved["change.weight"] = pair.change.weight  # the run has had no driven pictures until now
            pair.load_state_dict(saved)
        self.optimizer.load_state_dict(state["optimizer"])
        for group in self.optimizer.param_groups:
            group["betas"] = BETAS  # the recipe's, also when the run began with others
        self.adversary.load_state_dict(state["adversary"])
        self.against.load_state_dict(state["against"])


@click.command()
@click.option("--faces", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rigged", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Shards of driven faces.")
@click.option(
    "--perceptual", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of vgg19_distilled16x.npz and lpips_squeeze.npz.",
)  # fmt: skip
@click.option(
    "--start", default="synthface-256", show_default=True,
    help="Built-in generator to begin from, or a folder that such a run wrote.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--minutes", default=float("inf"), help="Stop after this long (resumable).")
@click.option("--pictures", default=PortraitRecipe.pictures, show_default=True, help="Of the run, over all sittings.")
@click.option("--batch", default=PortraitRecipe.batch, show_default=True)
@click.option(
    "--adversary-from", default=PortraitRecipe.adversary_from, show_default=True,
    help="Pictures before the discriminator begins; 0 for a network that one has judged already.",
)  # fmt: skip
@click.option("--rate", default=1.0, show_default=True, help="Of learning, times the recipe's; .5 to go on gently.")
@click.option("--threads", default=1, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Compile with torch.compile: faster, needs g++.")
def main(
    faces: Path, rigged: Path | None, perceptual: Path, start: str, out: Path, minutes: float, pictures: int,
    batch: int, adversary_from: int, rate: float, threads: int, device: str, compiled: bool,
) -> None:  # fmt: skip
    """Train face-256 on photographs."""
    torch.set_num_threads(threads)
    scale = batch // PortraitRecipe.batch  # the parts of a batch grow together
    usual = PortraitRecipe()
    recipe = replace(
        usual, batch=batch, pairs=2 * scale, mixed=4 * scale, pictures=pictures, adversary_from=adversary_from,
        generator_rate=rate * usual.generator_rate, encoder_rate=rate * usual.encoder_rate,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    training, held_out = load_portraits(faces)
    pairs = load_rigged(rigged, training) if rigged else None
    pair = begin(start, pairs.controls if pairs else 0).to(device)
    trainer = PortraitTrainer(
        recipe, pair, training, held_out, DistilledVgg(perceptual / "vgg19_distilled16x.npz"),
        SqueezeLpips(perceptual / "lpips_squeeze.npz"), pretrained.load_identity(), out, pairs, compiled,
    )  # fmt: skip
    if not (out / "checkpoint.pt").exists() and Path(start).is_dir():
        read_adversary(Path(start), trainer.adversary)
    average = trainer.run(minutes)
    path = write_networks(out, average, trainer.adversary)
    click.echo(f"{path}: {trainer.measure(128)}", err=True)


if __name__ == "__main__":
    main()
