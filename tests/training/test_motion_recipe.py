"""What a training of the motion model consists of: networks that grow and start from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentface.networks.motion import MotionModel
from latentface.training.motion_data import sample_pairs
from latentface.training.motion_losses import RandomBend
from latentface.training.motion_recipe import TERMS, Stage, grow, staged, start_from, step_of
from tests.helpers.dotted_clips import TINY, Pixels, dotted
from tests.helpers.motion_models import CONFIG


def test_a_grown_network_finds_the_same_keypoints_in_a_larger_picture() -> None:
    config = replace(CONFIG, resolution=64, scale=0.25)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small, large, other = (MotionModel(size).eval() for size in (staged(config, 32), config, config))
    grow(large, small.state_dict())
    x = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    smooth = torch.sin(3 * x) * torch.cos(2 * x.transpose(2, 3))
    halved = torch.nn.functional.avg_pool2d(smooth, 2)
    with torch.no_grad():
        wanted = small.keypoints(halved).value
        assert float((large.keypoints(smooth).value - wanted).abs().max()) < 0.06
        assert float((other.keypoints(smooth).value - wanted).abs().max()) > 0.2


def test_a_stage_of_smaller_pictures_finds_motion_on_pictures_of_the_same_size() -> None:
    config = replace(CONFIG, resolution=64, scale=0.25, keypoint_scale=0.5)
    small = staged(config, 32)
    assert (small.resolution, small.scale, small.keypoint_scale) == (32, 0.5, 1.0)
    assert staged(config, 64) == config
    assert staged(replace(config, keypoint_scale=None), 32).keypoint_scale is None


def step(stage: Stage, **changes: object) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    recipe = replace(TINY, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MotionModel(recipe.network)
    batch = sample_pairs(dotted(side=32), 2, 32, np.random.default_rng(0))
    bend = RandomBend.sample(2, batch.source, torch.Generator().manual_seed(0))
    terms, prediction, _ = step_of(recipe, stage, model, Pixels())(batch, bend, recipe.guide_weight)
    return terms, prediction


def test_a_step_has_the_terms_that_its_recipe_weighs() -> None:
    terms, prediction = step(Stage(32, 8, 2))
    assert set(terms) == {"perceptual", "pixel", "equivariance", "places", "spans", "flow", "mask"}
    assert prediction.shape == (2, 3, 32, 32)
    assert set(terms) <= set(TERMS)
    assert set(step(Stage(32, 8, 2), pixel=0.0, guide_weight=0.0)[0]) == {"perceptual", "equivariance"}
    doubled, _ = step(Stage(32, 8, 2), pixel=2.0)
    assert float(doubled["pixel"].detach()) == pytest.approx(2 * float(terms["pixel"].detach()))
    assert float(step(Stage(32, 8, 2), features=4.0)[0]["pixel"].detach()) > float(terms["pixel"].detach())


def test_a_step_without_the_generator_compares_the_warped_source_at_half_size() -> None:
    terms, warped = step(Stage(32, 8, 2, motion_only=True))
    assert set(terms) == {"places", "spans", "flow", "mask", "warped"}
    assert warped.shape == (2, 3, 16, 16)


def test_what_fits_of_another_network_is_taken_and_low_passes_are_kept() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model, other = MotionModel(CONFIG), MotionModel(replace(CONFIG, num_keypoints=3, scale=0.25))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    start_from(model, other.state_dict())
    after, theirs = model.state_dict(), other.state_dict()
    assert torch.equal(after["generator.first.conv.weight"], theirs["generator.first.conv.weight"])
    kept = [n for n in after if n not in theirs or theirs[n].shape != after[n].shape or n.endswith("down.weight")]
    assert "kp_detector.kp.weight" in kept and "kp_detector.down.weight" in kept
    assert all(torch.equal(after[name], before[name]) for name in kept)
