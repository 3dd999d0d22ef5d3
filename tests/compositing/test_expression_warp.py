"""Expression mapping: the photo's pixels move as drawn landmarks do, what is new is added, all else stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from latentface.arrays import Pixels
from latentface.compositing.expression_warp import ExpressionMap, Motion
from latentface.errors import UsageError
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop, map_points
from tests.helpers.faces import face_points, scene

SIDE = 128
LIDS_DOWN = {37: 41, 38: 40, 43: 47, 44: 46}


def drawn() -> tuple[Pixels, np.ndarray]:
    """What a generator draws for any face: smooth, with landmarks near, but not at, those of the photo's crop."""
    y, x = np.mgrid[:SIDE, :SIDE]
    picture = np.stack([150 + 30 * np.sin(x / 30), 120 + 30 * np.cos(y / 25), 110 + 0 * x], axis=-1)
    return picture.astype(np.uint8), face_points((64, 62), 31.0)


@pytest.fixture(scope="module")
def desk() -> tuple[Pixels, FaceCrop, ExpressionMap]:
    photo, crop = scene(grain=0.0, wave=60.0)
    return photo, crop, ExpressionMap(photo, crop, *drawn())


def mark(photo: Pixels, at: np.ndarray, size: float = 2.5) -> Pixels:
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    dot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * size**2))[..., None]
    return np.asarray(photo * (1 - dot), np.uint8)


def find_mark(photo: Pixels, plain: Pixels) -> np.ndarray:
    weight = np.clip(plain.astype(float) - photo, 0, None).sum(-1)
    weight[weight < 60] = 0
    return np.array(ndimage.center_of_mass(weight))[::-1]


def test_the_unchanged_face_is_the_photo_itself(desk) -> None:
    photo, _, mapping = desk
    assert np.array_equal(mapping.place(*drawn()), photo)


def test_outside_the_box_every_frame_is_the_photo_to_the_bit(desk) -> None:
    photo, crop, mapping = desk
    picture, points = drawn()
    opened = points.copy()
    opened[[8, *range(55, 60), *range(65, 68)]] += (1.0, 9.0)
    x0, y0, x1, y1 = mapping.box
    outside = np.ones(photo.shape[:2], bool)
    outside[y0:y1, x0:x1] = False
    assert outside.mean() > 0.2
    for image in (picture, 255 - picture):
        frame = mapping.place(image, opened)
        assert np.array_equal(frame[outside], photo[outside])
        assert (frame[~outside] != photo[~outside]).any()
        edge = np.zeros_like(outside)
        edge[y0 : y0 + 2, x0:x1] = edge[y1 - 2 : y1, x0:x1] = True
        assert np.abs(frame[edge].astype(int) - photo[edge]).max() <= 2  # no seam: the change has died away
    inside_face = map_points(crop.from_photo, crop.landmarks)
    assert inside_face.min() > 0  # the face itself lies inside


def test_the_photo_moves_as_the_drawn_landmarks_do(desk) -> None:
    photo, crop, _ = desk
    at = crop.landmarks[57]
    marked = mark(photo, at)
    mapping = ExpressionMap(marked, crop_face(marked, crop.landmarks, SIDE), *drawn())
    picture, points = drawn()
    moved = points.copy()
    moved[[7, 8, 9, *range(55, 60), *range(65, 68)]] += (1.0, 6.0)
    found = find_mark(mapping.place(picture, moved), photo) - find_mark(marked, photo)
    wanted = crop.to_photo[:2, :2] * (crop.size / SIDE) @ (1.0, 6.0)
    assert np.linalg.norm(found - wanted) < 0.15 * np.linalg.norm(wanted)


def test_movements_of_the_drawn_head_are_left_out(desk) -> None:
    photo, _, mapping = desk
    picture, points = drawn()
    turn = np.deg2rad(4)
    matrix = 1.06 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = (points - 64) @ matrix.T + 64 + (3, -2)
    back = np.linalg.inv(matrix)[::-1, ::-1]  # rows and columns
    shift = np.array([64, 64]) - back @ np.array([62, 67])
    planes = [
        ndimage.affine_transform(picture[..., c].astype(float), back, shift, order=1, mode="nearest") for c in range(3)
    ]
    frame = mapping.place(np.stack(planes, -1).round().astype(np.uint8), moved)
    assert np.abs(frame.astype(int) - photo).mean() < 0.5
    assert np.abs(frame.astype(int) - photo).max() < 12


def test_a_turning_head_moves_the_nose_most_and_the_outline_hardly(desk) -> None:
    photo, crop, _ = desk
    shifts = {}
    for point in (2, 57, 30):
        marked = mark(photo, crop.landmarks[point])
        mapping = ExpressionMap(marked, crop_face(marked, crop.landmarks, SIDE), *drawn())
        shifts[point] = find_mark(mapping.place(*drawn(), Motion(yaw=4.0)), photo) - find_mark(marked, photo)
    right = crop.landmarks[42:48].mean(0) - crop.landmarks[36:42].mean(0)
    along = {point: float(shift @ right) / float(right @ right) for point, shift in shifts.items()}
    assert abs(along[2]) < 0.03
    assert 0.07 < along[57] < along[30] < 0.16  # of the inter-ocular distance: sin 4 degrees times 8 to 12 cm
    nodded = find_mark(mapping.place(*drawn(), Motion(pitch=4.0)), photo) - find_mark(marked, photo)
    assert nodded[1] > 0.08 * np.linalg.norm(right)


