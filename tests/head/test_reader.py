"""The reader asks its network for both views of a face, and says what it does not know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from latentface import hub
from latentface.errors import UsageError
from latentface.faces.alignment import align
from latentface.faces.crop import MIRROR
from latentface.head import reader as module
from latentface.head.reader import HeadReader, mirror_order
from latentface.io.images import read_image
from latentface.networks.head_reader import HeadReaderConfig
from tests.head.face_on_model import landmarks_of

NAMES = ("browDownLeft", "browDownRight", "jawLeft", "jawRight", "jawOpen")
LOOKS = ("eyeLookOutLeft", "eyeLookInLeft", "eyeLookUpLeft", "eyeLookDownLeft", "eyeLookOutRight", "eyeLookInRight")
LEFT_HALF = slice(0, 16)


class SidedNet(nn.Module):
    """Answers how bright the picture's left half, its right half and all of it are."""

    config = HeadReaderConfig(NAMES, input_size=32)

    def __init__(self) -> None:
        super().__init__()
        self.device_holder = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bright = (images + 1) / 2
        left, right = bright[..., LEFT_HALF].mean((1, 2, 3)), bright[..., 16:].mean((1, 2, 3))
        zero = torch.zeros_like(left)
        # brows: the subject's left is the picture's right; gaze yaw: towards the brighter side, positive to the right
        mean = torch.stack([right, left, right, left, zero + 0.3, right - left, zero + 0.2, zero, zero], 1)
        return mean, torch.full_like(mean, 0.1)


def face() -> tuple[np.ndarray, np.ndarray]:
    """A picture that is bright on its right, with landmarks."""
    photo = np.zeros((340, 320, 3), np.uint8)
    photo[:, 160:] = 204
    return photo, landmarks_of(hub.head_model(), {})


def test_mirrored_answers_change_sides_and_signs() -> None:
    order, sign = mirror_order(NAMES)
    assert order[:5] == [1, 0, 3, 2, 4] and order[5:] == [5, 6, 7, 8]
    assert sign.tolist() == [1] * 5 + [-1, 1, -1, 1]


def test_answers_are_the_mean_of_both_views_in_the_asked_order() -> None:
    names = ("jawOpen", *LOOKS, "browDownLeft", "browDownRight")
    found = HeadReader(SidedNet())(*face(), names)
    weight = dict(zip(names, found.expression, strict=True))
    assert weight["browDownLeft"] == pytest.approx(0.8, abs=0.02)  # bright on the right in both views
    assert weight["browDownRight"] == pytest.approx(0.0, abs=0.02)
    assert weight["jawOpen"] == pytest.approx(0.3)
    assert found.gaze.yaw == pytest.approx(30 * 0.8, abs=1) and found.gaze.pitch == pytest.approx(6)
    assert weight["eyeLookOutLeft"] == pytest.approx(found.gaze.yaw / 35) and weight["eyeLookOutRight"] == 0
    assert found.gaze.confidence == pytest.approx(1 - 3 / 15)


def test_what_the_network_does_not_tell_has_no_end_of_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("cheekPuffLeft", "jawOpen", "browDownLeft", "eyeLookOutLeft")
    monkeypatch.setattr(module, "UNTOLD", ("browDown",))
    found = HeadReader(SidedNet())(*face(), names)
    assert np.isinf(found.deviation).tolist() == [True, False, True, False]
    assert found.deviation[1] == pytest.approx(0.1 * module.CAUTION) and found.deviation[3] == 0
    assert found.expression[0] == found.expression[2] == 0


def test_what_faces_at_rest_are_read_as_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_REST", {"browDown": 0.25})
    found = HeadReader(SidedNet())(*face(), ("browDownLeft", "browDownRight", "jawOpen"))
    assert found.expression == pytest.approx([0.55, -0.25, 0.3], abs=0.02)


def test_landmarks_of_no_face_are_refused() -> None:
    for wrong in (np.zeros((68, 2)), np.zeros((5, 2))):
        with pytest.raises(UsageError, match="landmarks"):
            HeadReader(SidedNet())(face()[0], wrong, NAMES)


@pytest.fixture(scope="module")
def smiling() -> dict[str, np.ndarray]:
    photo = read_image("examples/astronaut.jpg")
    crop = align(photo, size=256, landmarks=hub.landmark_predictor())[0]
    return {"photo": photo, "landmarks": crop.landmarks}


class TestBuiltIn:
    """The network that comes with the package, on a photo of a smiling person and on its mirror image."""

    def test_a_smile_is_read(self, smiling: dict[str, np.ndarray]) -> None:
        names = hub.head_model().expression_names
        weight = dict(zip(names, hub.head_reader()(**smiling, names=names).expression, strict=True))
        assert min(weight["mouthSmileLeft"], weight["mouthSmileRight"]) > 0.4
        for absent in ("mouthFrownLeft", "mouthPucker", "browDownLeft", "eyeBlinkRight", "jawForward"):
            assert weight[absent] < 0.15

    def test_the_mirror_image_reads_mirrored(self, smiling: dict[str, np.ndarray]) -> None:
        names = hub.head_model().expression_names
        reader, width = hub.head_reader(), smiling["photo"].shape[1]
        straight = reader(**smiling, names=names)
        flipped = smiling["landmarks"][list(MIRROR)] * (-1, 1) + (width - 1, 0)
        mirrored = reader(np.ascontiguousarray(smiling["photo"][:, ::-1]), flipped, names)
        order = [names.index(n.replace("Left", "*").replace("Right", "Left").replace("*", "Right")) for n in names]
        assert np.abs(straight.expression - mirrored.expression[order]).max() < 0.05
        assert straight.gaze.yaw == pytest.approx(-mirrored.gaze.yaw, abs=1)
