"""Train the built-in identity embedding: `python -m latentface.training.identity --faces DIR --rigged DIR --out DIR`.

It learns from photographs, from pictures of the same people driven by the head, and, with `--renders DIR`, from
rendered people, too (`people`).
First the trunk learns: a batch takes several pictures of some people of one source, and the loss is the supervised
contrastive one (Khosla et al. 2020, eq. 2): each picture must find the others of the same person. Then the last layer
is set in closed form, by linear discriminant analysis of the trunk's features and a trained landmark network's points.
Some people with several photographs are held out, and some rendered ones. The augmentation recolours and covers as for
the landmarks, but bends the face little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import InputError
from latentface.faces.alignment import BuiltinLandmarks
from latentface.networks.identity import IdentityConfig, IdentityNet
from latentface.networks.landmarks import LandmarkNet
from latentface.networks.trunk import FaceTrunk, TrunkConfig
from latentface.pretrained import load_landmarks
from latentface.pretrained.native import Base, write_network
from latentface.training.faces import FaceData
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.people import load_people, load_renders, same_picture

CONFIG = TrunkConfig(input_size=80)
OPTIONS = LoopOptions(minutes=25.0)
CHANGES = AugmentOptions(
    rotation=7.0, log_scale=0.06, log_stretch=0.01, bend=0.002, brow_lift=(0.0, 0.0), background_share=0.7,
    occluder_share=0.2, grey_share=0.2,
)  # fmt: skip
HELD_OUT_SHARE = 0.05  # of the rendered people
TEMPERATURE = 0.1
SHRINKAGE = 0.003
SHARES = (0.8, 0.2)  # of the sources in the last layer, photographs first


def contrastive_loss(vectors: Tensor, persons: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Supervised contrastive loss of unit vectors [N, D] of persons [N]; every person must occur at least twice."""
    logits = vectors @ vectors.T / temperature
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    chances = logits.masked_fill(itself, -torch.inf).log_softmax(1)
    same = (persons[:, None] == persons[None]) & ~itself
    return -(chances.masked_fill(~same, 0.0).sum(1) / same.sum(1)).mean()


def cosines(vectors: Tensor, persons: Tensor, apart: Tensor | None = None) -> dict[str, float]:
    """What unit vectors [N, D] say of pairs of pictures of persons [N].

    Args:
        vectors: of the pictures.
        persons: a number for each.
        apart: bool [N, N], which pairs count; None: all of two pictures.

    Returns:
        The mean cosines `same` of one person and `different` of two, and `accuracy`: the share of right answers to
        whether a pair shows one person, at the best threshold, both kinds of pairs weighing alike.
    """
    table = vectors @ vectors.T
    counted = torch.ones_like(table, dtype=torch.bool) if apart is None else apart
    counted = counted & ~torch.eye(len(table), dtype=torch.bool, device=table.device)
    same = persons[:, None] == persons[None]
    ours, others = table[same & counted], table[~same & counted]
    return {"same": float(ours.mean()), "different": float(others.mean()), "accuracy": verification(ours, others)}


def verification(ours: Tensor, others: Tensor) -> float:
    """Share of right answers at the best threshold, by the cosines of pairs of one person [N] and of two [M]."""
    levels = torch.linspace(-1, 1, 401, device=ours.device)
    accepted = 1 - torch.searchsorted(ours.sort().values, levels) / len(ours)
    refused = torch.searchsorted(others.sort().values, levels) / len(others)
    return float(((accepted + refused) / 2).max())


