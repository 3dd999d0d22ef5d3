"""Rows of teeth: where their borders are, and the planes that are made of them."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.head.teeth import LOWER_WIDTHS, UPPER_WIDTHS, TeethRows, teeth_planes, tooth_borders, usual_rows
from latentface.networks.mouth import MouthConfig

CONFIG = MouthConfig()


def rows(upper: float, lower: float, **more: float) -> TeethRows:
    width = CONFIG.width
    return TeethRows(np.full(width, upper), np.full(width, lower), width / 2, **more)


def test_front_teeth_are_as_wide_as_they_are():
    borders = tooth_borders(UPPER_WIDTHS, 0.0)
    middle = len(borders) // 2
    assert borders[middle] == 0 and np.allclose(borders, -borders[::-1])
    assert 8.0 < borders[middle + 1] < 8.5  # a central incisor, hardly foreshortened
    steps = np.diff(borders[middle:])
    assert steps[3] < steps[0] / 2  # premolars turn away


def test_a_turned_head_shows_more_of_one_side():
    turned = tooth_borders(UPPER_WIDTHS, 0.5)  # nose to the right: the arch's right side is hidden behind the turn
    assert len(turned[turned > 0]) < len(turned[turned < 0])
    assert np.allclose(tooth_borders(UPPER_WIDTHS, -0.5), -turned[::-1])
    assert (np.diff(turned) > 0).all()


def test_lower_incisors_are_narrower():
    assert tooth_borders(LOWER_WIDTHS, 0.0).size >= tooth_borders(UPPER_WIDTHS, 0.0).size
    assert LOWER_WIDTHS[0] < UPPER_WIDTHS[0]


def test_planes_cover_down_to_and_up_to_the_edges():
    upper, lower, lines = teeth_planes(rows(20.25, 40.0), CONFIG)
    assert upper.dtype == np.float32 and upper.shape == (CONFIG.height, CONFIG.width)
    assert (upper[:20] == 1).all() and upper[20, 5] == pytest.approx(0.25) and (upper[21:] == 0).all()
    assert (lower[:40] == 0).all() and (lower[40:] == 1).all()
    assert (lines[22:39] == 0).all() and lines[10, 47:49].min() > 0.8
    assert lines[10, 52] < 0.1  # the middle of an incisor


def test_no_teeth_and_no_lines():
    nothing = np.full(CONFIG.width, np.nan)
    planes = teeth_planes(TeethRows(nothing, nothing, 48.0), CONFIG)
    assert (planes == 0).all()
    assert (teeth_planes(rows(20.0, 40.0, lines=0.0), CONFIG)[2] == 0).all()


def test_usual_teeth_keep_apart_and_go_along_with_the_lip_in_part():
    low, high = usual_rows(16.0, 30.0, CONFIG), usual_rows(10.0, 30.0, CONFIG)
    for each in (low, high):
        assert (each.lower_edge > each.upper_edge).all()
        assert each.upper_edge[0] < each.upper_edge[48]  # the row rises to the sides
    assert 0 < low.upper_edge[48] - high.upper_edge[48] < 6
    wide = usual_rows(10.0, 50.0, CONFIG)
    assert wide.lower_edge[48] > 50  # lower teeth stand behind the lower lip


def test_the_teeth_of_a_turned_head_are_those_of_a_straight_one_seen_from_the_side():
    yaw, straight = 0.6, usual_rows(12.0, 40.0, CONFIG)
    grown = CONFIG.top + (np.array([12.0, 40.0]) - CONFIG.top) / np.cos(yaw)  # the eyes appear closer together
    turned, mirrored = (usual_rows(*grown, CONFIG, yaw=angle) for angle in (yaw, -yaw))
    assert np.allclose(turned.upper_edge, mirrored.upper_edge[::-1])
    assert turned.midline < CONFIG.width / 2 < mirrored.midline  # teeth stand behind the nose
    middle = int(turned.midline)
    drop = (straight.upper_edge[48] - CONFIG.top) / np.cos(yaw)
    assert turned.upper_edge[middle] - CONFIG.top == pytest.approx(drop, abs=0.1)
    # on the side that is seen from its front, the row rises more slowly
    assert turned.upper_edge[middle] - turned.upper_edge[middle - 15] < 0.7 * (
        turned.upper_edge[middle] - turned.upper_edge[middle + 15]
    )
    assert (turned.lower_edge > turned.upper_edge).all() and turned.size == pytest.approx(1 / np.cos(yaw))


def test_edges_that_do_not_belong_together():
    with pytest.raises(UsageError, match="two arrays"):
        TeethRows(np.zeros(3), np.zeros(4), 1.0)
    with pytest.raises(UsageError, match="size"):
        rows(1.0, 2.0, size=3.0)
    with pytest.raises(UsageError, match="96 columns, got 3"):
        teeth_planes(TeethRows(np.zeros(3), np.zeros(3), 1.0), CONFIG)
