"""Labels moved to where annotators put them: brows, lids, lips."""

from __future__ import annotations

import numpy as np
import torch

from latentface.training.landmark_definition import (
    LOWER_LIP,
    UPPER_LIP,
    measure_brow_drop,
    move_brows,
    on_contour,
    redefine,
    space_lids,
    space_lips,
)
from tests.helpers.drawn_faces import drawn, mean_shape


def test_brow_labels_move_onto_the_drawn_brows():
    images, points = drawn(30, brow_drop=4.0)
    drop = measure_brow_drop(images, points)
    upper, middle = 2.5 / 32, 4.0 / 32  # the line is 3 pixels wide, the eyes 32 pixels apart
    np.testing.assert_allclose(drop[[1, 2, 3, 6, 7, 8]], upper, atol=0.035)
    np.testing.assert_allclose(drop[[0, 9]], middle, atol=0.05)  # the tips: on the hair line
    assert torch.equal(drop, drop.flip(0))
    moved = move_brows(points, drop)
    assert torch.equal(moved[:, :17], points[:, :17]) and torch.equal(moved[:, 27:], points[:, 27:])
    np.testing.assert_allclose((moved - points)[:, 17:27, 1].mean(0), drop * 32, atol=0.2)
    np.testing.assert_array_equal(measure_brow_drop(images[:3], points[:3]), 0)  # too few to measure on


def test_lid_points_stand_at_thirds_of_the_eye():
    _, points = drawn(4)
    moved = space_lids(points)
    for outer, first, second, inner in ((36, 37, 38, 39), (36, 41, 40, 39), (45, 44, 43, 42), (45, 46, 47, 42)):
        chord = points[:, inner] - points[:, outer]
        for index, share in ((first, 1 / 3), (second, 2 / 3)):
            along = ((moved[:, index] - points[:, outer]) * chord).sum(1) / chord.square().sum(1)
            torch.testing.assert_close(along, torch.full((4,), share))
    kept = [*range(37), 39, 42, 45, *range(48, 68)]
    assert torch.equal(moved[:, kept], points[:, kept])


def test_lip_points_stand_under_the_peaks_and_on_the_red():
    points = torch.from_numpy(mean_shape() * 100).float()[None]
    moved = space_lips(points)[0]
    before = points[0]
    for column in ((50, 61, 67, 58), (52, 63, 65, 56)):
        torch.testing.assert_close(moved[list(column), 0], before[column[0], 0].expand(4))
    for middle, left, right in ((49, 48, 50), (53, 52, 54), (55, 54, 56), (59, 58, 48)):
        torch.testing.assert_close(moved[middle, 0], (moved[left, 0] + moved[right, 0]) / 2)
    for outer, inner, share in ((51, 62, UPPER_LIP), (57, 66, LOWER_LIP)):
        torch.testing.assert_close(moved[outer], torch.lerp(before[inner], before[outer], share))
    kept = [*range(48), 48, 54, 60, 62, 64, 66]
    assert torch.equal(moved[kept], before[kept])


def test_redefined_labels_turn_and_grow_with_the_face():
    _, points = drawn(3)
    turn = 1.5 * torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    blank = torch.zeros(3, 3, 128, 128, dtype=torch.uint8)
    torch.testing.assert_close(redefine(blank, points @ turn.T), redefine(blank, points) @ turn.T, atol=1e-3, rtol=0)


def test_on_contour_walks_a_polyline():
    contour = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [4.0, 0.0]]])
    for share, expected in ((0.125, (0.5, 1.0)), (0.25, (1.0, 2.0)), (0.625, (2.5, 1.0)), (0.0, (0, 0)), (1.0, (4, 0))):
        torch.testing.assert_close(on_contour(contour, torch.tensor([share])), torch.tensor([expected]).float())
