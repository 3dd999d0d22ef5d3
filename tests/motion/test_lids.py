"""Lids that close, by the pixels between them."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.motion.lids import Lids, iris_contrasts
from tests.helpers.driving_heads import TABLE, frame_of
from tests.helpers.head_picture import CENTRE, HEIGHT, WIDTH


def test_lids_that_close_are_seen_though_the_landmarks_stay() -> None:
    open_eyes, shut = frame_of(1), frame_of(1)
    for eye in (slice(36, 42), slice(42, 48)):
        x, y = TABLE[1][eye].mean(0).round().astype(int)
        shut[y - 9 : y + 10, x - 17 : x + 18] = (200, 155, 130)
    lids = Lids(open_eyes, TABLE[1])
    assert lids(open_eyes, TABLE[1]) == pytest.approx([0, 0])
    wink = open_eyes.copy()
    wink[:, : int(CENTRE[0])] = shut[:, : int(CENTRE[0])]
    assert lids(wink, TABLE[1]) == pytest.approx([1, 0])  # the subject's right eye lies on the left
    assert lids(shut, TABLE[1]) == pytest.approx([1, 1])
    after = [lids(wink, TABLE[1]) for _ in range(7)]
    assert after[0] == pytest.approx([0.5, 0.5]), "both open together after a blink"
    assert after[-1] == pytest.approx([1, 0]), "but one may stay shut"
    blink = shut.copy()  # dark lashes remain of one eye
    blink[:, int(CENTRE[0]) :] = (0.7 * open_eyes + 0.3 * shut).astype(np.uint8)[:, int(CENTRE[0]) :]
    assert lids(blink, TABLE[1]) == pytest.approx([1, 1], abs=0.15)


def test_an_eye_that_never_was_seen_open_tells_nothing() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    lids = Lids(flat, TABLE[1])
    assert np.array_equal(lids(flat, TABLE[1]), [0, 0])


def test_contrast_does_not_depend_on_brightness_and_place() -> None:
    frame = frame_of(1)
    whole = iris_contrasts(frame, TABLE[1])
    assert (whole > 0.1).all()
    assert iris_contrasts((frame * 0.6).astype(np.uint8), TABLE[1]) == pytest.approx(whole, abs=0.03)
    moved = np.roll(frame, (7, 12), (0, 1))
    assert iris_contrasts(moved, TABLE[1] + np.array([12, 7])) == pytest.approx(whole, abs=1e-6)
    assert np.array_equal(iris_contrasts(frame, TABLE[1] + 5000), [0, 0])
