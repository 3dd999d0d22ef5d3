"""Pieces of the morphable head's recipe, on meshes small enough to check by hand."""

import numpy as np

from latentface.training import head_model


def square_with_hole() -> tuple[np.ndarray, np.ndarray]:
    """A 5 x 5 grid of vertices, 4 x 4 squares of which one inner one is missing."""
    y, x = np.mgrid[0:5, 0:5]
    vertices = np.stack([x.ravel(), y.ravel() + 1, np.zeros(25)], axis=1).astype(np.float32)
    squares = [(r, c) for r in range(4) for c in range(4) if (r, c) != (1, 2)]
    triangles = []
    for r, c in squares:
        a, b = 5 * r + c, 5 * r + c + 1
        triangles += [[a, b, a + 5], [b, b + 5, a + 5]]
    return vertices, np.array(triangles)


def test_arkit_names():
    names = [head_model.arkit_name(name) for name in ("browDown_L", "mouthSmile_R", "jawOpen", "eyeLookIn_L")]
    assert names == ["browDownLeft", "mouthSmileRight", "jawOpen", "eyeLookInLeft"]


def test_loops_go_around_holes():
    vertices, triangles = square_with_hole()
    outer = np.arange(25)
    loops = head_model.find_loops(triangles, vertices, outer)
    assert set(loops) == {"eye_left"}  # the last of the two rings, both above and to the left
    ring = loops["eye_left"]
    assert sorted(ring.tolist()) in ([7, 8, 12, 13], sorted({0, 1, 2, 3, 4, 9, 14, 19, 24, 23, 22, 21, 20, 15, 10, 5}))
    edges = {frozenset(e) for t in triangles.tolist() for e in (t[:2], t[1:], t[::2])}
    assert all(frozenset(e) in edges for e in zip(ring.tolist(), np.roll(ring, -1).tolist(), strict=True))


def test_points_in_a_polygon():
    outline = np.array([[0, 0], [4, 0], [4, 2], [2, 2], [2, 4], [0, 4]], np.float32)  # an L
    points = np.array([[1, 1], [3, 1], [1, 3], [3, 3], [-1, 1], [5, 1]], np.float32)
    assert head_model.in_polygon(points, outline).tolist() == [True, True, True, False, False, False]


def test_averaging_keeps_constants_and_spreads_peaks():
    _, triangles = square_with_hole()
    smooth = head_model.averaging(triangles, 25)
    assert np.allclose(smooth @ np.ones(25, np.float32), 1)
    peak = smooth @ np.eye(25, dtype=np.float32)[6]
    assert 0 < peak[6] < 1 and peak[7] > 0 and peak[24] == 0


def test_mirrored_vertices():
    neutral = np.array([[1, 0, 0], [-1, 0, 0], [0, 2, 0], [3, 0, 0], [-3, 0, 0]], np.float32)
    of = {"face": np.arange(3), "eyeball_left": np.array([3]), "eyeball_right": np.array([4])}
    assert head_model.find_mirror(neutral, of).tolist() == [1, 0, 2, 4, 3]


def test_eyeballs_turn_where_their_shapes_say():
    names = [f"eyeLook{word}{side}" for side in ("Left", "Right") for word in ("Up", "Down", "In", "Out")]
    neutral = np.array([[2, 0, 1], [2, 0, -1], [3, 0, 0], [1, 0, 0], [2, 1, 0], [2, -1, 0]] * 2, np.float32)
    neutral[6:, 0] *= -1
    of = {"eyeball_left": np.arange(6), "eyeball_right": np.arange(6, 12)}
    shapes = np.zeros((8, 12, 3), np.float32)
    head_model.turn_eyeballs(shapes, names, neutral, of)
    pupil = shapes[:, 0], shapes[:, 6]  # the foremost point of each
    assert pupil[0][0, 1] > 0.4 and pupil[0][1, 1] < -0.4  # up and down
    assert pupil[0][2, 0] < -0.4 and pupil[0][3, 0] > 0.4  # the left eye, in and out
    assert pupil[1][6, 0] > 0.4 and pupil[1][7, 0] < -0.4  # the right eye
    assert not shapes[:4, 6:].any() and not shapes[4:, :6].any()
    turned = neutral[:6] + shapes[3, :6] - [2, 0, 0]
    assert np.allclose(np.linalg.norm(turned, axis=1), 1, atol=1e-5)
