"""Displacement fields: smooth, through the values at their points; pictures are read at pixels."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import RBFInterpolator

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


def test_a_field_is_scipys_by_radial_basis_functions() -> None:
    points = dense(face_points((64, 62), 31.0))
    field = Field(points, (128, 120))
    at = np.stack(np.meshgrid(*field.lines), axis=-1)
    for seed in (0, 1):  # one factorisation serves both
        values = np.random.default_rng(seed).normal(0, 2, points.shape)
        expected = RBFInterpolator(points, values, kernel="linear", degree=0)(at.reshape(-1, 2)).reshape(at.shape)
        grid = torch.from_numpy(at).float()
        found = sample(field(values).permute(2, 0, 1)[None], grid, "bilinear")[0].permute(1, 2, 0)
        whole = (at == at.round()).all(-1)  # where the coarse grid has a pixel of its own
        assert whole.sum() > 4 and np.abs(found.numpy() - expected)[whole].max() < 2e-3


def test_points_that_fall_together_take_the_mean_of_their_values() -> None:
    points = face_points((64, 62), 31.0)
    shut = points.copy()
    shut[41] = shut[37]  # lids that meet
    values = np.random.default_rng(0).normal(0, 2, points.shape)
    field = Field(shut, (128, 120))(values)
    assert torch.isfinite(field).all()
    values[37] = values[41] = (values[37] + values[41]) / 2
    again = Field(shut, (128, 120))(values)
    assert torch.allclose(again, field, atol=1e-3)
    at = torch.from_numpy(shut[37]).float().view(1, 1, 2)
    assert torch.allclose(
        sample(field.permute(2, 0, 1)[None], at, "bilinear").flatten().double(), torch.from_numpy(values[37]), atol=0.6
    )
