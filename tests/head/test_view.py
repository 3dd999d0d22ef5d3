"""The part of a photo that a head moves: large heads are moved on a smaller copy, and look the same at full size."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from latentface.faces.crop import map_points
from latentface.head import view
from latentface.head.drive import Driven, Driver
from latentface.head.view import HeadView
from tests.helpers.head_picture import HEIGHT, WIDTH, model, picture, place, psnr

SMILE = {"mouthSmile": 0.8, "browInnerUp": 0.8, "jawOpen": 0.3}


def landmarks() -> np.ndarray:
    return picture().before[model().landmarks, :2].astype(np.float64)


def move(seen: HeadView, enlarged: bool = False) -> Driven:
    times = seen.box.width / picture().photo.shape[1] if enlarged else 1
    scale, (left, top) = times / seen.factor, seen.matrix[:2, 2] + (times - 1) / 2 / seen.factor
    before, after = (
        (vertices * scale + (left, top, 0)).astype(np.float32) for vertices in (picture().before, place(SMILE))
    )
    return Driver(seen.pixels, model(), before).drive(after)


def test_a_small_head_is_moved_as_it_is() -> None:
    photo = picture().photo
    seen, whole = HeadView.of(photo, landmarks()), Driver(photo, model(), picture().before).drive(place(SMILE))
    driven = move(seen)
    assert seen.factor == 1 and driven.motion is not None
    assert np.array_equal(seen.enlarge(driven.photo, driven.motion, photo), whole.photo[whole.box.slices])
    assert seen.part(driven.motion.box) == whole.box


def test_a_view_takes_no_more_of_a_photo_than_a_head_reaches() -> None:
    photo = np.pad(picture().photo, ((700, 900), (800, 600), (0, 0)))
    seen = HeadView.of(photo, np.add(landmarks(), (800, 700)))
    assert seen.pixels.size < 0.5 * photo.size
    assert np.array_equal(photo[seen.box.slices], seen.pixels)
    inside = map_points(seen.matrix, np.add(landmarks(), (800, 700))) + np.array([seen.box.left, seen.box.top])
    assert np.allclose(inside, np.add(landmarks(), (800, 700)))


@pytest.mark.parametrize("alpha", [False, True])
def test_a_large_head_looks_the_same_moved_on_a_copy(monkeypatch: pytest.MonkeyPatch, alpha: bool) -> None:
    unit = np.linalg.norm(landmarks()[36:42].mean(0) - landmarks()[42:48].mean(0))
    monkeypatch.setattr(view, "LARGEST", 0.6 * unit)
    photo = picture().photo
    seen = HeadView.of(photo, landmarks())
    assert seen.factor == 2 and seen.pixels.shape[0] == (photo.shape[0] + 1) // 2
    driven = move(seen)
    whole = np.dstack([photo, photo[..., 0]]) if alpha else photo
    made = whole.copy()
    part = seen.part(driven.motion.box)
    made[part.slices] = seen.enlarge(driven.photo, driven.motion, whole)
    expected = Driver(photo, model(), picture().before).drive(place(SMILE)).photo
    assert psnr(made[..., :3], expected) > psnr(photo, expected) + 4
    if alpha:
        calm = np.abs(expected.astype(int) - photo).max(axis=2) < 2  # no paint, and all but still
        assert np.abs(made[..., 3].astype(int) - made[..., 0])[calm].mean() < 1


def test_detail_that_a_copy_cannot_hold_moves_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LARGEST", 20.0)
    photo = picture().photo.copy()
    photo[::2, ::2] += 12
    seen = HeadView.of(photo, landmarks())
    driven = move(seen)
    made = seen.enlarge(driven.photo, driven.motion, photo)
    x, y = np.rint(place(SMILE)[model().landmarks[30], :2]).astype(int) - seen.part(driven.motion.box).left
    nose = made[y - 8 : y + 8, x - 8 : x + 8, 0].astype(float)
    assert np.abs(np.diff(nose, axis=1)).mean() > 4


def test_what_does_not_move_stays_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LARGEST", 20.0)
    photo = np.pad(picture().photo, ((0, 0), (200, 0), (0, 0)), mode="reflect")
    seen = HeadView.of(photo, np.add(landmarks(), (200, 0)))
    driven = move(seen)
    part = seen.part(driven.motion.box)
    still = np.abs(driven.motion.shift).max(axis=2) == 0
    still &= (driven.photo[driven.motion.box.slices] == seen.pixels[driven.motion.box.slices]).all(axis=2)
    inner = np.kron(still, np.ones((seen.factor, seen.factor), bool))[: part.height, : part.width]
    inner[seen.factor :] &= inner[: -seen.factor]
    inner[: -seen.factor] &= inner[seen.factor :]
    inner[:, seen.factor :] &= inner[:, : -seen.factor]
    inner[:, : -seen.factor] &= inner[:, seen.factor :]
    assert inner.any()
    assert np.array_equal(seen.enlarge(driven.photo, driven.motion, photo)[inner], photo[part.slices][inner])


def test_as_many_frames_at_once_as_memory_allows() -> None:
    small, large = (HeadView(None, 1, np.empty((side, side, 3), np.uint8)) for side in (500, 3000))  # type: ignore[arg-type]
    assert small.at_once(8) == 8 and large.at_once(8) == 1


def test_a_very_large_head_takes_a_few_bytes_a_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LARGEST", 60.0)
    photo = np.asarray(Image.fromarray(picture().photo).resize((8 * WIDTH, 8 * HEIGHT)))
    tracemalloc.start()
    try:
        seen = HeadView.of(photo, 8 * landmarks() + 3.5)
        driven = move(seen, enlarged=True)
        seen.enlarge(driven.photo, driven.motion, photo)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen.factor >= 6
    assert most < 12 * photo.shape[0] * photo.shape[1]  # moved at full size it would be some 90
