"""The field of a head's motion: exact on the face, still far away, and nowhere folded."""

import numpy as np
import pytest

from latentface.head.field import FARTHEST, Scene, find_field
from latentface.ops.warp import keep_inside
from tests.helpers.head_picture import HEIGHT, WIDTH, model, place


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene.of(model(), place(), HEIGHT, WIDTH)


def stretch(shift: np.ndarray) -> np.ndarray:
    """The determinant of the Jacobian of p + d(p), [H - 2, W - 2]."""
    d_x, d_y = (np.gradient(shift[..., k]) for k in (0, 1))
    return ((1 + d_x[1]) * (1 + d_y[0]) - d_x[0] * d_y[1])[1:-1, 1:-1]


def test_a_head_that_stays_has_no_field(scene):
    assert find_field(scene, scene.before) is None
    assert find_field(scene, scene.before + np.float32(0.005)) is None


def test_a_shifted_head_carries_its_face_along_and_leaves_corners(scene):
    field = find_field(scene, scene.before + np.array([6, -4, 0], np.float32))
    x, y = np.rint(scene.before[model().landmarks[30], :2]).astype(int) - [field.box.left, field.box.top]
    assert np.allclose(field.shift[y, x], [-6, 4], atol=0.05)
    assert np.abs(field.shift[-3:, -3:]).max() < 1.2 and np.abs(field.shift[-3:, :3]).max() < 1.2  # of 7.2


def test_places_come_from_where_the_mesh_was(scene):
    after = place({"mouthSmileLeft": 0.8, "browInnerUp": 0.5, "noseSneerRight": 0.6})
    field = find_field(scene, after)
    for k in (19, 24, 27, 30, 33, 48, 54, 57, 8):
        vertex = model().landmarks[k]
        x, y = np.rint(after[vertex, :2]).astype(int) - [field.box.left, field.box.top]
        there = np.array([x + field.box.left, y + field.box.top]) + field.shift[y, x]
        near = scene.before[vertex, :2] + (np.array([x + field.box.left, y + field.box.top]) - after[vertex, :2])
        assert np.abs(there - near).max() < 0.8, k


@pytest.mark.parametrize(
    "after",
    [
        place({"jawOpen": 0.6}), place({"browDown": 1.0, "mouthPress": 1.0}), place({"mouthSmile": 1.0}),
        place(yaw=15), place(roll=12),
    ],
    ids=["jaw", "anger", "smile", "yaw", "roll"],
)  # fmt: skip
def test_nothing_folds_beside_lips_and_lids(scene, after):
    field = find_field(scene, after)
    determinant = stretch(field.shift)
    lips = np.zeros((field.box.height, field.box.width), bool)
    for points in (after[model().landmarks[36:68], :2],):
        for x, y in np.rint(points).astype(int) - [field.box.left, field.box.top]:
            lips[max(y - 9, 0) : y + 10, max(x - 9, 0) : x + 10] = True
    outside = ~lips[1:-1, 1:-1]
    assert determinant[outside].min() > 0, determinant[outside].min()
    assert np.quantile(determinant[outside], 0.999) < 4


def test_hair_turns_with_a_rolling_head(scene):
    field = find_field(scene, place(roll=10))
    crown = scene.before[scene.used][scene.before[scene.used, 1].argmin(), :2] - [0, 12]  # over the skull: hair
    angle = np.radians(-10)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x, y = np.rint(crown).astype(int) - [field.box.left, field.box.top]
    middle = np.array([150.0, 165.0])
    expected = turn.T @ (crown - middle) + middle - crown
    assert np.linalg.norm(field.shift[y, x] - expected) < 0.35 * np.linalg.norm(expected)


@pytest.mark.parametrize("after", [place({"jawOpen": 0.8}), place(yaw=15), place(roll=12)], ids=["jaw", "yaw", "roll"])
def test_nothing_is_cut_at_the_boxs_edge(scene, after):
    wide = Scene.of(model(), scene.before + np.array([300, 300, 0], np.float32), 1100, 900)
    field = find_field(wide, after + np.array([300, 300, 0], np.float32))
    box = field.box
    assert box.left > 0 and box.right < 900 and box.top > 0 and box.bottom < 1100
    edges = [field.shift[0], field.shift[-1], field.shift[:, 0], field.shift[:, -1]]
    assert max(np.abs(edge).max() for edge in edges) < 0.02


def test_shoulders_stay_while_the_head_tilts(scene):
    after = place(roll=12)
    field = find_field(scene, after)
    chin = (scene.before[model().landmarks[8], :2] + after[model().landmarks[8], :2]) / 2
    collar = int(chin[1] + 0.95 * scene.unit) - field.box.top
    assert 0 < collar < field.box.height
    assert np.abs(field.shift[collar:]).max() < 0.01
    beside = int(chin[1] + 0.4 * scene.unit) - field.box.top, int(chin[0] + 1.8 * scene.unit) - field.box.left
    assert np.abs(field.shift[beside]).max() < 0.01 and np.abs(field.shift[beside[0]]).max() > 1


