"""Small heads and libraries that the tests of the renderer share."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.synthface.accessories import make_beards, make_glasses
from latentface.synthface.head import HeadModel
from latentface.synthface.library import Library
from latentface.synthface.registration import Registration, register
from latentface.synthface.renderer import Renderer
from latentface.synthface.wavefront import Mesh
from tests.helpers.tiny_head import beard_masks, ellipsoid, tiny_head, tiny_library

STRETCH = np.array([1, 1.35, 1], np.float32)  # the tiny head, made long enough to have a neck


@pytest.fixture(scope="session")
def long_head() -> HeadModel:
    tiny = tiny_head()
    return dataclasses.replace(tiny, vertices=tiny.vertices * STRETCH)


@pytest.fixture(scope="session")
def base() -> Mesh:
    """A base head in decimetres where MakeHuman's stands, with the texture's u growing from its right to its left."""
    points, triangles, _ = ellipsoid((0, 7.2, 0.5), (0.8, 1.5, 1.1), 60, 80)
    texcoords = np.stack([(points[:, 0] + 0.8) / 1.6, (points[:, 1] - 5.7) / 3.0], 1).clip(0.01, 0.99)
    groups = ("body",) * len(triangles)
    return Mesh(points, texcoords.astype(np.float32), triangles, triangles, groups, groups)


@pytest.fixture(scope="session")
def registration(base: Mesh, long_head: HeadModel) -> Registration:
    return register(base, long_head)


@pytest.fixture(scope="session")
def tiny() -> HeadModel:
    return tiny_head()


@pytest.fixture(scope="session")
def library() -> Library:
    return tiny_library()


@pytest.fixture(scope="session")
def renderer(library: Library) -> Renderer:
    return Renderer(library, size=64)


@pytest.fixture(scope="session")
def dressed_library(tiny: HeadModel) -> Library:
    plain = tiny_library()
    grown = (*make_beards(tiny, beard_masks(tiny)), *make_glasses(tiny))
    return replace(plain, wardrobe=replace(plain.wardrobe, garments=(*plain.wardrobe.garments, *grown)))


@pytest.fixture(scope="session")
def makehuman(base: Mesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as MakeHuman's: the base mesh, one skin, one head of hair with a texture and one without."""
    folder = tmp_path_factory.mktemp("makehuman")
    for name in ("skins", "hair", "eyebrows", "eyelashes"):
        (folder / name).mkdir()
    skin = np.zeros((64, 64, 3), np.uint8)
    skin[:, :32], skin[:, 32:] = (200, 20, 20), (20, 20, 200)  # right half red, left half blue
    Image.fromarray(skin).save(folder / "skins" / "halves.jpg", quality=100, subsampling=0)
    crown = np.argsort(-base.vertices[:, 1])[:400]
    place = {v: i for i, v in enumerate(crown)}
    faces = [t for t in base.triangles if all(v in place for v in t)]
    for name in ("cap", "bare"):
        obj = [f"v {x} {y} {z}" for x, y, z in base.vertices[crown]] + ["vt 0 0", "vt 1 0", "vt 1 1"]
        obj += ["f " + " ".join(f"{place[v] + 1}/{k + 1}" for k, v in enumerate(t)) for t in faces]
        (folder / "hair" / f"{name}.obj").write_text("\n".join(obj))
        rules = "x_scale 0 1 1.0\ny_scale 0 1 1.0\nz_scale 0 1 1.0\nverts 0\n"
        (folder / "hair" / f"{name}.mhclo").write_text(rules + "\n".join(str(v) for v in crown))
    Image.new("RGBA", (8, 8), (90, 60, 30, 255)).save(folder / "hair" / "cap_diffuse.png")
    lines = [f"v {x} {y} {z}" for x, y, z in base.vertices] + [f"vt {u} {v}" for u, v in base.texcoords] + ["g body"]
    lines += ["f " + " ".join(f"{v + 1}/{v + 1}" for v in triangle) for triangle in base.triangles]
    (folder / "base.obj").write_text("\n".join(lines))
    return folder
