"""Displacement fields: smooth, through the values at their points; pictures are read at pixels."""

from __future__ import annotations

import numpy as np
import torch

from latentface.compositing.displacement_field import Field, dense, pixels, sample, transform
from tests.helpers.faces import face_points


def test_a_field_has_its_values_at_its_points() -> None:
    points = dense(face_points((64, 62), 31.0))
    values = np.random.default_rng(0).normal(0, 2, points.shape)
    values = values.cumsum(0) / 10  # neighbours move alike, as a face's points do
    field = Field(points, (128, 120))(values)
    assert field.shape == (128, 120, 2)
    at = torch.from_numpy(points).float()[None]
    found = sample(field.permute(2, 0, 1)[None], at, "bilinear")[0, :, 0].T
    assert np.abs(found.numpy() - values).mean() < 0.15


def test_one_shift_of_all_points_shifts_every_pixel() -> None:
    points = face_points((64, 62), 31.0)
    shift = np.tile((3.0, -2.0), (len(points), 1))
    assert torch.allclose(Field(points, (96, 128))(shift), torch.tensor([3.0, -2.0]), atol=1e-3)


def test_pixels_are_x_then_y_and_go_on_beyond_the_edge() -> None:
    ramp = torch.arange(12.0).reshape(1, 1, 3, 4)
    grid = pixels(3, 4)
    assert torch.allclose(sample(ramp, grid, "bilinear"), ramp, atol=1e-5)
    right = transform(np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]]), grid)
    assert torch.allclose(sample(ramp, right, "bilinear")[0, 0, 0], torch.tensor([1.0, 2, 3, 3]), atol=1e-5)
