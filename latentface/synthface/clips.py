"""Render clips of moving heads: ``python -m latentface.synthface.clips --heads heads.npz -o DIR --count 1000``.

A clip is a person (head, look, light, background: all fixed) and a motion (expression, pose, gaze, blinks and place in
the picture: smooth curves with random keyframes). The camera keeps the upright frame of the resting face, so that the
head moves in the picture as it would in front of a real camera. Person and motion are independent: two people with the
same motion are the ground truth of a motion transfer.

Shards of 25 clips as ``DIR/clips-NNNNN.npz``: images uint8 [n, F, S, S, 3], landmarks float32 [n, F, 68, 2] (pixels).
An interrupted run resumes: shards are written atomically, and existing ones are not rendered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import click
import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import zoom

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.io.atomic import atomic_path
from latentface.synthface.camera import CropCamera, crop_camera
from latentface.synthface.library import load_library
from latentface.synthface.pose import Pose, eyeballs, shape
from latentface.synthface.renderer import Render, Renderer
from latentface.synthface.scene import EMOTIONS, INCIDENTAL, Scene, emotion_shapes, paired, sample_scene

SHARD = 25
MOMENT = 4.0  # frames between keyframes
# Standard deviations about the person's mean: yaw, pitch, roll, gaze yaw, gaze pitch (degrees), x, y (half pictures),
# logarithm of the size.
SPREAD: Final = np.array([15, 8, 7, 10, 6, 0.07, 0.06, 0.05])
BOUNDS: Final = np.array([38, 20, 20, 25, 15, 0.16, 0.14, 0.12])
VIEW: Final = (0.8, 1.12)  # size of the resting face against the FFHQ crop's
TALK: Final = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthLowerDown", "mouthUpperUp", "mouthClose")


@dataclass(frozen=True, eq=False)
class Motion:
    """A motion: `course` [F, 8] in SPREAD's order, and the weights of the head's shapes in each frame."""

    course: Float32Array
    expressions: tuple[dict[str, float], ...]

    def __len__(self) -> int:
        return len(self.course)


def sample_motion(seed: int, frames: int, moment: float = MOMENT) -> Motion:
    """Sample a motion: curves without overshoot through keyframes about `moment` frames apart."""
    rng = np.random.default_rng([seed, 2])
    count = max(2, round(frames / moment) + 1)
    course = _curve(np.clip(rng.normal(0, SPREAD, (count, len(SPREAD))), -BOUNDS, BOUNDS), frames)
    moments = [sample_expression(rng) for _ in range(count)]
    names = sorted({name for moment in moments for name in moment})
    weights = _curve(np.array([[moment.get(name, 0.0) for name in names] for moment in moments]), frames)
    expressions = [dict(zip(names, map(float, row), strict=True)) for row in weights]
    for start in np.flatnonzero(rng.random(frames) < 0.08):  # blinks: shut, then half open again
        for k, closed in zip(range(start, frames), (1.0, 0.5), strict=False):
            expressions[k] |= paired("eyeBlink", closed)
    return Motion(course.astype(np.float32), tuple(expressions))


def _curve(moments: Float64Array, frames: int) -> Float64Array:
    times = np.linspace(0, frames - 1, len(moments))
    values: Float64Array = PchipInterpolator(times, moments)(np.arange(frames))
    return values


def sample_expression(rng: np.random.Generator) -> dict[str, float]:
    """An emotion, incidental movements, and in half of the keyframes a speaking mouth."""
    shapes = emotion_shapes(EMOTIONS[rng.integers(len(EMOTIONS))], float(rng.uniform(0, 1)), rng)
    extra: dict[str, float] = {}
    for name in rng.choice(list(INCIDENTAL), size=2, replace=False):
        extra |= paired(str(name), INCIDENTAL[str(name)] * float(rng.random()))
    if rng.random() < 0.5:
        extra |= paired(str(rng.choice(TALK)), float(rng.uniform(0.2, 0.7)))
        extra["jawOpen"] = float(rng.uniform(0, 0.6))
    return {name: max(shapes.get(name, 0.0), extra.get(name, 0.0)) for name in shapes | extra}


def clip_scenes(person: Scene, motion: Motion) -> list[Scene]:
    """The scenes of a person making a motion; every frame has its own sensor noise."""
    scenes = []
    for k, ((yaw, pitch, roll, *gaze, _x, _y, _size), expression) in enumerate(
        zip(motion.course.tolist(), motion.expressions, strict=True)
    ):
        turn = {"yaw": person.yaw / 2 + yaw, "pitch": person.pitch / 2 + pitch, "roll": roll}
        looks = (gaze[0], gaze[1])
        scenes.append(replace(person, seed=1000 * person.seed + k, expression=expression, gaze=looks, **turn))
    return scenes


def resting_camera(renderer: Renderer, person: Scene) -> CropCamera:
    """The upright view of a person's face at rest, looking ahead: the FFHQ crop, smaller or larger as VIEW allows."""
    rest = replace(person, expression={}, gaze=(0.0, 0.0), yaw=0.0, pitch=0.0, roll=0.0)
    head = renderer.head
    posed = Pose.of(rest).apply(shape(head, eyeballs(head), rest), head.vertices)
    camera = crop_camera(posed[head.landmarks68], person.distance)
    return moved(camera, size=float(np.random.default_rng([person.seed, 3]).uniform(*VIEW)))


