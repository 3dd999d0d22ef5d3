"""Train the network that finds what is in front of faces: `python -m latentface.training.occluders`.

`--data` holds photographs (crops, and faces.jsonl with their landmarks), `--makehuman` a folder with MakeHuman's
base.obj and skins. Rendered hands and drawn things are put in front of the faces (training.occluder_pictures), so that
every pixel's truth is known; spectacles are drawn on some, since these are no occluders. With `--start`, faces on which
that network produces false positives (beards, hard shadows, wide open mouths) are sampled more often. So the recipe is
run twice, the second time from the first network, which may be narrower. `--without` names crops with a real hand or
microphone at the face, which are not bare (not_bare.txt). `--heads` adds rendered heads with beards, which are bare.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.alignment import glance
from latentface.faces.regions import fill
from latentface.io.images import read_image
from latentface.networks.occluders import OccluderConfig, OccluderNet
from latentface.pretrained import load_occluders
from latentface.synthface.dataset import sample_turned
from latentface.synthface.drawn_spectacles import put_on
from latentface.synthface.hands import read_hand
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Renderer
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.occluder_pictures import SHARES, Things, put_in_front, render_things
from latentface.training.portraits import read_rows
from latentface.training.spectacles import Batch, varied

CONFIG = OccluderConfig()
OPTIONS = LoopOptions(minutes=28.0, learning_rate=2e-3, average=0.998, measure_every=500)
HELD_OUT = 20  # one face in so many is held out
SHARE_OCCLUDED = 0.75  # of a batch
BEARDS, BEARD_TURN, FIRST_BEARD = 400, 50.0, 6_000_000  # rendered heads with beards, their turn, and the first's seed
BEARD_WEIGHT = 1.3  # how much more often than photographs they are sampled
SHARE_WORN = 0.15  # of a batch wears drawn spectacles
REUSED = 3  # how often a picture is used, each time varied in another way: making one costs a third of a step
POOL = 24  # batches of pictures that are kept for it
COMPRESSED = 0.3  # share of the pictures that are compressed together with the occluder
SEES = 0.01  # a face with a larger falsely covered share is a hard one
OFTEN = 4.0  # how much more often hard faces are sampled


@dataclass(frozen=True, eq=False)
class Faces:
    """Crops uint8 [N, S, S, 3] and their landmarks in pixels [N, 68, 2]."""

    pictures: Pixels
    landmarks: Float64Array

    def __getitem__(self, chosen: BoolArray) -> Faces:
        return Faces(self.pictures[chosen], self.landmarks[chosen])


def read_faces(folder: Path, size: int = CONFIG.size) -> Faces:
    """The crops of a folder, made as small as the network sees them.

    Raises:
        InputError: no faces there.
    """
    rows = read_rows(folder)
    if not rows:
        raise InputError(f"{folder}: no faces to put things in front of")
    pictures = np.empty((len(rows), size, size, 3), np.uint8)
    points = np.empty((len(rows), 68, 2))
    for k, row in enumerate(rows):
        crop = Image.fromarray(read_image(folder / "crops" / str(row["name"])))
        pictures[k] = np.asarray(crop.resize((size, size), Image.Resampling.BOX))
        points[k] = (np.asarray(row["landmarks"]) + 0.5) * size / crop.width - 0.5
    return Faces(pictures, points)


def render_beards(heads: Path, count: int = BEARDS, size: int = CONFIG.size) -> Faces:
    """Rendered heads without hair and spectacles, four of five with a beard, turned by up to `BEARD_TURN` degrees.

    heads: made by `synthface.build`.
    """
    renderer = Renderer(load_library(heads), size=2 * size)
    pictures, points = [], []
    for seed in range(FIRST_BEARD, FIRST_BEARD + count):
        scene = replace(sample_turned(renderer, seed, 1, BEARD_TURN), hair=None, glasses=None)
        if seed % 5:
            kinds = renderer.library.sizes["beard"]
            scene = replace(scene, beard=int(np.random.default_rng([seed, 9]).integers(kinds)))
        drawn = renderer.render(scene)
        crop = glance(drawn.image, drawn.landmarks.astype(np.float64), size)
        pictures.append(crop.image)
        points.append(crop.landmarks)
    return Faces(np.stack(pictures), np.stack(points))


def with_spectacles(face: Pixels, landmarks: Float64Array, rng: np.random.Generator) -> Pixels:
    """A face [S, S, 3] with landmarks [68, 2] in pixels that wears drawn spectacles."""
    right, left = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    apart = float(np.linalg.norm(left - right))
    (x, y), reach = (left + right) / 2 + 0.5, round(1.7 * apart)  # the patch is symmetric about the nose
    reach = min(reach, round(x), face.shape[1] - round(x))
    if reach < apart:
        return face
    columns = slice(round(x) - reach, round(x) + reach)
    made: Pixels = face.copy()
    worn = put_on(face[:, columns].astype(np.float32) / np.float32(255), 1 / apart, y / apart, rng)
    made[:, columns] = np.rint(worn.colours * 255)
    return made


def covered_shares(network: OccluderNet, faces: Faces) -> Float32Array:
    """How much of each face, from brows to chin, the network finds covered, [N]."""
    shares = np.empty(len(faces.pictures), np.float32)
    with torch.no_grad():
        for start in range(0, len(shares), 64):
            part = torch.from_numpy(faces.pictures[start : start + 64]).permute(0, 3, 1, 2).float() / 127.5 - 1
            found = (network(part)[:, 0] > 0).numpy()
            for k, mask in enumerate(found, start):
                shares[k] = mask[fill(faces.landmarks[k], (mask.shape[1], mask.shape[0]))].mean()
    return shares


def fill_channels(network: OccluderNet, narrow: OccluderNet) -> None:
    """Copy a narrower network into the first channels of a wider one, which then computes the same.

    The copied channels ignore the new ones at first; those begin at random.
    """
    theirs = narrow.state_dict()
    with torch.no_grad():
        for name, value in network.named_parameters():
            known = theirs[name]
            value[: len(known)] = 0
            value[tuple(slice(n) for n in known.shape)] = known


class OccluderTask:
    """Batches, loss and figures: what `Loop` needs of faces and things to train on, and of those to measure on."""

    kind = "occluders"

    def __init__(
        self,
        faces: Faces,
        things: Things,
        held: Faces,
        held_things: Things,
        config: OccluderConfig = CONFIG,
        batch: int = 8,
        weights: Float64Array | None = None,
        start: OccluderNet | None = None,
    ) -> None:
        self.faces, self.things, self.config, self.batch, self.start = faces, things, config, batch, start
        self.weights = torch.from_numpy(np.ones(len(faces.pictures)) if weights is None else weights)
        self.pool: list[Batch] = []
        rng = np.random.default_rng(0)
        self.held_kinds = [None if k % 4 == 0 else list(SHARES)[k % len(SHARES)] for k in range(len(held.pictures))]
        self.held = self._batch(held, held_things, self.held_kinds, rng)
        wearers = [with_spectacles(*face, rng) for face in zip(held.pictures, held.landmarks, strict=True)]
        self.wearers = Faces(np.stack(wearers), held.landmarks)

    def build(self) -> OccluderNet:
        """A fresh network, or the one to start from."""
        network = OccluderNet(self.config)
        if self.start is not None:
            fill_channels(network, self.start)
        return network

    def sample_batch(self, generator: torch.Generator) -> Batch:
        """Crops [N, 3, S, S] in [-1, 1] and how much of each pixel is in front of the face, [N, 1, S, S]."""
        fresh = -(-self.batch // REUSED) if self.pool else POOL * self.batch
        made = zip(*self._fresh(fresh, generator), strict=True)
        self.pool = [*self.pool[fresh:], *made] if self.pool else list(made)
        chosen = torch.randint(len(self.pool), (self.batch,), generator=generator).tolist()
        colours, truth = zip(*(self.pool[k] for k in chosen), strict=True)
        return varied(torch.stack(colours), torch.stack(truth), generator)

    def loss(self, network: OccluderNet, batch: Batch) -> Tensor:
        """Cross-entropy, and what is missing of the overlap (soft Dice loss)."""
        colours, truth = batch
        logits = network(colours).float()
        share = logits.sigmoid()
        both = (share * truth).sum((1, 2, 3)) + 8
        dice = 1 - 2 * both / (share.sum((1, 2, 3)) + truth.sum((1, 2, 3)) + 16)
        loss: Tensor = 2 * F.binary_cross_entropy_with_logits(logits, truth) + 0.5 * dice.mean()
        return loss

    def measure(self, network: OccluderNet) -> Mapping[str, float]:
        """Intersection over union on held-out faces, of all and of each kind, and what is found on bare ones.

        false_alarms and spectacles are shares of bare faces, and of those that wear drawn spectacles.
        """
        colours, truth = self.held
        found = torch.cat([network(part).float() for part in torch.split(colours, 64)])[:, 0] > 0
        there = truth[:, 0] > 0.5
        both, either = ((each.sum((1, 2))).float() for each in (found & there, found | there))
        overlap = (both / either.clamp(min=1)).numpy()
        kinds = np.array([kind or "" for kind in self.held_kinds])
        figures = {f"iou_{kind}": float(overlap[kinds == kind].mean()) for kind in SHARES if (kinds == kind).any()}
        bare = torch.from_numpy(kinds == "")
        share = found[bare].float().mean((1, 2))
        return {
            "iou": float(overlap[kinds != ""].mean()),
            "iou_pixels": float(both[~bare].sum() / either[~bare].sum()),
            "false_alarms": float((share > SEES).float().mean()),
            "spectacles": float((covered_shares(network, self.wearers) > SEES).mean()),
            **figures,
        }

    def _fresh(self, count: int, generator: torch.Generator) -> Batch:
        """New pictures of the faces to train on."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=generator).numpy()
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        kinds = [
            str(rng.choice(list(SHARES), p=list(SHARES.values()))) if rng.random() < SHARE_OCCLUDED else None
            for _ in chosen
        ]
        faces = self.faces[chosen]
        for k in np.flatnonzero(rng.random(count) < SHARE_WORN):
            faces.pictures[k] = with_spectacles(faces.pictures[k], faces.landmarks[k], rng)
        return self._batch(faces, self.things, kinds, rng)

    def _batch(self, faces: Faces, things: Things, kinds: Sequence[str | None], rng: np.random.Generator) -> Batch:
        colours, truth = [], []
        for picture, points, kind in zip(faces.pictures, faces.landmarks, kinds, strict=True):
            face = picture.astype(np.float32) / 255
            mask = np.zeros(face.shape[:2], np.float32)
            if kind is not None:
                made = put_in_front(face, points, things, rng, kind)
                face, mask = made.colours, made.mask
            colours.append(_compressed(face, rng) if rng.random() < COMPRESSED else face)
            truth.append(mask[None])
        pictures = torch.from_numpy(np.stack(colours)).permute(0, 3, 1, 2)
        return (pictures * 2 - 1).contiguous(), torch.from_numpy(np.stack(truth))


