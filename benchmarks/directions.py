"""What the built-in directions do to held-out faces: the target at strengths 1, 2 and 3, and what moves besides.

    python -m latentface.synthface.dataset --heads heads.npz -o DIR --count 2000 --first 90000
    python benchmarks/directions.py --renders DIR -o figures.json
    python benchmarks/directions.py --heads heads.npz      (what `pose` reads from an expression alone)

The faces are renders with a neutral expression that no network here has seen, as the built-in encoder finds them. For
each direction and strength, means over the faces:

target    emotions: share named so by the emotion network (and its share before); shapes: movement of the landmarks in
          deviations over faces (`expression_measures.measure_expression`); yaw, pitch: degrees by `headpose`
identity  cosine of the identity embeddings before and after
pose      largest change of the three angles, degrees; expressions move some of the points it is read from
ground    mean change of the pixels outside the head, in grey levels of 255
skin      change of the mean colour of the face, in grey levels; hair: of the pixels of the head above the brows

Figures are kept after each direction, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentface import api
from latentface.emotion import Emotion
from latentface.faces.expression_measures import measure_expression
from latentface.faces.head_pose import head_pose
from latentface.faces.regions import fill
from latentface.io.atomic import atomic_path
from latentface.networks.generator import Generator
from latentface.pretrained import load_emotion
from latentface.training.data import load_shards

STRENGTHS = (1.0, 2.0, 3.0)
BATCH = 16
#: Which landmark measures a shape moves, and which way.
SHAPES = {
    "smile": ((2, 3), -1), "mouth-open": ((0,), 1), "pucker": ((1,), -1), "eyes-closed": ((7, 8), -1),
    "brows-up": ((9, 10, 11, 12), -1), "brows-down": ((9, 10, 11, 12), 1),
}  # fmt: skip
POSES = {"yaw": 0, "pitch": 1}


@dataclass(frozen=True, eq=False)
class Seen:
    """What is seen in N pictures."""

    pictures: torch.Tensor  # [N, 3, R, R]
    emotions: torch.Tensor  # probabilities [N, 7]
    identity: torch.Tensor  # [N, D]
    measures: torch.Tensor  # [N, 14]
    points: np.ndarray  # [N, 68, 2], pixels
    poses: np.ndarray  # [N, 3], degrees


class Eyes:
    """Looks at what the generator draws."""

    def __init__(self, generator: Generator) -> None:
        self.generator, self.judge, self.emotion = generator, api.face_networks(), load_emotion()

    @torch.no_grad()
    def look(self, ws: torch.Tensor) -> Seen:
        """What the latents [N, num_ws, w_dim] look like."""
        parts = torch.split(ws, BATCH)
        pictures = torch.cat([self.generator.synthesis(part, noise_mode="const").clamp(-1, 1) for part in parts])
        points = self._all(self.judge.landmarks, pictures)
        pixels = points.double().numpy() * pictures.shape[-1] - 0.5
        poses = np.array([(pose.yaw, pose.pitch, pose.roll) for pose in map(head_pose, pixels)])
        emotions = self._all(self.emotion, pictures).softmax(1)
        return Seen(
            pictures, emotions, self._all(self.judge.identity, pictures), measure_expression(points), pixels, poses
        )

    @staticmethod
    def _all(network: Callable[[torch.Tensor], torch.Tensor], pictures: torch.Tensor) -> torch.Tensor:
        return torch.cat([network(part) for part in torch.split(pictures, BATCH)])


def held_out(folder: Path, count: int, generator: Generator) -> tuple[torch.Tensor, np.ndarray]:
    """Latents of the first neutral renders, and where their heads are, [N, S, S] of bool."""
    data = load_shards(folder, ("images", "emotion", "mask"))
    chosen = np.flatnonzero(data["emotion"] == Emotion.NEUTRAL.index)[:count]
    images = [np.ascontiguousarray(data["images"][k]) for k in chosen]
    ws = torch.cat([api.encode(images[k : k + BATCH], generator) for k in range(0, len(images), BATCH)])
    return ws, data["mask"][chosen] > 127


def target(name: str, before: Seen, after: Seen) -> float | None:
    """How much of what the direction is called has come; None for what is not measured."""
    if name in {emotion.value for emotion in Emotion}:
        return float((after.emotions.argmax(1) == Emotion.of(name).index).float().mean())
    if name in SHAPES:
        columns, sign = SHAPES[name]
        return sign * float((after.measures - before.measures)[:, columns].mean())
    if name in POSES:
        return float((after.poses - before.poses)[:, POSES[name]].mean())
    return None


def compare(name: str, before: Seen, after: Seen, heads: np.ndarray) -> dict[str, float | None]:
    """The figures of one direction at one strength."""
    change = ((after.pictures - before.pictures) * 127.5).numpy()  # [N, 3, R, R]
    size = change.shape[-1], change.shape[-1]
    faces = np.array([fill(points[:27], size) for points in before.points])
    above = np.arange(size[1])[None, :, None] < before.points[:, 17:27, 1].min(1)[:, None, None]

    def mean_colour(mask: np.ndarray) -> float:
        seen = [np.abs(each[:, where].mean(1)).mean() for each, where in zip(change, mask, strict=True) if where.any()]
        return float(np.mean(seen))

    ground = [np.abs(each[:, ~where]).mean() for each, where in zip(change, heads, strict=True) if not where.all()]
    return {
        "target": target(name, before, after),
        "identity": float((before.identity * after.identity).sum(1).mean()),
        "pose": float(np.abs(after.poses - before.poses).max(1).mean()),
        "ground": float(np.mean(ground)),
        "skin": mean_colour(faces),
        "hair": mean_colour(heads & above & ~faces),
    }


def still_pose(heads: Path, count: int = 12) -> None:
    """Print the pose change that full emotions seem to bring to heads that are rendered still, true landmarks."""
    from latentface.synthface.library import load_library
    from latentface.synthface.renderer import Renderer

    renderer = Renderer(load_library(heads), size=64)
    scenes = [renderer.sample(seed).scene for seed in range(95_000, 95_000 + count)]
    calm = [head_pose(renderer.render(scene.with_expression("neutral", 1.0)).landmarks) for scene in scenes]
    for emotion in list(Emotion)[1:]:
        moved = [head_pose(renderer.render(scene.with_expression(emotion.value, 1.0)).landmarks) for scene in scenes]
        seeming = np.mean([a.differs(b) for a, b in zip(calm, moved, strict=True)])
        print(f"{emotion.value}: {seeming:.1f} degrees on {count} heads that keep still")


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--heads", type=Path, help="made by synthface.build: measure the seeming pose instead")
    parser.add_argument("--renders", type=Path, help="folder of shards that no network has seen")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--only", nargs="*", help="these directions")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after the direction that passes this")
    parser.add_argument("-o", "--out", type=Path, help="JSON file of figures; goes on with one that is there")
    given = parser.parse_args()
    if given.heads:
        still_pose(given.heads)
        return
    if not given.renders or not given.out:
        parser.error("give --renders DIR and -o FILE, or --heads FILE")
    torch.set_num_threads(1)
    generator, began = api.load_generator(given.network), time.monotonic()
    figures = json.loads(given.out.read_text()) if given.out.exists() else {}
    known = api.list_directions(generator)
    missing = [name for name in given.only or known if name not in figures]
    if missing:
        eyes = Eyes(generator)
        ws, heads = held_out(given.renders, given.count, generator)
        before = eyes.look(ws)
        for name in missing:
            steps = [ws + strength * known[name].values for strength in STRENGTHS]
            rows = [compare(name, before, eyes.look(step), heads) for step in steps]
            first = target(name, before, before)
            figures[name] = {"faces": len(ws), "before": first, "strengths": dict(zip(STRENGTHS, rows, strict=True))}
            with atomic_path(given.out) as temporary:
                temporary.write_text(json.dumps(figures, indent=1))
            if time.monotonic() - began > 60 * given.minutes:
                break
    show(json.loads(given.out.read_text()))


COLUMNS = {"target": 2, "identity": 3, "pose": 1, "ground": 1, "skin": 1, "hair": 1}  # and their digits


def show(figures: dict[str, dict[str, Any]]) -> None:
    """The figures as a table in Markdown, each cell at strengths 1, 2 and 3."""
    print(f"| direction | before | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 2)}")
    for name, row in figures.items():
        levels = row["strengths"].values()
        cells = [
            " / ".join("-" if each[column] is None else f"{each[column]:.{digits}f}" for each in levels)
            for column, digits in COLUMNS.items()
        ]
        before = f"{row['before']:.2f}" if row["before"] else ""
        print(f"| {name} | {before} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
