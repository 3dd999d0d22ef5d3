"""Train the built-in identity embedding on renders: `python -m latentface.training.identity --data DIR --out DIR`.

DIR holds shards made with `synthface.dataset --views 5`: each person in several expressions, poses, lights and places,
and next to each person a look-alike with the same skin and hair. First the trunk is trained: a batch contains all views
of some pairs of look-alikes, and the loss is supervised contrastive (Khosla et al. 2020, eq. 2): each picture must find
the others of the same person. Then the last layer is set in closed form, by linear discriminant analysis of the trunk's
features and a trained landmark network's points. The last persons are held out. The augmentation changes colours and
occludes as for the landmarks, but hardly deforms the face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import InputError
from latentface.networks.identity import IdentityConfig, IdentityNet
from latentface.networks.landmarks import LandmarkNet
from latentface.networks.trunk import FaceTrunk, TrunkConfig
from latentface.pretrained import load_landmarks
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
SHRINKAGE = 0.003


def contrastive_loss(vectors: Tensor, persons: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Supervised contrastive loss of unit vectors [N, D] of persons [N]; every person must occur at least twice."""
    logits = vectors @ vectors.T / temperature
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    chances = logits.masked_fill(itself, -torch.inf).log_softmax(1)
    same = (persons[:, None] == persons[None]) & ~itself
    return -(chances.masked_fill(~same, 0.0).sum(1) / same.sum(1)).mean()


def cosines(vectors: Tensor, persons: Tensor) -> dict[str, float]:
    """Mean cosines between unit vectors [N, D]: of one person, of two people, and of look-alikes (2k, 2k + 1)."""
    table = vectors @ vectors.T
    same = persons[:, None] == persons[None]
    alike = (persons[:, None] // 2 == persons[None] // 2) & ~same
    groups = {"same": same & ~torch.eye(len(vectors), dtype=torch.bool), "different": ~same, "look_alike": alike}
    return {name: float(table[pairs].mean()) for name, pairs in groups.items()}


class IdentityTask:
    """Batches, loss and figures: what `Loop` needs of the data. The last `held_out` pairs are for measuring."""

    kind = "trunk"

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

    def build(self) -> FaceTrunk:
        """A fresh trunk."""
        return FaceTrunk(self.config)

    def sample_batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All views of some pairs, augmented: framed pictures [N, 3, S, S] and persons [N]."""
        picked = torch.randperm(len(self.members), generator=generator, device=generator.device)[: self.pairs]
        chosen = torch.cat([self.members[pair] for pair in picked.tolist()])
        images, points, masks = self.data.batch(chosen, generator.device)
        framed, _ = augment(images, points, masks, self.config, CHANGES, generator)
        return framed, self.persons[chosen].to(generator.device)

    def loss(self, network: FaceTrunk, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Contrastive loss of a batch."""
        framed, persons = batch
        return contrastive_loss(F.normalize(network(framed).float(), dim=1), persons)

    def measure(self, network: FaceTrunk) -> Mapping[str, float]:
        """Mean cosines of the trunk's features on the held-out persons."""
        return self.compare(lambda crops: F.normalize(network(network.frame(crops)), dim=1))

    @torch.no_grad()
    def compare(self, embed: Callable[[Tensor], Tensor], device: str = "cpu") -> dict[str, float]:
        """Mean cosines on the held-out persons of an embedding of crops."""
        parts = [embed(self.data.crops(part, torch.device(device))).cpu() for part in torch.split(self.held, 64)]
        return cosines(torch.cat(parts), self.persons[self.held])


@dataclass(frozen=True)
class Whole:
    """The frame that contains the whole crop, unchanged."""

    input_size: int = 128
    frame_scale: float = 1.0
    frame_shift: float = 0.0


@torch.no_grad()
def settle(network: IdentityNet, task: IdentityTask, generator: torch.Generator) -> None:
    """Set the last layer by linear discriminant analysis (Fisher 1936) of an augmented copy of each training picture.

    The directions in which people differ most are kept, each scaled by its deviation within a person; the part that all
    faces share is removed.
    """
    seen, persons = [], []
    for members in task.members:
        crops, _ = augment(*task.data.batch(members, generator.device), Whole(), CHANGES, generator)
        seen.append(network.describe(crops).double())
        persons.append(task.persons[members].to(generator.device))
    weight, bias = discriminant(torch.cat(seen), torch.cat(persons), network.config.features)
    network.out.weight.copy_(weight)
    network.out.bias.copy_(bias)


def discriminant(vectors: Tensor, persons: Tensor, features: int) -> tuple[Tensor, Tensor]:
    """Weight [features, S] and bias [features] that make vectors [N, S] of persons [N] comparable (see `settle`)."""
    mean, scale = vectors.mean(0), vectors.std(0).clamp(min=1e-6)
    vectors = (vectors - mean) / scale
    index = torch.unique(persons, return_inverse=True)[1]
    counts = torch.bincount(index)
    means = torch.zeros(len(counts), vectors.shape[1]).to(vectors).index_add_(0, index, vectors) / counts[:, None]
    spread = vectors - means[index]
    within = spread.T @ spread / (len(vectors) - len(counts))
    within += SHRINKAGE * within.trace() / len(within) * torch.eye(len(within)).to(within)
    between = means.T.cov() - within * (len(counts) / len(vectors))  # minus the variance of a mean of few pictures
    whiten = torch.linalg.inv(torch.linalg.cholesky(within))
    axes = torch.linalg.eigh(whiten @ between @ whiten.T)[1].flip(1)[:, :features]  # most different first
    weight = axes.T @ whiten
    weight = weight / (vectors @ weight.T).norm(dim=1).mean() / scale
    return weight, -weight @ mean


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.identity", __doc__, OPTIONS)
    parser.add_argument("--landmarks", default="landmarks", help="landmark network: built-in name or file")
    given = parser.parse_args(arguments)
    options = loop_options(given, OPTIONS)
    task = IdentityTask(load_faces(given.data, ("head",)))
    loop = Loop(task, given.out, options, given.device)
    loop.run()
    network = join(loop.averaged, load_landmarks(given.landmarks, given.device))
    settle(network, task, torch.Generator(loop.device).manual_seed(given.seed))
    path = given.out / "identity.safetensors"
    write_network(path, "identity", asdict(network.config), network.state_dict())
    print(" ".join(f"{name} {value:.4f}" for name, value in task.compare(network, given.device).items()))
    print(path)


def join(trunk: FaceTrunk, landmarks: LandmarkNet) -> IdentityNet:
    """A network on copies of a trained trunk and a trained landmark network, with its last layer still unset."""
    with torch.random.fork_rng():
        network = IdentityNet(IdentityConfig(trunk.config, landmarks.config))
    network.trunk.load_state_dict(trunk.state_dict())
    network.landmarks.load_state_dict(landmarks.state_dict())
    return network.to(next(trunk.parameters()).device).eval()


if __name__ == "__main__":
    main()
