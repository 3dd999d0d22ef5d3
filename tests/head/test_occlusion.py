"""Something dark in front of the mouth is seen; lips, however dark, are not taken for it."""

from __future__ import annotations

import numpy as np

from latentface import hub
from latentface.head.occlusion import is_mouth_hidden
from tests.head.face_on_model import landmarks_of


def test_a_microphone_hides_the_mouth_and_lips_do_not() -> None:
    points = landmarks_of(hub.head_model(), {})
    photo = np.full((340, 320, 3), 150, np.uint8)
    assert not is_mouth_hidden(photo, points)
    low, high = points[48:60].min(axis=0).astype(int) - 4, points[48:60].max(axis=0).astype(int) + 4
    around = (slice(low[1], high[1]), slice(low[0], high[0]))
    photo[around] = 85
    assert not is_mouth_hidden(photo, points), "dark lips"
    photo[around] = 35
    assert is_mouth_hidden(photo, points)
