"""Render a cast: ``python -m latentface.synthface.casts --heads heads.npz -o DIR --people 50 --own 100 --shared 20``.

Every person of a cast shows many expressions in one light, before one background, as in a clip of them. Most are
shown by `TOGETHER` people, always others, from which a network can learn what two people have in common that do the
same. The `shared` ones, with their gaze and turn of the head, are shown by everybody: they are the ground truth of
retargeting, what one person looks like with another's expression.

One file a person as ``DIR/person-NNNNN.npz``, the shared expressions first: images uint8 [n, S, S, 3] (FFHQ crops),
landmarks float32 [n, 68, 2] (pixels), coefficients float32 [n, E] (names in coefficient_names), view float32 [n, 5]
(yaw, pitch, roll of the head, yaw and pitch of the gaze, degrees), shared int64 (how many). An interrupted run resumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from latentface.io.atomic import atomic_path
from latentface.synthface.clips import sample_expression
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Render, Renderer
from latentface.synthface.scene import Scene, paired, sample_scene

TURN = np.array([7.0, 4.0, 1.5, 8.0, 5.0])  # standard deviations of `view`, degrees
MOST = 2.5  # of them
BLINKS = 0.06  # share of pictures with closed or half-closed eyes
TOGETHER = 4  # people who show an expression that not everybody shows
NOISE = 0.003  # most noise of the camera: a network of few pictures should not learn it


def person_scene(renderer: Renderer, number: int) -> Scene:
    """A person of a cast, at rest, with light, background and clothes."""
    scene = sample_scene(number, renderer.library.sizes, len(renderer.head.identity_deltas))
    return replace(scene, noise=min(scene.noise, NOISE))


def with_moment(person: Scene, moment: tuple[int, ...]) -> Scene:
    """The person at a moment, which is the seed of an expression, a gaze and a turn of the head."""
    rng = np.random.default_rng(moment)
    expression = sample_expression(rng)
    if rng.random() < BLINKS:
        expression |= paired("eyeBlink", float(rng.uniform(0.5, 1.0)))
    yaw, pitch, roll, *gaze = np.clip(rng.normal(0, TURN), -MOST * TURN, MOST * TURN).tolist()
    looks = (gaze[0], gaze[1])
    return replace(
        person, seed=int(rng.integers(2**31)), expression=expression, gaze=looks, yaw=yaw, pitch=pitch, roll=roll
    )


def write_person(path: Path, renders: Sequence[Render], names: Sequence[str], shared: int) -> None:
    """Write the pictures of a person and what they show, atomically."""
    scenes = [one.scene for one in renders]
    with atomic_path(path) as partial, open(partial, "wb") as stream:
        np.savez(
            stream,
            images=np.stack([one.image for one in renders]),
            landmarks=np.stack([one.landmarks for one in renders]),
            coefficients=np.array([[s.expression.get(name, 0.0) for name in names] for s in scenes], np.float32),
            coefficient_names=np.array(names),
            view=np.array([(s.yaw, s.pitch, s.roll, *s.gaze) for s in scenes], np.float32),
            shared=np.int64(shared),
        )


def render_cast(
    renderer: Renderer, folder: Path, people: int, own: int, shared: int, first: int = 0, seed: int = 0
) -> list[Path]:
    """Render `people` persons from number `first` on, each in `shared` and `own` moments; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(first, first + people):
        path = folder / f"person-{number:05d}.npz"
        if not path.exists():
            moments = [(seed, k) for k in range(shared)] + [(seed, k, (number + k) // TOGETHER) for k in range(own)]
            person = person_scene(renderer, number)
            renders = [renderer.render(with_moment(person, moment)) for moment in moments]
            write_person(path, renders, renderer.head.expression_names, shared)
        click.echo(path, err=True)
        paths.append(path)
    return paths


@click.command()
@click.option("--heads", required=True, type=click.Path(exists=True, path_type=Path), help="Made by synthface.build.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--people", default=50, show_default=True)
@click.option("--own", default=100, show_default=True, help="Expressions of each person that few others show.")
@click.option("--shared", default=20, show_default=True, help="Expressions that everybody shows.")
@click.option("--size", default=96, show_default=True)
@click.option("--first", default=0, show_default=True, help="Number of the first person.")
@click.option("--seed", default=0, show_default=True, help="Of the expressions.")
def main(heads: Path, output: Path, people: int, own: int, shared: int, size: int, first: int, seed: int) -> None:
    """Render a cast: few people, many expressions of each."""
    render_cast(Renderer(load_library(heads), size=size), output, people, own, shared, first, seed)


if __name__ == "__main__":
    main()
