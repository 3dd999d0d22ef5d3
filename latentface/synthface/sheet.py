"""A contact sheet of a head library: ``python -m latentface.synthface.sheet --heads heads.npz -o sheet.jpg``.

The upper rows are sampled scenes; each lower row is one person through the seven emotions.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from latentface.io.images import write_image
from latentface.synthface.library import load_library
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import EMOTIONS, sample_scene


def contact_sheet(
    renderer: Renderer, rows: int = 4, columns: int = 14, people: int = 4, seed: int = 0
) -> NDArray[np.uint8]:
    """uint8 RGB: ``rows`` x ``columns`` samples over ``people`` rows of two persons' seven emotions each."""
    tiles = [renderer.sample(seed + i).image for i in range(rows * columns)]
    for person in range(2 * people):
        scene = sample_scene(seed + 1000 + person, renderer.library.sizes, len(renderer.head.identity_deltas))
        calm = replace(scene, yaw=scene.yaw / 3, pitch=0.0, roll=0.0, gaze=(0.0, 0.0))
        tiles += [renderer.render(calm.with_expression(emotion, 0.9)).image for emotion in EMOTIONS]
    size = renderer.size
    grid = np.stack(tiles).reshape(-1, columns, size, size, 3)
    return np.ascontiguousarray(grid.transpose(0, 2, 1, 3, 4).reshape(-1, columns * size, 3))


@click.command()
@click.option("--heads", required=True, type=click.Path(exists=True, path_type=Path), help="Made by synthface.build.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
@click.option("--size", default=112, show_default=True, help="Pixels a face.")
@click.option("--seed", default=0, show_default=True)
def main(heads: Path, output: Path, size: int, seed: int) -> None:
    """Draw a contact sheet."""
    sheet = contact_sheet(Renderer(load_library(heads), size=size), seed=seed)
    write_image(output, sheet)


if __name__ == "__main__":
    main()
