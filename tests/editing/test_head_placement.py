"""A head that is fitted to a photo moves the photo's pixels: what stays, what turns, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editing.head_placement import MOST_TURN, HeadPlacer
from latentface.errors import InputError
from latentface.faces.crop import FaceCrop
from latentface.io.images import read_image
from latentface.networks.mouth import MouthConfig

EXAMPLE = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_image(EXAMPLE)


@pytest.fixture(scope="module")
def crop(photo: np.ndarray) -> FaceCrop:
    return api.align(photo, size=128)[0]


@pytest.fixture(scope="module")
def placer(photo: np.ndarray, crop: FaceCrop) -> HeadPlacer:
    return HeadPlacer(photo, crop)


def changed(before: np.ndarray, after: np.ndarray, least: int = 4) -> np.ndarray:
    """The places [N, 2], column and row, of pixels that differ by more than `least`."""
    return np.argwhere(np.abs(after.astype(int) - before).max(axis=2) > least)[:, ::-1]


def test_without_a_change_the_photo_is_itself(photo: np.ndarray, placer: HeadPlacer) -> None:
    assert np.array_equal(placer.place(placer.fit), photo)


def test_closing_lids_change_the_eyes_and_nothing_else(photo: np.ndarray, crop: FaceCrop, placer: HeadPlacer) -> None:
    made = placer.place(placer.fit.with_expression(eyeBlink=1.0))
    eyes = crop.landmarks[36:48]
    apart = np.linalg.norm(eyes[:6].mean(0) - eyes[6:].mean(0))
    places = changed(photo, made)
    assert (places > eyes.min(0) - apart / 2).all() and (places < eyes.max(0) + apart / 2).all()
    x, y = np.rint(eyes[:6].mean(0)).astype(int)
    assert np.abs(made[y, x - 2 : x + 3].astype(int) - photo[y, x - 2 : x + 3]).mean() > 20, "skin where the iris was"


class Green:
    """Paints every mouth green."""

    config = MouthConfig()

    def __call__(self, planes: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return torch.tensor([-1.0, 1.0, -1.0])[None, :, None, None].expand_as(planes[:, :3])


def test_what_parted_lips_uncover_is_painted_by_the_network(
    photo: np.ndarray, crop: FaceCrop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "mouth", Green)
    placer = HeadPlacer(photo, crop)
    made = placer.place(placer.fit.with_expression(jawOpen=0.9)).astype(int)
    rows, columns = np.nonzero(made[..., 1] - made[..., [0, 2]].max(axis=2) > 40)
    mouth = crop.landmarks[48:60]
    assert len(rows) > 50
    assert mouth[:, 0].min() < columns.min() and columns.max() < mouth[:, 0].max()
    assert mouth[:, 1].min() < rows.min()


def test_a_turn_beyond_what_the_photo_shows_is_limited_and_told(photo: np.ndarray, crop: FaceCrop) -> None:
    notes: list[str] = []
    placer = HeadPlacer(photo, crop, note=notes.append)
    far = placer.place(placer.fit.with_pose(yaw=60, roll=3, relative=True))
    assert len(notes) == 1
    assert notes[0].startswith("yaw: asked to turn by 60 degrees, the photo's head turns by 20")
    most = placer.place(placer.fit.with_pose(yaw=MOST_TURN[0], roll=3, relative=True))
    assert len(notes) == 1 and np.array_equal(far, most)


def test_a_photo_without_colour_stays_without(photo: np.ndarray, crop: FaceCrop) -> None:
    grey = np.repeat(np.rint(photo.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2)
    placer = HeadPlacer(grey, crop)
    made = placer.place(placer.fit.with_expression(mouthSmile=1.0, jawOpen=0.6))
    assert not np.array_equal(made, grey)
    assert int(np.ptp(made.astype(int), axis=2).max()) == 0


def test_a_change_between_two_pictures_is_read_onto_the_photos_head(
    photo: np.ndarray, crop: FaceCrop, placer: HeadPlacer
) -> None:
    smiling = placer.fit.with_expression(jawOpen=0.7)
    after = placer.place(smiling)
    model = placer.model
    points, moved = (fit.landmarks(model) for fit in (placer.fit, smiling.with_pose(roll=8, relative=True)))
    found = placer.read(photo, points, after, moved)
    assert found.coefficients()["jawOpen"] > placer.fit.coefficients()["jawOpen"] + 0.3
    assert found.pose == pytest.approx(placer.fit.pose)
    turned = placer.read(photo, points, after, moved, turn=True)
    assert turned.roll == pytest.approx(placer.fit.roll + 8, abs=1.5)
    same = placer.read(photo, points, photo, points)
    assert np.abs(same.expression - placer.fit.expression).max() < 0.05


def test_what_is_no_face_is_refused_with_another_way(photo: np.ndarray, crop: FaceCrop) -> None:
    with pytest.raises(InputError, match="or choose another way with place=warp"):
        HeadPlacer(photo, replace(crop, landmarks=np.zeros((68, 2))))
