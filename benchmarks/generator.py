"""What a generator draws by itself: `python benchmarks/generator.py [--network NAME] [--sheet FILE.png]`.

Prints how many of the samples dlib's frontal detector finds a face in (the share that users can align again), at
several truncations, and how different two samples are (mean built-in perceptual distance of pairs).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from latentface import pretrained
from latentface.errors import NoFaceFound
from latentface.faces.alignment import detect_faces
from latentface.io.images import to_uint8, write_image
from latentface.io.provenance import GENERATED


def draw(generator: torch.nn.Module, count: int, psi: float, seed: int) -> torch.Tensor:
    """Samples [count, 3, R, R] at truncation psi."""
    z = torch.randn(count, generator.config.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        ws = generator.mapping(z, truncation_psi=psi)
        return torch.cat([generator.synthesis(part) for part in ws.split(20)])


def has_face(picture: np.ndarray) -> bool:
    """Whether the detector sees a face; a margin stands in for the photo around the crop."""
    margin = picture.shape[0] // 4
    framed = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    try:
        return len(detect_faces(framed)[0]) > 0
    except NoFaceFound:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a generator draws by itself.")
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="the samples at psi 0.7, in rows of ten")
    given = parser.parse_args()
    generator, distance = pretrained.load_generator(given.network), pretrained.load_perceptual()
    print(f"{'psi':>5}{'faces found':>14}{'pair distance':>16}")
    for psi in (0.5, 0.7, 1.0):
        images = draw(generator, given.count, psi, given.seed)
        pictures = to_uint8(images)
        found = sum(has_face(picture) for picture in pictures)
        half = given.count // 2
        with torch.no_grad():
            apart = float(distance(images[:half].clamp(-1, 1), images[half : 2 * half].clamp(-1, 1)).mean())
        print(f"{psi:5.1f}{found:8d} of {given.count:3d}{apart:16.3f}")
        if psi == 0.7 and given.sheet:
            size = pictures.shape[1]
            grid = pictures[: given.count // 10 * 10].reshape(-1, 10, size, size, 3).transpose(0, 2, 1, 3, 4)
            sheet = np.ascontiguousarray(grid.reshape(-1, 10 * size, 3))
            write_image(given.sheet, sheet, source_type=GENERATED)


if __name__ == "__main__":
    main()
