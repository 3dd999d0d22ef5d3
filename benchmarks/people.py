r"""Do a generator's faces look like people, and like nobody it was trained on? Called by `benchmarks/bundle.py`.

    python benchmarks/people.py --network NAME --faces DIR --squeeze lpips_squeeze.npz \
        --recogniser dlib_face_recognition_resnet_model_v1.dat --points shape_predictor_68_face_landmarks.dat

- kernel: kernel distance of 160 samples at psi 0.7 to held-out photographs, on means of SqueezeNet's maps at 128 px;
- among themselves: mean identity distance of pairs of samples (of photographs of different people it is 0.82);
- memory: of 1,000 samples, the least distance to a training face, and how many lie nearer than two photographs of one
  person do (0.45);
- drawn: mean identity distance between held-out photographs and what the encoder alone draws of them.

Identity is that of a network of dlib's (`dlib_face_recognition_resnet_model_v1.dat`), which is for development only and
no part of the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
import torch.nn.functional as F
from generator import draw

from latentface import api, metrics, pretrained
from latentface.evaluation.sets import scaled_kernel_distance
from latentface.io.images import to_uint8
from latentface.networks.generator import Generator
from latentface.networks.lpips import SqueezeLpips
from latentface.training.portraits import Portraits, load_portraits

ONE_PERSON = 0.45  # identity distance within which two photographs show one person
SAMPLES, REMEMBERED, PSI = 160, 1000, 0.7
POOLED = (0, 1, 2, 6)  # maps of SqueezeNet whose means are features


class Recogniser:
    """Identity embeddings [128] of the surest face of pictures, uint8 RGB [S, S, 3]."""

    def __init__(self, recogniser: Path, points: Path) -> None:
        self.detector = dlib.get_frontal_face_detector()
        self.points = dlib.shape_predictor(str(points))
        self.network = dlib.face_recognition_model_v1(str(recogniser))

    def embed(self, picture: np.ndarray) -> np.ndarray | None:
        picture = np.ascontiguousarray(picture)
        boxes, scores, _ = self.detector.run(picture, 1, 0.0)
        if not boxes:
            return None
        shape = self.points(picture, boxes[int(np.argmax(scores))])
        return np.array(self.network.compute_face_descriptor(picture, shape))

    def embed_all(self, pictures: list[np.ndarray]) -> np.ndarray:
        found = [self.embed(picture) for picture in pictures]
        return np.array([each for each in found if each is not None])


@torch.no_grad()
def pooled(squeeze: SqueezeLpips, images: torch.Tensor) -> torch.Tensor:
    """Features [N, D] of images [N, 3, S, S] in [-1, 1], brought to 128 px."""
    found = []
    for part in F.adaptive_avg_pool2d(images.clamp(-1, 1), 128).split(20):
        maps = squeeze.features(part)
        found.append(torch.cat([maps[level].mean((2, 3)) for level in POOLED], 1))
    return torch.cat(found)


def as_images(faces: Portraits) -> torch.Tensor:
    return faces.batch(np.arange(len(faces)), np.zeros(len(faces), bool))[0]


def kernel(generator: Generator, squeeze: SqueezeLpips, held_out: Portraits) -> dict[str, float]:
    real = pooled(squeeze, as_images(held_out))
    made = pooled(squeeze, draw(generator, SAMPLES, PSI, 0))
    return {
        "kernel": scaled_kernel_distance(made, real),
        "kernel_of_halves": scaled_kernel_distance(real[::2], real[1::2]),
        "frechet": metrics.frechet_distance(made, real),
    }


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None] - b[None], axis=-1)


def people(generator: Generator, recogniser: Recogniser, training: Portraits, held_out: Portraits) -> dict[str, Any]:
    known = recogniser.embed_all([picture.permute(1, 2, 0).numpy() for picture in training.images])
    made = recogniser.embed_all([*to_uint8(draw(generator, REMEMBERED, PSI, 10))])
    apart = distances(made[:200], made[:200])
    nearest = np.concatenate([distances(part, known).min(1) for part in np.array_split(made, 20)])
    return {
        "samples_with_a_face": len(made) / REMEMBERED,
        "among_themselves": float(apart[np.triu_indices(len(apart), 1)].mean()),
        "nearest_training_face": float(nearest.min()),
        "nearest_training_face_median": float(np.median(nearest)),
        "nearer_than_one_person": int((nearest < ONE_PERSON).sum()),
        "drawn_by_the_encoder": encoded(generator, recogniser, held_out),
    }


def encoded(generator: Generator, recogniser: Recogniser, held_out: Portraits) -> float:
    """Mean identity distance of photographs to what one pass of the encoder draws of them."""
    photos = [picture.permute(1, 2, 0).numpy() for picture in held_out.images]
    off = []
    for photo in photos:
        ws = api.encode([photo], generator)
        with torch.no_grad():
            (drawn,) = to_uint8(generator.synthesis(ws))
        pair = [recogniser.embed(picture) for picture in (photo, drawn)]
        if pair[0] is not None:
            off.append(1.0 if pair[1] is None else float(np.linalg.norm(pair[0] - pair[1])))
    return float(np.mean(off))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the people a generator draws.")
    parser.add_argument("--network", default=pretrained.DEFAULT_GENERATOR)
    parser.add_argument("--faces", type=Path, required=True, help="folder of faces.jsonl and crops")
    parser.add_argument("--squeeze", type=Path, required=True, help="SqueezeNet and LPIPS heads, .npz")
    parser.add_argument("--recogniser", type=Path, help="dlib_face_recognition_resnet_model_v1.dat")
    parser.add_argument("--points", type=Path, help="shape_predictor_68_face_landmarks.dat")
    given = parser.parse_args()
    generator = pretrained.load_generator(given.network)
    training, held_out = load_portraits(given.faces)
    report: dict[str, Any] = {"network": given.network}
    report |= kernel(generator, SqueezeLpips(given.squeeze), held_out)
    if given.recogniser and given.points:
        report |= people(generator, Recogniser(given.recogniser, given.points), training, held_out)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
