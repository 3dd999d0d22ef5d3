"""Landmarks of photographs from a face mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.faces.crop import MIRROR
from latentface.training.photo_landmarks import (
    BROWS_GAIN,
    MOST_APART,
    OPPOSITE,
    RULES,
    SIDE,
    agreed,
    load_driven,
    load_photos,
    mesh_weights,
    opening,
    stretch_brows,
)
from tests.helpers import portrait_folder
from tests.helpers.portrait_folder import mesh_of, mirror_points, places, write_driven, write_folder, write_mesh


def test_every_landmark_is_a_mean_of_vertices_and_so_is_its_mirror_image() -> None:
    weights = mesh_weights()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    assert (weights >= 0).all() and set(RULES) | {MIRROR[point] for point in RULES} == set(range(68))
    shared = ((weights > 0) & (weights[list(MIRROR)] > 0)).any(0)  # by a landmark and its mirror image
    assert not shared[[*OPPOSITE, *OPPOSITE.values()]].any() and not set(OPPOSITE) & set(OPPOSITE.values())


def test_closed_lips_and_lids_meet() -> None:
    weights = mesh_weights()
    for upper, lower in ((13, 14), (81, 178), (82, 87), (311, 402), (312, 317)):
        weights[:, lower], weights[:, upper] = weights[:, lower] + weights[:, upper], 0  # one place
    np.testing.assert_allclose(weights[[61, 62, 63]], weights[[67, 66, 65]], atol=1e-6)


def test_both_readings_must_agree() -> None:
    plain = np.stack([mesh_of(places())] * 3)
    mirrored = np.stack([mesh_of(mirror_points(places()))] * 3)
    mirrored[..., 0] = portrait_folder.SIDE - 1 - mirrored[..., 0]
    mirrored[1, :, 1] += 2 * MOST_APART * np.linalg.norm(places()[45] - places()[36])
    plain[2] = np.nan
    points, good = agreed(plain, mirrored)
    assert good.tolist() == [True, False, False]
    still = np.r_[0:17, 27:68]
    np.testing.assert_allclose(points[0, still], places()[still], atol=0.05)


def test_brows_move_more_than_the_mesh_says() -> None:
    raised = np.stack([places()] * 2).astype(np.float32)
    raised[1, 17:27, 1] -= 3
    rise = np.diff(stretch_brows(raised)[:, 17:27, 1], axis=0)[0]
    np.testing.assert_allclose(rise[:5], -3 * np.array(BROWS_GAIN), rtol=1e-3)
    np.testing.assert_allclose(rise[5:], rise[:5][::-1], rtol=1e-3)
    np.testing.assert_array_equal(stretch_brows(raised)[:, 27:], raised[:, 27:])


def test_photographs_of_held_out_people_are_not_learnt_from(tmp_path: Path) -> None:
    faces = write_folder(tmp_path / "faces", 14)
    names = [f"person{number:03d}.png" for number in range(14)]
    learnt, held = load_photos(faces, write_mesh(tmp_path / "mesh.npz", names))
    assert len(learnt) == 12 and len(held) == 2 and learnt.images.shape[1:] == (3, SIDE, SIDE)
    scale = SIDE / portrait_folder.SIDE
    expected = (places()[36:] + 0.5) * scale - 0.5
    np.testing.assert_allclose(learnt.points[0, 36:], expected, atol=0.1)
    with pytest.raises(InputError, match="not the 14 asked for"):
        load_photos(faces, write_mesh(tmp_path / "few.npz", names[:5]))
    np.savez(tmp_path / "other.npz", name=names)
    with pytest.raises(InputError, match="lacks mirrored, plain"):
        load_photos(faces, tmp_path / "other.npz")


def test_driven_pictures_whose_lids_are_smeared_are_left_out(tmp_path: Path) -> None:
    driven = write_driven(tmp_path / "driven", 4)
    mesh = write_mesh(tmp_path / "mesh.npz", [str(100 + number) for number in range(4)])
    assert len(load_driven(driven, mesh, frozenset({"person001.png"}))) == 3
    with np.load(driven / "shard-00000.npz") as shard:
        arrays = dict(shard)
    apart = opening(arrays["landmarks"][:1])
    arrays["landmarks"] = arrays["landmarks"].copy()
    arrays["landmarks"][2, [37, 38, 43, 44], 1] -= 0.1 * np.linalg.norm(places()[45] - places()[36])
    assert opening(arrays["landmarks"])[2].min() > apart.max()
    np.savez(driven / "shard-00000.npz", **arrays)
    assert len(load_driven(driven, mesh, frozenset())) == 3
