"""The rasteriser: native and numpy agree to the bit, meshes have neither cracks nor overlaps, the nearest is seen."""

import time

import numpy as np
import pytest

from latentface.ops import native, raster
from latentface.ops.raster import rasterise, sample


@pytest.fixture(params=["native", "reference"])
def choice(request):
    with native.chosen(request.param):
        yield request.param


def grid(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 2] of a unit square's grid, and its triangles, counter-clockwise on a page with y downwards."""
    y, x = np.mgrid[0 : rows + 1, 0 : columns + 1]
    at = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).ravel()
    lower = np.stack([at, at + columns + 1, at + 1], axis=1)
    upper = np.stack([at + 1, at + columns + 1, at + columns + 2], axis=1)
    return np.stack([x.ravel() / columns, y.ravel() / rows], axis=1), np.concatenate([lower, upper])


def soup(seed: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.uniform(-10, 110, (count, 1, 3))
    return (centres + random.normal(0, 12, (count, 3, 3))).reshape(-1, 3), np.arange(3 * count).reshape(-1, 3)


def both(*arguments, **options) -> list[raster.Raster]:
    seen = []
    for choice in ("native", "reference"):
        with native.chosen(choice):
            seen.append(rasterise(*arguments, **options))
    return seen


@pytest.mark.parametrize("cull", [False, True])
@pytest.mark.parametrize("on_grid", [False, True])
def test_native_and_reference_agree_to_the_bit(cull, on_grid):
    vertices, triangles = soup(3)
    if on_grid:  # corners on pixel centres, equal depths: every rule about ties is called upon
        vertices = np.round(vertices / 6) * 6
    a, b = both(vertices, triangles, 90, 100, cull=cull)
    assert a.covered.mean() > 0.75
    assert np.array_equal(a.index, b.index) and np.array_equal(a.weights, b.weights)
    assert np.array_equal(a.depth, b.depth)
    attributes = np.random.default_rng(0).normal(size=(len(vertices), 5))
    interpolated = []
    for choice in ("native", "reference"):
        with native.chosen(choice):
            interpolated.append(a.interpolate(attributes))
    assert np.array_equal(*interpolated)


def test_reference_in_pieces_is_the_same(monkeypatch):
    vertices, triangles = soup(4)
    with native.chosen("reference"):
        whole = rasterise(vertices, triangles, 80, 80)
        monkeypatch.setattr(raster, "CANDIDATES", 3000)
        pieces = rasterise(vertices, triangles, 80, 80)
    assert np.array_equal(whole.index, pieces.index) and np.array_equal(whole.weights, pieces.weights)


@pytest.mark.parametrize("shift", [0.0, 0.37])
def test_a_mesh_covers_each_pixel_once(choice, shift):
    places, triangles = grid(13, 11)
    vertices = np.concatenate([places * 60 + shift, np.zeros((len(places), 1))], axis=1)
    inside = rasterise(vertices, triangles, 62, 62)
    expected = np.zeros((62, 62), bool)
    first, last = int(np.ceil(shift)), int(np.floor(60 + shift))
    expected[first : last + 1, first : last + 1] = True
    if shift == 0:  # of a square with edges on pixel centres, the right and the lower edge are not its own
        expected[60], expected[:, 60] = False, False
    assert np.array_equal(inside.covered, expected)
    alone = sum(rasterise(vertices, t[None], 62, 62).covered.astype(int) for t in triangles)
    assert np.array_equal(alone, expected.astype(int))


def test_interpolates_places_and_depth(choice):
    places, triangles = grid(5, 7)
    vertices = np.concatenate([places * [80, 50] + 3.3, places[:, :1] * 40], axis=1)
    seen = rasterise(vertices, triangles, 60, 90)
    y, x = np.nonzero(seen.covered)
    found = seen.interpolate(vertices)[y, x]
    assert np.abs(found[:, :2] - np.stack([x, y], axis=1)).max() < 0.01  # the grid's step is 1/256
    assert np.abs(found[:, 2] - seen.depth[y, x]).max() < 1e-4
    assert np.abs(seen.depth[y, x] - (x - 3.3) / 80 * 40).max() < 0.01
    assert not seen.interpolate(vertices)[~seen.covered].any()


def test_the_nearest_is_seen_and_backs_are_culled(choice):
    vertices = np.array([[0, 0, 1], [0, 20, 1], [20, 0, 1], [0, 0, 5], [20, 0, 5], [0, 20, 5]], float)
    triangles = np.array([[0, 1, 2], [3, 4, 5]])  # the nearer one turns its back
    assert set(rasterise(vertices, triangles, 21, 21).index[1:5, 1:5].ravel()) == {1}
    assert set(rasterise(vertices, triangles, 21, 21, cull=True).index[1:5, 1:5].ravel()) == {0}
    vertices[:, 2] = 1
    assert set(rasterise(vertices, triangles, 21, 21).index[1:5, 1:5].ravel()) == {0}  # the first of equals


def test_nothing_is_seen_of_nothing(choice):
    seen = rasterise(np.zeros((0, 3)), np.zeros((0, 3), int), 4, 5)
    assert not seen.covered.any() and seen.interpolate(np.zeros((0, 2))).shape == (4, 5, 2)
    flat = rasterise([[0, 0, 0], [3, 3, 0], [6, 6, 0]], [[0, 1, 2]], 9, 9)
    assert not flat.covered.any()


@pytest.mark.parametrize(
    ("vertices", "triangles", "size", "message"),
    [
        (np.zeros((3, 2)), [[0, 1, 2]], (4, 4), r"vertices have shape \[3, 2\]"),
        (np.zeros((3, 3)), [0, 1, 2], (4, 4), r"triangles have shape \[3\]"),
        (np.zeros((3, 3)), [[0, 1, 3]], (4, 4), "vertices 0 to 3: there are 3"),
        (np.full((3, 3), np.nan), [[0, 1, 2]], (4, 4), "must be finite"),
        (np.zeros((3, 3)), [[0, 1, 2]], (0, 4), "4 x 0 pixels"),
    ],
)
def test_wrong_input_is_refused(vertices, triangles, size, message):
    with pytest.raises(ValueError, match=message):
        rasterise(vertices, triangles, *size)


def test_wrong_attributes_are_refused():
    seen = rasterise([[0, 0, 0], [0, 9, 0], [9, 0, 0]], [[0, 1, 2]], 9, 9)
    with pytest.raises(ValueError, match=r"shape \[2, 1\]: expected \[V >= 3, C\]"):
        seen.interpolate(np.zeros((2, 1)))


def test_sampling_agrees_to_the_bit_and_keeps_pixels():
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (17, 23, 3), np.uint8)
    places = random.uniform(-4, 28, (500, 2))
    seen = []
    for choice in ("native", "reference"):
        with native.chosen(choice):
            seen.append(sample(picture, places))
            y, x = np.mgrid[0:17, 0:23]
            assert np.array_equal(sample(picture, np.stack([x, y], axis=2)), picture)
    assert np.array_equal(*seen)


