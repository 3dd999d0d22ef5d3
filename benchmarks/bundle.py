"""What the built-in generator and encoder do: `python benchmarks/bundle.py --lpips FILE --photos DIR --renders DIR`.

- faces: in how many of 100 samples at psi 0.7 dlib's frontal detector finds a face;
- frechet: Frechet distance between 2000 samples (psi 1) and 2000 fresh renders, on the pooled last features of LPIPS'
  SqueezeNet; beside it that of two halves of the renders, the least that can be reached with so few; of a network of
  more than 128 px also at 128, with renders as large as its pictures;
- photos: each projected alone, with the default options and (--tune) with pivot tuning: LPIPS (SqueezeNet), PSNR, and
  how far the 68 landmarks of the result lie from those of the crop, in inter-ocular distances;
- people (--faces, --recogniser, --points): see `benchmarks/people.py`;
- curve: mean built-in distance over the photos after so many steps, from the encoder's start and from the mean, with
  the network's preconditioner and without.

Renders are shards of `latentface.synthface.dataset` with seeds that no training saw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from generator import draw, has_face
from people import Recogniser, kernel, people

from latentface import api, metrics, pretrained
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import FaceCrop
from latentface.io.images import list_photos, read_image, to_tensor, to_uint8, write_image
from latentface.io.provenance import COMPOSITE
from latentface.networks.generator import Generator
from latentface.networks.lpips import SqueezeLpips
from latentface.options.projection import DEFAULT_TUNE_STEPS, ProjectOptions
from latentface.training.data import image_batch, load_shards
from latentface.training.portraits import load_portraits

COUNT = 2000  # pictures on each side of the Frechet distance
STEPS = (0, 10, 20, 30, 50, 100, 200)  # of the curve


def faces(generator: Generator, count: int = 100) -> dict[str, Any]:
    pictures = to_uint8(draw(generator, count, 0.7, 1000))
    return {"faces_found": sum(has_face(picture) for picture in pictures), "of": count}


def frechet(generator: Generator, lpips: SqueezeLpips, renders: Path) -> dict[str, float]:
    """At the network's own resolution, and at 128 px where that is less, to compare networks of different sizes."""
    images = load_shards(renders)["images"]
    drawn = draw(generator, COUNT, 1.0, 2000).clamp(-1, 1)
    half, report = COUNT // 2, {}
    for size in sorted({128, generator.config.resolution}):
        real = features(lpips, (image_batch(images, part, size) for part in np.split(np.arange(COUNT), 50)))
        fake = features(lpips, (F.avg_pool2d(part, part.shape[-1] // size) for part in drawn.split(40)))
        report[f"frechet_{size}"] = metrics.frechet_distance(fake, real)
        report[f"frechet_{size}_of_renders"] = metrics.frechet_distance(real[:half], real[half:])
    return report


@torch.no_grad()
def features(lpips: SqueezeLpips, batches: Iterable[torch.Tensor]) -> torch.Tensor:
    return torch.cat([metrics.pooled_features(lpips, batch) for batch in batches])


def crops_of(folder: Path, size: int, landmarks: str) -> dict[str, FaceCrop]:
    found = {}
    for path in list_photos(folder):
        try:
            found[path.name] = api.align(read_image(path), size, landmarks)[0]
        except NoFaceFound as error:
            print(f"{path.name}: {error}")
    return found


def photos(
    generator: Generator, lpips: SqueezeLpips, crops: dict[str, FaceCrop], options: ProjectOptions, landmarks: str
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Means over the photos, and their pictures."""
    rows, pictures = [], []
    box = np.array([[0.0, 0.0, generator.config.resolution, generator.config.resolution]], np.float32)
    for crop in crops.values():
        image = api.project(crop, generator, options).image
        pictures.append(image)
        there, here = (torch.from_numpy(find_points(part, box, landmarks)) for part in (image, crop.image))
        a, b = to_tensor(image), to_tensor(crop.image)
        off = float(metrics.landmark_error(there, here))
        rows.append((float(metrics.lpips(lpips, a, b)), float(metrics.psnr(a, b)), off))
    return dict(zip(("lpips", "psnr", "landmarks"), np.mean(rows, 0).tolist(), strict=True)), pictures


def find_points(picture: np.ndarray, box: np.ndarray, landmarks: str) -> np.ndarray:
    """Landmarks [1, 68, 2] of a crop, the face's place in it being known: the middle half and what is below."""
    side = float(box[0, 2])
    face = np.array([[0.22 * side, 0.3 * side, 0.78 * side, 0.86 * side]], np.float32)
    return np.asarray(api.landmark_predictor(landmarks)(picture, face), np.float32)


def curve(generator: Generator, crops: dict[str, FaceCrop], options: ProjectOptions) -> dict[str, list[float]]:
    """From the mean and from the encoder, in the network's own coordinates and in plain ones."""
    distance, listed, reached = pretrained.load_perceptual(), [*crops.values()], {}
    targets = torch.cat([to_tensor(crop.image) for crop in listed])
    for start in ("mean", "encoder"):
        try:
            ws = api.start_of(listed, generator, start)
        except UsageError as error:
            print(f"curve from {start}: {error}")
            continue
        if ws is None:
            ws = generator.w_avg.expand(len(targets), generator.config.num_ws, -1)
        with torch.no_grad():
            first = float(distance(generator.synthesis(ws).clamp(-1, 1), targets).mean())
        for preconditioner in ("none", "auto"):
            row = reached[f"{start}, preconditioner={preconditioner}"] = [first]
            for steps in STEPS[1:]:
                chosen = replace(options, steps=steps, start=start, preconditioner=preconditioner)
                row.append(float(np.mean([found.distance for found in api.project(listed, generator, chosen)])))
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the built-in generator and encoder.")
    parser.add_argument("--network", default=pretrained.DEFAULT_GENERATOR)
    parser.add_argument("--lpips", type=Path, required=True, help="SqueezeNet LPIPS weights, .npz")
    parser.add_argument("--photos", type=Path, help="folder of photos")
    parser.add_argument("--renders", type=Path, help="folder of shards")
    parser.add_argument("--faces", type=Path, help="folder of faces.jsonl and crops")
    parser.add_argument("--recogniser", type=Path, help="dlib_face_recognition_resnet_model_v1.dat")
    parser.add_argument("--points", type=Path, help="shape_predictor_68_face_landmarks.dat")
    parser.add_argument("--landmarks", default="builtin", help="builtin, dlib68 or a .dat file")
    parser.add_argument("--tune", action="store_true", help="measure pivot tuning too")
    parser.add_argument("--curve", action="store_true", help="measure the start of the search")
    parser.add_argument("--limit", type=int, help="only the first photos")
    parser.add_argument("--sheet", type=Path, help="photos above results, to write as a picture")
    given = parser.parse_args()
    generator, lpips = pretrained.load_generator(given.network), SqueezeLpips(given.lpips)
    report: dict[str, Any] = {"network": given.network, **faces(generator)}
    if given.renders:
        report |= frechet(generator, lpips, given.renders)
    if given.faces:
        training, held_out = load_portraits(given.faces)
        report |= kernel(generator, lpips, held_out)
        if given.recogniser and given.points:
            report |= people(generator, Recogniser(given.recogniser, given.points), training, held_out)
    if given.photos:
        crops = crops_of(given.photos, generator.config.resolution, given.landmarks)
        crops = dict([*crops.items()][: given.limit])
        rows = [[crop.image for crop in crops.values()]]
        for name, steps in (("default", 0), ("tuned", DEFAULT_TUNE_STEPS))[: 2 if given.tune else 1]:
            options = ProjectOptions(tune_steps=steps)
            report[name], pictures = photos(generator, lpips, crops, options, given.landmarks)
            rows.append(pictures)
        if given.curve:
            report["curve"] = {"steps": STEPS, **curve(generator, crops, ProjectOptions())}
        if given.sheet:
            sheet = np.concatenate([np.concatenate(row, 1) for row in rows])
            write_image(given.sheet, sheet, source_type=COMPOSITE)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
