"""Edits of clips whose edited twin is known: `python benchmarks/clip_edit.py --heads heads.npz --clips 30`.

Rendered people (`latentface.synthface`) talk, blink and turn for 24 frames of 256 px. The twin of a clip is rendered
with shapes added to every frame's expression; the clip itself is edited by the same amounts.

- error: mean distance of the 68 landmarks between a frame and its twin, in pixels, found by the built-in network in
  both: of the unedited clip, of the edited clip, and of some of its frames edited as photographs of their own. The
  ratio of the last two is to be 1.2 at most.
- roughness: root mean square of the second difference of the edited clip's landmarks over the input's; 1.1 at most.
- still: of people who keep still, so that the frames differ by the camera's noise alone: mean distance of the
  landmarks to their mean over the clip; .3 pixels at most.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

import latentface as lf
from latentface import hub
from latentface.arrays import Float64Array, Pixels
from latentface.editing.clip_edit import change_by_name, edit_clip
from latentface.editing.head_placement import HeadPlacer
from latentface.editing.keyframes import Keyframes
from latentface.errors import LatentfaceError
from latentface.faces.alignment import box_around
from latentface.io.clip import Clip
from latentface.io.video import write_clip
from latentface.synthface.clips import Motion, render_clip, sample_motion, sample_person
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Render, Renderer
from latentface.synthface.scene import paired

FIRST_SEED, FRAMES, SIZE, MOMENT = 2_000_000, 24, 256, 14.0  # frames between keyframes, at 25 a second
AS_PHOTOS = (4, 10, 16, 22)
EDITS: dict[str, dict[str, float]] = {
    "smile": paired("mouthSmile", 0.6) | paired("cheekSquint", 0.3),
    "open": {"jawOpen": 0.35},
    "brows": paired("browInnerUp", 0.7) | paired("browOuterUp", 0.6),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A clip and its twin: frames, and the twin's true landmarks [F, 68, 2]."""

    edit: str
    frames: list[Pixels]
    twin: list[Pixels]
    truth: Float64Array


def cases(renderer: Renderer, count: int, still: bool) -> Iterator[Case]:
    for k in range(count):
        edit = list(EDITS)[k % len(EDITS)]
        seed = FIRST_SEED + k
        person, motion = sample_person(renderer, seed), sample_motion(seed, FRAMES, MOMENT)
        if still:
            motion = Motion(np.zeros_like(motion.course), ({},) * FRAMES)
        clip = render_clip(renderer, person, motion)
        twin = render_clip(renderer, person, replace(motion, expressions=tuple(map(EDITED[edit], motion.expressions))))
        yield Case(edit, pictures(clip), pictures(twin), np.array([frame.landmarks for frame in twin], np.float64))


def added(shapes: dict[str, float]):
    return lambda weights: weights | {name: min(1.0, weights.get(name, 0.0) + by) for name, by in shapes.items()}


EDITED = {name: added(shapes) for name, shapes in EDITS.items()}


def pictures(clip: list[Render]) -> list[Pixels]:
    return [frame.image for frame in clip]


def arkit_name(shape: str) -> str:
    """The name of a rendered head's shape in ARKit, which spells the sides out."""
    return re.sub("_([LR])$", lambda side: {"L": "Left", "R": "Right"}[side[1]], shape)


def clip_of(frames: list[Pixels]) -> Clip:
    return Clip.of(frames, 25, (SIZE, SIZE), count=len(frames))


def find(frames: list[Pixels], truth: Float64Array) -> Float64Array:
    """Landmarks [F, 68, 2] by the network, near the true ones."""
    network = hub.landmark_predictor()
    return np.array([network(f, box_around(at)[None])[0] for f, at in zip(frames, truth, strict=True)], np.float64)


def distance(a: Float64Array, b: Float64Array) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())


def roughness(points: Float64Array) -> float:
    return float(np.sqrt(np.square(np.diff(points, 2, axis=0)).sum(-1).mean()))


def as_photo(picture: Pixels, keyframes: Keyframes) -> Pixels | None:
    """A frame, edited as a photograph of its own; None without a face that can be edited."""
    try:
        placer = HeadPlacer(picture, lf.align(picture)[0])
    except LatentfaceError:
        return None
    change = change_by_name(keyframes)(Fraction(0), placer.fit)
    return placer.place(change(placer.fit))


def measure(case: Case, folder: Path | None, name: str) -> dict[str, float | str]:
    keyframes = Keyframes({f"{arkit_name(shape)}+": by for shape, by in EDITS[case.edit].items()})
    clip = edit_clip(clip_of(case.frames), change_by_name(keyframes))
    made = [frame.pixels for frame in clip.clip]
    if folder is not None:
        for kind, frames in (("in", case.frames), ("out", made), ("twin", case.twin)):
            write_clip(folder / f"{name}-{case.edit}-{kind}.mp4", clip_of(frames))
    before, after, wanted = (find(frames, case.truth) for frames in (case.frames, made, case.twin))
    alone = {k: as_photo(case.frames[k], keyframes) for k in AS_PHOTOS}
    shown = [k for k, picture in alone.items() if picture is not None]
    photos = find([alone[k] for k in shown], case.truth[shown])
    return {
        "name": name, "edit": case.edit, "untouched": clip.report.untouched,
        "unedited": distance(before[shown], wanted[shown]), "clip": distance(after[shown], wanted[shown]),
        "photo": distance(photos, wanted[shown]), "rough_in": roughness(before), "rough_out": roughness(after),
        "rough_twin": roughness(wanted), "moves_in": distance(before, before.mean(0)),
        "moves_out": distance(after, after.mean(0)), "moves_twin": distance(wanted, wanted.mean(0)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure edits of clips against rendered twins.")
    parser.add_argument("--heads", type=Path, required=True, help="made by latentface.synthface.build")
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--still", type=int, default=6, help="clips of people who keep still")
    parser.add_argument("--save", type=Path, help="folder for the clips")
    given = parser.parse_args()
    renderer = Renderer(load_library(given.heads), size=SIZE)
    rows: dict[str, list[dict]] = {"moving": [], "still": []}
    for kind, count in (("moving", given.clips), ("still", given.still)):
        for k, case in enumerate(cases(renderer, count, kind == "still")):
            try:
                rows[kind].append(measure(case, given.save, f"{kind}-{k:02d}"))
                print(json.dumps(rows[kind][-1]), flush=True)
            except LatentfaceError as error:
                print(f"{kind} {k}: {error}", flush=True)

    def mean(kind: str, name: str, edit: str | None = None) -> float:
        return float(np.mean([row[name] for row in rows[kind] if edit in (None, row["edit"])]))

    for edit in (*EDITS, None):
        unedited, clip, photo = (mean("moving", name, edit) for name in ("unedited", "clip", "photo"))
        rough, was, twin = (mean("moving", name, edit) for name in ("rough_out", "rough_in", "rough_twin"))
        print(
            f"{edit or 'all':6s} unedited {unedited:.2f} px, clip {clip:.2f}, photo {photo:.2f}: {clip / photo:.2f}; "
            f"roughness {rough:.2f}, input {was:.2f}: {rough / was:.2f}, twin {twin:.2f}"
        )
    if rows["still"]:
        print(f"still: {mean('still', 'moves_out'):.2f} px, the input {mean('still', 'moves_in'):.2f}, "
              f"the twin {mean('still', 'moves_twin'):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
