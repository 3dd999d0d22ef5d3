"""Render a training set: ``python -m latentface.synthface.dataset --heads heads.npz -o DIR --count 20000``.

Shards of 500 pictures as ``DIR/shard-NNNNN.npz``: images uint8 [n, S, S, 3] (face crops), landmarks float32 [n, 68, 2]
(crop pixels), mask uint8 [n, S, S], emotion int64 [n], strength float32 [n], seed int64 [n], head int64 [n] (the
person's number), factors float32 [n, P] (see factors.FactorCode). An interrupted run resumes: shards are written
atomically, and existing ones are not rendered again.

``--views 5`` renders each person five times, with different expressions, poses, lights and positions; persons 2k and
2k + 1 have the same skin and hair and differ only in the shape of the head. ``--turn 60`` turns the heads evenly by up
to 60 degrees to either side, before cluttered backgrounds.
"""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from latentface.errors import UsageError
from latentface.io.atomic import atomic_path

if TYPE_CHECKING:
    from latentface.synthface.renderer import Renderer
    from latentface.synthface.scene import Scene

SHARD = 500


def sample_turned(renderer: Renderer, seed: int, views: int, turn: float) -> Scene:
    """The scene of a seed (see `scene.sample_view`), the head turned by up to `turn` degrees, unless that is 0."""
    from latentface.synthface.clips import cluttered
    from latentface.synthface.scene import sample_view

    scene = sample_view(seed, views, renderer.library.sizes, len(renderer.head.identity_deltas))
    if not turn:
        return scene
    rng = np.random.default_rng([seed, 5])
    return replace(scene, yaw=float(rng.uniform(-turn, turn)), backdrop=cluttered(scene.backdrop, rng))


def render_shard(heads: Path, folder: Path, number: int, size: int, views: int = 1, turn: float = 0.0) -> Path:
    """Render the scenes with seeds number * SHARD ... into one shard, unless it exists."""
    from latentface.synthface.factors import FactorCode
    from latentface.synthface.library import load_library
    from latentface.synthface.renderer import Renderer

    path = folder / f"shard-{number:05d}.npz"
    if path.exists():
        return path
    renderer = _RENDERERS.get((heads, size))
    if renderer is None:
        renderer = _RENDERERS[heads, size] = Renderer(load_library(heads), size=size)
    seeds = range(number * SHARD, (number + 1) * SHARD)
    drawn = [renderer.render(sample_turned(renderer, seed, views, turn)) for seed in seeds]
    code = FactorCode.of(renderer.library)
    with atomic_path(path) as partial, open(partial, "wb") as stream:
        np.savez(
            stream,
            images=np.stack([d.image for d in drawn]),
            landmarks=np.stack([d.landmarks for d in drawn]),
            mask=np.stack([d.mask for d in drawn]),
            emotion=np.array([d.scene.emotion for d in drawn], np.int64),
            strength=np.array([d.scene.strength for d in drawn], np.float32),
            seed=np.array([d.scene.seed for d in drawn], np.int64),
            head=np.array([d.scene.seed // views for d in drawn], np.int64),
            factors=np.stack([code.encode(d.scene) for d in drawn]),
        )
    return path


_RENDERERS: dict[tuple[Path, int], Renderer] = {}  # one a process: making it takes seconds


def render_dataset(
    heads: Path,
    folder: Path,
    count: int,
    size: int = 128,
    workers: int = 2,
    first: int = 0,
    views: int = 1,
    turn: float = 0.0,
) -> None:
    """Draw ``count`` scenes (rounded up to whole shards) from seed ``first`` on, in worker processes.

    Raises UsageError if a shard would contain only some of a person's ``views``.
    """
    if views < 1 or SHARD % views:
        raise UsageError(f"{views} views a person: expected a divisor of {SHARD}, the pictures of a shard")
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(first // SHARD, first // SHARD + -(-count // SHARD))
    # One thread a process, in the software rasteriser and in BLAS: several processes are faster than several threads.
    for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        jobs = [pool.apply_async(render_shard, (heads, folder, n, size, views, turn)) for n in numbers]
        for job in jobs:
            click.echo(job.get(), err=True)


@click.command()
@click.option("--heads", required=True, type=click.Path(exists=True, path_type=Path), help="Made by synthface.build.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--count", default=20_000, show_default=True)
@click.option("--size", default=128, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--first", default=0, show_default=True, help="First seed.")
@click.option("--views", default=1, show_default=True, help="Pictures of each person.")
@click.option("--turn", default=0.0, show_default=True, help="Most degrees to either side; 0: few people turn far.")
def main(heads: Path, output: Path, count: int, size: int, workers: int, first: int, views: int, turn: float) -> None:
    """Render a dataset of synthetic faces."""
    render_dataset(heads, output, count, size, workers, first, views, turn)


if __name__ == "__main__":
    main()
