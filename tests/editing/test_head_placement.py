"""A photo's own pixels move with the head that is fitted to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import latentface
from latentface import hub
from latentface.directions.meaning import meaning_of
from latentface.editing.head_placement import HeadPlacer
from latentface.errors import InputError
from latentface.faces.crop import FaceCrop
from latentface.head.control_names import NEUTRALISE
from latentface.head.controls import Change, apply_changes
from latentface.head.drive import Driver
from latentface.head.fit import MOST_TURN
from latentface.head.measures import LIPS_APART, measure_head
from latentface.networks.mouth import MouthConfig

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
PHOTO = latentface.read_image(ASTRONAUT)


@pytest.fixture(scope="module")
def crop() -> FaceCrop:
    return latentface.align(PHOTO)[0]


@pytest.fixture(scope="module")
def placer(crop: FaceCrop) -> HeadPlacer:
    return HeadPlacer(PHOTO, crop)


def test_no_change_gives_the_photo_back(placer: HeadPlacer) -> None:
    assert np.array_equal(placer.place(placer.fit), PHOTO)


@pytest.mark.parametrize(
    ("changes", "points", "down"),
    [
        ({"jaw": 0.6}, [57, 8], 1), ({"brows": 1.0}, [19, 24], -1), ({NEUTRALISE: 1.0, "frown": 1.0}, [48, 54], 1),
    ],
)  # fmt: skip
def test_what_is_asked_for_moves(
    placer: HeadPlacer, crop: FaceCrop, changes: dict[str, float], points: list[int], down: int
) -> None:
    made = placer.place(apply_changes(placer.fit, {name: Change(value) for name, value in changes.items()}))
    landmarks = hub.landmark_predictor("builtin")
    box = np.array([[*crop.landmarks.min(0), *crop.landmarks.max(0)]])
    before, after = (np.asarray(landmarks(picture, box)[0]) for picture in (PHOTO, made))
    unit = np.linalg.norm(before[36:42].mean(0) - before[42:48].mean(0))
    assert (down * (after - before)[points, 1] > 0.04 * unit).all()


def test_shut_eyes_stay_shut(crop: FaceCrop, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    shut = HeadPlacer(PHOTO, crop, note=notes.append)
    monkeypatch.setattr(Driver, "has_shut_eyes", True)
    opened = apply_changes(shut.fit, {"eyeWideLeft": Change(1.0), "eyeWideRight": Change(1.0)})
    assert np.array_equal(shut.place(opened), PHOTO)
    jaw = Change(0.5)
    both = shut.place(apply_changes(opened, {"jaw": jaw}))
    assert np.array_equal(both, shut.place(apply_changes(shut.fit, {"jaw": jaw})))
    assert notes == ["the eyes are shut in the photo, so they stay shut"]


def test_what_lies_far_from_the_head_stays_to_the_bit(placer: HeadPlacer, crop: FaceCrop) -> None:
    made = placer.place(meaning_of({"surprise": 2.0}).apply(placer.fit))
    changed = (made != PHOTO).any(2)
    assert changed.any()
    rows, columns = np.nonzero(changed)
    middle, side = crop.quad.mean(0), crop.side
    assert np.abs(columns - middle[0]).max() < side and np.abs(rows - middle[1]).max() < 1.1 * side


def test_a_photo_without_colour_stays_without(crop: FaceCrop) -> None:
    grey = np.repeat(PHOTO.mean(2, keepdims=True).astype(np.uint8), 3, axis=2)
    made = HeadPlacer(grey, crop).place(meaning_of({"surprise": 2.0}).apply(HeadPlacer(grey, crop).fit))
    assert (made != grey).any() and int(np.ptp(made, axis=2).max()) == 0
    powers = np.array([0.8, 1.0, 1.3])
    sepia = np.rint(255 * (grey / 255.0) ** powers).astype(np.uint8)
    made = HeadPlacer(sepia, crop).place(meaning_of({"surprise": 2.0}).apply(HeadPlacer(sepia, crop).fit))
    changed = made[(made != sepia).any(axis=2)] / 255.0
    assert np.abs(changed - changed[:, 1:2] ** powers).max() < 0.06, "and a tinted one its tint"


def test_turns_are_limited_and_it_is_said(crop: FaceCrop) -> None:
    notes: list[str] = []
    placer = HeadPlacer(PHOTO, crop, note=notes.append)
    far = placer.place(placer.fit.with_pose(yaw=45.0, relative=True))
    assert len(notes) == 1 and notes[0].startswith("yaw: asked to turn by 45 degrees")
    assert np.array_equal(far, placer.place(placer.fit.with_pose(yaw=MOST_TURN[0], relative=True)))


def test_a_change_between_drawn_faces_is_read_and_carried_over(placer: HeadPlacer, crop: FaceCrop) -> None:
    rest = crop.crop_landmarks
    dropped = rest.copy()
    unit = np.linalg.norm(rest[36:42].mean(0) - rest[42:48].mean(0))
    dropped[[8, 7, 9, *range(55, 60), 65, 66, 67], 1] += 0.25 * unit
    after = placer.read(crop.image, rest, crop.image, dropped)
    same = placer.read(crop.image, rest, crop.image, rest)
    jaw = placer.fit.coefficients()["jawOpen"]
    assert after.coefficients()["jawOpen"] > jaw + 0.1
    assert np.abs(same.expression - placer.fit.expression).max() < 0.05


def test_a_face_that_no_head_fits_is_refused(crop: FaceCrop) -> None:
    landmarks = crop.landmarks.copy()
    landmarks[17:] = landmarks[17:][::-1]
    with pytest.raises(InputError, match="place=warp"):
        HeadPlacer(PHOTO, FaceCrop(crop.image, landmarks, crop.quad))


def changed(before: np.ndarray, after: np.ndarray, least: int = 4) -> np.ndarray:
    """The places [N, 2], column and row, of pixels that differ by more than `least`."""
    return np.argwhere(np.abs(after.astype(int) - before).max(axis=2) > least)[:, ::-1]


def test_closing_lids_change_the_eyes_and_nothing_else(crop: FaceCrop, placer: HeadPlacer) -> None:
    made = placer.place(placer.fit.with_expression(eyeBlink=1.0))
    eyes = crop.landmarks[36:48]
    apart = np.linalg.norm(eyes[:6].mean(0) - eyes[6:].mean(0))
    places = changed(PHOTO, made)
    assert (places > eyes.min(0) - apart / 2).all() and (places < eyes.max(0) + apart / 2).all()
    x, y = np.rint(eyes[:6].mean(0)).astype(int)
    assert np.abs(made[y, x - 2 : x + 3].astype(int) - PHOTO[y, x - 2 : x + 3]).mean() > 20, "skin where the iris was"


class Green:
    """Paints every mouth green."""

    config = MouthConfig()

    def __call__(self, planes: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
        return torch.tensor([-1.0, 1.0, -1.0])[None, :, None, None].expand_as(planes[:, :3])


def test_what_parted_lips_uncover_is_painted_by_the_network(crop: FaceCrop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "mouth", Green)
    placer = HeadPlacer(PHOTO, crop)
    made = placer.place(placer.fit.with_expression(jawOpen=0.9)).astype(int)
    rows, columns = np.nonzero(made[..., 1] - made[..., [0, 2]].max(axis=2) > 40)
    mouth = crop.landmarks[48:60]
    assert len(rows) > 50
    assert mouth[:, 0].min() < columns.min() and columns.max() < mouth[:, 0].max()
    assert mouth[:, 1].min() < rows.min()


def test_lips_part_by_as_much_as_is_asked_for(placer: HeadPlacer) -> None:
    def gap(picture: np.ndarray) -> float:
        points = latentface.align(picture)[0].landmarks
        unit = np.linalg.norm(points[36:42].mean(0) - points[42:48].mean(0))
        return float(np.linalg.norm(points[61:64] - points[[67, 66, 65]], axis=1).mean() / unit)

    own = measure_head(placer.model, placer.fit)[LIPS_APART]
    jaws = [placer.fit.with_expression(jawOpen=jaw) for jaw in (0.25, 0.4, 0.55)]
    asked = [measure_head(placer.model, jaw)[LIPS_APART] - own for jaw in jaws]
    made = [gap(placer.place_expression(jaw, looks=2)) - gap(PHOTO) for jaw in jaws]
    assert 0 < made[0] < made[1] < made[2]
    assert all(0.5 * more < found < 1.3 * more for more, found in zip(asked, made, strict=True))
    assert np.array_equal(placer.place_expression(placer.fit), PHOTO)


def test_parts_that_are_left_out_stay(placer: HeadPlacer, crop: FaceCrop) -> None:
    theirs = placer.fit.with_expression({"jawOpen": 0.5, "browOuterUp": 1.0, "eyeBlink": 0.6})
    made = placer.place_expression(theirs, only=("brows",), looks=1)
    x0, y0 = crop.landmarks[48:68].min(0).astype(int)
    x1, y1 = crop.landmarks[48:68].max(0).astype(int) + 1
    changed = np.abs(made.astype(int) - PHOTO)
    brows = crop.landmarks[17:27].astype(int)
    assert changed[y0:y1, x0:x1].max() <= 2
    assert changed[brows[:, 1].min() - 5 : brows[:, 1].max() + 5, brows[0, 0] : brows[-1, 0]].mean() > 1


def test_a_mouth_is_taken_from_a_photo_that_shows_one(placer: HeadPlacer) -> None:
    own = placer.shown_mouth()
    assert own is not None and own.opening.max() > 0.9
    shut = apply_changes(placer.fit, {NEUTRALISE: Change(1.0), "jaw": Change(0.0)})
    closed = placer.place(shut)
    assert HeadPlacer(closed, latentface.align(closed)[0]).shown_mouth() is None
