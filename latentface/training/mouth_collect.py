"""Collect open mouths to learn from: `python -m latentface.training.mouth_collect --faces DIR --out FILE`.

DIR holds `faces.jsonl`, a line for each aligned face with its name, source, jaw width in the source, colour (below 12:
black-and-white) and 68 landmarks in the crop, and the pictures themselves in `crops`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import InputError
from latentface.head.mouth_canvas import MouthFrame
from latentface.head.teeth import TeethRows, teeth_planes
from latentface.networks.mouth import MouthConfig
from latentface.training.mouth_data import MARGIN, MouthData
from latentface.training.mouth_labels import MouthLabels, label_mouth
from latentface.training.mouth_openings import (
    OpeningOptions,
    contrast_contour,
    fill_polygon,
    largest_part,
    learn_openings,
)

#: Only this share is kept of sources with many pictures of few people.
THINNED = {"caltech": 0.6}
#: Inner lips this far apart, in mouth widths, are most probably open; the segmentation samples these more often.
PROBABLY_OPEN = 0.055
#: An opening counts with this many pixels, and if this share of it is teeth or it is darker than skin by this (log).
LEAST_PIXELS, LEAST_TEETH, DARK = 100, 0.12, -0.45


@dataclass(frozen=True, eq=False)
class Canvases:
    """Mouths of many faces, in canvases `MARGIN` higher above and below than a MouthNet's.

    Images are uint8 [n, h, W, 3], points [n, 68, 2] in their pixels, yaws in radians; beside them what is known of each
    photo.
    """

    images: Pixels
    points: Float64Array
    yaws: list[float]
    faces: list[dict[str, object]]


def larger(config: MouthConfig) -> MouthConfig:
    """The canvas with its margins."""
    return MouthConfig(config.height + 2 * MARGIN, config.width, config.scale, config.top + MARGIN)


def read_canvases(folder: Path, config: MouthConfig, seed: int = 0) -> Canvases:
    """The canvases of all faces of a folder; InputError when there are none."""
    try:
        lines = (folder / "faces.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{folder / 'faces.jsonl'} cannot be read: {error.strerror}") from error
    choice = np.random.default_rng(seed)
    images, places, yaws, faces = [], [], [], []
    for face in map(json.loads, lines):
        if choice.random() > THINNED.get(face["source"], 1.0):
            continue
        points = np.array(face["landmarks"], dtype=np.float64) + 0.5
        frame = MouthFrame.from_landmarks(points)
        matrix = frame.to_photo(config)
        with Image.open(folder / "crops" / face["name"]) as picture:
            moved = picture.convert("RGB").transform(
                (config.width, config.height), Image.Transform.AFFINE, matrix.ravel().tolist(), Image.Resampling.BICUBIC
            )
        images.append(np.asarray(moved))
        places.append(np.linalg.solve(matrix[:, :2], points.T - matrix[:, 2:]).T)
        yaws.append(frame.yaw)
        faces.append({name: value for name, value in face.items() if name != "landmarks"})
    if not images:
        raise InputError(f"{folder / 'faces.jsonl'} lists no face")
    return Canvases(np.stack(images), np.stack(places), yaws, faces)


def find_openings(canvases: Canvases, options: OpeningOptions) -> Pixels:
    """Openings, and lips with them, of all canvases: uint8 [n, 2, h, W] (see `learn_openings`)."""
    weights = np.where(_apart(canvases.points)[0] > PROBABLY_OPEN, 1.0, 0.4)
    return learn_openings(canvases.images, canvases.points, weights, options)


def collect(canvases: Canvases, found: Pixels, config: MouthConfig) -> MouthData:
    """Labels, styles and weights of the mouths that are open. found: see `find_openings`. config: of the network."""
    height = _apart(canvases.points)[1]
    big = larger(config)
    kept, openings, labels = [], [], []
    for i, image in enumerate(canvases.images):
        opening = largest_part(found[i, 0])
        if (opening > 127).sum() < LEAST_PIXELS:
            continue
        colourless = float(str(canvases.faces[i]["colour"])) < 12
        lips = found[i, 1] > 127
        label = label_mouth(image, opening > 127, lips, canvases.yaws[i], colourless, big)
        if height[i] > 0.2 and label.teeth < 0.5 and not label.measures[2] > np.log(0.6):
            wider = fill_polygon(contrast_contour(image, canvases.points[i]), big.height, big.width)
            if wider.sum() < 2.7 * opening.sum(dtype=np.int64):
                opening = np.maximum(opening, wider)
                label = label_mouth(image, opening > 127, lips, canvases.yaws[i], colourless, big)
        if label.teeth > LEAST_TEETH or label.measures[2] < DARK:
            kept.append(i)
            openings.append(opening)
            labels.append(label)
    if not kept:
        raise InputError("no open mouth was found")
    planes = np.stack(
        [
            _planes(canvases.images[i], opening, label, canvases.yaws[i], big)
            for i, opening, label in zip(kept, openings, labels, strict=True)
        ]
    )
    sources = [str(canvases.faces[i]["source"]) for i in kept]
    names = [str(canvases.faces[i]["name"]) for i in kept]
    jaws = np.array([float(str(canvases.faces[i]["jaw"])) for i in kept])
    areas = np.array([float((opening > 127).sum()) for opening in openings])
    teeth = np.array([label.teeth for label in labels])
    return MouthData(planes, styles_of(labels), sources, names, sampling_weights(sources, jaws, areas, teeth))


def styles_of(labels: list[MouthLabels]) -> Float32Array:
    """Styles [n, 3]: each measure's residual from a line over the skin's light, in deviations, at most 2.5.

    They are 0 where a measure is missing.
    """
    measures = np.stack([label.measures for label in labels]).astype(np.float64)
    styles = np.zeros((len(labels), 3), np.float32)
    for k in range(3):
        value = measures[:, k + 1]
        known = np.isfinite(value)
        if known.sum() < 3:
            continue
        terms = np.stack([np.ones(len(value)), measures[:, 0]], 1)
        line = np.linalg.lstsq(terms[known], value[known], rcond=None)[0]
        rest = value - terms @ line
        spread = max(float(rest[known].std()), 1e-6)
        styles[known, k] = (rest[known] / spread).clip(-2.5, 2.5)
    return styles


def sampling_weights(sources: list[str], jaws: Float64Array, areas: Float64Array, teeth: Float64Array) -> Float32Array:
    """How often a mouth is trained on, [n].

    More often if it is sharp or has a dark interior, most often if it is wide open, which is rare; less often if its
    source is large.
    """
    dark = areas * (1 - teeth)
    sharp = np.where(jaws >= 140, 1.5, 1.0)
    deep = np.where((dark > 120) & (teeth < 0.6), 2.0, 1.0)
    wide = np.where((areas > 250) & (teeth < 0.45), 2.5, 1.0)
    counts = Counter(sources)
    rare = np.array([min(1.0, 250 / counts[source]) ** 0.5 for source in sources])
    weights: Float32Array = (sharp * deep * wide * rare).astype(np.float32)
    return weights


def _planes(image: Pixels, opening: Pixels, label: MouthLabels, yaw: float, config: MouthConfig) -> Pixels:
    upper, lower = label.upper_edge.astype(np.float64), label.lower_edge.astype(np.float64)
    rows = TeethRows(upper, lower, label.midline, label.size, yaw, label.lines)
    hints = np.round(teeth_planes(rows, config) * 255).astype(np.uint8)
    return np.concatenate([image.transpose(2, 0, 1), opening[None], hints])


def _apart(points: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean distance of the inner lips, in mouth widths, [n], and down the canvas only, below 0 where they cross."""
    upper, lower = points[:, [61, 62, 63]], points[:, [67, 66, 65]]
    width = np.linalg.norm(points[:, 54] - points[:, 48], axis=1)
    return np.linalg.norm(upper - lower, axis=2).mean(1) / width, (lower - upper)[..., 1].mean(1) / width


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser("latentface.training.mouth_collect", description=__doc__)
    parser.add_argument("--faces", type=Path, required=True, help="folder with faces.jsonl and crops")
    parser.add_argument("--out", type=Path, required=True, help="file of mouths to write (.npz)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="no bfloat16 autocast (for CPUs without AVX-512)")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    config = MouthConfig()
    canvases = read_canvases(given.faces, larger(config))
    found = find_openings(canvases, OpeningOptions(bfloat16=not given.float32))
    data = collect(canvases, found, config)
    data.save(given.out)
    print(f"{len(data)} open mouths of {len(canvases.images)} faces: {given.out}")


if __name__ == "__main__":
    main()
