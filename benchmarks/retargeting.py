"""Retargeting against ground truth from the rig: a person with the expression, gaze and turn of another.

    python -m latentface.synthface.casts --heads heads.npz -o CAST --people 50 --own 90 --shared 20
    python benchmarks/retargeting.py CAST joint=RUN/retarget.safetensors image=... keypoints=...

The networks were trained on the first people's own expressions. Measured on expressions that they never saw, told by
one person and shown by another: the absolute difference (of 0..1), SSIM, landmarks (per cent of the inter-ocular
distance) and expression coefficients, the latter two as the built-in networks read them from result and truth.
Baselines: the person's mean picture, and the picture of the person's own whose landmarks are the most similar.

Codes: a classifier of people and a regressor of expressions learn from codes of the training pictures and are measured
on those of unseen expressions; the regressor also on people that the network never saw. Then the same people as new
ones, fitted to 1, 3, 5 and 10 pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentface import hub, pretrained
from latentface.io.images import to_uint8
from latentface.metrics import landmark_error, ssim
from latentface.networks.retargeting import RetargetNet
from latentface.networks.trunk import framed_part
from latentface.retargeting.people import fit_person
from latentface.training.head_reader import frame_plainly
from latentface.training.retargeting_data import Cast, load_rendered

Shown = Callable[[Cast, Cast], Tensor]
STEPS = (1, 7, 19)  # how far the one who shows an expression is from the one who tells it


def as_pictures(cast: Cast) -> Tensor:
    """The pictures [n, 3, R, R] in [-1, 1]."""
    return cast.images.float() / 127.5 - 1


class Readers:
    """What the built-in networks read from pictures: landmarks and expressions."""

    def __init__(self) -> None:
        self.landmarks, self.head = pretrained.load_landmarks(), pretrained.load_head_reader()

    def points(self, pictures: Tensor) -> Tensor:
        """Landmarks [n, 68, 2] in the landmark network's part of the crop."""
        return torch.cat([self.landmarks(framed_part(part, self.landmarks.config)) for part in pictures.split(64)])

    def expressions(self, pictures: Tensor) -> Tensor:
        """Coefficients [n, E], without the angles."""
        parts = [self.head(frame_plainly(part, self.head.config))[0] for part in pictures.split(64)]
        return torch.cat(parts)[:, : len(self.head.config.expression_names)]


class Truth:
    """What results are compared with, and what the built-in networks read from it."""

    def __init__(self, readers: Readers, wanted: Cast) -> None:
        self.readers, self.cast, self.pictures = readers, wanted, as_pictures(wanted)
        self.points, self.expressions = readers.points(self.pictures), readers.expressions(self.pictures)

    def measure(self, shown: Tensor) -> dict[str, float]:
        """The four figures of pictures against the truth."""
        error = landmark_error(self.readers.points(shown), self.points)
        return {
            "L1": float((shown - self.pictures).abs().mean()) / 2,
            "SSIM": float(ssim(shown, self.pictures).mean()),
            "landmarks %": 100 * float(error.mean()),
            "expression": float((self.readers.expressions(shown) - self.expressions).abs().mean()),
        }


def codes_of(network: RetargetNet, cast: Cast) -> Tensor:
    """The means of the codes [n, code]."""
    return network.encode(as_pictures(cast), cast.landmarks).mean


def by_network(network: RetargetNet) -> Shown:
    """Told pictures -> the network's pictures of the people in the second cast."""
    return lambda told, wanted: network.decode(codes_of(network, told), network.people(wanted.person))[0].clamp(-1, 1)


def by_mean(own: Cast) -> Shown:
    """The mean picture of each person."""
    means = torch.stack([as_pictures(own[own.person == k]).mean(0) for k in range(len(own.names))])
    return lambda told, wanted: means[wanted.person]


def by_nearest(own: Cast) -> Shown:
    """The person's own picture with the most similar landmarks, each set taken relative to the person's mean."""
    mean = torch.stack([own.landmarks[own.person == k].mean(0) for k in range(len(own.names))])

    def shown(told: Cast, wanted: Cast) -> Tensor:
        found = []
        for k in range(len(told)):
            theirs = own[own.person == wanted.person[k]]
            change = told.landmarks[k] - mean[told.person[k]]
            distance = (theirs.landmarks - mean[wanted.person[k]] - change).square().sum((1, 2))
            found.append(as_pictures(theirs[distance.argmin()[None]]))
        return torch.cat(found)

    return shown


def choose(held: Cast, count: int) -> tuple[Cast, Cast]:
    """Told pictures, and what they look like shown by the persons `STEPS` further."""
    pairs = [torch.stack(held.pairs(step), 1) for step in STEPS]
    every = torch.cat(pairs)
    told, other = every[torch.linspace(0, len(every) - 1, min(count, len(every))).long()].T
    return held[told], held[other]


