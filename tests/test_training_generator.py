"""The generator's recipe on pictures a few pixels wide: it learns, grows, resumes and writes a network that loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.networks.generator import Generator, GeneratorConfig
from latentface.training.autoencoder import CropEncoder
from latentface.training.data import image_batch
from latentface.training.generator import Pair, PairTrainer, Recipe, Stage, encode_all, held_out_psnr
from latentface.training.prior import fit_mapping

TINY = GeneratorConfig(
    resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=16, lr_multiplier=0.1
)
RECIPE = Recipe(network=TINY, stages=(Stage(16, 320, 16), Stage(32, 160, 16)), ema_images=100)


class AbsoluteDistance(torch.nn.Module):
    """A stand-in for the teacher, which wants pictures of 32 pixels or more."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean((1, 2, 3))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """uint8 [64, 32, 32, 3]: a coloured disc on a coloured ground."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    disc = ((x - 16) ** 2 + (y - 16) ** 2 < 100)[None, ..., None]
    inside, outside = rng.integers(0, 256, (2, 64, 1, 1, 3))
    return np.where(disc, inside, outside).astype(np.uint8)


def train(pictures: np.ndarray, out: Path, recipe: Recipe = RECIPE) -> PairTrainer:
    out.mkdir(exist_ok=True)
    trainer = PairTrainer(recipe, pictures, pictures[:8], AbsoluteDistance(), out)
    trainer.run()
    return trainer


def test_training_learns_grows_and_resumes_to_the_same_bytes(pictures: np.ndarray, tmp_path: Path) -> None:
    straight = train(pictures, tmp_path / "straight")
    untrained = held_out_psnr(Pair(RECIPE, RECIPE.stages[1]), pictures[:8])
    assert straight.pair.generator.config.resolution == 32
    assert held_out_psnr(straight.average, pictures[:8]) > untrained + 3
    train(pictures, tmp_path / "cut", replace(RECIPE, stages=(RECIPE.stages[0], Stage(32, 64, 16))))
    resumed = PairTrainer(
        replace(RECIPE, stages=(RECIPE.stages[0], Stage(32, 64, 16))),
        pictures,
        pictures[:8],
        AbsoluteDistance(),
        tmp_path / "cut",
    )
    assert (resumed.stage_index, resumed.seen, resumed.steps) == (1, 64, 4)
    whole = train(pictures, tmp_path / "whole", replace(RECIPE, stages=(RECIPE.stages[0], Stage(32, 64, 16))))
    for name, value in whole.average.state_dict().items():
        torch.testing.assert_close(resumed.average.state_dict()[name], value, rtol=0, atol=0)


def test_a_run_that_is_cut_short_goes_on_where_it_stopped(pictures: np.ndarray, tmp_path: Path) -> None:
    recipe = replace(RECIPE, stages=(Stage(16, 64, 16),))
    out = tmp_path / "cut"
    out.mkdir()
    first = PairTrainer(recipe, pictures, pictures[:8], AbsoluteDistance(), out)
    first.run(minutes=0)  # one step, then out of time
    assert first.seen == 16
    second = PairTrainer(recipe, pictures, pictures[:8], AbsoluteDistance(), out)
    second.run()
    whole = train(pictures, tmp_path / "whole", recipe)
    assert second.seen == whole.seen == 64
    for name, value in whole.pair.state_dict().items():
        torch.testing.assert_close(second.pair.state_dict()[name], value, rtol=0, atol=0)


def test_growing_keeps_the_picture() -> None:
    small, large = Pair(RECIPE, RECIPE.stages[0]), Pair(RECIPE, RECIPE.stages[1])
    large.grow_from(small)
    ws = torch.randn(2, large.generator.config.num_ws, 8, generator=torch.Generator().manual_seed(0))
    before = small.generator.synthesis(ws[:, : small.generator.config.num_ws], noise_mode="none")
    after = large.generator.synthesis(ws, noise_mode="none")
    means = torch.nn.functional.avg_pool2d(after, 2)
    assert (means - before).abs().mean() < 0.2 * before.abs().mean()  # the old one, upsampled by the 1-3-3-1 filter


def test_one_encoder_serves_every_resolution() -> None:
    encoder = CropEncoder(64, 8)
    for resolution in (64, 32, 16):
        assert encoder(torch.zeros(2, 3, resolution, resolution)).shape == (2, 8)
    with pytest.raises(ValueError, match="widths"):
        CropEncoder(64, 8, widths=(16, 16))


def test_fit_mapping_draws_from_the_gaussian_of_the_codes_and_keeps_their_pictures() -> None:
    random = torch.Generator().manual_seed(1)
    config = replace(TINY, z_dim=48, w_dim=40)
    mix = 0.3 * torch.randn(40, 40, generator=random)
    cloud = torch.randn(4000, 40, generator=random) @ mix + torch.randn(40, generator=random)
    generator = Generator(config)
    before = generator.synthesis(cloud[:4, None].expand(-1, config.num_ws, -1), noise_mode="none")
    fit_mapping(generator, cloud)
    raised = generator.mapping.w_avg - cloud.mean(0)
    after = generator.synthesis((cloud[:4] + raised)[:, None].expand(-1, config.num_ws, -1), noise_mode="none")
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    drawn = generator.mapping(torch.randn(20_000, config.z_dim, generator=random))[:, 0] - raised
    assert (drawn.mean(0) - cloud.mean(0)).abs().max() < 0.05 * cloud.std(0).max()
    gap = (torch.cov(drawn.T) - torch.cov(cloud.T)).norm() / torch.cov(cloud.T).norm()
    assert gap < 0.1
    with pytest.raises(ValueError, match="span"):
        fit_mapping(generator, cloud[:30])


def test_batches_are_area_averages_in_range(pictures: np.ndarray) -> None:
    batch = image_batch(pictures, np.array([3, 5]), 16)
    expected = pictures[5].reshape(16, 2, 16, 2, 3).mean((1, 3)) / 127.5 - 1
    np.testing.assert_allclose(batch[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)
    pair = Pair(RECIPE, RECIPE.stages[0])
    assert encode_all(pair, pictures).shape == (64, 8)
