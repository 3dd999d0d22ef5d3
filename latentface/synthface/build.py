"""Make a head library: ``python -m latentface.synthface.build --head PATH --makehuman FOLDER -o heads.npz``.

PATH is ICT-FaceKit's FaceXModel folder or an ``.npz`` of the same arrays; FOLDER holds MakeHuman's CC0 assets:
base.obj, skins/*.jpg, hair/, eyebrows/ and eyelashes/ (each .obj with its .mhclo and texture).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from latentface.synthface import bake
from latentface.synthface.accessories import make_beards, make_glasses
from latentface.synthface.head import HeadModel, load_arrays, load_ict_folder, vertex_normals
from latentface.synthface.library import Library
from latentface.synthface.registration import register
from latentface.synthface.renderer import create_context
from latentface.synthface.wardrobe import dress
from latentface.synthface.wavefront import read_obj


def build_library(head: HeadModel, makehuman: str | Path) -> Library:
    """Register, bake and dress; takes about a minute for the light ICT head."""
    context = create_context()
    registration = register(read_obj(Path(makehuman) / "base.obj"), head)
    positions = bake.texel_positions(context, head)
    wardrobe = dress(makehuman, head, registration, positions)
    grown = (*make_beards(head, wardrobe.masks), *make_glasses(head))
    wardrobe = replace(wardrobe, garments=(*wardrobe.garments, *grown))
    # Shadowing is baked with parted lips: a closed mouth would leave the inner lips black in every open one.
    parted = head.morph(np.zeros(0, np.float32), {"jawOpen": 0.25} if "jawOpen" in head.expression_names else {})
    lashes = head.triangles_of("M_EyeLashes")
    solid = head.triangles[~np.isin(head.triangles[:, 0], np.unique(lashes))]
    seen = bake.visibility(context, parted, vertex_normals(head, parted), np.ascontiguousarray(solid))
    context.release()
    return Library(head, wardrobe, seen)


@click.command()
@click.option("--head", "head_path", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--makehuman", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
def main(head_path: Path, makehuman: Path, output: Path) -> None:
    """Build a head library from ICT-FaceKit and MakeHuman files."""
    head = load_ict_folder(head_path) if head_path.is_dir() else load_arrays(head_path)
    build_library(head, makehuman).save(output)
    click.echo(f"{output}: {len(head.vertices)} vertices", err=True)


if __name__ == "__main__":
    main()