@pytest.mark.parametrize("side", [-1, 1])
def test_collars_follow_a_tilting_head_sideways_and_do_not_rise(scene: Scene, side: int) -> None:
    after = place(roll=12)
    field = find_field(scene, after)
    assert field is not None
    chin = (scene.before[model().landmarks[8], :2] + after[model().landmarks[8], :2]) / 2
    x, y = (chin + np.array([side, 0.3]) * scene.unit).astype(int) - [field.box.left, field.box.top]
    rises = 0.2 * scene.unit  # by which a collar that turns with the head would
    assert abs(field.shift[y, x, 1]) < 0.15 * rises
    assert 0.03 * scene.unit < abs(field.shift[y, x, 0]) < 0.3 * scene.unit


def test_a_yawing_head_keeps_its_outline(scene):
    field = find_field(scene, place(yaw=15))
    outline = [0, 1, 2]  # of the side that turns away from the picture's edge
    moved = []
    for k in (30, *outline):
        x, y = np.rint(scene.before[model().landmarks[k], :2]).astype(int) - [field.box.left, field.box.top]
        moved.append(np.linalg.norm(field.shift[y, x]))
    assert max(moved[1:]) < 0.6 * moved[0]


@pytest.mark.parametrize("after", [place(roll=10), place({"jawOpen": 0.9}), place() + np.float32([8, -5, 0])])
def test_a_head_cheek_to_cheek_is_not_dragged_along(after):
    own = place()[model().landmarks, :2].astype(np.float64)
    other = np.add(own, (150, 10))  # the heads touch
    photo = HEIGHT, WIDTH + 200
    alone, beside = (find_field(Scene.of(model(), place(), *photo, others), after) for others in ((), (other,)))
    x, y = (np.rint(other[17:]).astype(int) - [beside.box.left, beside.box.top]).T
    inside = (x < beside.box.width) & (y < beside.box.height) & (x >= 0) & (y >= 0)
    x, y = x[inside], y[inside]
    assert len(x) and np.abs(alone.shift[y, x]).max() > 0.3
    assert np.abs(beside.shift[y, x]).max() < 0.01
    nose = np.rint(after[model().landmarks[30], :2]).astype(int) - [beside.box.left, beside.box.top]
    assert np.allclose(beside.shift[nose[1], nose[0]], alone.shift[nose[1], nose[0]], atol=0.05)
    assert stretch(beside.shift)[:, : int(own[45, 0]) - beside.box.left].min() > -0.5


@pytest.mark.parametrize("pushed", [(40.0, 0.0), (-40.0, 0.0), (0.0, 25.0), (60.0, -60.0)])
def test_nothing_is_read_from_outside_the_photo_and_no_bars_are_drawn(pushed: tuple[float, float]) -> None:
    y, x = np.mgrid[:120, :200].astype(np.float32)
    places = np.stack([x, y], -1)
    shift = keep_inside(np.broadcast_to(np.float32(pushed), places.shape), 0, 0, (120, 200), FARTHEST)
    read = places + shift
    assert read.min() >= 0 and read[..., 0].max() <= 199 and read[..., 1].max() <= 119
    for axis, steps in ((0, np.diff(read[..., 0], axis=1)), (1, np.diff(read[..., 1], axis=0))):
        assert steps.min() > 0.3, f"stretched by 3 at most along axis {axis}"
    far = np.abs(np.float32(pushed)) < np.minimum(places, np.float32((199, 119)) - places) / 3
    np.testing.assert_allclose(shift[far], np.broadcast_to(np.float32(pushed), places.shape)[far], rtol=2e-3)


def test_skin_that_hides_other_skin_has_edges(scene: Scene) -> None:
    pushed = find_field(scene, place({"mouthFrown": 1.25, "mouthStretch": 1.25, "mouthLowerDown": 1.25}))
    assert pushed is not None
    rows, columns = np.nonzero(pushed.overlaps(scene.surface))
    lower, chin = place()[model().landmarks[[66, 8]], 1]
    assert len(rows) > 10
    assert (pushed.layer[rows, columns] == 0).all()
    assert lower < np.median(rows) + pushed.box.top < chin + 10  # the lower lip over the chin
    talking = find_field(scene, place({"jawOpen": 0.3}))
    assert talking is not None
    assert not talking.overlaps(scene.surface).any()


def test_lips_do_not_move_against_a_skull_that_turns(scene: Scene) -> None:
    assert scene.moved_lips(place(yaw=20, roll=10)) == 0
    assert scene.moved_lips(place({"jawOpen": 0.1}, yaw=20)) == 1