def test_sampling_is_exact_for_parabolas(choice):
    y, x = np.mgrid[0:16, 0:16]
    picture = (x * x + y)[..., None].astype(np.uint8)  # Catmull and Rom's cubic reproduces them
    places = np.random.default_rng(2).uniform(2, 13, (100, 2))
    assert np.abs(sample(picture, places)[:, 0] - places[:, 0] ** 2 - places[:, 1]).max() < 1e-3


def test_sampling_refuses_wrong_input():
    with pytest.raises(ValueError, match=r"float64 \[4, 4, 3\]: expected uint8"):
        sample(np.zeros((4, 4, 3)), [[0, 0]])
    with pytest.raises(ValueError, match=r"expected \[..., 2\]"):
        sample(np.zeros((4, 4, 3), np.uint8), [[0, 0, 0]])


def test_twelve_thousand_triangles_take_milliseconds():
    places, triangles = grid(60, 100)
    bent = 40 * np.sin(6 * places[:, :1])
    vertices = np.concatenate([places * 511, bent], axis=1)
    with native.chosen("native"):
        rasterise(vertices, triangles, 512, 512)
        took = []
        for _ in range(5):
            start = time.perf_counter()
            rasterise(vertices, triangles, 512, 512)
            took.append(time.perf_counter() - start)
    print(f"{1000 * min(took):.1f} ms")
    assert min(took) < 0.05  # 5 ms on two free cores
