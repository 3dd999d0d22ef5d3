"""The generator's recipe on tiny pictures: it learns, grows and resumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from latentface.networks.encoder import EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator
from latentface.training.data import Pairs
from latentface.training.generator import Pair, PairTrainer, Stage, held_out_psnr
from tests.helpers.tiny_pairs import RECIPE, TINY, PixelDistance, train


def test_training_learns_grows_and_resumes_to_the_same_bytes(pairs: Pairs, tmp_path: Path) -> None:
    straight = train(pairs, tmp_path / "straight")
    untrained = held_out_psnr(Pair(RECIPE, RECIPE.stages[1], 6), pairs[:8])
    assert straight.pair.generator.config.resolution == 32
    assert held_out_psnr(straight.average, pairs[:8]) > untrained + 3
    short = replace(RECIPE, stages=(RECIPE.stages[0], Stage(32, 64, 16)))
    train(pairs, tmp_path / "cut", short)
    resumed = PairTrainer(short, pairs, pairs[:8], PixelDistance(), tmp_path / "cut")
    assert (resumed.stage_index, resumed.seen, resumed.steps) == (1, 64, 4)
    whole = train(pairs, tmp_path / "whole", short)
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], value, rtol=0, atol=0)


def test_a_run_that_is_cut_short_goes_on_where_it_stopped(pairs: Pairs, tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage(16, 64, 16),))
    out = tmp_path / "cut"
    out.mkdir()
    first = PairTrainer(recipe, pairs, pairs[:8], PixelDistance(), out)
    first.run(minutes=0)  # one step, then out of time
    assert first.seen == 16
    second = PairTrainer(recipe, pairs, pairs[:8], PixelDistance(), out)
    second.run()
    whole = train(pairs, tmp_path / "whole", recipe)
    assert second.seen == whole.seen == 64
    for name, value in whole.pair.state_dict().items():
        torch.testing.assert_close(second.pair.state_dict()[name], value, rtol=0, atol=0)


def test_a_kept_encoder_stays_and_the_rest_learns(pairs: Pairs, tmp_path: Path) -> None:
    short, long = (
        replace(RECIPE, stages=(Stage(16, 64, 16), Stage(16, images, 16, keep_encoder=True))) for images in (16, 64)
    )
    before, after = (train(pairs, tmp_path / str(i), r).pair.state_dict() for i, r in enumerate((short, long)))
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert not any(name.startswith("coder.encoder") for name in changed)
    assert "coder.straight.weight" in changed and "generator.synthesis.b16.torgb.weight" in changed


def test_a_run_begins_where_trained_networks_are(pairs: Pairs) -> None:
    """Their codes lie anywhere; the run's lie about zero, and draw the same."""
    torch.manual_seed(0)
    trained = Generator(TINY)
    encoder = LatentEncoder(EncoderConfig(32, TINY.num_ws, TINY.w_dim, trained.fingerprint))
    encoder.centre.copy_(torch.linspace(-3, 5, TINY.w_dim))
    pair = Pair(RECIPE, RECIPE.stages[1], 6)
    pair.start_from(trained, encoder)
    images, _ = pairs.batch(np.arange(4), 32)
    with torch.no_grad():
        w = pair.coder(images, pairs.factors[:4])
        torch.testing.assert_close(w, encoder.parts(images)[0] - encoder.centre)
        torch.testing.assert_close(
            pair.generator.synthesis(pair.spread(w)), trained.synthesis(encoder(images)), rtol=1e-4, atol=1e-4
        )


def test_growing_keeps_the_picture() -> None:
    small, large = Pair(RECIPE, RECIPE.stages[0], 6), Pair(RECIPE, RECIPE.stages[1], 6)
    large.grow_from(small)
    ws = torch.randn(2, large.generator.config.num_ws, 8, generator=torch.Generator().manual_seed(0))
    before = small.generator.synthesis(ws[:, : small.generator.config.num_ws], noise_mode="none")
    after = large.generator.synthesis(ws, noise_mode="none")
    means = torch.nn.functional.avg_pool2d(after, 2)
    assert (means - before).abs().mean() < 0.2 * before.abs().mean()  # the old one, upsampled by the 1-3-3-1 filter
