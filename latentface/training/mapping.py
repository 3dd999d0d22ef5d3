"""The recipe of a grown network's mapping: w of sampled z follow the distribution of the codes of renders.

    python -m latentface.training.mapping --network grown.safetensors --data FACES --coder coder.safetensors --out DIR

Hair styles, brows, beards and spectacles are discrete, so the codes form clusters, and a Gaussian (`prior.fit_mapping`)
also samples what lies between them. Here the Gaussian is transported onto the codes (`transport`), and leaky ReLU
layers learn that map. The codes, and the pictures they give, do not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latentface import pretrained
from latentface.networks.generator import Generator, normalise
from latentface.networks.layers import SQRT2
from latentface.ops.precision import without_autocast
from latentface.pretrained.native import read_network, write_network
from latentface.training.data import load_pairs
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.prior import Whitening, set_layer
from latentface.training.scene_coder import code_all, read_coder
from latentface.training.transport import carry, fit, orthogonal, sparse_axes

LAYERS = 4
PAIRS, HELD_OUT, BATCH = 160_000, 2_000, 512
ROUNDS, AXES, PRINCIPAL = 200, 48, 64  # of the transport; principal axes beside those of the factors
CLEARANCE = 1.5  # standard deviations from the kink of the leaky ReLU at which a layer starts: almost linear
CLOUD = 60_000  # samples whose mean and covariance are matched to those of the codes
DEFAULTS = LoopOptions(steps=27_000, minutes=None, learning_rate=1e-3, weight_decay=0.0, measure_every=1000)


@dataclass(frozen=True)
class LadderConfig:
    """Width and number of the layers."""

    width: int
    layers: int


class Ladder(nn.Module):
    """Mapping layers with plain parameters, [N, width] -> [N, width]; the last is linear. Starts as the identity."""

    def __init__(self, config: LadderConfig) -> None:
        super().__init__()
        self.config = config
        self.steps = [nn.Linear(config.width, config.width) for _ in range(config.layers)]
        for k, step in enumerate(self.steps):
            self.add_module(f"fc{k}", step)
        below = 0.0  # the offset that the previous layer added to its output
        with torch.no_grad():
            for k, step in enumerate(self.steps):
                last = k == config.layers - 1
                gain, up = (1.0, 0.0) if last else (SQRT2, CLEARANCE)
                step.weight.copy_(torch.eye(config.width) / gain)
                step.bias.fill_((up - below) / gain)
                below = up

    def forward(self, z: Tensor) -> Tensor:
        """The output [N, width] of the layers for z [N, width]."""
        *steps, last = self.steps
        for step in steps:
            z = F.leaky_relu(step(z), 0.2) * SQRT2
        out: Tensor = last(z)
        return out


class MappingTask:
    """Pairs of z and its transported point, to be learnt by a ladder.

    Args:
        codes: [n, D].
        factors: [n, P], the scenes behind the codes (`synthface.factors`). Clusters of codes are separated along the
            directions that correlate with factors.
        pairs: number of pairs.
        rounds: of the transport.
        seed: of z and of the transport's axes.
    """

    kind = "mapping"

    def __init__(self, codes: Tensor, factors: Tensor, pairs: int = PAIRS, rounds: int = ROUNDS, seed: int = 0) -> None:
        random = torch.Generator().manual_seed(seed)
        self.whitening = Whitening.of(codes)
        points, width = self.whitening.points(codes), codes.shape[1]
        directions = torch.cat([factor_axes(points, factors), torch.eye(width)[:, :PRINCIPAL]], dim=1)

        def axes(k: int) -> Tensor:
            if k % 4 == 3:  # and along everything else
                return orthogonal(torch.randn(width, AXES, generator=random))
            return sparse_axes(directions, AXES, random)

        way = fit(sphere(len(codes), width, random), points, axes, rounds)
        self.z = sphere(pairs, width, random)
        self.points = torch.cat([carry(part, way) for part in torch.split(self.z, 10_000)])

    def build(self) -> Ladder:
        """A fresh ladder of the codes' width."""
        return Ladder(LadderConfig(self.points.shape[1], LAYERS))

    def sample_batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Training pairs of z and its transported white point, both [N, D]."""
        chosen = torch.randint(HELD_OUT, len(self.z), (BATCH,), generator=generator)
        return self.z[chosen], self.points[chosen]

    def loss(self, network: Ladder, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Mean squared distance in w."""
        z, points = batch
        with without_autocast(z):
            off: Tensor = (network(z) - points) * self.whitening.deviations
            return off.square().sum(1).mean()

    @torch.no_grad()
    def measure(self, network: Ladder) -> Mapping[str, float]:
        """Of held-out pairs, the mean squared distance as a share of the codes' variance."""
        left = self.loss(network, (self.z[:HELD_OUT], self.points[:HELD_OUT]))
        return {"error": float(left / self.whitening.deviations.square().sum())}


