"""Regions by landmarks: outlines, what an expression moves, what covers a face."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.faces.crop import inter_ocular
from latentface.faces.regions import expressive_region, fill, outline, uncovered, visible_share
from tests.helpers.cli_desk import face_points


def test_visible_share_falls_when_something_covers_the_face() -> None:
    points = face_points() * 200 + 28
    face = np.full((256, 256, 3), (205, 160, 140), np.uint8)
    covered = face.copy()
    covered[:110] = (30, 40, 160)
    assert visible_share(face, points) > 0.98
    assert visible_share(covered, points) < 0.85


def test_a_filled_polygon_is_full_and_ends_at_its_outline() -> None:
    square = np.array([[10.0, 20.0], [30.0, 20.0], [30.0, 60.0], [10.0, 60.0]])
    filled = fill(square, (50, 80))
    assert filled.shape == (80, 50) and filled.dtype == bool
    rows, columns = np.nonzero(filled)
    found = np.array([rows.min(), rows.max(), columns.min(), columns.max()])
    assert np.abs(found - (20, 59, 10, 29)).max() <= 1  # Pillow draws the outline as well
    assert filled[21:59, 11:29].all()


def test_an_outline_goes_around_all_faces_and_over_the_brows() -> None:
    face = face_points() * 100
    low, high = outline([face], 0.0), outline([face], 0.5)
    unit = inter_ocular(face)
    assert low[:, 1].min() == pytest.approx(face[:, 1].min())
    assert high[:, 1].min() == pytest.approx(face[17:27, 1].min() - 0.5 * unit)
    both = outline([face, None, face + np.array([300, 0])], 0.0)
    assert both[:, 0].max() - both[:, 0].min() == pytest.approx(np.ptp(face[:, 0]) + 300)
    inside = fill(low, (100, 100))
    assert all(inside[round(y), round(x)] for x, y in face[27:36])


def test_an_outline_is_raised_along_the_face_and_not_the_picture() -> None:
    face = (face_points() - 0.5) * 100
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])  # x -> y: the head lies on its side
    lying = face @ turn.T
    raised = outline([lying], 0.5)
    assert raised == pytest.approx(outline([lying], 0.5))
    expected = face[17:27, 1].min() - 0.5 * inter_ocular(face)
    assert (raised @ turn)[:, 1].min() == pytest.approx(expected)


def test_brows_eyes_and_mouth_are_expressive_and_cheeks_and_nose_are_not() -> None:
    points = face_points() * 200 + 28
    region = expressive_region(points, (256, 256))
    for part in (slice(17, 27), slice(36, 48), slice(48, 68)):
        assert all(region[round(y), round(x)] for x, y in points[part])
    assert not region[round(points[29, 1]), round(points[29, 0])]
    assert not region[0].any() and 0.1 < region.mean() < 0.6


@pytest.mark.parametrize("skin", [(205, 160, 140), (120, 80, 60), (240, 205, 190)])
def test_what_covers_a_face_is_seen_by_its_colour(skin: tuple[int, int, int]) -> None:
    points = face_points() * 200 + 28
    picture = np.full((256, 256, 3), skin, np.float32) + np.random.default_rng(0).normal(0, 3, (256, 256, 3))
    picture = picture.astype(np.float32)
    assert uncovered(picture, points, inter_ocular(points)).min() > 0.9
    left = round(points[:17, 0].min())
    picture[:, left : left + 30] = (20, 60, 120)  # a strand along one side
    share = uncovered(picture, points, inter_ocular(points))
    assert share[100:150, left + 10 : left + 20].max() < 0.1
    assert share[100:150, 150:200].min() > 0.9


def test_features_are_no_cover() -> None:
    points = face_points() * 200 + 28
    picture = np.full((256, 256, 3), (205, 160, 140), np.float32)
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        picture[fill(points[part], (256, 256))] = (60, 20, 30)  # dark eyes and lips
    assert uncovered(picture, points, inter_ocular(points)).min() > 0.9
