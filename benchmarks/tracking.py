r"""Are people followed through cuts and crossings? `python benchmarks/tracking.py --heads heads.npz --clips 50`.

Three rendered people (`latentface.synthface`) talk, blink, turn their heads by up to 59 degrees and walk through a clip
of three shots of 30 frames, 640 x 360 pixels. In each shot two of them cross, one in front of the other, or one walks
through the picture past the others, or one joins another, or one is seen alone, closer. At each cut places, sizes,
background and light change. The true landmarks are those of the rendered heads.

- idf1: identity F1 (Ristani et al. 2016): how many of the faces get the number of their person, by the best assignment
  of numbers to people over a clip. A face is found where the intersection over union of its box with the true one is .5
  or more. Faces of which less than 60 % is seen count neither way.
- swaps_after_cuts: people who get the number of another one after a cut; renamed_after_cuts: those who get a new one;
- recall, precision: of faces, whatever number they get;
- known: number of people that were told apart; 3 in each clip.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy.optimize import linear_sum_assignment
from scipy.spatial import ConvexHull

from latentface import hub
from latentface.arrays import Float64Array, Pixels
from latentface.faces.alignment import box_around
from latentface.faces.people import REACH, People
from latentface.synthface.clips import Motion, cluttered, render_clip, sample_motion, sample_person
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import Scene, sample_scene

WIDTH, HEIGHT, SIDE = 640, 360, 192  # of the clip and of the rendered people
FRAMES, SHOTS, PEOPLE = 30, 3, 3  # frames of a shot
MOMENT = 10.0  # frames from one pose and expression to the next
KINDS = ("crossing", "passing", "joining", "alone")
FOUND = 0.5  # intersection over union from which on a face is the true one
SEEN = 0.6  # of a face must be seen for it to count


@dataclass(frozen=True, eq=False)
class Film:
    """A clip and its truth.

    Attributes:
        frames: uint8 RGB [F, H, W, 3].
        boxes: of each person's face in each frame, [F, PEOPLE, 4]; NaN where they are not in the shot.
        seen: share of each face that is seen, [F, PEOPLE].
    """

    frames: Pixels
    boxes: Float64Array
    seen: Float64Array


def make_film(renderer: Renderer, seed: int) -> Film:
    """The clip of a seed, of people whom no other seed has."""
    people = [sample_person(renderer, PEOPLE * seed + i) for i in range(PEOPLE)]
    motions = [sample_motion(PEOPLE * seed + i, FRAMES * SHOTS, MOMENT) for i in range(PEOPLE)]
    rng = np.random.default_rng([seed, 7])
    kinds = rng.permutation(KINDS)[:SHOTS]
    shots = []
    for k, kind in enumerate(kinds):
        part = slice(k * FRAMES, (k + 1) * FRAMES)
        moving = [Motion(each.course[part], each.expressions[part]) for each in motions]
        shots.append(make_shot(renderer, people, moving, str(kind), rng))
    return Film(*(np.concatenate(parts) for parts in zip(*shots, strict=True)))


def make_shot(
    renderer: Renderer, people: list[Scene], motions: list[Motion], kind: str, rng: np.random.Generator
) -> tuple[Pixels, Float64Array, Float64Array]:
    """Frames, boxes and seen shares of a shot."""
    light = sample_scene(int(rng.integers(1 << 30)), renderer.library.sizes, len(renderer.head.identity_deltas))
    lit = {"lights": light.lights, "ambient": light.ambient, "exposure": light.exposure, "noise": 0.0}
    paths, sides = walk(kind, rng)
    there = np.flatnonzero(np.isfinite(paths[:, 0, 0]))
    renders = {i: render_clip(renderer, replace(people[i], **lit), motions[i]) for i in there}
    ground = (cluttered(light.backdrop, rng).clip(0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    background = np.asarray(Image.fromarray(ground).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))
    noise = rng.uniform(1, 4)
    frames, boxes, seen = [], np.full((FRAMES, PEOPLE, 4), np.nan), np.zeros((FRAMES, PEOPLE))
    for k in range(FRAMES):
        frame, owner, landmarks = Image.fromarray(background), np.full((HEIGHT, WIDTH), -1), {}
        for i in sorted(there, key=lambda i: sides[i]):  # the larger is the nearer
            made, side = renders[i][k], round(sides[i])
            left, top = np.rint(paths[i, k] - side / 2).astype(int).tolist()
            size = (side, side)
            person, mask = (Image.fromarray(each).resize(size) for each in (made.image, made.mask))
            below = (left, top + side, left + side, max(HEIGHT, top + side))  # the clothes go on downwards
            whole = Image.new("L", (WIDTH, HEIGHT))
            for picture, onto in ((person, frame), (mask, whole)):
                onto.paste(picture, (left, top), mask)
                if below[3] > below[1]:
                    last = picture.crop((0, side - 1, side, side)).resize((side, below[3] - below[1]))
                    hem = mask.crop((0, side - 1, side, side)).resize(last.size)
                    onto.paste(last, below[:2], hem)
            owner[np.asarray(whole) > 127] = i
            landmarks[i] = (made.landmarks + 0.5) * (side / SIDE) - 0.5 + (left, top)
        for i, points in landmarks.items():
            boxes[k, i], seen[k, i] = box_around(points), share_of(points, owner == i)
        noisy = np.asarray(frame) + rng.normal(0, noise, (HEIGHT, WIDTH, 3))
        frames.append(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    return np.stack(frames), boxes, seen


def walk(kind: str, rng: np.random.Generator) -> tuple[Float64Array, Float64Array]:
    """The middle of each person's picture in a shot, [PEOPLE, F, 2], NaN for those not in it; and their sizes."""
    t = np.linspace(0, 1, FRAMES)
    t = (t * t * (3 - 2 * t))[:, None]
    sides = rng.uniform(170, 240, PEOPLE)
    start = np.stack([(rng.permutation(PEOPLE) + 0.5) / PEOPLE * WIDTH, HEIGHT / 2 + rng.normal(10, 22, PEOPLE)], -1)
    end = start + rng.normal(0, (18, 8), (PEOPLE, 2))
    a, b, c = rng.permutation(PEOPLE)
    outside = np.array([[-120.0, HEIGHT / 2], [WIDTH + 120.0, HEIGHT / 2]])[rng.permutation(2)]
    if kind == "crossing":
        end[[a, b], 0] = start[[b, a], 0]
    elif kind == "passing":
        start[a], end[a] = outside
        sides[a] = rng.choice([150.0, 260.0])  # behind the others, or in front of them
    elif kind == "joining":
        start[a] = outside[0]
        start[c] = end[c] = np.nan
    else:
        sides[a] = rng.uniform(300, 340)
        start[a, 0] = end[a, 0] = rng.uniform(0.35, 0.65) * WIDTH
        start[[b, c]] = end[[b, c]] = np.nan
    return start[:, None] + t * (end - start)[:, None], sides


