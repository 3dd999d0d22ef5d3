"""What a photo shows between its lips."""

from __future__ import annotations

import numpy as np

from latentface.head.drive import Driver
from latentface.head.shown_mouth import _find_cavity
from tests.helpers.head_picture import HEIGHT, OPEN, WIDTH, model, picture, place

UNIT = 60.0


def test_where_colours_tell_nothing_the_fit_says_whether_lips_are_open() -> None:
    plain = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    ajar = {name: 0.45 * weight for name, weight in OPEN.items()}
    opened, closed = (Driver(plain, model(), place(expression)).shown for expression in (ajar, None))
    assert opened.mask.sum() > 0.85 * opened.gap.sum() > 100
    assert not (opened.mask & ~opened.gap).sum() > 0.1 * opened.gap.sum()
    assert not closed.mask.any()
    coloured = plain.copy()
    coloured[:180] = (170, 80, 80)  # colours that would tell
    assert not Driver(coloured, model(), place(ajar)).shown.mask.any()


def test_lips_beside_teeth_are_read_off_them() -> None:
    shown = picture(teeth=True).driver().shown
    rows, columns = np.nonzero(shown.mask)
    top = np.array([columns.mean() + shown.box.left, rows.min() + shown.box.top - 0.5], np.float32)
    assert shown.is_beside(top[None], UNIT)[0]
    assert shown.off_teeth(top[None], UNIT)[0, 1] < top[1] - 1
    far = (top - [0, 20]).astype(np.float32)
    assert not shown.is_beside(far[None], UNIT)[0]
    assert np.array_equal(shown.off_teeth(far[None], UNIT)[0], far)


def test_lips_that_close_over_teeth_meet_in_a_dark_line() -> None:
    scene = picture(teeth=True)
    driver = scene.driver()
    after = place({"mouthFrown": 0.4, "mouthShrugLower": 0.6, "mouthPress": 0.4})
    driven = driver.drive(after)
    assert driven.opening is None and driver.shown.mask.any()
    points = after[driver.model.landmarks[[62, 66]], :2].mean(axis=0)
    column = driven.photo[round(points[1]) - 6 : round(points[1]) + 7, round(points[0])].mean(axis=1)
    assert column.max() < 190, "no tooth is left"
    assert column.argmin() in range(3, 10)


def test_how_deep_a_mouth_is_seen_is_what_is_no_tooth_below_the_upper_row() -> None:
    teeth, dark, tongue = (225, 220, 205), (20, 12, 12), (170, 80, 75)
    photo, mask = np.full((60, 80, 3), (180, 120, 110), np.uint8), np.zeros((60, 80), bool)
    mask[15:45, 20:60] = True
    photo[mask] = teeth
    white = np.float32(teeth)
    assert _find_cavity(photo, mask, white, UNIT).height == 0, "all of it is teeth"
    photo[24:30, 20:60], photo[30:40, 20:60] = dark, tongue  # the rest are lower teeth
    found = _find_cavity(photo, mask, white, UNIT)
    assert abs(found.height - 16) <= 1 and np.abs(found.roof[25:55] - 24).max() <= 1
    assert np.abs(found.floor[25:55] - 40).max() <= 1 and (found.end[25:55] == 45).all()
    photo[15:24, 20:60] = dark  # no upper teeth are seen
    assert np.abs(_find_cavity(photo, mask, white, UNIT).roof[25:55] - 15).max() <= 1
    assert _find_cavity(photo, np.zeros_like(mask), None, UNIT).height == 0


def test_a_bright_tongue_in_a_wide_open_mouth_is_no_tooth_but_gums_over_teeth_are_no_tongue() -> None:
    teeth, pink = (225, 220, 205), (240, 150, 180)
    photo, mask = np.full((60, 80, 3), (180, 120, 110), np.uint8), np.zeros((60, 80), bool)
    mask[10:45, 20:60] = True
    photo[mask], photo[20:45, 20:60] = teeth, pink
    assert abs(_find_cavity(photo, mask, np.float32(teeth), UNIT).height - 25) <= 1
    mask[27:] = False
    photo[10:18, 20:60], photo[18:27, 20:60] = pink, teeth
    assert _find_cavity(photo, mask, np.float32(teeth), UNIT).height == 0


def test_lips_that_are_wide_apart_are_open_whatever_is_between_them() -> None:
    coloured = np.full((HEIGHT, WIDTH, 3), (170, 80, 80), np.uint8)
    coloured[:150] = (120, 150, 90)  # colours that would tell
    wide = Driver(coloured, model(), place({"jawOpen": 0.6})).shown
    assert wide.mask.sum() > 0.85 * wide.gap.sum() > 100
    assert not Driver(coloured, model(), place({"jawOpen": 0.08})).shown.mask.any()
    white, rows = coloured.copy(), np.flatnonzero(wide.gap.any(axis=1))
    upper = np.arange(wide.box.height)[:, None] < 0.7 * rows[0] + 0.3 * rows[-1]
    white[wide.box.slices][wide.gap & upper] = 230
    assert Driver(white, model(), place({"jawOpen": 0.6})).shown.mask.sum() > 0.7 * wide.gap.sum(), "teeth and tongue"