def sphere(count: int, width: int, random: torch.Generator) -> Tensor:
    """Random z [count, width] with unit mean square, as normalised by the mapping network."""
    return normalise(torch.randn(count, width, generator=random))


def factor_axes(points: Tensor, factors: Tensor) -> Tensor:
    """Unit directions [D, <= P] of white points [n, D] along which the varying factors [n, P] change, by regression."""
    spread = factors.std(0)
    known = (factors - factors.mean(0))[:, spread > 1e-3] / spread[spread > 1e-3]
    return F.normalize(points.T @ known, dim=0)


@torch.no_grad()
def install(ladder: Ladder, whitening: Whitening, generator: Generator, random: torch.Generator) -> Generator:
    """A copy of the generator with the ladder as its mapping, and with mean and covariance matched to the codes.

    Raises ValueError where codes come near zero: the last layer's leaky ReLU, which StyleGAN2 has, would bend them.
    """
    mean, spread = whitening.mean, whitening.axes * whitening.deviations
    if bool((mean < 4 * spread.norm(dim=1)).any()):
        raise ValueError("codes within 4 deviations of zero; move them with prior.move_codes first")
    config = replace(generator.config, num_mapping_layers=ladder.config.layers)
    network = Generator(config)
    known = {name: value for name, value in generator.state_dict().items() if name.startswith("synthesis")}
    network.load_state_dict(known, strict=False)
    drawn = ladder(sphere(CLOUD, config.w_dim, random))
    scales, axes = torch.linalg.eigh(torch.cov(drawn.T))
    # axes that the ladder did not learn are not scaled up to full size
    even = axes * scales.clamp(min=1e-3).rsqrt() @ axes.T
    out = spread @ even
    *steps, last = ladder.steps
    for k, step in enumerate(steps):
        set_layer(network.mapping.get_submodule(f"fc{k}"), step.weight, step.bias)
    shift = out @ (last.bias - drawn.mean(0)) + mean
    set_layer(network.mapping.get_submodule(f"fc{len(steps)}"), out @ last.weight / SQRT2, shift / SQRT2)
    network.mapping.w_avg.copy_(mean)
    return network.eval().requires_grad_(False)


def main() -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.mapping", __doc__, DEFAULTS)
    parser.add_argument("--network", type=Path, required=True, help="network file whose mapping is to be replaced")
    parser.add_argument("--coder", type=Path, required=True, help="coder.safetensors of training.generator")
    given = parser.parse_args()
    options = loop_options(given, DEFAULTS)
    coder = read_coder(given.coder)
    pairs = [load_pairs(folder) for folder in given.data]
    codes = torch.cat([code_all(coder, each, coder.config["resolution"]) for each in pairs])
    factors = torch.cat([torch.as_tensor(each.factors[:]) for each in pairs]).float()
    task = MappingTask(codes, factors, seed=given.seed)
    loop = Loop(task, given.out, options)
    loop.run()
    random = torch.Generator().manual_seed(given.seed)
    network = install(loop.averaged, task.whitening, pretrained.load_generator(given.network), random)
    path = given.out / given.network.name
    base = read_network(given.network).base
    write_network(path, "generator", asdict(network.config), network.state_dict(), base=base)
    print(path)


if __name__ == "__main__":
    main()
