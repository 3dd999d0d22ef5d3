r"""Are people followed through cuts and crossings? `python benchmarks/tracking.py --clips 50`.

Three people of the built-in generator walk through a clip of three shots: two cross, one in front of the other, and
at each cut places, sizes, background and light change. Heads turn and faces move by the generator's directions, so
that the truth is known.

- idf1: identity F1 (Ristani et al. 2016): how many of the faces get the number of their person, by the best assignment
  of numbers to people over a clip;
- swaps_after_cuts: people whose number after a cut is another one's;
- known: number of people that were told apart; 3 in each clip.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import suppress

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.optimize import linear_sum_assignment

from latentface import api, hub
from latentface.errors import NoFaceFound
from latentface.faces.alignment import box_around
from latentface.faces.people import People
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator

SIZE = (360, 640)
FRAMES, SHOTS, PEOPLE, POSES = 16, 3, 3, 3  # frames of a shot; poses of a person in it
CAST = 24  # people to choose from
MOVES = {"happiness": 1.5, "yaw": 1.5, "surprise": 1.0}  # directions, and how far at most
SAME = 0.5  # intersection over union from which on a face is the true one
SEEN = 0.6  # of a face must be seen for it to count


class Head:
    """A person of the generator in some poses: pictures [P, 256, 256, 3], boxes in them, and what is head."""

    def __init__(self, generator: Generator, seed: int) -> None:
        rng = np.random.default_rng(seed)
        known = api.list_directions(generator)
        rest = Latent(api.sample_ws(generator, seed)[0], generator.fingerprint)
        self.pictures, self.boxes = [], []
        for pose in range(POSES):
            moved = rest
            for name, most in MOVES.items() if pose else ():
                moved = moved + float(rng.uniform(-most, most)) * known[name]
            self.pictures.append(api.synthesise(generator, moved)[0])
            self.boxes.append(box_around(api.align(self.pictures[-1])[0].landmarks))
        y, x = np.mgrid[:256, :256] / 255.0
        self.mask = np.clip((1.02 - np.hypot((x - 0.5) / 0.36, (y - 0.52) / 0.46)) * 12, 0, 1)


def people(count: int) -> list[Head]:
    """So many people who can be found."""
    generator = api.load_generator("face-256")
    made: list[Head] = []
    for seed in range(1000, 2000):
        with suppress(NoFaceFound):
            made.append(Head(generator, seed))
        if len(made) == count:
            break
    return made


def shot(heads: list[Head], rng: np.random.Generator) -> tuple[list[np.ndarray], list[dict[int, np.ndarray]]]:
    """Frames of a shot, and the boxes of the people seen in each."""
    height, width = SIZE
    background = gaussian_filter(rng.uniform(0, 255, (height, width, 3)), (20, 20, 0))
    background = (background - background.min()) / np.ptp(background) * 200
    light = rng.uniform(0.75, 1.15)
    slots = rng.permutation(PEOPLE)
    start = (slots + 0.5) / PEOPLE * width
    end = start.copy()
    a, b = rng.choice(PEOPLE, 2, replace=False)  # two cross
    end[[a, b]] = start[[b, a]]
    end += rng.normal(0, 10, PEOPLE)
    sides = rng.uniform(170, 230, PEOPLE)
    rows = height / 2 + rng.normal(0, 25, PEOPLE)
    frames, truth = [], []
    for k in range(FRAMES):
        t = k / (FRAMES - 1)
        t = t * t * (3 - 2 * t)
        frame, owner, boxes = background.copy(), np.full((height, width), -1), {}
        for i in np.argsort(sides):  # the larger is the nearer
            pose = min(POSES - 1, k * POSES // FRAMES)
            corner = np.array([start[i] + t * (end[i] - start[i]), rows[i]]) - sides[i] / 2
            left, top = np.rint(corner).astype(int)
            side = int(sides[i])
            scaled = (
                torch.nn.functional.interpolate(
                    torch.from_numpy(
                        np.dstack([heads[i].pictures[pose], heads[i].mask * 255]).astype(np.float32)
                    ).permute(2, 0, 1)[None],
                    (side, side),
                    mode="area",
                )[0]
                .permute(1, 2, 0)
                .numpy()
            )
            y0, y1 = max(top, 0), min(top + side, height)
            x0, x1 = max(left, 0), min(left + side, width)
            part = scaled[y0 - top : y1 - top, x0 - left : x1 - left]
            share = part[..., 3:] / 255
            frame[y0:y1, x0:x1] = share * part[..., :3] * light + (1 - share) * frame[y0:y1, x0:x1]
            owner[y0:y1, x0:x1][share[..., 0] > 0.5] = i
            boxes[int(i)] = heads[i].boxes[pose] / 256 * side + [left, top, left, top]
        seen = {}
        for i, box in boxes.items():
            x0, y0, x1, y1 = np.rint(box).astype(int)
            inside = owner[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
            if (inside == i).sum() > SEEN * 0.75 * (x1 - x0) * (y1 - y0):  # a box has corners beside the face
                seen[i] = box
        frames.append(np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8))
        truth.append(seen)
    return frames, truth


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.prod((np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def measure(heads: list[Head], rng: np.random.Generator, counts: dict[str, float]) -> None:
    """Follow the people of one clip, and count."""
    follow = People(hub.landmark_predictor(), hub.embed_faces)
    agree = np.zeros((PEOPLE, 99))
    true = found = 0
    last: dict[int, int] = {}
    for _ in range(SHOTS):
        first: dict[int, int] = {}
        for frame, boxes in zip(*shot(heads, rng), strict=True):
            began = time.perf_counter()
            here = follow(frame)
            counts["seconds"] += time.perf_counter() - began
            counts["frames"] += 1
            theirs = {number: box_around(points) for number, points in here.items()}
            true += len(boxes)
            # faces that are hidden to a good part count neither way
            all_true = list(boxes.items())
            for number, box in theirs.items():
                near = [(overlap(box, each), i) for i, each in all_true]
                best = max(near, default=(0.0, -1))
                if best[0] > SAME:
                    agree[best[1], number] += 1
                    found += 1
                    first.setdefault(best[1], number)
        counts["swaps_after_cuts"] += sum(
            number != last[i] and number in last.values() for i, number in first.items() if i in last
        )
        last |= first
    rows, columns = linear_sum_assignment(-agree)
    counts["right"] += agree[rows, columns].sum()
    counts["true"] += true
    counts["found"] += found
    counts["known"] += len(follow.known)
    counts["cuts"] += len(follow.cuts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=50)
    parser.add_argument("--cast", type=int, default=CAST, help="people to choose from (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counts = dict.fromkeys(("seconds", "frames", "true", "found", "right", "known", "cuts", "swaps_after_cuts"), 0.0)
    cast = people(given.cast)
    for clip in range(given.clips):
        number = given.seed + clip
        rng = np.random.default_rng(number)
        measure([cast[k] for k in rng.choice(given.cast, PEOPLE, replace=False)], rng, counts)
    print(
        json.dumps(
            {
                "clips": given.clips,
                "idf1": round(2 * counts["right"] / (counts["true"] + counts["found"]), 4),
                "recall": round(counts["found"] / counts["true"], 4),
                "swaps_after_cuts": int(counts["swaps_after_cuts"]),
                "known": round(counts["known"] / given.clips, 2),
                "cuts": round(counts["cuts"] / given.clips, 2),
                "frames_a_second": round(counts["frames"] / counts["seconds"], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
