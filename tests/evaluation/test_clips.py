from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.evaluation.clips import ClipMeter
from latentface.faces.crop import FaceCrop
from tests.helpers.cli_desk import face_points

RATE = 10.0


def find_face(photo: np.ndarray) -> FaceCrop | None:
    """A face that stands as far right as the first pixel says; none in a black picture."""
    if not photo.any():
        return None
    return FaceCrop(photo, face_points() * 100 + (float(photo[0, 0, 0]), 0), np.zeros((4, 2)))


def identity(crops: Tensor) -> Tensor:
    """One person in dark pictures, another in bright ones."""
    return torch.stack([torch.tensor([1.0, 0.0]) if c.mean() < 0 else torch.tensor([0.0, 1.0]) for c in crops])


def frames(places: list[int], shade: int = 40) -> list[np.ndarray]:
    made = [np.full((64, 64, 3), shade, np.uint8) for _ in places]
    for picture, place in zip(made, places, strict=True):
        picture[0, 0] = place
    return made


def measured(clip: list[np.ndarray]) -> dict[str, float]:
    meter = ClipMeter(identity, find_face, RATE)
    assert sum(1 for _ in meter.watch(clip)) == len(clip)
    return {name: figure.value for name, figure in meter.figures().items()}


def test_a_clip_at_rest_has_no_faults() -> None:
    assert measured(frames([10] * 5)) == {"acd": 0.0, "roughness": 0.0, "flicker": 0.0}


def test_steady_motion_is_smooth_and_jerks_are_not() -> None:
    assert measured(frames([10, 12, 14, 16]))["roughness"] == pytest.approx(0, abs=1e-9)
    points = face_points() * 100
    unit = float(np.linalg.norm(points[42:48].mean(0) - points[36:42].mean(0)))
    assert measured(frames([10, 12, 10]))["roughness"] == pytest.approx(RATE**2 * 4 / unit)


def test_a_gap_without_a_face_is_no_jerk() -> None:
    gap = [np.zeros((64, 64, 3), np.uint8)]
    clip = [*frames([10, 12, 14]), *gap, *frames([60, 61, 62])]
    assert measured(clip)["roughness"] == pytest.approx(0, abs=1e-9)


def test_another_person_half_way_through_drifts() -> None:
    clip = [*frames([10, 10]), *frames([10, 10], 220)]
    assert measured(clip)["acd"] == pytest.approx(4 / 6 * math.sqrt(2))


def test_flicker_counts_grey_levels() -> None:
    clip = [np.full((64, 64, 3), level, np.uint8) for level in (100, 104, 100, 104)]
    assert measured(clip)["flicker"] == pytest.approx(8.0)


def test_too_short_a_clip_has_no_figures() -> None:
    assert all(math.isnan(value) for value in measured(frames([10])).values())
