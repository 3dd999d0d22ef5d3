"""Alignment: how exactly a crop maps back to its photo, and how long large photos take.

`python benchmarks/alignment.py [--photo FILE]`. Exactness: crops of a synthetic pattern with known colours at every
point, turned, shrunk, enlarged and over the border; the shift of the crop against the pattern in photo pixels.
Time: detection on the photo (default examples/astronaut.jpg) enlarged and pasted into 0.3 to 48 megapixels.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from latentface.faces import alignment
from latentface.faces.crop import map_points
from latentface.io.images import read_image

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
WAVE = 90.0


def colour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The pattern at any point, between pixels too."""
    return 127.5 + 100 * np.sin(2 * np.pi / WAVE * np.stack([x, y, x + y], axis=-1))


def shift_of(crop: np.ndarray, to_photo: np.ndarray, width: int, height: int) -> float:
    """Length of the least-squares shift between a crop and the pattern, in photo pixels."""
    x, y = np.meshgrid(np.arange(len(crop)), np.arange(len(crop)))
    place = map_points(to_photo, np.stack([x, y], axis=-1))
    px, py = place[..., 0], place[..., 1]
    inside = (px > 8) & (py > 8) & (px < width - 8) & (py < height - 8)
    slope_x = (colour(px + 0.05, py) - colour(px - 0.05, py))[inside].ravel() * 10
    slope_y = (colour(px, py + 0.05) - colour(px, py - 0.05))[inside].ravel() * 10
    gap = (crop - colour(px, py))[inside].ravel()
    return float(np.linalg.norm(np.linalg.lstsq(np.stack([slope_x, slope_y], axis=1), gap, rcond=None)[0]))


def exactness() -> None:
    """Print the mean and the worst shift over random crops."""
    rng = np.random.default_rng(0)
    height, width = 500, 620
    y, x = np.mgrid[:height, :width]
    photo = np.rint(colour(x, y)).astype(np.uint8)
    shifts = []
    for _ in range(60):
        angle, scale = rng.uniform(-np.pi, np.pi), rng.uniform(12, 60)
        face = np.zeros((68, 2))
        face[36:42, 0], face[42:48, 0] = -0.5, 0.5
        face[48:68] = [0.0, 1.0]
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = face @ turn.T + rng.uniform([120, 120], [width - 120, height - 120])
        crop = alignment.crop_face(photo, points, int(rng.choice([32, 64, 128])))
        shifts.append(shift_of(crop.image.astype(float), crop.to_photo, width, height))
    mean, worst = np.mean(shifts), np.max(shifts)
    print(f"crop -> photo: shift mean {mean:.3f}, worst {worst:.3f} photo pixels ({len(shifts)} crops)")


def timing(photo: np.ndarray) -> None:
    """Print the time of detection in photos of several sizes."""
    for width, height, side in ((640, 480, 400), (1600, 1200, 900), (4000, 3000, 2400), (8000, 6000, 5000)):
        canvas = Image.new("RGB", (width, height), (128, 128, 128))
        canvas.paste(Image.fromarray(photo).resize((side, side)), ((width - side) // 2, (height - side) // 2))
        began = time.process_time()
        boxes, scores = alignment.detect_faces(np.asarray(canvas))
        seconds = time.process_time() - began
        faces = ", ".join(f"{b[2] - b[0]:.0f} px (score {s:.2f})" for b, s in zip(boxes, scores, strict=True))
        print(f"detection in {width} x {height}: {seconds:.2f} s of processor time; faces: {faces or 'none'}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=EXAMPLE)
    exactness()
    timing(read_image(parser.parse_args().photo))


if __name__ == "__main__":
    main()
