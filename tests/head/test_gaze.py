"""The gaze is read from drawn eyes, and the eyeLook weights say the same as its angles."""

import numpy as np
import pytest

from latentface.head.gaze import IRIS_DEPTH, IRIS_RADIUS, Gaze, read_gaze

NAMES = tuple(f"eyeLook{way}{side}" for way in ("Down", "In", "Out", "Up") for side in ("Left", "Right"))
SCALE = 12.0
CENTRES = np.array([[60.0, 60.0], [134.0, 60.0]])


def eyes(yaw: float, opening: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """A photo with two eyes, and their lids [2, 6, 2]."""
    y, x = np.mgrid[:120, :200].astype(float)
    photo = np.full((120, 200, 3), (190, 150, 130), float)
    lids = []
    for cx, cy in CENTRES:
        shape = np.array([[-1.4, 0], [-0.5, -0.5], [0.5, -0.5], [1.4, 0], [0.5, 0.5], [-0.5, 0.5]]) * (1, opening)
        lids.append(shape * SCALE + (cx, cy))
        ball = np.abs(y - cy) < opening * 0.55 * SCALE * np.sqrt(np.clip(1 - ((x - cx) / SCALE / 1.45) ** 2, 0, 1))
        photo[ball] = 235
        at = cx + IRIS_DEPTH * np.sin(np.radians(yaw)) * SCALE
        photo[ball & (np.hypot(x - at, y - cy) < IRIS_RADIUS * SCALE)] = (70, 50, 40)
    return photo.astype(np.uint8), np.array(lids)


@pytest.mark.parametrize("yaw", (-20.0, -8.0, 0.0, 12.0, 22.0))
def test_reads_the_iris(yaw):
    photo, lids = eyes(yaw)
    gaze = read_gaze(photo, lids, CENTRES, np.eye(3), SCALE)
    assert gaze.yaw == pytest.approx(yaw, abs=3) and abs(gaze.pitch) < 6 and gaze.confidence > 0.6


def test_says_nothing_of_closed_eyes_and_of_none():
    photo, lids = eyes(15.0, opening=0.05)
    assert read_gaze(photo, lids, CENTRES, np.eye(3), SCALE).confidence == 0
    assert read_gaze(photo, lids + 5000, CENTRES + 5000, np.eye(3), SCALE).confidence == 0


def test_weights_and_angles_say_the_same():
    for yaw, pitch in ((17.5, 6.0), (-7.0, -15.0), (0.0, 0.0)):
        weights = Gaze(yaw, pitch, 1.0).weights(NAMES)
        again = Gaze.of(NAMES, weights)
        assert (again.yaw, again.pitch) == pytest.approx((yaw, pitch))
    assert Gaze(35, 0, 1).weights(NAMES)[NAMES.index("eyeLookOutLeft")] == 1  # to the subject's left


def test_two_gazes_in_one():
    told = Gaze(12.0, 9.0, 0.4)
    assert told.joined(Gaze(4.0, -2.0, 0.9)) == Gaze(8.0, -2.0, 0.9)
    hidden = told.joined(Gaze(-30.0, 20.0, 0.0))
    assert (hidden.yaw, hidden.pitch, hidden.confidence) == (12.0, 0.0, 0.4)
