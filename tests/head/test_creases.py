"""Folds come where an expression grows, in the face's light, and go where a smile fades."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.arrays import Float32Array, Float64Array
from latentface.head.creases import (
    BOTTOM,
    FADING,
    FOLDS,
    LEFT,
    TEXEL,
    FaceMap,
    broadened,
    crease,
    fade,
    find_fading,
    find_likeness,
    find_relief,
    pixels_a_centimetre,
)
from latentface.head.field import Scene, find_field
from tests.helpers.head_picture import HEIGHT, WIDTH, model, place

NAMES = model().expression_names


def change_of(**weights: float) -> Float64Array:
    """A change of the expression; a name without its side stands for both."""
    made = np.zeros(len(NAMES))
    for name, weight in weights.items():
        made[[k for k, each in enumerate(NAMES) if each in (name, name + "Left", name + "Right")]] = weight
    return made


def at(relief: Float32Array, x: float, y: float) -> float:
    """The height at a place of the mean head, in centimetres."""
    return float(relief[round((y + 9) / TEXEL), round((x + 8) / TEXEL)])


def test_every_fold_is_dug_by_shapes_that_the_head_has() -> None:
    for shapes in [fold.shapes for fold in FOLDS] + [shapes for _, _, shapes in FADING]:
        assert all(change_of(**{name: 1.0}).any() for name in shapes)


def test_without_growth_there_is_no_fold() -> None:
    assert find_relief(NAMES, change_of(), 50.0) is None and find_fading(NAMES, change_of()) is None
    assert find_relief(NAMES, change_of(browDown=-1.0, mouthSmile=-1.0), 50.0) is None
    assert find_fading(NAMES, change_of(mouthSmile=1.0)) is None


def test_brows_that_come_down_fold_the_skin_between_them_and_nothing_else() -> None:
    relief = find_relief(NAMES, change_of(browDown=1.0), 50.0)
    assert relief is not None
    assert at(relief, 0.85, 5.2) < -0.03 and at(relief, -0.85, 5.2) < -0.03
    assert abs(at(relief, 0.85, 9.0)) < 1e-3 and abs(at(relief, 3.0, -2.5)) < 1e-3
    half = find_relief(NAMES, change_of(browDown=0.5), 50.0)
    assert half is not None and np.allclose(half, relief / 2, atol=1e-6)


def test_one_side_folds_alone() -> None:
    relief = find_relief(NAMES, change_of(noseSneerLeft=1.0), 50.0)
    assert relief is not None
    assert at(relief, 2.4, -1.3) < -0.02 and abs(at(relief, -2.4, -1.3)) < 1e-3


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene.of(model(), place(), HEIGHT, WIDTH)


def test_folds_darken_skin_by_light_from_above_and_spare_hair(scene: Scene) -> None:
    after = place({"browInnerUp": 1.0})
    field, relief = find_field(scene, after), find_relief(NAMES, change_of(browInnerUp=1.0), pixels_a_centimetre(scene))
    assert field is not None and relief is not None
    skin = np.full((HEIGHT, WIDTH, 3), 150, np.uint8)
    face = FaceMap.of(scene, field, find_likeness(skin, scene))
    assert face is not None
    far, ratio = crease(relief, np.array([100.0, 0, -30, 40]), scene, face)
    assert ratio.shape == (far.sum(), 3) and 0.45 <= ratio.min() < 0.93 and ratio.max() <= 1.3
    assert (ratio[:, 0] >= ratio[:, 2] - 1e-6)[ratio[:, 1] < 1].all(), "shadows keep their red"
    assert (field.layer[face.part][far] == 0).all()
    brows = np.rint(after[model().landmarks[17:27], 1]).max() - field.box.top - face.part[0].start
    dark = np.nonzero(far)[0][ratio[:, 1] < 0.97]
    assert len(dark) > 50 and dark.max() < brows, "the forehead's folds lie over the brows"
    fringe = skin.copy()
    rows = np.nonzero(far)[0]
    fringe[: round(float(np.median(rows))) + field.box.top + face.part[0].start] = 15
    other = FaceMap.of(scene, field, find_likeness(fringe, scene))
    assert other is not None
    assert crease(relief, np.array([100.0, 0, -30, 40]), scene, other)[0].sum() < 0.8 * far.sum()


def test_a_groove_in_squeezed_skin_is_no_line_of_a_pen() -> None:
    columns, rows = np.meshgrid(np.arange(120, dtype=np.float32), np.arange(120, dtype=np.float32))
    scale = 10.0  # pixels per centimetre of skin that is not squeezed
    middle = np.array([(2.35 - LEFT) / TEXEL, (-1.3 - BOTTOM) / TEXEL])  # of the fold beside the nose
    facing = np.zeros((120, 120, 3), np.float32)
    facing[..., 2] = 1
    change = np.zeros((120, 120), np.float32)
    change[:, 60] = -1  # the groove, one pixel wide
    for times, least in ((1.0, -1.0), (3.0, -0.4)):
        across = middle[0] + (columns - 60) * times / (TEXEL * scale)
        at = np.stack([across, middle[1] + (rows - 60) / (TEXEL * scale)], axis=2).astype(np.float32)
        face = FaceMap((slice(0, 120), slice(0, 120)), at, facing, np.ones((120, 120), bool), change + 2)
        broad = broadened(change, face, scale)
        assert broad.min() == pytest.approx(least, abs=0.12)
        assert broad[20:100].sum() == pytest.approx(change[20:100].sum(), rel=0.01), "as much shadow as before"


def test_a_fold_of_the_photo_fades_with_the_smile(scene: Scene) -> None:
    field, fading = find_field(scene, place({"mouthFrown": 0.5})), find_fading(NAMES, change_of(mouthSmile=-0.9))
    assert field is not None and fading is not None and 0 < fading.max() <= 0.75
    photo = np.full((field.box.height, field.box.width, 3), 170, np.float32)
    x, y = np.rint(scene.before[model().landmarks[[31, 48]], :2].mean(axis=0)).astype(int)
    column = x - field.box.left - 12
    row = y - field.box.top
    photo[row - 6 : row + 7, column - 1 : column + 2] = 130
    before = photo.copy()
    face = FaceMap.of(scene, field, find_likeness(np.full((HEIGHT, WIDTH, 3), 170, np.uint8), scene))
    assert face is not None
    fade(fading, scene, face, photo)
    assert photo[row, column, 0] > before[row, column, 0] + 8
    forehead = round(float(scene.before[model().landmarks[27], 1])) - field.box.top - 25
    assert np.array_equal(photo[:forehead], before[:forehead])


def test_a_deep_fold_fades_in_its_own_colour(scene: Scene) -> None:
    field, fading = find_field(scene, place({"mouthFrown": 0.5})), find_fading(NAMES, change_of(mouthSmile=-0.9))
    assert field is not None and fading is not None
    skin, deep = np.array([200.0, 150, 130], np.float32), np.array([100.0, 45, 22], np.float32)
    photo = np.broadcast_to(skin, (field.box.height, field.box.width, 3)).copy()
    x, y = np.rint(scene.before[model().landmarks[[31, 48]], :2].mean(axis=0)).astype(int)
    row, column = y - field.box.top, x - field.box.left - 12
    photo[row - 6 : row + 7, column - 1 : column + 2] = deep
    face = FaceMap.of(scene, field, find_likeness(np.full((HEIGHT, WIDTH, 3), 170, np.uint8), scene))
    assert face is not None
    fade(fading, scene, face, photo)
    way = (photo[row, column] - deep) / (skin - deep)  # from the fold's colour to that of skin
    assert way.min() > 0.05 and way.max() < 2.5 * way.min()
