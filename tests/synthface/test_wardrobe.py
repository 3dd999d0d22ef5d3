"""Carrying a base head's skins and hair to another head."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from latentface.synthface.bake import texel_positions
from latentface.synthface.head import HeadModel
from latentface.synthface.registration import FRONTAL_PAIRS, Registration, attach, register, texcoords_at
from latentface.synthface.renderer import create_context
from latentface.synthface.wardrobe import CLEARANCE, Wardrobe, dress
from latentface.synthface.wavefront import Mesh
from tests.helpers.tiny_head import ellipsoid, tiny_head

STRETCH = np.array([1, 1.35, 1], np.float32)  # the tiny head, made long enough to have a neck


@pytest.fixture(scope="module")
def head() -> HeadModel:
    tiny = tiny_head()
    return dataclasses.replace(tiny, vertices=tiny.vertices * STRETCH)


@pytest.fixture(scope="module")
def base() -> Mesh:
    """A base head in decimetres where MakeHuman's stands, with the texture's u growing from its right to its left."""
    points, triangles, _ = ellipsoid((0, 7.2, 0.5), (0.8, 1.5, 1.1), 60, 80)
    texcoords = np.stack([(points[:, 0] + 0.8) / 1.6, (points[:, 1] - 5.7) / 3.0], 1).clip(0.01, 0.99)
    groups = ("body",) * len(triangles)
    return Mesh(points, texcoords.astype(np.float32), triangles, triangles, groups, groups)


@pytest.fixture(scope="module")
def registration(base: Mesh, head: HeadModel) -> Registration:
    return register(base, head)


@pytest.fixture(scope="module")
def wardrobe(
    base: Mesh, head: HeadModel, registration: Registration, tmp_path_factory: pytest.TempPathFactory
) -> Wardrobe:
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
    context = create_context()
    positions = texel_positions(context, head)
    context.release()
    return dress(folder, head, registration, positions[::4, ::4])


def test_the_warp_carries_landmarks_onto_landmarks(head: HeadModel, registration: Registration) -> None:
    for place, indices in FRONTAL_PAIRS:
        target = head.vertices[head.landmarks68[list(indices)]].mean(0)
        assert np.linalg.norm(registration.to_base(target[None])[0, :2] - place) < 0.02, place  # decimetres
    # And back: a base vertex sent to the head and returned is where it was.
    front = registration.base.vertices[:, 2] > 1.2
    returned = registration.to_base(registration.base_in_head[front])
    assert np.median(np.linalg.norm(returned - registration.base.vertices[front], axis=1)) < 0.05


def test_attach_weighs_the_nearest_most() -> None:
    anchors = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9], [8, 8, 8]], np.float32)
    index, weights = attach(np.array([[1.0, 0, 0]], np.float32), anchors)
    assert index[0, 0] == 1 and weights[0, 0] > 0.95
    assert weights.sum() == pytest.approx(1, abs=1e-6)


def test_texcoords_are_those_of_the_nearest_skin(base: Mesh, registration: Registration) -> None:
    front = np.flatnonzero((base.vertices[:, 2] > 1.2) & (base.vertices[:, 1] > 6.6) & (base.vertices[:, 1] < 8))
    found = texcoords_at(registration, registration.base_in_head[front], samples=60_000)
    assert np.abs(found - base.texcoords[front]).max() < 0.05


def test_skins_masks_and_hair_land_where_they_belong(head: HeadModel, wardrobe: Wardrobe) -> None:
    height, width = wardrobe.skins.shape[1:3]

    def texel(vertex: int) -> tuple[int, int]:
        u, v = head.uv[vertex]
        return int((1 - v) * height), int(u / 2 * width)

    left, right = head.landmarks68[14], head.landmarks68[2]
    assert wardrobe.skins[0][texel(left)].tolist()[2] > 150 > 100 > wardrobe.skins[0][texel(left)].tolist()[0]
    assert wardrobe.skins[0][texel(right)].tolist()[0] > 150 > 100 > wardrobe.skins[0][texel(right)].tolist()[2]
    lips, beard, scalp, _ = (wardrobe.masks[..., k] for k in range(4))
    mouth = head.vertices[head.landmarks68[48:60]].mean(0)
    lip = int(np.linalg.norm(head.vertices[: 48 * 96] - mouth, axis=1).argmin())
    nose, chin = head.landmarks68[29], head.landmarks68[8]
    crown = int(head.vertices[:, 1].argmax())
    assert lips[texel(lip)] > 200
    assert lips[texel(nose)] == 0 and beard[texel(nose)] == 0 and scalp[texel(nose)] == 0
    assert beard[texel(chin)] > 100 and scalp[texel(crown)] > 200


def test_hair_without_a_texture_is_left_out_and_the_rest_stands_off(head: HeadModel, wardrobe: Wardrobe) -> None:
    assert [g.name for g in wardrobe.of_kind("hair")] == ["cap"]
    assert [g.kind for g in wardrobe.garments] == ["hair", "torso"]
    cap = wardrobe.of_kind("hair")[0]
    skin = head.vertices[cap.anchors[:, 0]]
    outward = (cap.rest - skin) @ np.array([0, 1, 0], np.float32)
    assert np.median(outward) > 0.5 * CLEARANCE["hair"]
    moved = cap.follow(np.tile(np.float32([1, 2, 3]), (len(head.vertices), 1)))
    np.testing.assert_allclose(moved, cap.rest + np.float32([1, 2, 3]), atol=1e-4)  # anchored to all of its weights
