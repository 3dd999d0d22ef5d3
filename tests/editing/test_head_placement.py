"""A head that is fitted to a photo moves the photo's pixels: what stays, what turns, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentface import api
from latentface.editing.head_placement import MOST_TURN, HeadPlacer
from latentface.errors import InputError
from latentface.faces.crop import FaceCrop
from latentface.io.images import read_image

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


def span(before: np.ndarray, after: np.ndarray) -> tuple[int, int, int, int]:
    """The box of what has changed: left, top, right, bottom."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_without_a_change_the_photo_is_itself(photo: np.ndarray, placer: HeadPlacer) -> None:
    assert np.array_equal(placer.place(placer.fit), photo)


def test_closing_lids_change_the_eyes_and_nothing_else(photo: np.ndarray, crop: FaceCrop, placer: HeadPlacer) -> None:
    made = placer.place(placer.fit.with_expression(eyeBlink=1.0))
    eyes = crop.landmarks[36:48]
    reach = np.linalg.norm(eyes[:6].mean(0) - eyes[6:].mean(0))
    left, top, right, bottom = span(photo, made)
    assert left > eyes[:, 0].min() - reach and right < eyes[:, 0].max() + reach
    assert top > eyes[:, 1].min() - reach and bottom < eyes[:, 1].max() + reach
    x, y = np.rint(eyes[:6].mean(0)).astype(int)
    assert np.abs(made[y, x - 2 : x + 3].astype(int) - photo[y, x - 2 : x + 3]).mean() > 20, "skin where the iris was"


def test_an_opened_mouth_is_painted_as_it_is_told(photo: np.ndarray, crop: FaceCrop) -> None:
    openings = []

    def green(opening: object) -> np.ndarray:
        openings.append(opening)
        return np.broadcast_to(np.array([0, 255, 0], np.uint8), opening.plain.shape)  # type: ignore[attr-defined]

    placer = HeadPlacer(photo, crop, paint=green)
    made = placer.place(placer.fit.with_expression(jawOpen=0.8))
    assert len(openings) == 1
    assert ((made == (0, 255, 0)).all(axis=2)).sum() > 20


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
