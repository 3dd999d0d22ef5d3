"""Hands are found whole: colours beside the face say what else belongs to what the network is sure of."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from latentface import hub
from latentface.arrays import Pixels
from latentface.completion.hands import find_hands
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop
from latentface.networks.occluders import OccluderConfig, OccluderNet
from tests.helpers.head_picture import model, picture

BLUE = (30, 60, 200)


class SeesTheTop(OccluderNet):
    """Sure of blue in the upper three quarters of a crop, in doubt of it below, and sure of nothing elsewhere."""

    def __init__(self) -> None:
        super().__init__(OccluderConfig(128, (4, 4)))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        blue = pictures[:, 2:] - pictures[:, :1] > 0.5
        upper = torch.arange(pictures.shape[2])[:, None] < 0.75 * pictures.shape[2]
        return torch.where(blue, torch.where(upper, 8.0, -2.5), -8.0)


@pytest.fixture
def face(monkeypatch: pytest.MonkeyPatch) -> tuple[Pixels, FaceCrop, np.ndarray]:
    """A photo with a blue bar beside the face, its crop, and where the bar is."""
    monkeypatch.setattr(hub, "finders", lambda: SimpleNamespace(occluders=SeesTheTop()))
    photo = picture().photo.copy()
    crop = crop_face(photo, picture().before[model().landmarks, :2].astype(float), 128)
    left, right = (round(float(each)) for each in crop.quad[0, 0] + crop.side * np.array([0.03, 0.13]))
    top, bottom = (round(float(each)) for each in crop.quad[0, 1] + crop.side * np.array([0.5, 0.95]))
    bar = np.zeros(photo.shape[:2], bool)
    bar[max(top, 0) : bottom, max(left, 0) : right] = True
    return photo, crop, bar


def test_what_has_the_colour_of_a_hand_belongs_to_it(face: tuple[Pixels, FaceCrop, np.ndarray]) -> None:
    photo, crop, bar = face
    photo[bar] = BLUE
    found = find_hands(photo, crop)
    assert found is not None
    assert found[bar].mean() > 0.97
    assert found.sum() < 3 * bar.sum()


def test_a_bare_face_has_no_hand(face: tuple[Pixels, FaceCrop, np.ndarray]) -> None:
    photo, crop, _ = face
    assert find_hands(photo, crop) is None