def share_of(points: Float64Array, own: np.ndarray) -> float:
    """Share of the face of landmarks [68, 2] that lies on a person's own pixels [H, W]."""
    hull = points[ConvexHull(points).vertices]
    low = np.floor(hull.min(0))
    face = Image.new("L", tuple(np.ceil(np.ptp(hull, axis=0)).astype(int) + 2))
    ImageDraw.Draw(face).polygon([tuple(each) for each in hull - low], fill=1)
    y, x = np.nonzero(np.asarray(face))
    x, y = x + int(low[0]), y + int(low[1])
    inside = (x >= 0) & (y >= 0) & (x < WIDTH) & (y < HEIGHT)
    return float(own[y[inside], x[inside]].sum() / len(x))


def overlap(a: Float64Array, b: Float64Array) -> Float64Array:
    """Intersection over union of boxes [A, 4] and [B, 4]."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clip(0).prod(-1)
    return shared / ((a[:, 2:] - a[:, :2]).prod(-1)[:, None] + (b[:, 2:] - b[:, :2]).prod(-1) - shared)


def measure(film: Film, reach: int) -> Counter[str]:
    """Follow the people of one clip, with so many frames read ahead, and count."""
    people = People(hub.landmark_predictor(), hub.embed_faces)
    counts: Counter[str] = Counter()
    agree: Counter[tuple[int, int]] = Counter()
    before: dict[int, int] = {}  # the number that each person had last, in earlier shots
    now: dict[int, int] = {}
    began = time.process_time()
    told = [here for _, here in people.through(((None, frame) for frame in film.frames), reach)]
    counts["seconds"], counts["frames"] = time.process_time() - began, len(told)
    for k, (here, boxes, seen) in enumerate(zip(told, film.boxes, film.seen, strict=True)):
        if k % FRAMES == 0:
            before, first = before | now, set[int]()
        numbers = list(here)
        there = np.flatnonzero(np.isfinite(boxes[:, 0]))
        likeness = overlap(boxes[there], np.array([box_around(here[n]) for n in numbers]).reshape(-1, 4))
        likeness[likeness < FOUND] = 0
        pairs = [
            (there[i], numbers[j]) for i, j in zip(*linear_sum_assignment(-likeness), strict=True) if likeness[i, j] > 0
        ]
        counts["true"] += int((seen[there] >= SEEN).sum())
        counts["told"] += len(numbers)
        for i, number in pairs:
            if seen[i] < SEEN:
                counts["told"] -= 1
                continue
            counts["found"] += 1
            agree[i, number] += 1
            now[i] = number
            if i in before and i not in first and number != before[i]:
                counts["swaps_after_cuts" if number in before.values() else "renamed_after_cuts"] += 1
            first.add(i)
    table = np.array([[agree[i, person.number] for person in people.known] for i in range(PEOPLE)])
    counts["right"] = int(table[linear_sum_assignment(-table)].sum())
    counts["known"], counts["cuts"] = len(people.known), len(people.cuts)
    return counts


def figures(counts: Counter[str]) -> dict[str, float]:
    return {
        "idf1": round(2 * counts["right"] / (counts["true"] + counts["told"]), 4),
        "recall": round(counts["found"] / counts["true"], 4),
        "precision": round(counts["found"] / counts["told"], 4),
        "swaps_after_cuts": counts["swaps_after_cuts"],
        "renamed_after_cuts": counts["renamed_after_cuts"],
        "known": counts["known"],
        "cuts": counts["cuts"],
        "frames_a_second": round(counts["frames"] / counts["seconds"], 1),
    }


def kept_film(renderer: Renderer, seed: int, folder: Path | None) -> Film:
    """The clip of a seed, from the folder if it has been rendered before."""
    if folder is None:
        return make_film(renderer, seed)
    path = folder / f"film-{seed}.npz"
    if not path.exists():
        np.savez(path, **vars(make_film(renderer, seed)))
    return Film(**np.load(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=Path, required=True, help="made by latentface.synthface.build")
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1_000_000, help="of the first clip (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for rendered clips, which are then not rendered again")
    parser.add_argument("--reach", type=int, default=REACH, help="frames that are read ahead (default: %(default)s)")
    given = parser.parse_args()
    renderer = Renderer(load_library(given.heads), size=SIDE)
    total: Counter[str] = Counter()
    for seed in range(given.seed, given.seed + given.clips):
        counts = measure(kept_film(renderer, seed, given.keep), given.reach)
        print(json.dumps({"seed": seed} | figures(counts)), file=sys.stderr, flush=True)
        total += counts
    print(json.dumps({"clips": given.clips} | figures(total)))


if __name__ == "__main__":
    main()
