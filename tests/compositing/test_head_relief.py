"""The relief of a head: highest along its middle, and turned by its height."""

from __future__ import annotations

import numpy as np

from latentface.compositing.head_relief import Relief
from latentface.faces.crop import inter_ocular
from tests.helpers.faces import face_points


def test_the_middle_is_highest_and_the_background_flat() -> None:
    points = face_points((64, 62), 31.0)
    relief = Relief(points)
    middle, cheek, beside = (float(relief.height(at)) for at in (points[27], points[2], points[0] - (40, 0)))
    assert middle > cheek > beside == 0
    assert relief.height(np.zeros((5, 7, 2))).shape == (5, 7)


def test_a_point_moves_by_the_height_where_it_ends_up() -> None:
    points = face_points((64, 62), 31.0)
    relief = Relief(points)
    turn = relief.turn(20, 0)
    there = relief.turned(points, turn)
    error = there - points - np.outer(relief.height(there), turn)
    assert np.abs(error).max() < 0.01 * inter_ocular(points)
    assert turn[0] > 0  # to the viewer's right
    assert relief.turn(0, 10)[1] > 0  # down
    assert np.array_equal(relief.turned(points, relief.turn(0, 0)), points)
