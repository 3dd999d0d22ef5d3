"""Where a picture goes: similarities, piecewise affine warps against barycentric coordinates, drawing through a map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, spatial

from latentface.arrays import Float64Array, Pixels
from latentface.compositing.warping import fit_similarity, frame, resample, scaling, warp_piecewise
from latentface.errors import UsageError
from latentface.faces.crop import map_points
from tests.compositing.test_compositor import face_points


def test_similarity_is_found_exactly() -> None:
    points = face_points((50, 60), 20)
    matrix = np.array([[0.9, -0.4, 7.0], [0.4, 0.9, -3.0], [0, 0, 1]])
    assert np.allclose(fit_similarity(points, map_points(matrix, points)), matrix)
    with pytest.raises(UsageError, match="all landmarks coincide"):
        fit_similarity(np.ones((5, 2)), np.ones((5, 2)))


def test_piecewise_warp_takes_points_to_points_and_keeps_the_rest() -> None:
    y, x = np.mgrid[:100, :100]
    image = np.stack([x * 2, y * 2, x + y], axis=-1).astype(np.uint8)  # colours tell where a pixel came from
    source = np.array([(30.0, 30.0), (70.0, 30.0), (50.0, 70.0)])
    target = source + np.array([(4, 2), (-3, 5), (2, -6)])
    warped = warp_piecewise(image, source, target)
    for (x0, y0), (x1, y1) in zip(source, target.astype(int), strict=True):
        assert np.abs(warped[y1, x1].astype(int)[:2] - (2 * x0, 2 * y0)).max() <= 1
    assert np.array_equal(warp_piecewise(image, source, source), image)
    assert np.array_equal(warped[0], image[0]) and np.array_equal(warped[:, -1], image[:, -1])


def by_barycentric_coordinates(image: Pixels, source: Float64Array, target: Float64Array) -> Pixels:
    """The warp of points that all lie inside, written out: each pixel as the mean of its triangle's corners."""
    height, width = image.shape[:2]
    still = frame(width, height)
    mesh = spatial.Delaunay(np.concatenate([still, target]))
    at = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2).astype(np.float64)
    triangle = np.maximum(mesh.find_simplex(at), 0)
    inverse = mesh.transform[triangle]
    two = np.einsum("nij,nj->ni", inverse[:, :2], at - inverse[:, 2])
    weights = np.concatenate([two, 1 - two.sum(1, keepdims=True)], axis=1)
    places = np.einsum("nk,nkd->nd", weights, np.concatenate([still, source])[mesh.simplices[triangle]])
    rows_columns = places[:, ::-1].T.reshape(2, height, width)
    colours = image.astype(np.float64).transpose(2, 0, 1)
    planes = [ndimage.map_coordinates(plane, rows_columns, order=1, mode="nearest") for plane in colours]
    return np.asarray(np.rint(np.stack(planes, axis=-1)), np.uint8)


@pytest.mark.parametrize("size", [(96, 128), (200, 170)])
def test_piecewise_warp_is_that_of_barycentric_coordinates(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    source = face_points((size[1] / 2, size[0] / 2), size[0] / 4)
    target = source + random.normal(0, 1.5, source.shape)
    found, expected = warp_piecewise(image, source, target), by_barycentric_coordinates(image, source, target)
    off = np.abs(found.astype(int) - expected)
    assert off.max() <= 1 and (off > 0).mean() < 1e-3  # half a grey level falls to either side
    assert (found != image).any()


def test_points_outside_the_picture_do_not_pull_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    inside = np.array([[30.0, 30.0]])
    outside = np.array([[-5.0, 20.0], [90.0, 20.0], [40.0, 60.0]])
    alone = warp_piecewise(image, inside, inside + 2)
    assert np.array_equal(warp_piecewise(image, np.concatenate([inside, outside]), np.r_[inside + 2, outside]), alone)


def test_a_frame_is_corners_and_middles() -> None:
    points = frame(5, 9)
    assert len({tuple(point) for point in points}) == 8
    assert points.min() == 0 and points.max(0).tolist() == [4, 8] and [2.0, 4.0] not in points.tolist()


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_scaling_keeps_the_edges_together(factor: float) -> None:
    edges = np.array([[-0.5, -0.5], [9.5, 9.5]])  # of a picture of 10 pixels
    scaled = map_points(scaling(factor), edges)
    assert np.allclose(scaled, [[-0.5, -0.5], [10 * factor - 0.5] * 2])


def test_resampling_puts_pixels_where_the_map_says() -> None:
    y, x = np.mgrid[:20, :20]
    image = np.stack([10 * x, 10 * y, 0 * x], axis=-1).astype(np.uint8)
    to_photo = np.array([[2.0, 0, 30], [0, 2.0, 40], [0, 0, 1]])
    found = resample(image, to_photo, (34, 44, 64, 70))
    assert found.shape == (26, 30, 3) and found.dtype == np.float32
    photo_y, photo_x = np.mgrid[44:70, 34:64]
    assert np.abs(found[..., 0] - 5.0 * (photo_x - 30)).max() <= 1
    assert np.abs(found[..., 1] - 5.0 * (photo_y - 40)).max() <= 1


def test_resampling_to_fewer_pixels_averages() -> None:
    checks = np.indices((64, 64)).sum(0) % 2 * 255
    image = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    found = resample(image, np.diag([0.25, 0.25, 1.0]), (2, 2, 14, 14))
    assert np.abs(found - 127.5).max() < 4
