"""Heads by regression."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.vid2vid.reader import HeadRegression
from tests.helpers.talking_heads import CONFIG


def test_outputs_are_angles_scale_place_and_shape() -> None:
    reader = HeadRegression(CONFIG)
    values = torch.arange(30.0) / 10
    with torch.no_grad():
        reader.out.weight.zero_()
        assert reader.out.bias is not None
        reader.out.bias.copy_(values)
    head = reader(torch.zeros(2, 3, 32, 32))[1:]
    assert head.angles[0].tolist() == pytest.approx([0.0, 3.0, 6.0])
    assert float(head.scale.detach()) == pytest.approx(float(torch.tensor(0.3).exp()))
    assert head.translation[0].tolist() == pytest.approx([0.4, 0.5, 0.0])
    torch.testing.assert_close(head.canonical[0].flatten(), values[6:18])
    torch.testing.assert_close(head.deformation[0].flatten(), values[18:])
    assert head.rigid
