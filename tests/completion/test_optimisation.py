"""Completion by search: what is hidden is not compared, and texture changes the hole alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.completion.optimisation import PatchOptions, synthesise_texture
from latentface.errors import UsageError
from latentface.inversion.search import Comparison
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.options.projection import ProjectOptions


def distance() -> PerceptualNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig(widths=(4, 4, 4), depths=(1, 1, 1))).requires_grad_(False)


def test_pixels_that_are_hidden_have_no_part_in_the_comparison() -> None:
    target = torch.rand(1, 3, 64, 64) * 2 - 1
    hidden = torch.zeros(1, 1, 64, 64)
    hidden[..., 16:40, 20:50] = 1
    comparison = Comparison(target, distance(), ProjectOptions(), hidden=hidden)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    other = torch.where(hidden > 0, torch.rand(1, 3, 64, 64), image)
    assert torch.equal(comparison.loss(image), comparison.loss(other))
    whole = Comparison(target, distance(), ProjectOptions()).loss(image)
    half = Comparison(target, distance(), ProjectOptions(), hidden=hidden / 2).loss(image)
    assert comparison.loss(image) < half < whole


def test_texture_is_synthesised_in_the_hole_alone() -> None:
    random = np.random.default_rng(0)
    picture = random.integers(80, 170, (64, 64, 3)).astype(np.uint8)
    hole = np.zeros((64, 64), bool)
    hole[20:44, 20:44] = True
    content = np.full((32, 32, 3), 125, np.uint8)
    made = synthesise_texture(content, picture, hole, distance(), PatchOptions(steps=6, content=1.0))
    assert np.array_equal(made[~hole], picture[~hole])
    assert made[24:40, 24:40].std() > 2  # the content was flat
    with pytest.raises(UsageError, match="smaller"):
        synthesise_texture(picture, picture, hole, distance())
