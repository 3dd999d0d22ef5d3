"""The rim of lips takes the light of the skin around it, and the line between closed lips stays whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from latentface.head.drive import Driver
from latentface.head.field import find_field
from latentface.head.lips import find_shifts, join_lips, spread_light
from latentface.head.motion import Gain, Motion
from tests.helpers.head_picture import HEIGHT, WIDTH, model, place


def test_light_spreads_from_where_it_is_known() -> None:
    there = np.zeros((20, 30), bool)
    there[5:15, 5:25] = True
    column = np.nonzero(there)[1]
    known = column < 12
    light = spread_light(there, known, np.where(known, 0.7, 9.0).astype(np.float32), 2.0)
    assert light[column < 15] == pytest.approx(0.7, abs=0.01)
    assert light.max() <= 1.01
    assert light[column == 24] == pytest.approx(1.0, abs=0.05)


def test_no_known_light_is_no_change() -> None:
    there = np.ones((4, 4), bool)
    assert spread_light(there, np.zeros(16, bool), np.full(16, 3.0, np.float32), 1.0) == pytest.approx(1.0)


def test_the_line_between_lips_that_slide_over_each_other_does_not_break_into_dots() -> None:
    before, after = (place(shapes)[:, :2] for shapes in (None, {"mouthFrown": 1.0, "mouthShrugLower": 0.5}))
    lips = before[model().landmarks[60:65]]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    line = np.abs(rows - np.interp(columns, lips[:, 0], lips[:, 1])) < 0.8
    photo = np.where(line & (columns > lips[0, 0]) & (columns < lips[-1, 0]), 10.0, 180.0)
    photo = np.repeat(ndimage.gaussian_filter(photo, 0.6)[..., None], 3, axis=2).astype(np.uint8)
    driven = Driver(photo, model(), place()).drive(place({"mouthFrown": 1.0, "mouthShrugLower": 0.5}))
    lips = after[model().landmarks[60:65]]
    across = np.arange(int(lips[0, 0]) + 2, int(lips[-1, 0]) - 2)
    middle = np.rint(np.interp(across, lips[:, 0], lips[:, 1])).astype(int)
    darkness = [driven.photo[row - 3 : row + 4, x, 0].sum() for row, x in zip(middle, across, strict=True)]
    assert np.abs(np.diff(np.array(darkness, float), 2)).mean() < 25  # 43 if each pixel is of one lip or the other


def test_folds_beside_the_lips_are_not_where_lips_meet() -> None:
    after = place({"mouthFrown": 1.25, "mouthStretch": 1.25, "mouthLowerDown": 1.25, "noseSneer": 1.2})
    photo = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    scene = Driver(photo, model(), place()).scene
    field = find_field(scene, after)
    assert field is not None
    still = Gain(np.ones((field.box.height, field.box.width, 3), np.float32), 1)
    moved = np.full((field.box.height, field.box.width, 3), -1, np.float32)
    join_lips(photo, scene, moved, after, Motion(field.box, field.shift, still))
    rows, columns = np.nonzero((moved != -1).any(axis=2))
    inner = after[model().landmarks[60:68], :2] - [field.box.left, field.box.top]
    (left, top), (right, bottom) = inner.min(axis=0), inner.max(axis=0)
    assert len(rows)
    assert ((columns > left - 3) & (columns < right + 3) & (rows > top - 3) & (rows < bottom + 3)).all()


def test_lips_come_from_where_the_skin_around_them_comes_from() -> None:
    before, after = place(), place({"jawOpen": 0.2})
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    scene = Driver(photo, model(), before).scene
    box, field = scene.lips_box(after), find_field(scene, after)
    assert field is not None
    gain = Gain(np.ones((field.box.height, field.box.width, 3), np.float32), 1)
    free = Motion(field.box, field.mesh + np.float32((2.0, -1.0)), gain)
    held = replace(free, field=field)
    apart = find_shifts(scene, after, held, box)[1] - find_shifts(scene, after, free, box)[1]
    skin = (field.layer[box.shared(field.box)[1]] == 0).repeat(3, axis=0).repeat(3, axis=1)
    assert skin.mean() > 0.5 and not apart[~skin].any()
    assert apart[skin] == pytest.approx(np.broadcast_to((2.0, -1.0), (skin.sum(), 2)))