def _compressed(face: Float32Array, rng: np.random.Generator) -> Float32Array:
    """A picture [S, S, 3] in 0 to 1 after JPEG."""
    file = io.BytesIO()
    Image.fromarray(np.rint(face * 255).astype(np.uint8)).save(file, "JPEG", quality=int(rng.integers(40, 95)))
    made: Float32Array = np.asarray(Image.open(file), np.float32) / np.float32(255)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.occluders", __doc__, OPTIONS, data="folder of photographs")
    parser.add_argument("--makehuman", type=Path, required=True, help="folder of MakeHuman's base.obj and skins/")
    parser.add_argument("--things", type=int, default=150, help="things of a kind (default: %(default)s)")
    parser.add_argument("--heads", type=Path, help="heads whose renders with beards are bare faces as well")
    parser.add_argument("--without", type=Path, help="file of names of crops, one a line, not to train on")
    given = parser.parse_args(arguments)
    parts = [read_faces(folder) for folder in given.data]
    faces = Faces(*(np.concatenate(each) for each in zip(*((f.pictures, f.landmarks) for f in parts), strict=True)))
    weights, start = np.ones(len(faces.pictures)), None
    if given.start is not None:
        start = load_occluders(given.start)
        hard = covered_shares(start, faces) > SEES
        print(f"{hard.sum()} of {len(hard)} are hard")
        weights[hard] = OFTEN
    apart = np.arange(len(faces.pictures)) % HELD_OUT == 0
    names = [row["name"] for folder in given.data for row in read_rows(folder)]
    kept = ~apart & ~np.isin(names, given.without.read_text().splitlines() if given.without else [])
    hand = read_hand(given.makehuman / "base.obj")
    skins = [read_image(path) for path in sorted((given.makehuman / "skins").glob("*.jpg"))]
    things = render_things(hand, skins[:-2], faces[~apart].pictures, given.things, 1)
    held = render_things(hand, skins[-2:], faces[apart].pictures, 20, 2)
    learnt, weights = faces[kept], weights[kept]
    if given.heads:
        rendered = render_beards(given.heads)
        pictures, points = (learnt.pictures, rendered.pictures), (learnt.landmarks, rendered.landmarks)
        learnt = Faces(np.concatenate(pictures), np.concatenate(points))
        weights = np.append(weights, np.full(len(rendered.pictures), BEARD_WEIGHT))
    task = OccluderTask(learnt, things, faces[apart], held, weights=weights, start=start)
    options = replace(loop_options(given, OPTIONS), start=None)  # the task copies it, as it may be narrower
    print(Loop(task, given.out, options, given.device).run())


if __name__ == "__main__":
    main()