def probe(network: RetargetNet, own: Cast, held: Cast, strangers: Cast) -> dict[str, float]:
    """What codes tell: accuracy of a classifier of people, R2 of a regressor of what varies in the truth."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(codes_of(network, own).numpy())
    learnt, seen, strange = (scale.transform(codes_of(network, cast).numpy()) for cast in (own, held, strangers))
    # without early stopping: it ends before the classifier has found anything, if there is little to find
    who = MLPClassifier(hidden_layer_sizes=(128,), max_iter=150, random_state=0).fit(learnt, own.person.numpy())
    truths = [cast.truth for cast in (own, held, strangers)]
    varies = truths[0].std(0) > 0.05
    y = [truth[:, varies].numpy() for truth in truths]
    target = StandardScaler().fit(y[0])
    regressor = MLPRegressor(hidden_layer_sizes=(128,), early_stopping=True, max_iter=100, random_state=0).fit(
        learnt, target.transform(y[0])
    )

    def explained(codes: NDArray[np.float64], truth: NDArray[np.float32]) -> float:
        wanted = target.transform(truth)
        return float(1 - np.square(regressor.predict(codes) - wanted).sum() / np.square(wanted - wanted.mean(0)).sum())

    return {
        "people": float(who.score(seen, held.person.numpy())), "chance": 1 / len(own.names),
        "R2": explained(seen, y[1]), "R2 strangers": explained(strange, y[2]),
    }  # fmt: skip


def as_new(network: RetargetNet, truth: Truth, held: Cast, strangers: Cast, count: int) -> dict[str, float]:
    """Figures of people that the network never saw, fitted to `count` pictures of their own expressions."""
    own, made = strangers.split()[0], []
    for k in range(len(strangers.names)):
        few = own[torch.nonzero(own.person == k)[:count, 0]]
        with torch.enable_grad():
            person = fit_person(network, as_pictures(few), few.landmarks, hub.perceptual("cpu"))
        told = held[held.person == 3 * k]  # the same moments, told by somebody known
        made.append(network.decode(codes_of(network, told), person.expand(len(told)))[0].clamp(-1, 1))
    return truth.measure(torch.cat(made))


def scatter(network: RetargetNet, held: Cast, path: Path, people: int = 12) -> None:
    """t-SNE of the codes of shared expressions, coloured by person (left) and by expression (right)."""
    from PIL import Image, ImageDraw
    from sklearn.manifold import TSNE

    some = held[held.person < people]
    places = TSNE(2, perplexity=15, random_state=0, init="pca").fit_transform(codes_of(network, some).numpy())
    places = (places - places.min(0)) / np.ptp(places, axis=0) * 0.9 + 0.05
    side = 480
    canvas = Image.new("RGB", (2 * side + 20, side), (255, 255, 255))
    pen = ImageDraw.Draw(canvas)
    for left, labels in ((0, some.person.numpy()), (side + 20, some.moment.numpy())):
        for (x, y), label in zip(places * side, labels, strict=True):
            colour = f"hsl({int(label * 137.5) % 360}, 85%, {35 + 20 * (int(label) % 2)}%)"
            pen.ellipse((left + x - 5, y - 5, left + x + 5, y + 5), fill=colour)
    canvas.save(path)


def sheet(network: RetargetNet, held: Cast, path: Path, people: int = 4, moments: int = 8) -> None:
    """For each of a few people: who tells, the person's pictures by the network, and the truth, one below the other.

    The last row goes from the first told expression of the first person to the second one, shown by the last person.
    """
    from PIL import Image

    rows = []
    for k in range(people):
        told, wanted = (held[held.person == number][torch.arange(moments)] for number in (k, k + people))
        shown = by_network(network)(told, wanted)
        rows += [as_pictures(told), shown, as_pictures(wanted)]
    code = codes_of(network, held[held.person == 0][torch.tensor([7, 9])])
    way = code[:1] + torch.linspace(0, 1, moments)[:, None] * (code[1:] - code[:1])
    rows.append(network.decode(way, network.people(torch.full((moments,), people)))[0].clamp(-1, 1))
    grid = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    Image.fromarray(to_uint8(grid[None])[0]).save(path, quality=90)


def tell(name: str, row: dict[str, float]) -> None:
    print(f"  {name:28}" + "  ".join(f"{key} {value:.4f}" for key, value in row.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cast", type=Path)
    parser.add_argument("networks", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--tsne", type=Path, help="write a picture of the first network's codes")
    parser.add_argument("--sheet", type=Path, help="write what the first network shows, beside the truth")
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--strangers", type=int, default=10, help="how many new people")
    parser.add_argument("--new", default="1,3,5,10", help="pictures of new people; empty to leave them out")
    given = parser.parse_args()
    torch.set_num_threads(1)
    networks = {name: pretrained.load_retargeting(path) for name, path in (each.split("=") for each in given.networks)}
    whole, readers = load_rendered(given.cast), Readers()
    known = len(next(iter(networks.values())).config.people)
    own, held = whole.people(0, known).split()
    strangers = whole.people(known, min(len(whole.names), known + given.strangers))
    told, wanted = choose(held, given.pairs)
    with torch.no_grad():
        truth = Truth(readers, wanted)
        print(f"{known} people, {len(told)} pairs of expressions that were not trained on")
        tell("the person's mean picture", truth.measure(by_mean(own)(told, wanted)))
        tell("the nearest own picture", truth.measure(by_nearest(own)(told, wanted)))
        for name, network in networks.items():
            tell(name, truth.measure(by_network(network)(told, wanted)))
        print("what codes tell")
        for name, network in networks.items():
            tell(name, probe(network, own, held, strangers.split()[1]))
        first = next(iter(networks.values()))
        if given.tsne:
            scatter(first, held, given.tsne)
        if given.sheet:
            sheet(first, held, given.sheet)
        if given.new:
            print(f"{len(strangers.names)} new people by the first network, pictures each")
            theirs = Truth(readers, strangers.split()[1])
            tell("mean of all pictures", theirs.measure(by_mean(strangers.split()[0])(theirs.cast, theirs.cast)))
            for count in map(int, given.new.split(",")):
                tell(str(count), as_new(first, theirs, held, strangers, count))


if __name__ == "__main__":
    main()
