"""How exactly direct controls do what they say: `python benchmarks/controls.py --heads heads.npz --people 100`.

Rendered people at rest (`latentface.synthface`) are changed by one control at a time, and the same person is rendered
with that change. Photo, result and twin are measured in the same way, by the landmark network and a fitted head:

- opening of lips and lids: what came, as a part of what came in the twin (0.9 to 1.1 is the aim);
- gaze and roll: degrees between what came and what was asked for (4 and 1 at most), and the same of the twin, which is
  the error of the measure;
- others: how far the weights of shapes that the control does not name have moved, mean over shapes (0.05 at most), and
  the same of the twin.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from latentface import api, hub
from latentface.arrays import Float64Array, Pixels
from latentface.editing.head_placement import HeadPlacer
from latentface.errors import LatentfaceError
from latentface.faces.alignment import box_around
from latentface.head.control_names import CONTROLS
from latentface.head.controls import Change, apply_changes
from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.head.gaze import Gaze
from latentface.synthface.clips import Motion, render_clip, sample_person
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import paired

FIRST_SEED, SIZE = 3_000_000, 256
FREE = ("eyeLook", "eyeBlink", "eyeSquint", "eyeWide")  # shapes that a fit reads from lids and eyes


@dataclass(frozen=True, eq=False)
class Case:
    """A control and its value, and the same as shapes, gaze (yaw and pitch) and roll of a rendered head."""

    control: str
    value: float
    shapes: dict[str, float] = field(default_factory=dict)
    gaze: tuple[float, float] = (0.0, 0.0)
    roll: float = 0.0

    @property
    def own(self) -> tuple[str, ...]:
        """The beginnings of names of shapes that may move."""
        return tuple(CONTROLS[self.control].up or ()) + (() if self.control in ("jaw", "lips-apart") else FREE)


CASES = (
    Case("jaw", 0.3, {"jawOpen": 0.3}),
    Case("jaw", 0.6, {"jawOpen": 0.6}),
    Case("lips-apart", 0.6, paired("mouthLowerDown", 0.36) | paired("mouthUpperUp", 0.27)),
    Case("blink", 0.5, paired("eyeBlink", 0.5)),
    Case("blink", 1.0, paired("eyeBlink", 1.0)),
    Case("gaze-x", 12, gaze=(12, 0)),
    Case("gaze-x", -12, gaze=(-12, 0)),
    Case("gaze-y", 8, gaze=(0, -8)),
    Case("gaze-y", -8, gaze=(0, 8)),
    Case("roll", 10, roll=10),
    Case("roll", -10, roll=-10),
)


def frames(renderer: Renderer, seed: int) -> list[Pixels]:
    """A person at rest, and with every case's change."""
    course = np.zeros((len(CASES) + 1, 8), np.float32)
    for row, case in zip(course[1:], CASES, strict=True):
        row[2], row[3:5] = case.roll, case.gaze
    motion = Motion(course, ({}, *(case.shapes for case in CASES)))
    return [each.image for each in render_clip(renderer, sample_person(renderer, seed), motion)]


@dataclass(frozen=True)
class Seen:
    """What is measured in a picture: openings in inter-ocular distances, and the fitted head."""

    lips: float
    lids: float
    fit: HeadFit

    @classmethod
    def of(cls, picture: Pixels, near: Float64Array) -> Seen:
        points = np.asarray(hub.landmark_predictor()(picture, box_around(near)[None])[0], np.float64)
        unit = np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0))
        lids = points[[41, 40, 47, 46]] - points[[37, 38, 43, 44]]
        lips = points[[67, 66, 65]] - points[[61, 62, 63]]
        fit = fit_head(hub.head_model(), points, picture)
        return cls(*(float(np.linalg.norm(gap, axis=1).mean() / unit) for gap in (lips, lids)), fit)


def angle(case: Case, seen: Seen) -> float:
    """The gaze or roll that a case is about, in the control's degrees."""
    if case.control == "roll":
        return seen.fit.roll
    gaze = Gaze.of(seen.fit.expression_names, seen.fit.expression)
    return gaze.yaw if case.control == "gaze-x" else -gaze.pitch


def measure(case: Case, before: Seen, made: Seen, twin: Seen) -> dict[str, float]:
    others = [not name.startswith(case.own) for name in before.fit.expression_names]
    told = {
        f"others{name}": float(np.abs(seen.fit.expression - before.fit.expression)[others].mean())
        for name, seen in (("", made), ("_twin", twin))
    }
    if case.control in ("gaze-x", "gaze-y", "roll"):
        for name, seen in (("", made), ("_twin", twin)):
            told[f"degrees{name}"] = abs(angle(case, seen) - angle(case, before) - case.value)
    else:
        what = "lids" if case.control == "blink" else "lips"
        came, wanted = (getattr(seen, what) - getattr(before, what) for seen in (made, twin))
        told |= {"came": came, "wanted": wanted}
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure direct controls against rendered twins.")
    parser.add_argument("--heads", type=Path, required=True, help="made by latentface.synthface.build")
    parser.add_argument("--people", type=int, default=100)
    given = parser.parse_args()
    renderer = Renderer(load_library(given.heads), size=SIZE)
    rows: dict[Case, list[dict[str, float]]] = defaultdict(list)
    for seed in range(FIRST_SEED, FIRST_SEED + given.people):
        photo, *twins = frames(renderer, seed)
        try:
            placer = HeadPlacer(photo, api.align(photo)[0])
        except LatentfaceError as error:
            print(f"{seed}: {error}", flush=True)
            continue
        near = placer.fit.landmarks(placer.model)
        before = Seen.of(photo, near)
        for case, twin in zip(CASES, twins, strict=True):
            after = apply_changes(placer.fit, {case.control: Change(case.value, relative=True)})
            made = placer.place(after)
            try:
                rows[case].append(measure(case, before, Seen.of(made, near), Seen.of(twin, near)))
            except LatentfaceError as error:
                print(f"{seed}, {case.control}: {error}", flush=True)
    for case, told in rows.items():
        means = {name: round(float(np.mean([row[name] for row in told])), 3) for name in told[0]}
        if "came" in means:
            means["part"] = round(means["came"] / means["wanted"], 3)
        print(json.dumps({"control": case.control, "value": case.value, "people": len(told), **means}))


if __name__ == "__main__":
    main()
