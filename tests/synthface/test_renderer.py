"""The renderer: pictures against their scenes."""

from __future__ import annotations

import dataclasses

import numpy as np

from latentface.faces.crop import ffhq_quad
from latentface.synthface.library import Library
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import Scene, sample_scene


def plain_scene(library: Library, seed: int = 3, **changes: object) -> Scene:
    scene = sample_scene(seed, library.sizes, 3)
    calm = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "gaze": (0.0, 0.0), "noise": 0.0, "hair": None, "expression": {}}
    return dataclasses.replace(scene, **(calm | changes))


def test_render_is_deterministic_and_framed(renderer: Renderer) -> None:
    one, again = renderer.sample(11), renderer.sample(11)
    assert one.image.shape == (64, 64, 3) and one.mask.shape == (64, 64) and one.landmarks.shape == (68, 2)
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.landmarks, again.landmarks)
    np.testing.assert_allclose(
        ffhq_quad(one.landmarks), [[-0.5, -0.5], [-0.5, 63.5], [63.5, 63.5], [63.5, -0.5]], atol=2e-2
    )


def test_expression_and_pose_change_what_they_should(renderer: Renderer, library: Library) -> None:
    rest = renderer.render(plain_scene(library))
    smile = renderer.render(plain_scene(library, expression={"jawOpen": 1.0}))
    outside = (rest.mask == 0) & (smile.mask == 0)
    # The crop is set by eyes and mouth corners, so a still backdrop stays where those do.
    assert np.abs(rest.landmarks[57] - smile.landmarks[57]).max() > 1
    assert np.abs(rest.landmarks[27] - smile.landmarks[27]).max() < 1
    assert outside.any() and (rest.mask > 0).mean() > 0.2
    np.testing.assert_array_equal(rest.image[outside], smile.image[outside])
    turned = renderer.render(plain_scene(library, yaw=25.0))
    eyes = turned.landmarks[36:48].mean(0)
    # Turned to its left, the picture's right: that side of the jaw is foreshortened.
    assert turned.landmarks[16, 0] - eyes[0] < 0.8 * (eyes[0] - turned.landmarks[0, 0])


def test_landmarks_lie_on_what_is_drawn(renderer: Renderer, library: Library) -> None:
    """Irises drawn pure red are found where the eye landmarks say."""
    scene = plain_scene(library, iris=np.array([40.0, 0, 0], np.float32))
    drawn = renderer.render(scene)
    red = (drawn.image[..., 0].astype(int) - drawn.image[..., 1]) > 80
    rows, columns = np.nonzero(red)
    for eye, side in ((slice(36, 42), columns < 32), (slice(42, 48), columns >= 32)):
        centre = np.array([columns[side].mean(), rows[side].mean()])
        assert np.linalg.norm(centre - drawn.landmarks[eye].mean(0)) < 2.5


def test_skin_tone_light_and_hair_show(renderer: Renderer, library: Library) -> None:
    light = renderer.render(plain_scene(library, skin_tint=np.full(3, 1.0, np.float32))).image
    dark = renderer.render(plain_scene(library, skin_tint=np.full(3, 0.2, np.float32))).image
    assert light[30:40, 30:34].mean() > dark[30:40, 30:34].mean() + 20
    bald = renderer.render(plain_scene(library))
    red = renderer.render(plain_scene(library, hair=0, hair_colour=np.array([0.6, 0.02, 0.02], np.float32)))
    assert (np.abs(bald.image.astype(int) - red.image).max(-1) > 30).sum() > 50


def test_renderers_of_one_process_do_not_disturb_each_other(renderer: Renderer, library: Library) -> None:
    alone = renderer.sample(3).image
    other = Renderer(library, size=32)
    assert other.sample(3).image.shape == (32, 32, 3)
    np.testing.assert_array_equal(renderer.sample(3).image, alone)
    other.context.release()
    np.testing.assert_array_equal(renderer.sample(3).image, alone)