class IdentityTask:
    """Batches, loss and figures: what `Loop` needs of the data.

    Args:
        sources: pictures to train on by the name of their source, with the label `person`, which differs between them.
        held: pictures of other people, likewise; each of several.
        config: shape of the trunk.
        people: persons in a batch.
        views: pictures of each.
    """

    kind = "trunk"

    def __init__(
        self,
        sources: Mapping[str, FaceData],
        held: Mapping[str, FaceData],
        config: TrunkConfig = CONFIG,
        people: int = 40,
        views: int = 3,
    ) -> None:
        self.sources, self.held, self.config, self.people, self.views = sources, held, config, people, views
        self.members: dict[str, list[Tensor]] = {}
        for name, data in sources.items():
            found = torch.unique(data.labels["person"])
            if len(found) < people:
                raise InputError(f"{len(found)} people: expected at least {people}, as many as a batch takes")
            self.members[name] = [torch.nonzero(data.labels["person"] == person)[:, 0] for person in found]
        self.apart = {name: ~same_picture(data.images) for name, data in held.items()}

    def build(self) -> FaceTrunk:
        """A fresh trunk."""
        return FaceTrunk(self.config)

    def sample_batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Several augmented pictures of some people of a source: framed pictures [N, 3, S, S] and persons [N].

        Were there several sources in a batch, the network would learn to tell these.
        """
        number = torch.randint(len(self.sources), (), generator=generator, device=generator.device)
        name = list(self.sources)[int(number)]
        data, members = self.sources[name], self.members[name]
        picked = torch.randperm(len(members), generator=generator, device=generator.device)[: self.people]
        chosen = torch.cat([self._views_of(members[person], generator) for person in picked.tolist()])
        images, points, masks = data.batch(chosen, generator.device)
        framed, _ = augment(images, points, masks, self.config, CHANGES, generator)
        return framed, data.labels["person"][chosen].to(generator.device)

    def _views_of(self, members: Tensor, generator: torch.Generator) -> Tensor:
        """Some of a person's pictures, each as seldom twice as their number allows."""
        order = torch.cat([torch.randperm(len(members), generator=generator, device=generator.device).cpu()
                           for _ in range(-(-self.views // len(members)))])  # fmt: skip
        return members[order[: self.views]]

    def loss(self, network: FaceTrunk, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Contrastive loss of a batch."""
        framed, persons = batch
        return contrastive_loss(F.normalize(network(framed).float(), dim=1), persons)

    def measure(self, network: FaceTrunk) -> Mapping[str, float]:
        """What the trunk's features say of the held-out people."""
        return self.compare(lambda crops: F.normalize(network(network.frame(crops)), dim=1))

    @torch.no_grad()
    def compare(self, embed: Callable[[Tensor], Tensor], device: str = "cpu") -> dict[str, float]:
        """What an embedding of crops says of pairs of pictures of those held out of each source (see `cosines`)."""
        figures: dict[str, float] = {}
        for name, held in self.held.items():
            parts = torch.split(torch.arange(len(held)), 64)
            vectors = torch.cat([embed(held.crops(part, torch.device(device))).cpu() for part in parts])
            found = cosines(vectors, held.labels["person"], self.apart[name])
            figures |= {f"{name}_{figure}": value for figure, value in found.items()}
        return figures


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
    seen, persons, sources = [], [], []
    for number, data in enumerate(task.sources.values()):
        for chosen in torch.split(torch.arange(len(data)), 64):
            crops, _ = augment(*data.batch(chosen, generator.device), Whole(), CHANGES, generator)
            seen.append(network.describe(crops).double())
        persons.append(data.labels["person"])
        sources.append(torch.full_like(data.labels["person"], number))
    told = [torch.cat(labels).to(generator.device) for labels in (persons, sources)]
    weight, bias = discriminant(torch.cat(seen), told[0], network.config.features, told[1])
    network.out.weight.copy_(weight)
    network.out.bias.copy_(bias)


def discriminant(vectors: Tensor, persons: Tensor, features: int, sources: Tensor) -> tuple[Tensor, Tensor]:
    """Weight [features, S] and bias [features] that make vectors [N, S] of persons [N] comparable (see `settle`).

    The sources [N] weigh as `SHARES` says. What tells them apart says nothing of a person: it counts as a difference
    within each.
    """
    mean, scale = vectors.mean(0), vectors.std(0).clamp(min=1e-6)
    vectors = (vectors - mean) / scale
    parts = [scatter(vectors[sources == source], persons[sources == source]) for source in torch.unique(sources)]
    shares = torch.tensor(SHARES[: len(parts)]).to(vectors)[:, None, None]
    within, between = ((shares * torch.stack(each)).sum(0) / shares.sum() for each in zip(*parts, strict=True))
    within += SHRINKAGE * within.trace() / len(within) * torch.eye(len(within)).to(within)
    whiten = torch.linalg.inv(torch.linalg.cholesky(within))
    axes = torch.linalg.eigh(whiten @ between @ whiten.T)[1].flip(1)[:, :features]  # most different first
    weight = axes.T @ whiten
    weight = weight / (vectors @ weight.T).norm(dim=1).mean() / scale
    return weight, -weight @ mean


def scatter(vectors: Tensor, persons: Tensor) -> tuple[Tensor, Tensor]:
    """Covariances [S, S] within persons, with the square of the mean of all, and between them, of vectors [N, S]."""
    index = torch.unique(persons, return_inverse=True)[1]
    counts = torch.bincount(index)
    means = torch.zeros(len(counts), vectors.shape[1]).to(vectors).index_add_(0, index, vectors) / counts[:, None]
    spread = vectors - means[index]
    within = spread.T @ spread / (len(vectors) - len(counts))
    between = means.T.cov() - within * (len(counts) / len(vectors))  # minus the variance of a mean of few pictures
    common = vectors.mean(0)
    return within + common[:, None] * common, between


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.identity", __doc__, OPTIONS, data=None)
    parser.add_argument("--faces", type=Path, required=True, help="folder of photographs (faces.jsonl, crops)")
    parser.add_argument("--rigged", type=Path, required=True, help="folder of shards of them driven by the head")
    parser.add_argument("--renders", type=Path, help="folder of shards of rendered people, several views of each")
    parser.add_argument("--landmarks", default="landmarks", help="landmark network: built-in name or file")
    given = parser.parse_args(arguments)
    options = loop_options(given, OPTIONS)
    landmarks = load_landmarks(given.landmarks, given.device)
    photographs, others = load_people(given.faces, given.rigged)
    sources, held = {"photographs": photographs}, {"photographs": others}
    if given.renders:
        renders = load_renders(given.renders, BuiltinLandmarks(landmarks))
        people = torch.unique(renders.labels["person"])
        unseen = torch.isin(renders.labels["person"], people[: round(len(people) * HELD_OUT_SHARE)])
        sources["renders"], held["renders"] = renders.chosen(~unseen), renders.chosen(unseen)
    task = IdentityTask(sources, held)
    loop = Loop(task, given.out, options, given.device)
    loop.run()
    network = join(loop.averaged, landmarks)
    settle(network, task, torch.Generator(loop.device).manual_seed(given.seed))
    path = given.out / "identity.safetensors"
    base = Base.inside(given.landmarks, "landmarks.")
    write_network(path, "identity", asdict(network.config), network.state_dict(), torch.int8, base, exact=("out.",))
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
