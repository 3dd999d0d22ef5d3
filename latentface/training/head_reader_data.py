"""Renders with known coefficients: ``python -m latentface.training.head_reader_data --heads heads.npz -o DIR``.

Half of the faces show an emotion as sampled by `synthface.scene`, the other half show a few random shapes, so that
every shape, gaze and pose occurs with and without the others. Shards of 500 pictures as ``DIR/shard-NNNNN.npz``:
images uint8 [n, S, S, 3] (FFHQ crops), landmarks float32 [n, 68, 2] (the mesh's own, crop pixels), expression float32
[n, 53] (gaze included, as the eyeLook shapes) and their ARKit names [53], pose float32 [n, 3] (yaw, pitch, and roll as
the crop, which is turned with the face, shows it), gaze float32 [n, 2] (degrees), identity float32 [n, I], distance
float32 [n] (camera to face, centimetres), emotion int64 [n] (-1 for a random face).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from latentface.io.atomic import atomic_path
from latentface.synthface.camera import CropCamera, crop_camera
from latentface.synthface.pose import Pose, eyeballs, lid_shapes, shape
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import UNPAIRED, Scene, paired, sample_scene

Array = NDArray[np.float32]

SHARD = 500


@dataclass(frozen=True)
class ExpressionOdds:
    """How random faces vary: their share of all faces, shapes per face, and standard deviations in degrees."""

    random_share: float = 0.55
    units: tuple[int, int] = (1, 7)
    one_sided: float = 0.2
    blink: float = 0.1
    yaw: float = 19.0
    yaw_limit: float = 50.0
    pitch: float = 9.0
    pitch_limit: float = 25.0
    roll: float = 6.0
    gaze: tuple[float, float] = (13.0, 9.0)
    gaze_limit: tuple[float, float] = (35.0, 25.0)


# Shapes that exclude each other: the second of a pair is dropped.
RIVALS = (
    ("jawLeft", "jawRight"), ("mouthLeft", "mouthRight"), ("mouthSmile", "mouthFrown"), ("eyeWide", "eyeSquint"),
    ("mouthPucker", "mouthStretch"), ("mouthFunnel", "mouthPress"), ("eyeWide", "eyeBlink"),
    ("browOuterUp", "browDown"),
)  # fmt: skip
# Shapes that only occur together with another one.
NEEDS = {"mouthClose": "jawOpen"}


def unit_names(expression_names: tuple[str, ...]) -> list[str]:
    """The shapes without their sides and without the gaze, each once."""
    names = dict.fromkeys(name.removesuffix("_L").removesuffix("_R") for name in expression_names)
    return [name for name in names if not name.startswith("eyeLook")]


def random_expression(rng: np.random.Generator, units: list[str], odds: ExpressionOdds) -> dict[str, float]:
    """Weights of a few shapes: about half of them weak, some of them on one side only."""
    count = int(rng.integers(odds.units[0], odds.units[1] + 1))
    chosen = [str(n) for n in rng.choice(units, size=count, replace=False)]
    if "eyeBlink" in chosen and rng.random() > odds.blink * len(units) / odds.units[1]:
        chosen.remove("eyeBlink")
    for first, second in RIVALS:
        if first in chosen and second in chosen:
            chosen.remove(second if rng.random() < 0.5 else first)
    weights: dict[str, float] = {}
    for name in chosen:
        weight = float(rng.beta(1.1, 1.3))
        if name in NEEDS:
            weight *= weights.setdefault(NEEDS[name], float(rng.uniform(0.1, 0.6)))
        side = float(np.clip(rng.normal(0, 0.12), -1, 1))
        if name not in UNPAIRED and rng.random() < odds.one_sided:
            side = float(rng.choice((-1.0, 1.0)))
        weights |= paired(name, weight, side)
    return weights


def reader_scene(
    seed: int, sizes: dict[str, int], identity_modes: int, names: tuple[str, ...], odds: ExpressionOdds
) -> Scene:
    """The scene of a seed, with a wider choice of expressions, gazes and poses than the generator's training set."""
    scene = sample_scene(seed, sizes, identity_modes)
    rng = np.random.default_rng([seed, 7])
    gaze = np.clip(rng.normal(0, odds.gaze), [-g for g in odds.gaze_limit], odds.gaze_limit)
    scene = replace(
        scene,
        yaw=float(np.clip(rng.normal(0, odds.yaw), -odds.yaw_limit, odds.yaw_limit)),
        pitch=float(np.clip(rng.normal(0, odds.pitch), -odds.pitch_limit, odds.pitch_limit)),
        roll=float(np.clip(rng.normal(0, odds.roll), -20, 20)),
        gaze=(float(gaze[0]), float(gaze[1])),
    )
    if rng.random() < odds.random_share:
        return replace(scene, expression=random_expression(rng, unit_names(names), odds), emotion=-1)
    return scene


