"""Completion of held-out faces: LPIPS, PSNR and SSIM beside OpenCV's inpainting and plain projection.

`python benchmarks/completion.py --faces FACES --lpips lpips_squeeze.npz [--count 200] [--network FILE]` measures on
faces that no network was trained on, with a hole in the middle (a quarter of the crop) and with random ones (brush
strokes). Telea's method needs the package opencv-python-headless. `--projection N` also completes the first N by the
generator alone, and by the search with texture. `--people` compares completed faces with those trained on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from latentface import api
from latentface.arrays import BoolArray, Pixels
from latentface.completion.complete import complete_face
from latentface.completion.optimisation import project_masked
from latentface.compositing.blending import blend_poisson
from latentface.evaluation.pairs import PairMeter
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop
from latentface.io.images import to_tensor, write_image
from latentface.networks.lpips import SqueezeLpips
from latentface.options.photos import CompleteOptions
from latentface.pretrained import load_completion, load_identity
from latentface.training.completion_data import CompletionFaces, load_completion_faces, load_held_out
from latentface.training.completion_holes import sample_hole

MEASURES = ("lpips", "psnr", "ssim")
KINDS = {"centre": "centre", "random": "strokes"}
Method = Callable[[Pixels, BoolArray, np.ndarray], Pixels]


def telea(image: Pixels, hole: BoolArray, landmarks: np.ndarray) -> Pixels:
    """OpenCV's fast marching method (Telea 2004)."""
    made: Pixels = cv2.inpaint(image[..., ::-1].copy(), hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)[..., ::-1]
    return np.ascontiguousarray(made)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--lpips", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--projection", type=int, default=0)
    parser.add_argument("--network", default="completion")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--people", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    held_out = load_held_out(given.faces)
    network = load_completion(given.network)

    def ours(image: Pixels, hole: BoolArray, landmarks: np.ndarray) -> Pixels:
        return complete_face(image, hole, crop_face(image, landmarks, network.config.size), network=network)

    def plain(image: Pixels, hole: BoolArray, landmarks: np.ndarray) -> Pixels:
        crop, options = crop_face(image, landmarks, network.config.size), CompleteOptions(detail=False)
        return complete_face(image, hole, crop, options, network=network)

    methods: dict[str, Method] = {"telea": telea, "network": ours}
    if given.plain:
        methods["no detail"] = plain
    measure(methods, held_out, given.count, given.lpips, given.sheet)
    if given.people:
        compare_people(ours, load_completion_faces(given.faces, None)[0], held_out, given.count)
    if given.projection:
        generator = api.load_generator()

        def projected(image: Pixels, hole: BoolArray, landmarks: np.ndarray) -> Pixels:
            side = len(image) - 0.5
            quad = np.array([(-0.5, -0.5), (-0.5, side), (side, side), (side, -0.5)])
            crop, painted = FaceCrop(image, landmarks, quad), ours(image, hole, landmarks)
            face = project_masked(crop, hole, painted, generator, CompleteOptions.steps, 0).astype(np.float32)
            blended = blend_poisson(image.astype(np.float32), face, hole.astype(np.float32))
            return np.where(hole[..., None], np.rint(blended).clip(0, 255).astype(np.uint8), image)

        def searched(image: Pixels, hole: BoolArray, landmarks: np.ndarray) -> Pixels:
            crop = crop_face(image, landmarks, network.config.size)
            return complete_face(image, hole, crop, CompleteOptions(method="optimise"), network=network)

        both = {**methods, "projection": projected, "optimise": searched}
        measure(both, held_out, given.projection, given.lpips, None)


def measure(methods: dict[str, Method], faces: CompletionFaces, count: int, lpips: Path, sheet: Path | None) -> None:
    """Print the mean figures of each method for each kind of hole."""
    meter = PairMeter(SqueezeLpips(lpips).requires_grad_(False), load_identity(), lambda picture: None, MEASURES)
    chosen = np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int)
    rows: list[list[Pixels]] = []
    for name, kind in KINDS.items():
        found: dict[str, list[tuple[float, ...]]] = {method: [] for method in methods}
        for number in chosen.tolist():
            image = np.ascontiguousarray(faces.images[number].permute(1, 2, 0).numpy())
            landmarks = faces.landmarks[number]
            hole = sample_hole(landmarks, len(image), np.random.default_rng(number), kind) > 0
            hidden = np.where(hole[..., None], np.uint8(128), image)
            row = [image, hidden]
            for method, work in methods.items():
                began = time.perf_counter()
                made = work(hidden, hole, landmarks)
                seconds = time.perf_counter() - began
                assert np.array_equal(made[~hole], image[~hole]), f"{method} changed pixels outside the hole"
                figures = meter(made, image)
                found[method].append((*(figures[measure] for measure in MEASURES), seconds))
                row.append(made)
            rows.append(row)
        for method, values in found.items():
            mean = np.mean(values, axis=0)
            figures_of = f"LPIPS {mean[0]:.4f}  PSNR {mean[1]:.2f}  SSIM {mean[2]:.4f}  {mean[3]:.2f} s"
            print(f"{name:8}{method:12}{figures_of}  ({len(values)} faces)", flush=True)
    if sheet is not None:
        step = max(1, len(rows) // 12)
        write_image(sheet, np.concatenate([np.concatenate(row, axis=1) for row in rows[::step]]))


def compare_people(work: Method, training: CompletionFaces, held_out: CompletionFaces, count: int) -> None:
    """Print whom completed faces resemble more: the person in the photo, or the nearest one trained on."""
    network = load_identity()

    def embed(images: Tensor) -> Tensor:
        return torch.cat([network(part) for part in images.split(16)])

    with torch.inference_mode():
        known = torch.cat([network(part.float() / 127.5 - 1) for part in training.images.split(16)])
        chosen = np.linspace(0, len(held_out) - 1, min(count, len(held_out))).astype(int).tolist()
        pictures, completed = [], []
        for number in chosen:
            image = np.ascontiguousarray(held_out.images[number].permute(1, 2, 0).numpy())
            hole = sample_hole(held_out.landmarks[number], len(image), np.random.default_rng(number), "centre") > 0
            hidden = np.where(hole[..., None], np.uint8(128), image)
            pictures.append(to_tensor(image))
            completed.append(to_tensor(work(hidden, hole, held_out.landmarks[number])))
        own, made = embed(torch.cat(pictures)), embed(torch.cat(completed))
    before, after = (own @ known.T).amax(1), (made @ known.T).amax(1)
    same = (own * made).sum(1)
    print(f"cosine to the nearest face trained on: photos {before.mean():.3f} (most {before.max():.3f})")
    print(f"completed {after.mean():.3f} (most {after.max():.3f}); completed to own photo {same.mean():.3f}")


if __name__ == "__main__":
    main()
