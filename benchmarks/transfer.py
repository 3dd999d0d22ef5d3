"""Expression transfer against the truth: `python benchmarks/transfer.py --heads HEADS.npz -o DIR [--lpips FILE.npz]`.

Triples are rendered from a seed: face 1, face 2, and the truth, which is face 1 with the expression of face 2, all
else as in picture 1. Every method gets pictures 1 and 2 (crops) and is compared with the truth after compositing: mean
absolute (L1) and root mean squared (L2) error in grey levels, PSNR, SSIM, LPIPS (SqueezeNet), the distance of
the landmarks that are found from the true ones (of the inter-ocular distance), and the identity cosine to picture 1.

DIR/rows.jsonl holds a line for each triple and method, DIR/projections the latents: a run goes on where the last one
stopped, and --minutes ends it in time. Prints a Markdown table, mean and 95 % interval; DIR/triples.jpg shows the first
triples. With --portraits DIR it instead makes DIR/portraits.jpg: five photos by five.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latentface.arrays import Pixels

os.environ.setdefault("LP_NUM_THREADS", "1")  # the software rasteriser is fastest alone

import numpy as np
import torch

from latentface import api, metrics
from latentface.cli.panels import contact_sheet
from latentface.compositing.compositor import Compositor, composite
from latentface.compositing.expression_warp import ExpressionMap
from latentface.editing.expression_transfer import Transferrer
from latentface.editing.inverted_face import Face, FaceFinder
from latentface.faces.crop import FaceCrop
from latentface.inversion.cache import ProjectionCache
from latentface.io.images import Photo, list_photos, read_image, to_tensor, write_image
from latentface.io.provenance import COMPOSITE
from latentface.networks.generator import Generator
from latentface.networks.lpips import SqueezeLpips
from latentface.options.photos import CompositeOptions, TransferOptions
from latentface.options.projection import ProjectOptions
from latentface.synthface.camera import crop_camera
from latentface.synthface.library import load_library
from latentface.synthface.pose import Pose, eyeballs, shape
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import sample_scene

SHOWN = 8
COLUMNS = ("L1", "L2", "PSNR", "SSIM", "LPIPS", "landmarks %", "identity")
#: Methods that splice latents, and their options.
SPLICES = {
    "fixed layers": TransferOptions(layers="paper", place="paste"),
    "program": TransferOptions(),
    "program, pasted": TransferOptions(place="paste"),
    "program, not refined": TransferOptions(refine_steps=0),
    "program, whole rows": TransferOptions(units="rows", place="paste"),
    "program, whole rows, refined": TransferOptions(units="rows", refine_steps=30, place="paste"),
    "program, style channels": TransferOptions(units="styles", place="paste"),
    "oracle": TransferOptions(solver="exhaustive"),
}
#: What `latentface transfer` does: the head in the photo, whose expression the program's choice and picture 2 decide.
HEAD = "the head (default)"
#: The others are slow, and run on the first --few triples. `oracle` goes through every choice.
FOR_ALL = ("the truth itself", "unchanged", "direct transfer", "fixed layers", "program", HEAD)
METHODS = (*FOR_ALL, *(name for name in SPLICES if name not in FOR_ALL))


@dataclass(frozen=True, eq=False)
class Triple:
    """Two faces as crops, and the truth [128, 128, 3] with its landmarks [68, 2] in pixels."""

    one: FaceCrop
    two: FaceCrop
    truth: Pixels
    points: np.ndarray


def render_triples(heads: Path, seed: int, count: int, size: int) -> Iterator[Triple]:
    """Pairs of different expressions; the truth is drawn through the camera of picture 1."""
    library = load_library(heads)
    renderer = Renderer(library, size=size)
    eyes, modes = eyeballs(library.head), len(library.head.identity_deltas)
    numbers = np.random.default_rng(seed).permutation(1_000_000)[: 2 * count] + 10_000_000  # unlike any training seed
    for first, second in numbers.reshape(-1, 2).tolist():
        one, two = (sample_scene(n, library.sizes, modes) for n in (first, second))
        goal = replace(one, expression=two.expression, emotion=two.emotion, strength=two.strength)
        posed = Pose.of(one).apply(shape(library.head, eyes, one), library.head.vertices)
        camera = crop_camera(posed[library.head.landmarks68], one.distance)
        truth = renderer.render(goal, camera)
        yield Triple(whole(renderer.render(one)), whole(renderer.render(two)), truth.image, truth.landmarks)


def whole(render: Any) -> FaceCrop:
    """A render as the crop of a photo that shows nothing else."""
    low, high = -0.5, render.image.shape[0] - 0.5
    quad = np.array([[low, low], [low, high], [high, high], [high, low]])
    return FaceCrop(render.image, render.landmarks.astype(np.float64), quad)


def find_latents(generator: Generator, given: argparse.Namespace) -> FaceFinder:
    """The latents of pictures: the encoder's, or projections, which are remembered."""
    cache = ProjectionCache(given.output / "projections")
    return FaceFinder(generator, ProjectOptions(steps=given.steps), cache=cache, note=print)


