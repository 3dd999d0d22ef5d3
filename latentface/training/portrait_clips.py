"""Clips of photographed people for `training.motion`: ``python -m latentface.training.portrait_clips FACES -o DIR``.

A clip is one aligned photograph and frames of it that its head drives: an expression, gaze and turn are sampled for
each, and the head is shifted and scaled a little, while the background and the light stay. The frames have no order.
The first one is the photograph itself. What lies beyond it repeats its border, as in a square that leaves its photo.

Shards as `synthface.clips` writes them, and `synthface.portraits` describes the folder FACES. The faces of
`training.portraits.held_out_names`, and all photographs of these people, are drawn with ``--held-out`` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click
import numpy as np

from latentface import hub
from latentface.arrays import Float32Array, Pixels
from latentface.faces.square import cut_out, shrink
from latentface.head.fit import HeadFit
from latentface.io.images import read_image
from latentface.synthface.clips import SHARD, write_shard
from latentface.synthface.portrait_actions import KINDS, SPEECH, Relight, sample_action
from latentface.synthface.portrait_sources import SourceFace, is_trusted, plan, read_faces
from latentface.synthface.portraits import Rig, fit_faces
from latentface.training.portraits import held_out_names, read_rows

VIEW: Final = (0.8, 1.0)  # size of the face against that in the FFHQ crop; augmentation makes it smaller and larger
OFF = 0.06  # half pictures: how far the photograph lies off the middle
SPEECHES, BLINKS = 0.3, 0.15  # shares of frames that speak, and of those whose eyes are shut in any case
#: Standard deviations and bounds of a frame's shift (half pictures) and of the logarithm of its size.
SPREAD: Final = np.array([0.05, 0.04, 0.035])
BOUNDS: Final = np.array([0.12, 0.1, 0.08])
FINER = 1.5  # clips are drawn at this many times their size


@dataclass(frozen=True, eq=False)
class DrivenFrame:
    """A frame as `write_shard` takes it."""

    image: Pixels
    landmarks: Float32Array


def place_photo(photo: Pixels, fit: HeadFit, size: int, rng: np.random.Generator) -> tuple[Pixels, HeadFit]:
    """A picture [size, size, 3] that shows a crop smaller, with its border repeated around it, and the head in it."""
    side = round(size * float(rng.uniform(*VIEW)))
    left, top = np.rint((size - side) / 2 + rng.uniform(-OFF, OFF, 2) * size / 2).astype(int).tolist()
    scale = side / photo.shape[0]
    matrix = np.array([[scale, 0, left + (scale - 1) / 2], [0, scale, top + (scale - 1) / 2], [0, 0, 1]])
    return cut_out(shrink(photo, side), -left, -top, size, size), fit.mapped(matrix)


def sample_frame(fit: HeadFit, size: int, rng: np.random.Generator) -> HeadFit:
    """A head in a picture of `size` with a sampled expression, gaze, turn, place and size."""
    kind = SPEECH if rng.random() < SPEECHES else int(rng.integers(len(KINDS)))
    after, _, _ = sample_action(fit, kind, rng)
    if rng.random() < BLINKS:
        after = after.with_expression(eyeBlink=float(rng.uniform(0.7, 1.0)), eyeWide=0.0)
    right, down, grown = np.clip(rng.normal(0, SPREAD), -BOUNDS, BOUNDS)
    middle = fit.translation
    growth = float(np.exp(grown))
    moved = middle + growth * (after.translation - middle) + np.array([right, down]) * size / 2
    return replace(after, scale=growth * after.scale, translation=moved)


def make_clip(face: SourceFace, fit: HeadFit, frames: int, size: int, seed: int) -> list[DrivenFrame]:
    """The frames of a face; the first is its photograph."""
    rng = np.random.default_rng([seed, 5])
    large = round(FINER * size)
    photo, fit = place_photo(read_image(face.path), fit, large, rng)
    rig = Rig(photo, fit, hub.head_model(), hub.mouth(), hub.finders())
    shown = [(photo, fit.landmarks(rig.model))]
    for _ in range(frames - 1):
        shown.append(rig.draw(sample_frame(fit, large, rng), Relight()))
    return [
        DrivenFrame(shrink(picture, size), ((points + 0.5) / FINER - 0.5).astype(np.float32))
        for picture, points in shown
    ]


def chosen_faces(folder: Path, fits: dict[str, HeadFit | None], held_out: bool) -> list[SourceFace]:
    """The faces that can be driven, of people who are held out or of all the others."""
    faces = read_faces(folder)
    names = held_out_names(read_rows(folder))
    people = {face.person for face in faces if face.name in names}
    return [face for face in faces if is_trusted(face, fits[face.name]) and (face.person in people) == held_out]


def write_clips(
    folder: Path, output: Path, fits: Path, count: int, frames: int, size: int, held_out: bool, seed: int = 0
) -> list[Path]:
    """Write `count` clips in shards, rounded up to whole ones; those that exist are kept. Returns their paths.

    Raises:
        InputError: the folder or the cache of fits cannot be read.
        UsageError: no face of it can be driven.
    """
    output.mkdir(parents=True, exist_ok=True)
    heads = fit_faces(read_faces(folder), fits)
    faces = {face.number: face for face in chosen_faces(folder, heads, held_out)}
    paths = [output / f"clips-{number:05d}.npz" for number in range(-(-count // SHARD))]
    parts = plan(list(faces.values()), len(paths) * SHARD, 1, seed)
    for number, path in enumerate(paths):
        if not path.exists():
            clips = []
            for part in parts[number * SHARD : (number + 1) * SHARD]:
                face = faces[part.face]
                fit = heads[face.name]
                assert fit is not None  # `is_trusted`
                clips.append(make_clip(face, fit, frames, size, part.seed))
            write_shard(path, clips)
        click.echo(path, err=True)
    return paths


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--fits", type=click.Path(path_type=Path), help="Heads that were fitted before. [DIR/fits.jsonl]")
@click.option("--count", default=750, show_default=True, help="Clips, rounded up to whole shards.")
@click.option("--frames", default=16, show_default=True)
@click.option("--size", default=128, show_default=True)
@click.option("--held-out", is_flag=True, help="Draw the people who are held out, and no others.")
@click.option("--seed", default=0, show_default=True)
def main(
    faces: Path, output: Path, fits: Path | None, count: int, frames: int, size: int, held_out: bool, seed: int
) -> None:  # fmt: skip
    """Make clips of the faces of a folder."""
    write_clips(faces, output, fits or output / "fits.jsonl", count, frames, size, held_out, seed)


if __name__ == "__main__":
    main()
