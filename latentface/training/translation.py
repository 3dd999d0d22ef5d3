"""The recipe of `translation`, which makes rendered faces look like photographs, and back.

    python -m latentface.training.translation --data RENDERS --faces FACES --perceptual DIR --out RUN
    latentface train translate --a DIR --b DIR -o RUN                # pictures of any two kinds

No picture has a counterpart of the other kind. Each generator is trained against a discriminator in the features of a
pretrained network (`adversary`), and so that the moments of these features become those of the other kind. What goes
there and back must be as it was (Zhu et al., ICCV 2017). Translated pictures keep the deep features of their originals,
and renders the landmarks that a network finds in them. Attention costs a little, so that what can stay is copied.
Progress goes to curves.csv and sheet.png; the run resumes from checkpoint.pt.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from latentface import pretrained
from latentface.api import pick_device
from latentface.faces.expression_measures import crop_landmarks
from latentface.io.images import to_uint8, write_image
from latentface.io.provenance import COMPOSITE
from latentface.io.tensors import write_torch
from latentface.networks.landmarks import LandmarkNet
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.translation import TranslationConfig, TranslationNet
from latentface.pretrained.native import write_network
from latentface.training.adversary import ProjectedDiscriminator
from latentface.training.loop import append_means
from latentface.training.picture_losses import clutter
from latentface.training.translation_data import Kind, load_photographs, load_renders

WIDTH = 48  # of the discriminators' heads
GLIMPSE = 5 / 8  # of a picture's side: discriminators see so much of it, at a random place, enlarged
SCALE = 2  # of the enlargement: pretrained networks know objects of 200 pixels, and `latentface evaluate` enlarges, too
COLOURS = 10  # places each way in a glimpse where colours count
SHOWN = 16  # pictures of each kind on the sheet


@dataclass(frozen=True)
class TranslationRecipe:
    """Every choice of the training; the weights of terms are beside the adversarial one.

    The cycle and the landmarks take turns, each at every second step, which makes a step a quarter cheaper.
    pictures: of each kind, in all; rate falls to a tenth meanwhile. batch: of each kind. cycle: of the mean absolute
    difference after there and back.
    moments: of the distance between moments. content: of that between deep features. landmarks: of the landmarks'
    shift in inter-ocular distances, from the first kind to the second. clutter: of the local contrast that plain places
    gain (`picture_losses.clutter`). attention: of the mean attention. average: half-life of the averaged weights, in
    pictures.
    """

    pictures: int = 8_000
    batch: int = 4
    rate: float = 1e-3
    adversary_rate: float = 3e-4
    cycle: float = 10.0
    moments: float = 160.0
    content: float = 1.0
    landmarks: float = 250.0
    clutter: float = 300.0
    attention: float = 0.7
    average: float = 1_000
    warm_up: int = 100
    seed: int = 0


class Moments(nn.Module):
    """Running means of features and of their squares, by level and channel, of real and of made pictures."""

    steps: Tensor

    def __init__(self, channels: Sequence[int], keep: float = 0.95) -> None:
        super().__init__()
        self.keep = keep
        self.register_buffer("steps", torch.zeros(()))
        for kind in ("real", "made"):
            for level, count in enumerate(channels):
                self.register_buffer(f"{kind}{level}", torch.zeros(2, count))

    def forward(self, real: Sequence[Tensor], made: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The loss of features [N, C, h, w] of made pictures, and the mean gap, both scalars.

        The gap is in what a level's real features deviate by on average. The loss has the gradient of half its square,
        with means over many batches in place of those of this one, which would be noise.
        """
        self.steps += 1
        loss, gaps = [], []
        for level, (a, b) in enumerate(zip(real, made, strict=True)):
            now = _moments(b)
            theirs, ours = (self._running(f"{kind}{level}", _moments(each).detach()) for kind, each in
                            (("real", a), ("made", b)))  # fmt: skip
            mean, square = theirs
            deviation = (square - mean.square()).clamp(min=1e-6).sqrt().mean()
            scale = torch.stack([deviation, square.mean().clamp(min=1e-6)])[:, None]
            gap = ((ours - theirs) / scale).clamp(-1, 1)
            loss.append((gap * (now - ours) / scale).mean())
            gaps.append(gap.abs().mean())
        return torch.stack(loss).mean(), torch.stack(gaps).mean()

    def _running(self, name: str, now: Tensor) -> Tensor:
        """A running mean with a batch added to it, without the bias of its beginning at zero (Kingma and Ba 2015)."""
        kept = self.get_buffer(name)
        kept.lerp_(now, 1 - self.keep)
        mean: Tensor = kept / (1 - self.keep ** float(self.steps))
        return mean


