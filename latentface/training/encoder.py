"""The recipe of the built-in encoder, which maps a crop to ws of one generator: the start of a projection.

    python -m latentface.training.encoder --data DIR --generator FILE --teacher vgg19_distilled16x.npz --out DIR

Each batch is half renders and half the generator's own samples, recoloured, and then degraded as photos are (blur,
noise, compression, occlusion). The encoder must reconstruct the undegraded picture, by L1 and a perceptual distance
through the frozen generator, and for samples also find their w. An encoder trained on clean renders alone fails on
photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentface import pretrained
from latentface.inversion.search import WStatistics, measure_w
from latentface.networks.encoder import EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator
from latentface.networks.perceptual import DistilledVgg
from latentface.training import landmark_augmentation as spoil
from latentface.training.data import Pairs, join, load_pairs
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.picture_losses import views

HELD_OUT = 500  # held-out renders, at the end of the data
BATCH = 16
DEFAULTS = LoopOptions(minutes=30.0, learning_rate=1.2e-3, measure_every=200)
PERCEPTUAL, LATENT, DELTAS, PRIOR = 1.5, 0.3, 0.02, 0.01  # weights of the loss terms, relative to the pixels'
Batch = tuple[Tensor, Tensor, Tensor, Tensor, int]  # degraded, clean, pixels' weights, w of samples, a seed


class EncoderTask:
    """The encoder of one generator: batches of renders and samples, their loss, and figures on held-out renders.

    `pair` is a checkpoint of training.generator, whose encoder this one starts from.
    """

    kind = "encoder"

    def __init__(
        self, generator: Generator, teacher: nn.Module, pairs: Pairs, pair: Path | None = None, compiled: bool = False
    ) -> None:
        self.generator, self.pair = generator.requires_grad_(False), pair
        self.pairs, self.held_out = pairs[:-HELD_OUT], pairs[-HELD_OUT:]
        self.statistics: WStatistics = measure_w(generator)
        self.synthesise, self.distance = generator.synthesis.forward, teacher.requires_grad_(False).forward
        if compiled:
            self.synthesise, self.distance = torch.compile(self.synthesise), torch.compile(self.distance)

    def build(self) -> LatentEncoder:
        """A fresh encoder, or one that starts from the pair's."""
        config = self.generator.config
        shape = EncoderConfig(config.resolution, config.num_ws, config.w_dim, self.generator.fingerprint)
        network = LatentEncoder(shape)
        network.centre.copy_(self.generator.w_avg)
        if self.pair is not None:
            state = torch.load(self.pair, weights_only=True)["average"]
            name = "coder.encoder."
            network.trunk.load_state_dict({k.removeprefix(name): v for k, v in state.items() if k.startswith(name)})
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def sample_batch(self, random: torch.Generator) -> Batch:
        """Half renders, half samples; see the module's text."""
        half, resolution = BATCH // 2, self.generator.config.resolution
        chosen = torch.randint(len(self.pairs), (half,), generator=random).numpy()
        renders, weights = self.pairs.batch(chosen, resolution, feature_weight=3.0)
        w, samples = self._sample(half, random)
        clean = (torch.cat([renders, samples]).clamp(-1, 1) + 1) / 2
        clean = spoil.recolour(clean, 0.1, random).clamp(0, 1)
        dirty = spoil.occlude(clean, 0.3, random)
        dirty = spoil.compress(spoil.soften(dirty, 0.5, random), 0.4, random)
        dirty = spoil.add_noise(dirty, random).clamp(0, 1)
        weights = torch.cat([weights, torch.ones_like(weights)])
        seed = int(torch.randint(2**31, (), generator=random))
        return dirty * 2 - 1, clean * 2 - 1, weights, w, seed

    @torch.no_grad()
    def _sample(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Codes w [n, w_dim] and their pictures, truncated at random, with a part of each layer's own."""
        config = self.generator.config
        z = torch.randn(2 * count, config.z_dim, generator=random)
        ws = self.generator.mapping(z, truncation_psi=float(torch.rand((), generator=random)) * 0.5 + 0.5)
        w, other = ws[:count, 0], ws[count:, 0]
        part = 0.15 * torch.rand(count, config.num_ws, 1, generator=random)
        with torch.autocast("cpu", torch.bfloat16):
            return w, self.synthesise(torch.lerp(w[:, None], other[:, None], part)).float()

    def loss(self, network: LatentEncoder, batch: Batch) -> Tensor:
        """The weighted sum of the terms: pixels, perceptual distance, samples' w, differences of layers, prior."""
        dirty, clean, weights, w, seed = batch
        found, added = network.parts(dirty.contiguous(memory_format=torch.channels_last))
        ws = found[:, None] + added
        drawn = self.synthesise(ws.contiguous()).float()
        pixel = ((drawn - clean).abs().mean(1, keepdim=True) * weights).mean()
        looks = views(clean.shape[-1], np.random.default_rng(seed))
        shown = [(view(drawn).contiguous(), view(clean).contiguous()) for view in looks]
        perceptual = torch.stack([self.distance(a, b).float().mean() for a, b in shown]).sum()
        scale = self.statistics.std**2
        latent = (found[-len(w) :] - w).square().sum(1).mean() / scale
        deltas = added.square().sum(2).mean() / scale
        prior = self.statistics.penalty(ws).mean()
        return pixel + PERCEPTUAL * perceptual + LATENT * latent + DELTAS * deltas + PRIOR * prior

    def measure(self, network: LatentEncoder) -> Mapping[str, float]:
        """PSNR in dB of clean held-out renders, reconstructed from their codes."""
        batch, _ = self.held_out.batch(np.arange(min(64, len(self.held_out))), self.generator.config.resolution)
        drawn = torch.cat([self.generator.synthesis(network(part)) for part in torch.split(batch, 16)]).clamp(-1, 1)
        error = (drawn - batch).square().mean((1, 2, 3))
        return {"psnr": float((10 * torch.log10(4 / error)).mean())}


def main() -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.encoder", __doc__, DEFAULTS)
    parser.add_argument("--generator", default="synthface-128", help="built-in name or file")
    parser.add_argument("--teacher", type=Path, required=True, help="vgg19_distilled16x.npz")
    parser.add_argument("--pair", type=Path, help="checkpoint.pt of training.generator: start from its encoder")
    parser.add_argument("--compile", action="store_true", help="with torch.compile: faster, needs g++")
    given = parser.parse_args()
    options = loop_options(given, DEFAULTS)
    generator = pretrained.load_generator(given.generator)
    pairs = join([load_pairs(folder) for folder in given.data])
    task = EncoderTask(generator, DistilledVgg(given.teacher), pairs, given.pair, given.compile)
    print(Loop(task, given.out, options).run())


if __name__ == "__main__":
    main()
