"""The reader of heads: two looks that agree, angles as shapes, and what it does not answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.errors import UsageError
from latentface.head.gaze import YAW_AT_ONE, Gaze
from latentface.head.reader import HeadReader, mirror_order
from latentface.networks.head_reader import HeadReaderConfig, HeadReaderNet
from tests.helpers.faces import face_points

NAMES = ("jawOpen", "mouthSmileLeft", "mouthSmileRight")
SHAPES = ("eyeLookOutLeft", "eyeLookInRight", "eyeLookUpLeft", "jawOpen", "mouthSmileLeft", "mouthSmileRight", "tongue")
POINTS = face_points((100, 100), 60)


class Told(HeadReaderNet):
    """Answers what it is told: means and deviations of the picture, and of its mirror image."""

    def __init__(self, means: list[list[float]], deviation: float = 0.1) -> None:
        super().__init__(HeadReaderConfig(NAMES, 32, (8, 8, 8, 8), 2, 2, 4))
        self.means, self.deviation = torch.tensor(means), deviation
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.append(images)
        return self.means, torch.full_like(self.means, self.deviation)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)


def test_the_mirror_image_is_looked_at_too_and_answers_the_other_way_round() -> None:
    network = Told([[0.2, 0.6, 0.1, 0.5, 0.1, 0.3, 0.2], [0.4, 0.3, 0.8, -0.3, 0.3, 0.1, 0.2]])
    found = HeadReader(network)(photo(), POINTS, SHAPES)
    (images,) = network.seen
    assert images.shape == (2, 3, 32, 32) and torch.equal(images[0], images[1].flip(2))
    by = dict(zip(SHAPES, found.expression.tolist(), strict=True))
    assert by["jawOpen"] == pytest.approx(0.3)
    assert (by["mouthSmileLeft"], by["mouthSmileRight"]) == pytest.approx((0.7, 0.2))
    assert (found.gaze.yaw, found.gaze.pitch) == pytest.approx((0.4 * 30, 0.2 * 30))


def test_the_gaze_is_told_as_shapes_and_limited_to_what_eyes_do() -> None:
    found = HeadReader(Told([[0, 0, 0, 9.0, 0, 0, 0], [0, 0, 0, -9.0, 0, 0, 0]]))(photo(), POINTS, SHAPES)
    assert found.gaze.yaw == YAW_AT_ONE
    assert np.array_equal(found.expression, Gaze(YAW_AT_ONE, 0.0, 1.0).weights(SHAPES))


def test_weights_stay_within_their_range_and_others_are_not_answered() -> None:
    found = HeadReader(Told([[1.5, -0.5, 0.5, 0, 0, 0, 0]] * 2))(photo(), POINTS, SHAPES)
    by = dict(zip(SHAPES, found.expression.tolist(), strict=True))
    assert by["jawOpen"] == 1.0 and by["mouthSmileLeft"] == 0.0 and by["tongue"] == 0.0
    deviations = dict(zip(SHAPES, found.deviation.tolist(), strict=True))
    assert deviations["jawOpen"] == pytest.approx(0.15, rel=1e-6), "half as much again as the network says"
    assert deviations["tongue"] == deviations["eyeLookUpLeft"] == 0


@pytest.mark.parametrize(("deviation", "confidence"), [(0.0, 1.0), (0.1, 0.8), (0.6, 0.0)])
def test_a_gaze_that_is_not_known_counts_for_little(deviation: float, confidence: float) -> None:
    found = HeadReader(Told([[0.0] * 7] * 2, deviation))(photo(), POINTS, SHAPES)
    assert found.gaze.confidence == pytest.approx(confidence, abs=1e-6)


def test_names_are_mirrored_side_by_side() -> None:
    order, sign = mirror_order(NAMES)
    assert order == [0, 2, 1, 3, 4, 5, 6] and sign.tolist() == [1, 1, 1, -1, 1, -1, 1]


def test_landmarks_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError):
        HeadReader(Told([[0.0] * 7] * 2))(photo(), POINTS[:5], SHAPES)
