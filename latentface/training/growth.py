"""The recipe of `synthface-256`: a trained generator with one more block, at twice the resolution.

    python -m latentface.training.growth --data FACES256 --coder coder.safetensors --teacher VGG --out DIR

Latents of the base keep their meaning: the w of each render is computed by the coder of `training.generator` at the
resolution of the base, and the blocks that determine the shape of a face (below `TRAINED_FROM` pixels) are frozen. So
the encoder, directions and expressions of the base work for the grown network too, and its file stores only what
differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentface import pretrained
from latentface.io.atomic import sha256
from latentface.io.images import write_image
from latentface.io.provenance import COMPOSITE
from latentface.metrics import psnr
from latentface.networks.generator import Generator
from latentface.networks.perceptual import DistilledVgg, FeatureDistance
from latentface.pretrained.native import Base, write_network
from latentface.pretrained.readers.checkpoint import shell
from latentface.training.data import Pairs, join, load_pairs
from latentface.training.generator import Recipe, side_by_side
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.picture_losses import compare_pictures, perceptual_and_texture
from latentface.training.scene_coder import SceneCoder, code_all, read_coder

HELD_OUT = 500  # held-out renders, at the end of the data
TRAINED_FROM = 64
BATCH = 8
DEFAULTS = LoopOptions(minutes=60.0, learning_rate=2e-3, weight_decay=0.0, measure_every=250)
PERCEPTUAL, TEXTURE = 1.5, 1.0  # weights of the loss terms, relative to the pixels'
FEATURES, LATENT_NOISE = 3.0, 0.03  # weight of pixels at eyes and mouth, and noise on w, as for the base
Batch = tuple[Tensor, Tensor, Tensor, list[Tensor], int]  # pictures, pixels' weights, w, noise maps, a seed


class GrowthTask:
    """The grown generator: renders and the base's codes of them, their loss, and a figure on held-out renders."""

    kind = "generator"

    def __init__(
        self, base: Generator, coder: SceneCoder, teacher: FeatureDistance, pairs: Pairs, compiled: bool = False
    ) -> None:
        self.base, self.pairs, self.compiled = base, pairs, compiled
        self.config = replace(base.config, resolution=2 * base.config.resolution)
        self.resolution = self.config.resolution
        self.noise_shapes = shell(self.config).synthesis.noise_shapes()
        self.codes = code_all(coder, pairs, base.config.resolution)
        teacher.requires_grad_(False)
        self._compare: Callable[[Tensor, Tensor], Tensor] = lambda a, b: perceptual_and_texture(teacher, a, b)
        if compiled:
            self._compare = torch.compile(self._compare)
        self._drawing: tuple[Generator, Callable[..., Tensor]] | None = None

    def build(self) -> Generator:
        """The base and one more block, which initially contributes nothing."""
        network = Generator(self.config)
        network.load_state_dict(self.base.state_dict(), strict=False)
        new = network.synthesis.get_submodule(f"b{self.resolution}")
        with torch.no_grad():
            new.get_parameter("torgb.weight").zero_()
        network.requires_grad_(False)
        for name, parameter in network.synthesis.named_parameters():
            side = int(name.split(".")[0].removeprefix("b"))
            strength = name.endswith("noise_strength")
            if strength and side == self.resolution:
                parameter.data.fill_(Recipe.noise_strength)
            parameter.requires_grad_(side >= TRAINED_FROM and not strength)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def sample_batch(self, random: torch.Generator) -> Batch:
        """Renders, their codes with noise, noise maps, and the weights of pixels."""
        chosen = torch.randint(len(self.pairs) - HELD_OUT, (BATCH,), generator=random)
        images, weights = self.pairs.batch(chosen.numpy(), self.resolution, FEATURES)
        w = self.codes[chosen]
        w = w + torch.randn(w.shape, generator=random) * LATENT_NOISE
        noise = [torch.randn(BATCH, 1, *shape, generator=random) for shape in self.noise_shapes]
        return images, weights, w, noise, int(torch.randint(2**31, (), generator=random))

    def loss(self, network: Generator, batch: Batch) -> Tensor:
        """Pixels, perceptual distance and texture of a batch, weighted."""
        images, weights, w, noise, seed = batch
        drawn = self._synthesise(network)(self._spread(w), noise=noise).float()
        order = np.random.default_rng(seed)
        pixel, perceptual, texture = compare_pictures(drawn, images, weights, self._compare, order)
        return pixel + PERCEPTUAL * perceptual + TEXTURE * texture

    def measure(self, network: Generator) -> Mapping[str, float]:
        """PSNR in dB of held-out renders drawn from their codes."""
        drawn, images = self._held_out(network, 64)
        return {"psnr": float(psnr(drawn, images).mean())}

    def sheet(self, network: Generator, path: Path, count: int = 16) -> None:
        """Held-out renders and their drawings, side by side, as a picture to look at."""
        drawn, images = self._held_out(network, count)
        write_image(path, side_by_side(images, drawn), source_type=COMPOSITE)

    @torch.no_grad()
    def _held_out(self, network: Generator, count: int) -> tuple[Tensor, Tensor]:
        chosen = np.arange(len(self.pairs) - HELD_OUT, len(self.pairs))[:count]
        images, _ = self.pairs.batch(chosen, self.resolution)
        parts = torch.split(self._spread(self.codes[chosen]), BATCH)
        return torch.cat([network.synthesis(part) for part in parts]).clamp(-1, 1), images

    def _spread(self, w: Tensor) -> Tensor:
        return w[:, None].repeat(1, self.config.num_ws, 1)

    def _synthesise(self, network: Generator) -> Callable[..., Tensor]:
        if not self.compiled:
            return network.synthesis
        if self._drawing is None or self._drawing[0] is not network:
            self._drawing = network, torch.compile(network.synthesis)
        return self._drawing[1]


def main() -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.growth", __doc__, DEFAULTS)
    parser.add_argument("--base", default="synthface-128", help="built-in generator")
    parser.add_argument("--coder", type=Path, required=True, help="coder.safetensors of training.generator")
    parser.add_argument("--teacher", type=Path, required=True, help="vgg19_distilled16x.npz")
    parser.add_argument("--compile", action="store_true", help="with torch.compile: faster, needs g++")
    given = parser.parse_args()
    options = loop_options(given, DEFAULTS)
    pairs = join([load_pairs(folder) for folder in given.data])
    base, teacher = pretrained.load_generator(given.base), DistilledVgg(given.teacher)
    task = GrowthTask(base, read_coder(given.coder), teacher, pairs, given.compile)
    whole = Loop(task, given.out, options).run()
    network = pretrained.load_generator(whole)
    task.sheet(network, given.out / "sheet.png")
    path = given.out / f"synthface-{task.resolution}.safetensors"
    origin = Base(given.base, sha256(pretrained.resolve(given.base)), base.fingerprint)
    write_network(path, "generator", asdict(network.config), network.state_dict(), base=origin)
    print(path)


if __name__ == "__main__":
    main()
