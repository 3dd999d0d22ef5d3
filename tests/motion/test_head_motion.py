"""The state of a head in a frame of a clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latentface.head.fitting import fit_head
from latentface.motion.head_motion import HeadMotion, neck_joint
from tests.helpers.driving_heads import TABLE
from tests.helpers.head_picture import model


def test_a_head_is_packed_and_unpacked_whole() -> None:
    fit = fit_head(model(), TABLE[3])
    head = replace(HeadMotion.of(model(), fit, fit), place=np.array([1.0, -2]), size=0.1, gaze=np.array([5.0, -3]))
    again = HeadMotion.unpack(head.pack(), head.shut)
    for name in ("expression", "measures", "gaze", "pose", "place", "size", "shut"):
        assert getattr(again, name) == pytest.approx(getattr(head, name))


def test_a_turn_leaves_the_neck_joint_where_it_is() -> None:
    fit = fit_head(model(), TABLE[0])
    assert neck_joint(fit.with_pose(15, 8, -5)) == pytest.approx(neck_joint(fit))