def _moments(features: Tensor) -> Tensor:
    """Means of features [N, C, h, w] and of their squares over pictures and places, [2, C]."""
    features = features.float()
    return torch.stack([features.mean((0, 2, 3)), features.square().mean((0, 2, 3))])


def _glimpse(pictures: Tensor, corner: NDArray[np.float64]) -> Tensor:
    """A part of pictures [N, 3, S, S], enlarged; corner is two numbers in [0, 1)."""
    side = round(GLIMPSE * pictures.shape[-1])
    y, x = (int(each * (pictures.shape[-1] - side + 1)) for each in corner)
    part = pictures[:, :, y : y + side, x : x + side]
    return F.interpolate(part, scale_factor=SCALE, mode="bilinear", align_corners=False)


class TranslationTrainer:
    """A training run; `run` goes on for some minutes or to the end. A stopped run goes on from its checkpoint."""

    def __init__(
        self, recipe: TranslationRecipe, config: TranslationConfig, a: Kind, b: Kind, backbone: FeatureDistance,
        landmarks: LandmarkNet | None, out: Path, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.recipe, self.a, self.b, self.out, self.device = recipe, a, b, out, torch.device(device)
        self.backbone = backbone.requires_grad_(False).to(device)
        self.landmarks = None if landmarks is None else landmarks.to(device)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.seed)
            self.network = TranslationNet(config)
            #: One for each kind: whether a picture is of the kind a, and of the kind b.
            self.of_a, self.of_b = (ProjectedDiscriminator(backbone, recipe.seed + k, WIDTH) for k in range(2))
        self.adversaries = nn.ModuleList([self.of_a, self.of_b])
        widths = [len(each) for each in backbone.channel_weights() if each is not None]
        self.moments = nn.ModuleList(Moments([*widths, 3]) for _ in range(2)).to(device)
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adversaries.to(device)
        self.averaged = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.rate, betas=(0.5, 0.99), fused=True)
        learnt = [each for each in self.adversaries.parameters() if each.requires_grad]
        self.against = torch.optim.Adam(learnt, recipe.adversary_rate, betas=(0.0, 0.99), fused=True)
        self.seen, self.steps = 0, 0
        self.recent: list[dict[str, float]] = []
        if (out / "checkpoint.pt").exists():
            self._resume()

    def run(self, minutes: float = float("inf")) -> TranslationNet:
        """Train until the recipe's pictures were seen or the time is up; returns the averaged network."""
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until and self.seen < self.recipe.pictures:
            self._step()
            if self.steps % 25 == 0:
                append_means(self.out, self.seen, self.recent)
                self.recent.clear()
            if self.steps % 100 == 0:
                self._save()
        self._save()
        return self.averaged

    def _step(self) -> None:
        recipe = self.recipe
        random = np.random.default_rng([recipe.seed, self.steps])  # a stream a step, so that runs resume exactly
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate * min((self.seen + 20) / recipe.warm_up, 1 - 0.9 * self.seen / recipe.pictures)
        a, b = (kind.sample(recipe.batch, random).to(self.device) for kind in (self.a, self.b))
        with torch.autocast(self.device.type, torch.bfloat16):
            terms = self._compare(a, b, random)
        loss = torch.stack([weight * terms[name] for name, weight in self._weights().items() if name in terms]).sum()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.seen += recipe.batch
        self.steps += 1
        keep = 0.5 ** (recipe.batch / min(recipe.average, self.seen / 4 + 1))
        with torch.no_grad():
            torch._foreach_lerp_([*self.averaged.parameters()], [*self.network.parameters()], 1 - keep)
        self.recent.append({name: float(term.detach()) for name, term in terms.items()})

    def _weights(self) -> dict[str, float]:
        recipe = self.recipe
        weights = {"fooled": 1.0, "cycle": recipe.cycle, "moments": recipe.moments, "content": recipe.content}
        weights["clutter"] = recipe.clutter
        if self.landmarks is not None:
            weights["landmarks"] = recipe.landmarks
        if self.network.config.attention:
            weights["attention"] = recipe.attention
        return weights

    def _compare(self, a: Tensor, b: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
        """Terms of the loss, each a scalar; the discriminators take a step on the way."""
        network, originals = self.network, torch.cat([a, b])
        there, back = network(a), network(b, back=True)
        made = torch.cat([there.picture, back.picture])
        attention = torch.cat([there.attention, back.attention])
        corner = random.random(2)
        ours = self._look(made, corner)
        with torch.no_grad():
            known = self._look(originals, corner)
        terms = {
            "content": self._deep(ours, known),
            "attention": attention.mean(),
            "clutter": clutter(made, originals),
            "adversary": self._teach(known, [each.detach() for each in ours]),
        }
        self.adversaries.requires_grad_(False)
        count = len(a)
        fake_b, fake_a = ([each[part] for each in ours] for part in (slice(count), slice(count, None)))
        terms["fooled"] = -(self.of_a(self.of_a.mix(fake_a)).mean() + self.of_b(self.of_b.mix(fake_b)).mean())
        real_a, real_b = ([each[part] for each in known] for part in (slice(count), slice(count, None)))
        found = [
            moments(*each) for moments, each in zip(self.moments, ((real_a, fake_a), (real_b, fake_b)), strict=True)
        ]
        terms["moments"], terms["gap"] = found[0][0] + found[1][0], found[1][1]
        for each in (self.of_a, self.of_b):
            each.heads.requires_grad_(True)
        if self.steps % 2 == 0:
            returned = torch.cat([network(there.picture, back=True).picture, network(back.picture).picture])
            terms["cycle"] = (returned - originals).abs().mean()
        elif self.landmarks is not None:
            terms["landmarks"] = self._shift(there.picture, a)
        return terms

    def _look(self, pictures: Tensor, corner: NDArray[np.float64]) -> tuple[Tensor, ...]:
        """The features of a part of pictures and, last, its colours at `COLOURS` places each way."""
        part = _glimpse(pictures, corner)
        return *self.backbone.features(part), F.adaptive_avg_pool2d(part, COLOURS)

    def _teach(self, known: tuple[Tensor, ...], ours: list[Tensor]) -> Tensor:
        """A step of both discriminators, on features of originals (a, then b) and of pictures made (b, then a)."""
        count = len(known[0]) // 2
        loss = known[0].new_zeros(())
        for k, adversary in enumerate((self.of_a, self.of_b)):
            real = [each[k * count : (k + 1) * count] for each in known]
            fake = [each[(1 - k) * count : (2 - k) * count] for each in ours]
            loss = loss + adversary.hinge(adversary.mix(real), adversary.mix(fake))
        self.against.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.against.step()
        return loss / 2

    def _deep(self, ours: tuple[Tensor, ...], known: tuple[Tensor, ...]) -> Tensor:
        """Distance between the two deepest maps of pictures and of their originals, features at unit length."""
        parts = [
            (self.backbone.normalise(a) - self.backbone.normalise(b)).square().sum(1).mean()
            for a, b in zip(ours[-3:-1], known[-3:-1], strict=True)
        ]
        return torch.stack(parts).mean()

    def _shift(self, made: Tensor, originals: Tensor) -> Tensor:
        """How far landmarks lie from those of the originals, in inter-ocular distances."""
        assert self.landmarks is not None
        with torch.no_grad():
            before = crop_landmarks(self.landmarks, originals).float()
        after = crop_landmarks(self.landmarks, made).float()
        eyes = (before[:, 42:48].mean(1) - before[:, 36:42].mean(1)).norm(dim=1).clamp(min=0.05)
        # a smooth distance: what is below half a per cent counts by its square
        shift: Tensor = ((((after - before).square().sum(2) / eyes[:, None].square()) + 2.5e-5).sqrt() - 5e-3).mean()
        return shift

    @torch.no_grad()
    def show(self) -> None:
        """Write sheet.png: for pictures of both kinds the original, the attention and the translated picture."""
        rows = []
        for kind, back in ((self.a, False), (self.b, True)):
            chosen = torch.linspace(0, len(kind) - 1, SHOWN).long()
            pictures = kind.images[chosen].to(self.device).float() / 127.5 - 1
            made = self.averaged(pictures, back=back)
            rows += [pictures, made.attention.expand(-1, 3, -1, -1) * 2 - 1, made.picture.clamp(-1, 1)]
        tiles = to_uint8(torch.stack(rows).flatten(0, 1))
        side = tiles.shape[1]
        sheet = tiles.reshape(len(rows), SHOWN, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(-1, SHOWN * side, 3)
        write_image(self.out / "sheet.png", np.ascontiguousarray(sheet), source_type=COMPOSITE)

    def _save(self) -> None:
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        write_torch(self.out / "checkpoint.pt", {**parts, "seen": self.seen, "steps": self.steps})
        self.show()

    def _resume(self) -> None:
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.seen, self.steps = state["seen"], state["steps"]

    def _parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        names = ("network", "averaged", "adversaries", "moments", "optimiser", "against")
        return {name: getattr(self, name) for name in names}


def save(network: TranslationNet, path: Path, dtype: torch.dtype = torch.float16) -> Path:
    """Write the network file."""
    write_network(path, "translation", asdict(network.config), network.state_dict(), dtype)
    return path


def run_on_faces(
    a: Kind, b: Kind, output: Path, perceptual: str, attention: bool, pictures: int, minutes: float, device: str,
) -> Path:  # fmt: skip
    """Train on a user's faces of two kinds; returns the network file. Raises as `pretrained.load_perceptual`."""
    device = pick_device(device)
    config = TranslationConfig(size=a.images.shape[-1], attention=attention)
    output.mkdir(parents=True, exist_ok=True)
    trainer = TranslationTrainer(
        TranslationRecipe(pictures=pictures), config, a, b, pretrained.load_perceptual(perceptual, device),
        pretrained.load_landmarks(device=device), output, device,
    )  # fmt: skip
    return save(trainer.run(minutes), output / "translation.safetensors")


@click.command()
@click.option("--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--faces", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--perceptual", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of lpips_squeeze.npz, whose features the discriminators see.",
)  # fmt: skip
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--renders", default=3_000, show_default=True, help="Train on the first so many; others are to measure.")
@click.option("--pictures", default=TranslationRecipe.pictures, show_default=True)
@click.option("--no-attention", is_flag=True, help="The transformed picture alone is the result.")
@click.option("--minutes", default=float("inf"), help="Stop after this long (resumable).")
@click.option("--threads", default=1, show_default=True)
def main(
    data: Path, faces: Path, perceptual: Path, out: Path, renders: int, pictures: int, no_attention: bool,
    minutes: float, threads: int,
) -> None:  # fmt: skip
    """Train the translation between renders and photographs."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    config = TranslationConfig(attention=not no_attention)
    trainer = TranslationTrainer(
        TranslationRecipe(pictures=pictures), config, load_renders(data, config.size, renders),
        load_photographs(faces, config.size)[0], SqueezeLpips(perceptual / "lpips_squeeze.npz"),
        pretrained.load_landmarks(), out,
    )  # fmt: skip
    network = trainer.run(minutes)
    click.echo(save(network, out / "translation.safetensors", torch.int8), err=True)


if __name__ == "__main__":
    main()