def arkit_name(name: str) -> str:
    """ARKit's name of a shape of ICT-FaceKit."""
    return name.replace("_L", "Left").replace("_R", "Right")


def shown_expression(scene: Scene, names: tuple[str, ...]) -> Array:
    """Weights [E] of a scene's face as it is drawn, with the lids that follow the gaze."""
    weights = scene.expression | lid_shapes(*scene.gaze)
    return np.array([weights.get(name, 0.0) for name in names], np.float32)


def frame_scene(renderer: Renderer, scene: Scene) -> tuple[CropCamera, tuple[float, float, float]]:
    """The camera that frames a scene by its crop, and the head's yaw, pitch and roll in that crop."""
    head = renderer.library.head
    posed = Pose.of(scene).apply(shape(head, eyeballs(head), scene), head.vertices)
    camera = crop_camera(posed[head.landmarks68], scene.distance)
    across = camera.project[:2, 0]  # where the world's x points in the crop, y up
    turned = float(np.degrees(np.arctan2(across[1], across[0])))
    return camera, (scene.yaw, scene.pitch, scene.roll - turned)


def render_shard(renderer: Renderer, folder: Path, number: int, odds: ExpressionOdds) -> Path:
    """Render the scenes with seeds number * SHARD ... into one shard, unless it exists."""
    path = folder / f"shard-{number:05d}.npz"
    if path.exists():
        return path
    head = renderer.library.head
    sizes, modes = renderer.library.sizes, len(head.identity_deltas)
    seeds = range(number * SHARD, (number + 1) * SHARD)
    scenes = [reader_scene(seed, sizes, modes, head.expression_names, odds) for seed in seeds]
    framed = [frame_scene(renderer, scene) for scene in scenes]
    drawn = [renderer.render(scene, camera) for scene, (camera, _) in zip(scenes, framed, strict=True)]
    with atomic_path(path) as partial, open(partial, "wb") as stream:
        np.savez(
            stream,
            images=np.stack([d.image for d in drawn]),
            landmarks=np.stack([d.landmarks for d in drawn]),
            expression=np.stack([shown_expression(s, head.expression_names) for s in scenes]),
            expression_names=np.array([arkit_name(name) for name in head.expression_names]),
            pose=np.array([angles for _, angles in framed], np.float32),
            gaze=np.array([s.gaze for s in scenes], np.float32),
            identity=np.stack([s.identity for s in scenes]).astype(np.float32),
            distance=np.array([s.distance for s in scenes], np.float32),
            emotion=np.array([s.emotion for s in scenes], np.int64),
        )
    return path


@click.command()
@click.option("--heads", required=True, type=click.Path(exists=True, path_type=Path), help="Made by synthface.build.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=12_000, show_default=True, help="Pictures, rounded up to whole shards.")
@click.option("--size", default=160, show_default=True, help="Side of the FFHQ crop, in pixels.")
@click.option("--first", default=0, show_default=True, help="First seed.")
def main(heads: Path, output: Path, count: int, size: int, first: int) -> None:
    """Render faces with known coefficients."""
    from latentface.synthface.library import load_library

    os.environ.setdefault("LP_NUM_THREADS", "1")  # one thread in the software rasteriser, read when it starts
    output.mkdir(parents=True, exist_ok=True)
    renderer = Renderer(load_library(heads), size=size)
    for number in range(first // SHARD, first // SHARD + -(-count // SHARD)):
        click.echo(render_shard(renderer, output, number, ExpressionOdds()), err=True)


if __name__ == "__main__":
    main()