@pytest.mark.parametrize("angle", [-20.0, 20.0])
def test_a_turned_head_is_nowhere_folded(desk, angle: float) -> None:
    photo, crop, _ = desk
    height, width = photo.shape[:2]
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    slope = np.stack([across, down, np.full((height, width), 128.0)], axis=-1).round().astype(np.uint8)
    mapping = ExpressionMap(slope, crop_face(slope, crop.landmarks, SIDE), *drawn())
    for axis, motion in ((1, Motion(yaw=angle)), (0, Motion(pitch=angle / 2))):
        frame = mapping.place(*drawn(), motion)[..., 1 - axis].astype(int)
        assert (frame != slope[..., 1 - axis]).mean() > 0.05
        assert np.diff(frame, axis=axis).min() >= -1  # what was left of something else stays left of it


def test_what_is_new_in_the_drawn_face_is_added_and_a_tint_is_not(desk) -> None:
    photo, crop, mapping = desk
    picture, points = drawn()
    cheek = (points[41] + points[48]) / 2
    fold = picture - (picture - mark(picture, cheek, 4.0)) // 3
    change = mapping.place(fold, points).astype(int) - photo
    place = np.unravel_index(np.argmin(change.sum(-1)), photo.shape[:2])[::-1]
    here = (crop.landmarks[41] + crop.landmarks[48]) / 2  # between the same landmarks as in the drawn face
    assert np.linalg.norm(np.array(place) - here) < 0.12 * mapping.unit
    assert -70 < change.min() < -25  # a third of the drawn 160 or so
    tinted = np.clip(picture + np.array([12, -8, 5]), 0, 255).astype(np.uint8)
    assert np.abs(mapping.place(tinted, points).astype(int) - photo).max() <= 2


def test_eyes_shut_by_their_own_height(desk) -> None:
    photo, crop, _ = desk
    landmarks = crop.landmarks.copy()
    for upper, lower in LIDS_DOWN.items():  # these eyes are open wider than the drawn ones
        landmarks[upper] -= 0.5 * (landmarks[lower] - landmarks[upper])
        landmarks[lower] += 0.3 * (landmarks[lower] - landmarks[upper])
    eyed = photo
    for part in (slice(36, 42), slice(42, 48)):
        eyed = mark(eyed, landmarks[part].mean(0), 0.06 * 45)
    mapping = ExpressionMap(eyed, crop_face(eyed, landmarks, SIDE), *drawn())
    picture, points = drawn()
    shut = points.copy()
    for upper, lower in LIDS_DOWN.items():
        shut[upper] = shut[lower] = (points[upper] + points[lower]) / 2
    frames = (
        eyed,
        mapping.place(picture, shut),
        mapping.place(picture, points, Motion(1.0)),
        mapping.place(picture, points, Motion(0.5)),
    )
    pupils = [int((frame.max(-1) < 90).sum()) for frame in frames]
    assert max(pupils[1:3]) < 0.25 * pupils[0] < 0.4 * pupils[0] < pupils[3] < 0.8 * pupils[0]


@pytest.mark.parametrize(
    ("side", "count", "message"), [(64, 68, r"expected \[128, 128, 3\]"), (128, 5, r"expected \[68, 2\]")]
)
def test_other_shapes_are_refused(desk, side: int, count: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        desk[2].place(np.zeros((side, side, 3), np.uint8), drawn()[1][:count])


def test_a_face_outside_the_photo_is_refused(desk) -> None:
    photo, crop, _ = desk
    with pytest.raises(UsageError, match="outside the photo"):
        ExpressionMap(photo, crop_face(photo, crop.landmarks + 2000, SIDE), *drawn())


def test_green_and_blue_teeth_are_not_taken_over(desk) -> None:
    photo, crop, mapping = desk
    picture, points = drawn()
    cyan = picture.copy()
    y, x = np.mgrid[:SIDE, :SIDE]
    lips = points[60:68]
    teeth = np.hypot(x - lips[:, 0].mean(), y - lips[:, 1].mean()) < 4
    cyan[teeth] = (90, 200, 200)
    before, after = photo.astype(float), mapping.place(cyan, points).astype(float)
    at = tuple(int(v) for v in crop.landmarks[60:68].mean(0).round()[::-1])
    assert after[at][0] < before[at][0] - 20  # darker in red, as was drawn
    assert after[at][1] <= max(after[at][0], before[at][1] - before[at][0] + after[at][0]) + 2  # but no greener
    assert after[at][2] <= max(after[at][:2].mean(), after[at][:2].mean() + before[at][2] - before[at][:2].mean()) + 2


def test_change_finer_than_128_pixels_show_is_left_out(desk) -> None:
    """A chequer of single pixels that a larger network draws at the chin stays out; a broad patch comes in."""
    photo, crop, _ = desk
    picture, points = drawn()
    large, points = np.repeat(np.repeat(picture, 2, 0), 2, 1), 2 * points + 0.5
    mapping = ExpressionMap(photo, crop, large, points)
    y, x = np.mgrid[: 2 * SIDE, : 2 * SIDE]
    chin = np.hypot(x - points[8][0], y - points[8][1] + 30) < 12
    for change, most, least in ((np.where((x + y) % 2, 40, -40), 10, 0), (np.full_like(x, 40), 60, 20)):
        changed = (large.astype(int) + (change * chin)[..., None]).clip(0, 255).astype(np.uint8)
        moved = np.abs(mapping.place(changed, points).astype(int) - photo)
        assert least <= moved.max() <= most
