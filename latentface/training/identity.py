"""Train the built-in identity embedding on renders: `python -m latentface.training.identity --data DIR --out DIR`.

DIR holds shards made with `synthface.dataset --views 5`: each person in several expressions, poses, lights and places,
and beside each a look-alike of the same skin and hair. A batch takes all views of some pairs of look-alikes; the loss
is the supervised contrastive one (Khosla et al. 2020, eq. 2): each picture must find the others of the same person.
The last persons are held out. The augmentation recolours and covers as for the landmarks, but bends the face little.
At the end the last layer is set anew in closed form, by linear discriminant analysis.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from latentface.errors import InputError
from latentface.networks.identity import IdentityNet
from latentface.networks.trunk import TrunkConfig
from latentface.pretrained.native import write_network
from latentface.training.faces import FaceData, load_faces
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options

CONFIG = TrunkConfig()
OPTIONS = LoopOptions(minutes=25.0)
CHANGES = AugmentOptions(
    rotation=7.0, log_scale=0.06, log_stretch=0.01, bend=0.002, brow_lift=(0.0, 0.0), background_share=0.7,
    occluder_share=0.2, grey_share=0.2,
)  # fmt: skip
TEMPERATURE = 0.1
SHRINKAGE = 0.1


def contrastive_loss(vectors: Tensor, persons: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Supervised contrastive loss of unit vectors [N, D] of the persons [N]; every person must be there twice."""
    logits = vectors @ vectors.T / temperature
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    chances = logits.masked_fill(itself, -torch.inf).log_softmax(1)
    same = (persons[:, None] == persons[None]) & ~itself
    return -(chances.masked_fill(~same, 0.0).sum(1) / same.sum(1)).mean()


def cosines(vectors: Tensor, persons: Tensor) -> dict[str, float]:
    """Mean cosines of unit vectors [N, D] between pictures: of one person, of two, and of look-alikes (2k, 2k + 1)."""
    table = vectors @ vectors.T
    same = persons[:, None] == persons[None]
    alike = (persons[:, None] // 2 == persons[None] // 2) & ~same
    groups = {"same": same & ~torch.eye(len(vectors), dtype=torch.bool), "different": ~same, "look_alike": alike}
    return {name: float(table[pairs].mean()) for name, pairs in groups.items()}


class IdentityTask:
    """Batches, loss and figures: what `Loop` needs of the data. The last `held_out` pairs are for measuring."""

    kind = "identity"

    def __init__(self, data: FaceData, config: TrunkConfig = CONFIG, held_out: int = 50, pairs: int = 8) -> None:
        self.data, self.config, self.pairs = data, config, pairs
        self.persons = data.labels["head"]
        order = torch.unique(self.persons // 2, return_inverse=True)[1]
        self.members = [torch.nonzero(order == pair)[:, 0] for pair in range(int(order.max()) + 1)]
        counts = torch.unique(self.persons, return_counts=True)[1]
        if counts.min() < 2 or len(self.members) < held_out + pairs:
            raise InputError(
                f"{len(counts)} persons of {int(counts.min())} pictures or more: expected at least "
                f"{2 * (held_out + pairs)} of 2; render them with latentface.synthface.dataset --views 5"
            )
        self.held = torch.cat(self.members[-held_out:])
        self.members = self.members[:-held_out]

    def build(self) -> IdentityNet:
        """A fresh network."""
        return IdentityNet(self.config)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All views of some pairs, augmented: framed pictures [N, 3, S, S] and persons [N]."""
        picked = torch.randperm(len(self.members), generator=generator, device=generator.device)[: self.pairs]
        chosen = torch.cat([self.members[pair] for pair in picked.tolist()])
        images, points, masks = self.data.batch(chosen, generator.device)
        framed, _ = augment(images, points, masks, self.config, CHANGES, generator)
        return framed, self.persons[chosen].to(generator.device)

    def loss(self, network: IdentityNet, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Contrastive loss of a batch."""
        framed, persons = batch
        return contrastive_loss(network.embed(framed), persons)

    @torch.no_grad()
    def measure(self, network: IdentityNet) -> Mapping[str, float]:
        """Mean cosines on the held-out persons."""
        device = next(network.parameters()).device
        parts = [network(self.data.crops(part, device)).cpu() for part in torch.split(self.held, 64)]
        return cosines(torch.cat(parts), self.persons[self.held])


def settle(network: IdentityNet, task: IdentityTask, generator: torch.Generator) -> None:
    """Set the last layer by linear discriminant analysis (Fisher 1936) of one augmented copy of each training picture.

    Directions that differ within a person are whitened, and each of the rest counts by the share of its variance that
    lies between persons: what is common to all faces leaves the cosines.
    """
    vectors, persons = [], []
    for members in task.members:
        images, points, masks = task.data.batch(members, generator.device)
        framed, _ = augment(images, points, masks, network.config, CHANGES, generator)
        with torch.no_grad():
            vectors.append(network.trunk.summarise(framed).double())
        persons.append(task.persons[members].to(generator.device))
    weight, bias = discriminant(torch.cat(vectors), torch.cat(persons), network.config.features)
    with torch.no_grad():
        network.trunk.out.weight.copy_(weight)
        network.trunk.out.bias.copy_(bias)


def discriminant(vectors: Tensor, persons: Tensor, features: int) -> tuple[Tensor, Tensor]:
    """Weight [features, S] and bias [features] that make vectors [N, S] of persons [N] comparable (see `settle`)."""
    index = torch.unique(persons, return_inverse=True)[1]
    counts = torch.bincount(index)
    means = torch.zeros(len(counts), vectors.shape[1]).to(vectors).index_add_(0, index, vectors) / counts[:, None]
    spread = vectors - means[index]
    within = spread.T @ spread / (len(vectors) - len(counts))
    within += SHRINKAGE * within.trace() / len(within) * torch.eye(len(within)).to(within)
    between = means.T.cov() - within * (len(counts) / len(vectors))  # less what a mean of few pictures scatters
    whiten = torch.linalg.inv(torch.linalg.cholesky(within))
    variance, axes = torch.linalg.eigh(whiten @ between @ whiten.T)
    variance, axes = variance.flip(0)[:features].clamp(min=0), axes.flip(1)[:, :features]
    weight = (variance / (1 + variance)).sqrt()[:, None] * (axes.T @ whiten)
    weight /= ((vectors - vectors.mean(0)) @ weight.T).norm(dim=1).mean()
    return weight, -weight @ vectors.mean(0)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    given = command_line("latentface.training.identity", __doc__, OPTIONS).parse_args(arguments)
    task = IdentityTask(load_faces(given.data, ("head",)))
    loop = Loop(task, given.out, loop_options(given, OPTIONS), given.device)
    path = loop.run()
    settle(loop.averaged, task, torch.Generator(loop.device).manual_seed(given.seed))
    write_network(path, "identity", loop.config, loop.averaged.state_dict())
    print(" ".join(f"{name} {value:.4f}" for name, value in task.measure(loop.averaged).items()))
    print(path)


if __name__ == "__main__":
    main()
