"""Style pictures: every style of a rendered head is a picture of its own, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.synthface.renderer import Render, Renderer
from latentface.synthface.style_pictures import SITTERS, STYLES, graded, lines, luminance, portray, sit


@pytest.fixture(scope="module")
def sitter(renderer: Renderer) -> Render:
    return renderer.sample(3)


def test_every_style_has_a_sitter(renderer: Renderer) -> None:
    assert STYLES.keys() == SITTERS.keys()
    assert sit("ink", renderer).scene.yaw == SITTERS["ink"][2]


@pytest.mark.parametrize("name", ["ink", "hatching", "oil", "pastel", "clay", "neon", "pencil"])
def test_a_style_draws_over_the_whole_picture(name: str, sitter: Render) -> None:
    made = portray(name, sitter)
    assert made.shape == sitter.image.shape and made.dtype == np.float32
    assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1
    assert made.std() > 0.02 and np.abs(made - sitter.image / 255).mean() > 0.03
    assert np.array_equal(made, portray(name, sitter))


def test_pieces_of_styles() -> None:
    ramp = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    assert luminance(np.dstack([ramp] * 3)).max() == 1
    assert np.allclose(graded(ramp, (0, 0, 0), (1, 0.5, 0))[:, -1], (1, 0.5, 0))
    dark = np.ones((32, 32), np.float32)
    dark[:, 16] = 0
    found = lines(dark, 0.03)
    assert found[:, 16].max() < 0.2 and found[:, 2].min() > 0.8
