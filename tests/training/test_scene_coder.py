"""The coder of scenes: codes of render and factors, kept and moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from latentface.training.data import Pairs
from latentface.training.generator import Pair
from latentface.training.scene_coder import SceneCoder, code_all, read_coder, write_coder
from tests.helpers.tiny_pairs import RECIPE, train


def test_what_the_encoder_cannot_see_comes_from_the_scene(pairs: Pairs, tmp_path: Path) -> None:
    """Two pictures differ by a factor that shows nowhere in what the encoder is given: they are still told apart."""
    trainer = train(pairs, tmp_path / "run")
    grey = torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        ws = trainer.average.spread(trainer.average.coder(grey, pairs.factors[:2]))
        drawn = trainer.average.generator.synthesis(ws)
    assert (drawn[0] - drawn[1]).abs().mean() > 0.02


def test_a_coder_is_kept_with_its_codes_moved(pairs: Pairs, tmp_path: Path) -> None:
    coder = Pair(RECIPE, RECIPE.stages[1], 6).coder
    write_coder(tmp_path / "coder.safetensors", coder, torch.linspace(0, 7, 8))
    again = read_coder(tmp_path / "coder.safetensors")
    moved = code_all(again, pairs, 32) - code_all(coder, pairs, 32)
    torch.testing.assert_close(moved, torch.linspace(0, 7, 8).expand(64, -1), rtol=0, atol=1e-5)


def test_one_code_for_each_pair_at_the_resolution_asked_for(pairs: Pairs) -> None:
    coder = Pair(RECIPE, RECIPE.stages[0], 6).coder
    codes = code_all(coder, pairs, 16)
    assert codes.shape == (64, 8)
    images, _ = pairs.batch(np.array([3]), 16)
    with torch.no_grad():
        torch.testing.assert_close(codes[3:4], coder(images, pairs.factors[3:4]), atol=1e-5, rtol=1e-5)


def test_a_fresh_coder_hears_the_encoder_alone_and_then_the_scene_along_a_line() -> None:
    coder = SceneCoder(16, factors=3, w_dim=4).requires_grad_(False)
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    factors = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(coder(images, factors), coder.encoder(images))
    coder.straight.weight.copy_(torch.arange(12.0).view(4, 3))
    torch.testing.assert_close(coder(images, factors) - coder.encoder(images), factors @ coder.straight.weight.T)