def moved(camera: CropCamera, x: float = 0.0, y: float = 0.0, size: float = 1.0) -> CropCamera:
    """The camera's picture scaled about its middle and shifted by x (right) and y (up) half pictures."""
    change = np.diag([size, size, 1.0, 1.0])
    change[:2, 3] = x, y
    return CropCamera(camera.position, (change @ camera.project).astype(np.float32))


def render_clip(renderer: Renderer, person: Scene, motion: Motion) -> list[Render]:
    """Draw a person making a motion, frame by frame, at the renderer's size."""
    camera = resting_camera(renderer, person)
    return [
        renderer.render(scene, moved(camera, float(x), float(y), float(np.exp(size))))
        for scene, (x, y, size) in zip(clip_scenes(person, motion), motion.course[:, 5:], strict=True)
    ]


def sample_person(renderer: Renderer, seed: int) -> Scene:
    """The person, light and background of a seed; two backgrounds of three are sharp and cluttered, as in photos."""
    person = sample_scene(seed, renderer.library.sizes, len(renderer.head.identity_deltas))
    rng = np.random.default_rng([seed, 4])
    return replace(person, backdrop=cluttered(person.backdrop, rng)) if rng.random() < 2 / 3 else person


def cluttered(backdrop: Float32Array, rng: np.random.Generator, side: int = 128) -> Float32Array:
    """A background [side, side, 3] of edges and texture in the colours of a soft one."""
    rows, columns = (np.linspace(0, size - 1, side).round().astype(int) for size in backdrop.shape[:2])
    picture = backdrop[rows][:, columns].copy()
    for _ in range(int(rng.integers(2, 14))):  # things with straight edges
        (top, left), (height, width) = rng.integers(0, side, 2), rng.integers(3, side // 2, 2)
        picture[top : top + height, left : left + width] *= np.exp(rng.normal(0, 0.5) + rng.normal(0, 0.2, 3))
    for cells in (8, 16, 32, 64):  # texture, from coarse to fine
        noise = rng.normal(0, rng.uniform(0, 0.25), (cells, cells, 1))
        picture *= np.exp(zoom(noise, (side / cells, side / cells, 1), order=1))
    drawn: Float32Array = np.clip(picture, 0, 1.5).astype(np.float32)
    return drawn


class Shown(Protocol):
    """A frame of a clip."""

    @property
    def image(self) -> Pixels:
        """uint8 RGB [S, S, 3]."""

    @property
    def landmarks(self) -> Float32Array:
        """Pixels [68, 2]."""


def write_shard(path: Path, clips: Sequence[Sequence[Shown]]) -> None:
    """Write clips of equal length, atomically."""
    with atomic_path(path) as partial, open(partial, "wb") as stream:
        np.savez(
            stream,
            images=np.stack([[frame.image for frame in clip] for clip in clips]),
            landmarks=np.stack([[frame.landmarks for frame in clip] for clip in clips]),
        )


@click.command()
@click.option("--heads", required=True, type=click.Path(exists=True, path_type=Path), help="Made by synthface.build.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=1000, show_default=True, help="Clips, rounded up to whole shards.")
@click.option("--frames", default=10, show_default=True)
@click.option("--size", default=128, show_default=True)
@click.option("--first", default=0, show_default=True, help="First seed.")
def main(heads: Path, output: Path, count: int, frames: int, size: int, first: int) -> None:
    """Render a dataset of clips; run several, with other seeds, to use several cores."""
    output.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(load_library(heads), size=size)
    for number in range(first // SHARD, first // SHARD + -(-count // SHARD)):
        path = output / f"clips-{number:05d}.npz"
        if not path.exists():
            seeds = range(number * SHARD, (number + 1) * SHARD)
            clips = [render_clip(renderer, sample_person(renderer, s), sample_motion(s, frames)) for s in seeds]
            write_shard(path, clips)
        click.echo(path, err=True)


if __name__ == "__main__":
    main()
