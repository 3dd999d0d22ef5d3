"""A row of teeth goes on behind the lips that slide off it, and gets darker as they close over it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from latentface.head.field import Scene
from latentface.head.geometry import Box
from latentface.head.interior import FURTHER, LAST, NARROW, Opening, _draw_out, closed, dark, find_sources, grow_row
from latentface.head.mouth_canvas import SLIT
from latentface.head.shown_mouth import Cavity, Shown
from latentface.head.tones import Tones
from tests.helpers.head_picture import HEIGHT, OPEN, WIDTH, model, picture, place

UNIT = 80.0
WHITE, LIP = (220.0, 215.0, 205.0), (190.0, 90.0, 90.0)


def test_a_row_of_teeth_goes_on_upwards_without_the_lip_that_shines_into_its_edge() -> None:
    weight, colour = np.zeros((60, 80), np.float32), np.full((60, 80, 3), LIP, np.float32)
    weight[30:40, 20:60] = 1.0
    colour[30:40, 20:60] = WHITE
    colour[30, 20:60] = LIP  # the edge of the mask is a little too high
    weight[30, 25:30] = 0.9
    grow_row(weight, colour, UNIT)
    above = colour[26:40, 22:58]
    assert (weight[26:40, 22:58] > 0.95).all()
    assert (above[..., 0] - above[..., 1]).max() < 40  # no line of lip, whose red is 100 beyond its green
    assert above.mean() > 180
    gums = colour[16:20, 22:58].mean(axis=(0, 1))
    assert gums[0] > 1.3 * gums[1]
    assert (colour[45:] == LIP).all() and not weight[45:].any()


def test_streaks_at_the_upper_edge_of_teeth_are_not_drawn_out() -> None:
    weight, colour = np.zeros((60, 80), np.float32), np.full((60, 80, 3), WHITE, np.float32)
    weight[30:40, 20:60] = 1.0
    colour[30:33, 20:60:3] *= 0.5
    grow_row(weight, colour, UNIT)
    assert np.ptp(colour[26, 24:56, 0]) < 0.1 * WHITE[0]


def test_nothing_grows_from_nothing() -> None:
    weight, colour = np.full((8, 8), 0.5, np.float32), np.full((8, 8, 3), 9, np.float32)
    grow_row(weight, colour, UNIT)
    assert (weight == 0.5).all() and (colour == 9).all()


def test_teeth_get_darker_as_lips_close_over_them() -> None:
    driver, light = picture(teeth=True).driver(), []
    for part in (1.1, 0.6, 0.35):
        opening = driver.drive(place({name: part * weight for name, weight in OPEN.items()})).opening
        firm = (opening.kept > 0.9) & (opening.shape > 0.5)
        light.append(np.median(opening.own[firm]))
    assert light[0] > 1.03 * light[1] > 1.1 * light[2] > (1 - NARROW) * light[0]


def test_teeth_get_dark_where_lips_close_and_nowhere_else() -> None:
    width, height = 80, 24
    rows, columns = np.mgrid[:height, :width]
    nothing = np.zeros((height, width), bool)
    cavity = Cavity(0.0, *np.zeros((3, width), np.float32))
    mask = (rows >= 4) & (rows < 20) & (columns >= 10) & (columns < 70)
    shown = Shown(Box(0, 0, width, height), mask, None, nothing, np.zeros(width, np.float32), np.inf, cavity)
    wedge = mask & (rows < 4 + (columns - 10) * 16 / 30)  # as high as in the photo from column 40 on
    closer = closed(wedge, shown, columns.astype(np.float32), UNIT)[10]
    assert closer[12] > 0.8 > closer[25] > 0.3 > closer[36]
    assert closer[45:].max() < 0.05 and closer[:3].max() < 0.1


def test_a_mouth_that_opens_wider_is_drawn_out_from_upper_teeth_to_the_lower_lip() -> None:
    skull = Box(0, 0, 80, 60).places()
    jaw = skull - np.float32([0, 11])  # it falls by half of the mouth's height
    share, source = _draw_out(open_mouth(40), skull, jaw, 1.0, UNIT)
    assert not share[:17].any() and (share[19:50, 25:55] > 0.95).all() and not share[59:].any()
    np.testing.assert_allclose(source[18, 40], (40, 18), atol=0.01)
    np.testing.assert_allclose(source[48, 40], (40, 38), atol=0.01)
    assert np.abs(np.diff(source[18:49, 40, 1]) - 22 / 33).max() < 0.01, "evenly"
    assert not _draw_out(open_mouth(40), skull, jaw, 0.0, UNIT)[0].any()
    assert np.array_equal(_draw_out(open_mouth(40), skull, skull, 1.0, UNIT)[1][20:38], skull[20:38]), "nothing moves"


def test_lower_teeth_keep_their_height_while_the_jaw_falls() -> None:
    skull = Box(0, 0, 80, 60).places()
    _, source = _draw_out(open_mouth(34), skull, skull - np.float32([0, 11]), 1.0, UNIT)
    assert np.abs(np.diff(source[18:45, 40, 1]) - 16 / 27).max() < 0.01
    np.testing.assert_allclose(source[45:49, 40, 1], np.arange(34, 38), atol=0.01)


def test_the_interior_goes_on_to_the_edge_of_the_fitted_lip() -> None:
    places = Box(0, 0, 80, 60).places()
    share, tongue = _draw_out(open_mouth(40), places, places, 1.0, UNIT)
    near, far = int(40 - LAST + FURTHER[0] * UNIT), int(40 - LAST + FURTHER[1] * UNIT) + 1
    assert share[near, 40] > 0.95 and share[far, 40] == 0
    np.testing.assert_allclose(tongue[39:near, 40, 1], 2 * (40 - LAST) - np.arange(39, near), atol=0.01)
    teeth = _draw_out(open_mouth(34), places, places, 1.0, UNIT)[1]
    np.testing.assert_allclose(teeth[39:near, 40, 1], 40 - LAST, atol=0.01)


def open_mouth(floor: float) -> Shown:
    """It is open from row 10 to 40, with upper teeth down to row 18 and lower ones from `floor` on."""
    mask = np.zeros((60, 80), bool)
    mask[10:40, 20:60] = True
    cavity = Cavity(22.0, *(np.full(80, row, np.float32) for row in (18, floor, 40)))
    return Shown(Box(0, 0, 80, 60), mask, None, mask, np.full(80, 25, np.float32), np.inf, cavity)


def test_what_is_painted_over_is_the_shadow_of_lips() -> None:
    box, map_ = Box(0, 0, 4, 3), np.zeros((3, 4), np.float32)
    tones = Tones(np.zeros(3, np.float32), np.full(3, 240, np.float32))
    opening = Opening(box, map_ + 1, np.zeros((3, 4, 3), np.float32), map_, 0.0, tones, None, 1.0)
    filled = dark(opening, np.float32([LIP, LIP, (255, 255, 255)]))
    assert filled.shape == (3, 4, 3) and np.allclose(filled, SLIT * np.array(LIP), atol=0.01)
    assert dark(opening, np.zeros((0, 3), np.float32)).max() < 30, "where no lip is seen it is nearly black"
    print_ = replace(opening, tones=tones._replace(black=np.full(3, 60, np.float32)))
    assert dark(print_, np.zeros((0, 3), np.float32)).min() > 60, "but not in a faded print"


def test_what_is_behind_the_lips_turns_with_them() -> None:
    before = place(OPEN)
    scene = Scene.of(model(), before, HEIGHT, WIDTH)
    rim = model().loops["mouth"]
    after = place(OPEN, yaw=20, roll=5)
    for source in find_sources(scene, after, after[rim, :2]):
        assert np.abs(source - before[rim, :2]).max() < 0.03 * scene.unit
    spoken = place({**OPEN, "jawOpen": 0.3}, yaw=20, roll=5)
    upper, lower = find_sources(scene, spoken, after[rim, :2])
    assert np.abs(upper - before[rim, :2]).max() < 0.05 * scene.unit  # the skull stays below the lips
    assert (before[rim, 1] - lower[:, 1]).min() > 0.05 * scene.unit  # the jaw came down


def test_the_teeth_of_a_turned_head_are_those_of_the_photo() -> None:
    smiling = picture(teeth=True)
    driven = smiling.driver().drive(place(OPEN, yaw=15))
    assert driven.opening is not None and driven.opening.amount == 0 and driven.hole is None
    there = np.rint(place(OPEN, yaw=15)[model().landmarks[60:68], :2].mean(axis=0)).astype(int)
    here = np.rint(place(OPEN)[model().landmarks[60:68], :2].mean(axis=0)).astype(int)
    tooth, shown = driven.photo[there[1], there[0]], smiling.photo[here[1], here[0]]
    assert np.abs(tooth.astype(int) - shown).max() < 25