class Bench:
    """The networks, and the methods as functions of a triple."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.generator = api.load_generator(given.network)
        self.judge = api.face_networks()
        self.given, self.finder = given, find_latents(self.generator, given)
        self.transferrer = Transferrer(self.finder)
        self.lpips = SqueezeLpips(given.lpips) if given.lpips else None

    def points(self, image: Pixels) -> np.ndarray:
        """Landmarks [68, 2] that are found in a crop, in pixels."""
        with torch.no_grad():
            return self.judge.landmarks(to_tensor(image))[0].double().numpy() * image.shape[0] - 0.5

    def make(self, method: str, triple: Triple) -> tuple[Pixels, dict[str, Any]]:
        """What a method makes of pictures 1 and 2, and how."""
        photo = triple.one.image
        if method == "the truth itself":
            return triple.truth, {}
        if method == "unchanged":
            return photo, {}
        if method == "direct transfer":
            options, image = CompositeOptions(warp="similarity"), triple.two.image
            return composite(photo, triple.one, image, options, landmarks=self.points(image)), {}
        one, two = self.finder.latent(triple.one), self.finder.latent(triple.two)
        began = time.perf_counter()
        if method == HEAD:
            faces = (Face(w, Photo(each.image), each) for w, each in ((one, triple.one), (two, triple.two)))
            return self.transferrer.put(*faces).photo.rgb, {"seconds": time.perf_counter() - began}
        made = api.transfer(identity=one, expression=two, generator=self.generator, options=SPLICES[method])
        seconds = time.perf_counter() - began
        placer: Compositor | ExpressionMap
        if SPLICES[method].place == "paste":
            placer = Compositor(photo, triple.one, reference=made.reference)
        else:
            placer = ExpressionMap(photo, triple.one, made.reference, self.points(made.reference))
        return placer.place(made.image, self.points(made.image)), {
            "layers": made.layers, "objective": made.objective, "measured": made.measured, "seconds": seconds,
        }  # fmt: skip

    def judged(self, image: Pixels, triple: Triple) -> list[float]:
        """The columns of the table."""
        ours, truth, one = (to_tensor(each) for each in (image, triple.truth, triple.one.image))
        error = (ours - truth) * 127.5
        found, wanted = (torch.from_numpy(each)[None].double() for each in (self.points(image), triple.points))
        with torch.no_grad():
            same = float((self.judge.identity(ours) * self.judge.identity(one)).sum())
        return [
            float(error.abs().mean()), float(error.square().mean().sqrt()), min(float(metrics.psnr(ours, truth)), 99.0),
            float(metrics.ssim(ours, truth)),
            float(metrics.lpips(self.lpips, ours, truth)) if self.lpips else float("nan"),
            100 * float(metrics.landmark_error(found, wanted)), same,
        ]  # fmt: skip


def measure(given: argparse.Namespace) -> None:
    """Every method on every triple that is not in rows.jsonl yet, then the sheet and the table."""
    bench, log, began = Bench(given), given.output / "rows.jsonl", time.monotonic()
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {(row["triple"], row["method"]) for row in lines}
    triples = render_triples(given.heads, given.seed, given.count, bench.generator.config.resolution)
    with log.open("a") as stream:
        for number, triple in enumerate(triples):
            if number < SHOWN:
                keep(given.output, number, {"picture 1": triple.one.image, "picture 2": triple.two.image})
            for method in METHODS:
                if (number, method) in done or (method not in FOR_ALL and number >= given.few):
                    continue
                image, how = bench.make(method, triple)
                if number < SHOWN:
                    keep(given.output, number, {method: image})
                lines.append({"triple": number, "method": method, "values": bench.judged(image, triple), **how})
                print(json.dumps(lines[-1]), file=stream, flush=True)
            if given.minutes and time.monotonic() - began > 60 * given.minutes:
                break
    sheet(given.output)
    report(lines)


def keep(folder: Path, number: int, pictures: dict[str, Pixels]) -> None:
    """Keep pictures of a triple for the sheet."""
    (folder / "pictures").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        mark = None if name.startswith("picture") else COMPOSITE  # the two that are given are renderings
        write_image(folder / "pictures" / f"{number}-{name}.png", picture, source_type=mark)


def sheet(folder: Path) -> None:
    """triples.jpg: a row for each triple whose pictures are all there."""
    names = ["picture 1", "picture 2", *FOR_ALL]
    rows = [[folder / "pictures" / f"{number}-{name}.png" for name in names] for number in range(SHOWN)]
    cells = [read_image(path) for row in rows if all(path.exists() for path in row) for path in row]
    if cells:
        captions = names * (len(cells) // len(names))
        write_image(folder / "triples.jpg", contact_sheet(cells, captions, len(names)), source_type=COMPOSITE)


def report(lines: list[dict[str, Any]]) -> None:
    """Print the table, and how near the program came to the oracle."""
    print(f"| method | triples | {' | '.join(COLUMNS)} | seconds |\n|{'---|' * (len(COLUMNS) + 3)}")
    for method in METHODS:
        rows = [row for row in lines if row["method"] == method]
        if not rows:
            continue
        values = np.array([row["values"] for row in rows])
        means, spread = values.mean(0), 1.96 * values.std(0) / np.sqrt(len(values))
        cells = [f"{mean:.3f} ± {half:.3f}" for mean, half in zip(means, spread, strict=True)]
        seconds = np.mean([row.get("seconds", 0.0) for row in rows])
        print(f"| {method} | {len(rows)} | {' | '.join(cells)} | {seconds:.1f} |")
    best = {row["triple"]: row["objective"] for row in lines if row["method"] == "oracle"}
    found = [
        row["objective"] / best[row["triple"]] - 1
        for row in lines
        if row["method"] == "program" and row["triple"] in best
    ]
    if found:
        print(
            f"\nprogram above oracle: mean {100 * np.mean(found):.2f} %, worst {100 * max(found):.2f} % of {len(found)}"
        )


def portraits(given: argparse.Namespace) -> None:
    """Rows: identities; columns: expressions; the first row and column show the photos."""
    generator = api.load_generator(given.network)
    finder = find_latents(generator, given)
    maker = Transferrer(finder)
    names = [str(path) for path in list_photos(given.portraits)[:5]]
    faces = [finder.face(name) for name in names]
    side = 192
    blank = np.full((side, side, 3), 250, np.uint8)
    cells = [blank, *(api.align(read_image(name), side)[0].image for name in names)]
    from latentface.faces.alignment import crop_face

    for one, name in zip(faces, names, strict=True):
        assert one.crop is not None
        cells.append(api.align(read_image(name), side)[0].image)
        cells += [crop_face(maker.put(one, two).photo.rgb, one.crop.landmarks, side).image for two in faces]
    write_image(given.output / "portraits.jpg", contact_sheet(cells, None, len(names) + 1), source_type=COMPOSITE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure expression transfer against rendered truth.")
    parser.add_argument("--heads", type=Path, help="made by latentface.synthface.build")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for rows, projections and pictures")
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--lpips", type=Path, help="SqueezeNet LPIPS weights, .npz")
    parser.add_argument("--count", type=int, default=200, help="triples")
    parser.add_argument("--few", type=int, default=20, help="triples on which the slow methods are run")
    parser.add_argument("--steps", type=int, default=0, help="steps of projection; 0: the network's encoder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop after the triple that is under way then")
    parser.add_argument("--portraits", type=Path, help="make the sheet of photos instead")
    given = parser.parse_args()
    if not (given.heads or given.portraits):
        parser.error("give --heads, or --portraits")
    given.output.mkdir(parents=True, exist_ok=True)
    work: Callable[[argparse.Namespace], None] = portraits if given.portraits else measure
    work(given)


if __name__ == "__main__":
    main()
