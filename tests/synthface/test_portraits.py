"""Rigged portraits: a face that is driven, with the numbers that belong to it, in shards that training reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from latentface import hub
from latentface.errors import InputError
from latentface.faces.crop import ffhq_quad
from latentface.head.fitting import fit_head
from latentface.io.images import write_image
from latentface.synthface import portraits
from latentface.synthface.portrait_actions import KINDS, Relight
from latentface.synthface.portrait_sources import read_faces
from latentface.synthface.portraits import Rig, brighten, fit_faces, main, rig_portraits, spread
from latentface.training.faces import load_faces
from tests.helpers.head_picture import model, picture, place

TOP, SIZE = 20, 300  # of the square that is cut out of the picture


def face(grey: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """A square picture of a face, and its landmarks."""
    photo = picture(grey=grey).photo[TOP : TOP + SIZE]
    return photo, place()[model().landmarks, :2].astype(float) - [0, TOP]


def rig(grey: bool = False) -> Rig:
    photo, points = face(grey)
    return Rig(photo, fit_head(hub.head_model(), points, photo), hub.head_model(), hub.mouth(), hub.finders())


@pytest.fixture(scope="module")
def plain() -> Rig:
    return rig()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "crops").mkdir()
    photo, points = face()
    rows = []
    for k, flipped in enumerate((False, True)):
        write_image(tmp_path / "crops" / f"{k}.png", np.ascontiguousarray(photo[:, ::-1]) if flipped else photo)
        rows.append({"name": f"{k}.png", "source": "here", "landmarks": points.tolist()})
    rows.append({"name": "1.png", "source": "here", "landmarks": points.tolist(), "jaw": 40})
    (tmp_path / "faces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def test_no_change_gives_the_photo_back(plain: Rig) -> None:
    image, fit, landmarks = plain.render(plain.fit, Relight())
    assert np.array_equal(image, plain.photo)
    assert np.abs(landmarks - face()[1])[17:].max() < 0.4 and fit.pose == plain.fit.pose


def test_landmarks_follow_the_face(plain: Rig) -> None:
    opened = plain.fit.with_expression(jawOpen=0.6)
    image, fit, landmarks = plain.render(opened, Relight())
    gap = landmarks[66, 1] - landmarks[62, 1]
    assert gap > 12
    column = image[int(landmarks[62, 1]) + 2 : int(landmarks[66, 1]) - 1, int(landmarks[62, 0])].astype(int)
    lips = plain.photo[int(face()[1][57, 1]), int(face()[1][57, 0])].astype(int)
    assert np.abs(column - lips).sum(axis=1).max() > 60  # what lies behind the lips
    assert fit.coefficients()["jawOpen"] == 0.6


@pytest.mark.parametrize("change", [{"jawOpen": 0.6}, {"mouthSmile": 0.8}])
def test_a_driven_face_is_aligned_as_the_photo_was(plain: Rig, change: dict[str, float]) -> None:
    after = plain.fit.with_expression(change).with_pose(yaw=8, pitch=4, relative=True)
    quads = [ffhq_quad(plain.render(head, Relight())[2]) for head in (plain.fit, after)]
    assert np.abs(quads[0].mean(axis=0) - quads[1].mean(axis=0)).max() < 0.02
    sides = [np.linalg.norm(quad[2] - quad[0]) for quad in quads]
    free = np.linalg.norm(np.subtract(*ffhq_quad(after.landmarks(plain.model))[[2, 0]]))
    assert abs(sides[1] - sides[0]) < 0.6 * abs(free - sides[0])


def test_light_from_the_right_brightens_that_side_and_leaves_far_corners(plain: Rig) -> None:
    image, _, landmarks = plain.render(plain.fit, Relight((0.3, 0.0, 0.0)))
    change = image.astype(int).mean(axis=2) - plain.photo.astype(int).mean(axis=2)
    left, right = (landmarks[k].astype(int) for k in (3, 13))
    assert change[right[1], right[0] - 12] > 5 and change[left[1], left[0] + 12] < -5
    assert np.abs(change[:6, :6]).max() < 4
    warm = plain.render(plain.fit, Relight(warmth=0.08))[0].astype(int) - plain.photo
    nose = landmarks[30].astype(int)
    assert warm[nose[1], nose[0], 0] > 2 and warm[nose[1], nose[0], 2] < -2


def test_a_grey_photo_stays_grey() -> None:
    grey = rig(grey=True)
    image = grey.render(grey.fit.with_expression(mouthSmile=0.5, jawOpen=0.4), Relight((0.1, 0.2, 0), 0.08))[0]
    assert np.array_equal(image[..., 0], image[..., 2]) and not np.array_equal(image, grey.photo)


def test_highlights_are_compressed_and_gaps_filled() -> None:
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    brighter = brighten(image, np.full((16, 16, 3), 1.4, np.float32)).reshape(-1, 3)[:, 0].astype(int)
    assert brighter[0] == 0 and brighter[255] == 255 and (np.diff(brighter) >= 0).all() and brighter[20] == 28
    assert np.array_equal(brighten(image, np.full((16, 16, 3), 0.5, np.float32))[15, 15], [128, 128, 128])
    known = np.zeros((64, 64), bool)
    known[20:40, 20:40] = True
    filled = spread(np.where(known, 0.3, 0).astype(np.float32), known)
    assert np.allclose(filled[25:35, 25:35], 0.3, atol=0.01) and 0.02 < filled[30, 44] < 0.3 and filled[0, 0] < 0.01


def test_shards_hold_every_number_and_are_not_made_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portraits, "SHARD", 6)
    out = folder / "out"
    paths = rig_portraits(folder, out, 8)
    assert [path.name for path in paths] == ["shard-00000.npz", "shard-00001.npz"]
    with np.load(paths[0], allow_pickle=False) as shard:
        assert shard["images"].shape == (6, SIZE, SIZE, 3) and shard["images"].dtype == np.uint8
        assert shard["coefficients"].shape == (6, 53) == shard["source_coefficients"].shape
        assert set(shard["source"]) <= {0, 1} and set(shard["name"]) <= {"0.png", "1.png"}  # the small face is left out
        assert shard["kind_names"].tolist() == list(KINDS) and len(set(shard["kind"])) == 6
        assert (shard["source_pose"][shard["source"] == 0] == shard["source_pose"][shard["source"] == 0][0]).all()
    assert len(load_faces([out], ("head", "kind", "pose"))) == 8

    def refuse(*arguments: object) -> None:
        raise AssertionError("made twice")

    monkeypatch.setattr(portraits, "_fit_chunk", refuse)
    first = paths[0].stat().st_mtime_ns
    paths[1].unlink()
    assert rig_portraits(folder, out, 8) == paths and paths[0].stat().st_mtime_ns == first


def test_faces_without_a_head_are_remembered(folder: Path) -> None:
    faces = read_faces(folder)[:1]
    faces[0].landmarks[:] = np.random.default_rng(0).uniform(0, SIZE, (68, 2))
    assert fit_faces(faces, folder / "fits.jsonl") == {"0.png": None}
    assert fit_faces(faces, folder / "fits.jsonl") == {"0.png": None}
    (folder / "fits.jsonl").write_text('{"name": 3}\n', encoding="utf-8")
    with pytest.raises(InputError, match="not a cache of fits"):
        fit_faces(faces, folder / "fits.jsonl")


def test_the_command(folder: Path) -> None:
    done = CliRunner().invoke(main, [str(folder), "-o", str(folder / "made"), "--count", "2", "--seed", "1"])
    assert done.exit_code == 0, done.output
    assert "2 of 3 faces, 2 people, can be driven" in done.output
    assert (folder / "made" / "shard-00000.npz").exists() and (folder / "made" / "fits.jsonl").exists()
