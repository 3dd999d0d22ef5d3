"""Rig portraits: ``python -m latentface.synthface.portraits FACES -o DIR --count 8000``.

A head is fitted to each photographed face (see `portrait_sources` for the folder) and drives its pixels: expressions,
gaze, small turns and light are sampled, mouths and lids are synthesised, and all parameters are recorded.

Shards of 500 pictures as ``DIR/shard-NNNNN.npz``: images uint8 [n, S, S, 3], landmarks float32 [n, 68, 2] (pixels),
coefficients float32 [n, E] (names in coefficient_names), pose float32 [n, 3] (yaw, pitch, roll in degrees), light
float32 [n, 4] (see `portrait_actions.Relight`), kind int64 [n] (an index into kind_names), strength float32 [n], seed
int64 [n], head int64 [n] (the person's number), source int64 [n] (the photo's row in faces.jsonl), name [n] (the
photo's), and source_coefficients and source_pose, those of the photo itself. An interrupted run resumes;
``DIR/fits.jsonl`` caches the fits.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import click
import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.errors import InputError
from latentface.faces.crop import ffhq_quad
from latentface.fields import resize
from latentface.head.fit import HeadFit
from latentface.head.geometry import Box, Surface, ramp
from latentface.head.in_front import Finders
from latentface.head.model import HeadModel
from latentface.head.projector import Projector
from latentface.io.atomic import atomic_path
from latentface.networks.mouth import MouthNet
from latentface.ops.raster import normals
from latentface.synthface.portrait_actions import KINDS, Relight, sample_action
from latentface.synthface.portrait_sources import Part, SourceFace, is_trusted, plan, read_faces

Job = TypeVar("Job")
Made = TypeVar("Made")

SHARD = 500
CELLS = 64  # side of the grid on which light is changed
MOST_GROWTH = 0.05  # of a head whose face is aligned anew
CHUNK = 100  # faces that a process fits at a time


@dataclass(frozen=True, eq=False)
class RiggedPortrait:
    """A driven face: the picture uint8 RGB [H, W, 3], its head, landmarks [68, 2], and the sampled parameters."""

    image: Pixels
    fit: HeadFit
    landmarks: Float64Array
    strength: float
    light: Relight


class Rig:
    """An aligned face and the head fitted to it.

    Args:
        photo: uint8 RGB [S, S, 3].
        fit: its head.
        model: the head that was fitted.
        mouth: the network that paints opened mouths.
        finders: the networks that find spectacles and occluders.
    """

    def __init__(self, photo: Pixels, fit: HeadFit, model: HeadModel, mouth: MouthNet, finders: Finders) -> None:
        from latentface.head.drive import Driver

        self.photo, self.fit, self.model, self.mouth = photo, fit, model, mouth
        self._projector = Projector(fit, model)
        before = self._projector.vertices(fit)
        self._driver = Driver(photo, model, before, finders=finders)
        self._frame = ffhq_quad(fit.landmarks(model, before))

    def sample(self, kind: int, seed: int) -> RiggedPortrait:
        """Drive the face by a random action of a kind (an index into `KINDS`); the same seed gives the same picture."""
        after, strength, light = sample_action(self.fit, kind, np.random.default_rng(seed))
        image, placed, landmarks = self.render(after, light)
        return RiggedPortrait(image, placed, landmarks, strength, light)

    def render(self, after: HeadFit, light: Relight) -> tuple[Pixels, HeadFit, Float64Array]:
        """Drive the face by a changed head; returns the picture, the head in it, and its landmarks [68, 2].

        The head is placed where face alignment would put it, as in the photo.
        """
        placed = self._aligned(after)
        image, landmarks = self.draw(placed, light)
        return image, placed, landmarks

    def draw(self, placed: HeadFit, light: Relight) -> tuple[Pixels, Float64Array]:
        """Drive the face by a changed head where it lies; returns the picture and its landmarks [68, 2]."""
        from latentface.head.painting import paint_opening

        vertices = self._projector.vertices(placed)
        driven = self._driver.drive(vertices, plain=False, change=placed.expression - self.fit.expression)
        image = self._driver.in_tint(paint_opening(driven, self._projector.skull(placed), self.mouth))
        if self._driver.tint is not None:
            light = replace(light, warmth=0.0)
        return self._relit(image, vertices, light), placed.landmarks(self.model, vertices)

    def _aligned(self, fit: HeadFit) -> HeadFit:
        """The head, shifted and slightly scaled so that its alignment square coincides with that of the photo.

        A head that shrinks uncovers areas outside the crop, which are filled with mirrored pixels.
        """
        quad = ffhq_quad(self._projector.landmarks(fit))
        growth = float(np.linalg.norm(self._frame[2] - self._frame[0]) / np.linalg.norm(quad[2] - quad[0]))
        growth = float(np.clip(growth, 1 - MOST_GROWTH, 1 + MOST_GROWTH))
        shift = self._frame.mean(axis=0) - growth * quad.mean(axis=0)
        return replace(fit, scale=growth * fit.scale, translation=growth * fit.translation + shift)

    @cached_property
    def _surface(self) -> Surface:
        return Surface.of(self.model)

    def _relit(self, image: Pixels, vertices: Float64Array, light: Relight) -> Pixels:
        """The relit picture; the change of light extends to hair and neck and fades beyond them."""
        if light == Relight():
            return image
        size = image.shape[0]
        small = vertices.astype(np.float32)
        small[:, :2] = (small[:, :2] + 0.5) * (CELLS / size) - 0.5
        seen = self._surface.seen(small, Box(0, 0, CELLS, CELLS))
        facing = normals(small, self._surface.skin) * np.array([1, -1, 1], np.float32)
        gain = seen.interpolate(self._surface.closed((facing @ np.array(light.direction, np.float32))[:, None]))
        field = spread(gain[..., 0], seen.covered)
        reach = spread(np.ones_like(field), seen.covered)
        tint = np.array([1.0, 0.0, -1.0], np.float32) * light.warmth
        logs = field[..., None] + reach[..., None] * tint
        return brighten(image, np.exp(resize(logs, (size, size))))


def spread(values: Float32Array, known: BoolArray) -> Float32Array:
    """Values [H, W], extended smoothly from where they are known to where they are not, fading to 0 far away."""
    weight = known.astype(np.float32)
    made = np.zeros_like(values)
    for width in (10.0, 4.0, 1.2):  # from coarse to fine: a finer level counts where more of it is known
        near = ndimage.gaussian_filter(weight, width)
        mean = ndimage.gaussian_filter(values * weight, width) / np.maximum(near, 1e-4)
        share = ramp(near, 0.05, 0.45)
        made = made + share * (mean - made)
    return made.astype(np.float32)


def brighten(image: Pixels, gain: Float32Array) -> Pixels:
    """A picture [H, W, 3] multiplied by gains [H, W, 3]; highlights are compressed instead of cut off."""
    values = image.astype(np.float32) / 255
    lit = np.where(gain > 1, 1 - (1 - values) ** np.maximum(gain, 1), values * np.minimum(gain, 1))
    made: Pixels = np.rint(lit * 255).clip(0, 255).astype(np.uint8)
    return made


def fit_faces(faces: Sequence[SourceFace], cache: Path, workers: int = 1) -> dict[str, HeadFit | None]:
    """Fit a head to each face; returns them by name, None where no head can be fitted. Cached fits are reused.

    Raises:
        InputError: the cache is not what this function wrote, or a picture cannot be read.
    """
    known = _read_cache(cache) if cache.exists() else {}
    wanted = [face for face in faces if face.name not in known]
    chunks = [wanted[k : k + CHUNK] for k in range(0, len(wanted), CHUNK)]
    for done in _map(_fit_chunk, chunks, workers):
        known |= done
        with atomic_path(cache) as partial, open(partial, "w", encoding="utf-8") as stream:
            stream.writelines(f'{{"name": {json.dumps(name)}, "fit": {text}}}\n' for name, text in known.items())
        click.echo(f"{len(known)} of {len(faces)} faces fitted", err=True)
    return {face.name: None if known[face.name] == "null" else HeadFit.from_json(known[face.name]) for face in faces}


def _read_cache(path: Path) -> dict[str, str]:
    """JSON of fits by the names of their pictures."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
            found[str(row["name"])] = json.dumps(row["fit"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path} is not a cache of fits (at {line[:60]!r}); delete it to fit anew") from None
    return found


def _fit_chunk(faces: Sequence[SourceFace]) -> dict[str, str]:
    from latentface import hub
    from latentface.head.fitting import fit_head
    from latentface.io.images import read_image

    model, reader, made = hub.head_model(), hub.head_reader(), {}
    for face in faces:
        photo = read_image(face.path)
        try:
            reading = reader(photo, face.landmarks, model.expression_names)
            made[face.name] = fit_head(model, face.landmarks, photo, reading=reading).to_json()
        except InputError:  # a profile, or no face
            made[face.name] = "null"
    return made


@dataclass(frozen=True, eq=False)
class _Job:
    """A shard to be written: its file, its parts, and their faces and heads by number."""

    path: Path
    parts: Sequence[Part]
    faces: dict[int, SourceFace]
    fits: dict[int, HeadFit]


def _write_shard(job: _Job) -> Path:
    from latentface import hub
    from latentface.io.images import read_image

    model, mouth = hub.head_model(), hub.mouth()
    finders = replace(hub.finders(), matte=None)  # backgrounds move along: to fill them takes longer than all the rest
    made: list[RiggedPortrait] = []
    rig, of = None, -1
    for part in job.parts:
        if rig is None or part.face != of:
            of = part.face
            rig = Rig(read_image(job.faces[of].path), job.fits[of], model, mouth, finders)
        made.append(rig.sample(part.kind, part.seed))
    shown = [job.faces[part.face] for part in job.parts]
    own = [job.fits[part.face] for part in job.parts]
    with atomic_path(job.path) as partial, open(partial, "wb") as stream:
        np.savez(
            stream,
            images=np.stack([one.image for one in made]),
            landmarks=np.stack([one.landmarks for one in made]).astype(np.float32),
            coefficients=np.stack([one.fit.expression for one in made]).astype(np.float32),
            coefficient_names=np.array(model.expression_names),
            pose=np.array([one.fit.pose for one in made], np.float32),
            light=np.array([one.light.numbers for one in made], np.float32),
            kind=np.array([part.kind for part in job.parts], np.int64),
            kind_names=np.array(KINDS),
            strength=np.array([one.strength for one in made], np.float32),
            seed=np.array([part.seed for part in job.parts], np.int64),
            head=np.array([face.person for face in shown], np.int64),
            source=np.array([face.number for face in shown], np.int64),
            name=np.array([face.name for face in shown]),
            source_coefficients=np.stack([fit.expression for fit in own]).astype(np.float32),
            source_pose=np.array([fit.pose for fit in own], np.float32),
        )
    return job.path


def rig_portraits(folder: Path, output: Path, count: int, workers: int = 1, seed: int = 0) -> list[Path]:
    """Fit the faces of a folder and write `count` driven pictures of them, in shards; returns their paths.

    Raises:
        InputError: the folder is not what `portrait_sources` says, or a picture cannot be read.
        UsageError: no face of it can be driven.
    """
    output.mkdir(parents=True, exist_ok=True)
    # One thread a process: several processes are faster than threads that wait for each other.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    faces = read_faces(folder)
    fits = fit_faces(faces, output / "fits.jsonl", workers)
    trusted = [face for face in faces if is_trusted(face, fits[face.name])]
    people = len({face.person for face in trusted})
    click.echo(f"{len(trusted)} of {len(faces)} faces, {people} people, can be driven", err=True)
    parts = plan(trusted, count, len(KINDS), seed)
    by_number = {face.number: face for face in trusted}
    jobs = []
    for k in range(0, count, SHARD):
        path, some = output / f"shard-{k // SHARD:05d}.npz", parts[k : k + SHARD]
        numbers = {part.face for part in some}
        heads = {n: fit for n in numbers if (fit := fits[by_number[n].name]) is not None}
        if not path.exists():
            jobs.append(_Job(path, some, {n: by_number[n] for n in numbers}, heads))
    for path in _map(_write_shard, jobs, workers):
        click.echo(path, err=True)
    return sorted(output.glob("shard-*.npz"))


def _map(work: Callable[[Job], Made], jobs: Sequence[Job], workers: int) -> Iterator[Made]:
    """Apply `work` to each job, in this process or in several; yields the results in order."""
    if workers == 1:
        yield from map(work, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(work, jobs)


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=8_000, show_default=True, help="Pictures.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--seed", default=0, show_default=True)
def main(faces: Path, output: Path, count: int, workers: int, seed: int) -> None:
    """Drive the faces of a folder by their heads."""
    rig_portraits(faces, output, count, workers, seed)


if __name__ == "__main__":
    main()
