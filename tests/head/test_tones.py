"""The black and the white of photos."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.head.eyeball import EyeWhite
from latentface.head.tones import Tones, find_tones
from tests.helpers.head_picture import picture


def tones(*eyes: tuple[float, float, float], missing: float = 0.0, gain: float = 1.0) -> Tones:
    scene = picture().driver().scene
    photo = (picture().photo * gain).astype(np.uint8)
    cheeks = scene.before[scene.model.landmarks[[2, 14]], :2]
    return find_tones(photo, scene, cheeks, [EyeWhite(np.array(eye, np.float32), missing) for eye in eyes])


def test_white_is_neutral_unless_eyes_tell_more() -> None:
    assert np.ptp(tones().white) == 0
    assert np.ptp(tones((80, 60, 90), missing=0.5).white) == 0, "an eye without a white tells nothing"
    usual = tones((183, 150, 142)).white
    assert np.ptp(usual) < 2, "nor does a usual one"


@pytest.mark.parametrize("blue", [110, 190])
def test_white_follows_the_light_of_the_eyes_in_part(blue: float) -> None:
    cast = np.log(tones((183, 150, blue)).white[2] / tones((183, 150, 142)).white[2])
    assert cast == pytest.approx(0.55 * np.log((blue + 8) / 150), abs=0.01)
    assert np.isclose(*tones((183, 150, blue)).white[:2], rtol=0.01).all()


def test_white_is_brighter_in_brighter_photos_and_at_most_white() -> None:
    assert tones(gain=0.5).white.mean() < tones().white.mean()
    assert tones((255, 200, 255), gain=1.2).white.max() <= 255
