"""The morphable head: linear modes, normals, texture tiles, files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.synthface.head import HeadModel, load_arrays, load_ict_folder, prepare, vertex_normals
from latentface.synthface.library import load_library
from tests.helpers.tiny_head import ellipsoid, tiny_head


def test_morph_is_linear_in_identity_and_expression() -> None:
    head = tiny_head()
    a = np.array([0.5, -1.0, 0.25], np.float32)
    weights = {"jawOpen": 0.7, "mouthSmile_L": 0.2}
    expected = head.vertices.astype(np.float64) + np.tensordot(a, head.identity_deltas, 1)
    for name, weight in weights.items():
        expected += weight * head.expression_deltas[head.expression_names.index(name)]
    np.testing.assert_allclose(head.morph(a, weights), expected, atol=1e-4)
    np.testing.assert_array_equal(head.morph(np.zeros(0, np.float32), {}), head.vertices)


def test_vertex_normals_of_an_ellipsoid_are_its_gradient() -> None:
    radii = np.array([8, 11, 9.5])
    points, triangles, uv = ellipsoid((0, 0, 0), tuple(radii), 48, 96)
    model = dataclasses.replace(tiny_head(), vertices=points, triangles=triangles, uv=uv)
    normals = vertex_normals(model, points)
    truth = points / radii**2
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    assert ((normals * truth).sum(1) > 0.99).all()  # the seam column included: doubled places share a normal


def test_triangles_over_a_tile_edge_are_given_corners_of_one_tile() -> None:
    head = tiny_head()
    uv = head.uv.copy()
    back = head.vertices[:, 2] < 0
    uv[back, 0] += 1
    split = prepare(dataclasses.replace(head, uv=uv))
    tiles = np.floor(split.uv[:, 0])[split.triangles]
    assert (np.ptp(tiles, axis=1) == 0).all()
    assert len(split.vertices) > len(head.vertices)
    np.testing.assert_array_equal(split.vertices[split.triangles], head.vertices[head.triangles])
    np.testing.assert_array_equal(split.vertices[split.landmarks68], head.vertices[head.landmarks68])


def test_head_arrays_and_ict_folder_read_the_same_head(tmp_path: Path) -> None:
    head = tiny_head()
    arrays = {f.name: np.asarray(getattr(head, f.name)) for f in dataclasses.fields(HeadModel)}
    np.savez(tmp_path / "head.npz", **arrays)
    write_ict_folder(tmp_path / "FaceXModel", head)
    plain, folder = load_arrays(tmp_path / "head.npz"), load_ict_folder(tmp_path / "FaceXModel")
    for f in dataclasses.fields(HeadModel):
        one, two = getattr(plain, f.name), getattr(folder, f.name)
        if isinstance(one, tuple):
            assert one == two
        else:
            np.testing.assert_allclose(one, two, atol=2e-5)


def write_ict_folder(folder: Path, head: HeadModel) -> None:
    """The head as ICT-FaceKit spells it: one OBJ a shape."""
    import json

    folder.mkdir()

    def obj(name: str, vertices: np.ndarray) -> None:
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices] + [f"vt {u:.6f} {v:.6f}" for u, v in head.uv]
        for i, material in enumerate(head.material_names):
            lines.append(f"usemtl {material}")
            lines += [
                "f " + " ".join(f"{v + 1}/{v + 1}" for v in t) for t in head.triangles[head.triangle_material == i]
            ]
        (folder / name).write_text("\n".join(lines))

    obj("generic_neutral_mesh.obj", head.vertices)
    for i, delta in enumerate(head.identity_deltas):
        obj(f"identity{i:03d}.obj", head.vertices + delta)
    for name, delta in zip(head.expression_names, head.expression_deltas, strict=True):
        obj(f"{name}.obj", head.vertices + delta)
    indices = {"idx_to_landmark_verts": head.landmarks68.tolist()}
    (folder / "vertex_indices.json").write_text(json.dumps(indices))


def test_files_that_are_no_head_say_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="lacks vertices"):
        load_arrays(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"generic_neutral_mesh\.obj"):
        load_ict_folder(tmp_path)
    with pytest.raises(InputError, match=r"synthface\.build"):
        load_library(tmp_path / "none.npz")
    with pytest.raises(InputError, match="not a head library"):
        load_library(tmp_path / "other.npz")
