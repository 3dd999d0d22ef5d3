"""The light of a face is found, and follows its shape."""

import numpy as np

from latentface.head.drive import Driver
from latentface.head.field import Scene, find_field
from latentface.head.geometry import Box
from latentface.head.shading import find_light, relight, turn_of
from latentface.ops.raster import normals
from tests.helpers.head_picture import HEIGHT, WIDTH, model, place


def lit(a: float, b: tuple[float, float, float]) -> tuple[np.ndarray, Scene]:
    """A plain head under known light."""
    scene = Scene.of(model(), place(), HEIGHT, WIDTH)
    seen = scene.surface.seen(scene.before, Box(0, 0, WIDTH, HEIGHT))
    value = seen.interpolate(scene.surface.closed((a + scene.normals @ np.array(b))[:, None].astype(np.float32)))
    return np.rint(np.repeat(np.clip(value, 0, 255), 3, axis=2)).astype(np.uint8), scene


def test_light_is_found():
    photo, scene = lit(120, (40, -15, 30))
    found = find_light(photo, scene)
    assert np.abs(found - [120, 40, -15, 30]).max() < 8


def test_a_head_that_turns_to_the_light_gets_brighter_there():
    photo, scene = lit(120, (50, 0, 20))  # from the right of the picture
    for yaw, brighter in ((12, True), (-12, False)):
        field = find_field(scene, place(yaw=yaw))
        gain = relight(find_light(photo, scene), scene, field)
        ratio = gain.values.repeat(gain.step, axis=0).repeat(gain.step, axis=1)
        nose = np.rint(place(yaw=yaw)[model().landmarks[28], :2]).astype(int) - [field.box.left, field.box.top]
        assert (ratio[nose[1], nose[0], 1] > 1.005) == brighter and 0.65 < ratio.min() <= ratio.max() < 1.3
        assert np.all(ratio[..., 0] >= ratio[..., 2]), "shadows on skin are reddish"
        assert (ratio[:5] == 1).all() and (ratio[-5:] == 1).all()


def test_a_turn_is_told_from_the_change_of_an_expression():
    _, scene = lit(120, (50, 0, 20))
    angle = np.radians(12)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    field = find_field(scene, place({"mouthSmile": 0.8}, yaw=12))
    found = turn_of(scene.normals, field.normals, scene.trust)
    cosine = (np.trace(found.T @ turn) - 1) / 2
    assert np.degrees(np.arccos(min(cosine, 1))) < 2
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)


def test_driven_pixels_carry_the_truths_light():
    photo, scene = lit(110, (45, -10, 40))
    after = place(yaw=10)
    seen = scene.surface.seen(after, Box(0, 0, WIDTH, HEIGHT))
    turned = (110 + normals(after, scene.surface.skin) @ np.array([45, -10, 40]))[:, None].astype(np.float32)
    truth = seen.interpolate(scene.surface.closed(turned))[..., 0]
    driver = Driver(photo, model(), scene.before)
    driven = driver.drive(after)
    face = np.zeros(truth.shape, bool)
    middle = np.rint(after[model().landmarks[29], :2]).astype(int)
    face[middle[1] - 30 : middle[1] + 15, middle[0] - 30 : middle[0] + 30] = True
    face &= scene.surface.layers(seen) == 0
    unlit = np.abs(photo[..., 0].astype(float) - truth)[face].mean()
    assert np.abs(driven.photo[..., 0].astype(float) - truth)[face].mean() < 0.5 * unlit
