"""The generator's recipe on tiny pictures: it learns, grows and resumes; its mapping draws as its codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.networks.encoder import CropEncoder, EncoderConfig, LatentEncoder
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import FeatureDistance
from latentface.training import growth
from latentface.training.data import CELLS, Pairs, image_batch, load_pairs
from latentface.training.generator import Pair, PairTrainer, Recipe, Stage, held_out_psnr
from latentface.training.loop import Loop, LoopOptions
from latentface.training.picture_losses import texture, views
from latentface.training.prior import fit_mapping
from latentface.training.scene_coder import code_all, read_coder, write_coder

TINY = GeneratorConfig(
    resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=16, lr_multiplier=0.1
)
RECIPE = Recipe(
    network=TINY,
    stages=(
        Stage(16, 320, 16),
        Stage(32, 160, 16),
        Stage(32, 48, 12, keep_encoder=True, settle=True, texture=0.2),
    ),
    ema_images=100,
)


class PixelDistance(FeatureDistance):
    """A stand-in for the teacher, which wants pictures of 32 pixels or more: its features are the pixels."""

    def features(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (images,)

    def normalise(self, features: torch.Tensor) -> torch.Tensor:
        return features

    def compare(
        self, unit_a: tuple[torch.Tensor, ...], unit_b: tuple[torch.Tensor, ...], attention: torch.Tensor | None = None
    ) -> torch.Tensor:
        return (unit_a[0] - unit_b[0]).abs().mean((1, 2, 3))


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """A coloured disc on a coloured ground, 32 pixels wide; its factors are the two colours."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32]
    disc = ((x - 16) ** 2 + (y - 16) ** 2 < 100)[None, ..., None]
    inside, outside = rng.integers(0, 256, (2, 64, 1, 1, 3))
    factors = np.concatenate([inside, outside], -1).reshape(64, 6) / 127.5 - 1
    return Pairs(
        np.where(disc, inside, outside).astype(np.uint8),
        torch.from_numpy(factors.astype(np.float32)),
        np.zeros((64, CELLS, CELLS), np.uint8),
    )


def train(pairs: Pairs, out: Path, recipe: Recipe = RECIPE) -> PairTrainer:
    out.mkdir(exist_ok=True)
    trainer = PairTrainer(recipe, pairs, pairs[:8], PixelDistance(), out)
    trainer.run()
    return trainer


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


def test_what_the_encoder_cannot_see_comes_from_the_scene(pairs: Pairs, tmp_path: Path) -> None:
    """Two pictures differ by a factor that shows nowhere in what the encoder is given: they are still told apart."""
    trainer = train(pairs, tmp_path / "run")
    grey = torch.zeros(2, 3, 32, 32)
    with torch.no_grad():
        ws = trainer.average.spread(trainer.average.coder(grey, pairs.factors[:2]))
        drawn = trainer.average.generator.synthesis(ws)
    assert (drawn[0] - drawn[1]).abs().mean() > 0.02


def test_weights_of_pixels_follow_eyes_and_mouth(tmp_path: Path) -> None:
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[36:] = (40.0, 88.0)
    picture = np.zeros((1, 128, 128, 3), np.uint8)
    np.savez(tmp_path / "shard-00000.npz", images=picture, landmarks=landmarks[None], factors=np.ones((1, 2)))
    pairs = load_pairs(tmp_path)
    assert len(pairs) == 1 and pairs.factors.dtype == torch.float32
    near = pairs.features[0]
    row, column = np.unravel_index(near.argmax(), near.shape)
    assert (row, column) in {(22, 10), (22, 9), (21, 10), (21, 9)} and near.max() > 200 and near.min() == 0
    _, weights = pairs.batch(np.array([0]), 64, feature_weight=3.0)
    assert weights.shape == (1, 1, 64, 64)
    assert weights[0, 0, 44, 20] > 3 and float(weights.min()) == 1
    np.savez(tmp_path / "shard-00001.npz", images=picture, landmarks=landmarks[None])
    with pytest.raises(InputError, match="lacks factors"):
        load_pairs(tmp_path)


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


def test_texture_is_the_deviation_within_a_place_wherever_its_cells_lie() -> None:
    rough = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(0, 5, 32).expand_as(rough)
    assert float(texture((rough,), (rough,))) == 0
    assert float(texture((rough.flip(3),), (rough,))) < 0.15  # other strands, as many of them
    half = float(texture((rough / 2,), (rough,)))
    assert half == pytest.approx(0.5, abs=0.01)  # in parts of what is there
    assert float(texture((torch.zeros_like(rough),), (rough,))) == pytest.approx(1, abs=0.02)
    assert float(texture((rough + 3,), (rough,))) < 1e-3  # what a place's mean is, others ask
    truth = ramp + rough
    blurred = torch.nn.functional.avg_pool2d(truth, 3, 1, 1).requires_grad_(True)
    before = texture((blurred,), (truth,))
    (slope,) = torch.autograd.grad(before, blurred)
    with torch.no_grad():
        assert float(texture((blurred - 100 * slope,), (truth,))) < float(before.detach())


def test_the_distance_is_shown_the_face_and_at_most_64_pixels() -> None:
    order = np.random.default_rng(0)
    for resolution, count in ((32, 1), (64, 2), (128, 3)):
        shown = [view(torch.zeros(1, 3, resolution, resolution)) for view in views(resolution, order)]
        assert len(shown) == count and all(32 <= x.shape[-1] <= 64 for x in shown)


def test_growing_keeps_the_picture() -> None:
    small, large = Pair(RECIPE, RECIPE.stages[0], 6), Pair(RECIPE, RECIPE.stages[1], 6)
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


def test_batches_are_area_averages_in_range(pairs: Pairs) -> None:
    batch = image_batch(pairs.images, np.array([3, 5]), 16)
    expected = pairs.images[5].reshape(16, 2, 16, 2, 3).mean((1, 3)) / 127.5 - 1
    np.testing.assert_allclose(batch[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)
    assert code_all(Pair(RECIPE, RECIPE.stages[0], 6).coder, pairs, 16).shape == (64, 8)


@pytest.fixture(scope="module")
def fine_pairs() -> Pairs:
    """Discs as above in pictures of 64 pixels, with an outline of one pixel, which 32 cannot show."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(x - 32, y - 32)[None, ..., None]
    inside, outside = rng.integers(60, 196, (2, 48, 1, 1, 3))
    factors = np.concatenate([inside, outside], -1).reshape(48, 6) / 127.5 - 1
    discs = np.where(distance < 20, inside, outside)
    return Pairs(
        np.where(abs(distance - 20) < 0.7, 0, discs).astype(np.uint8),
        torch.from_numpy(factors.astype(np.float32)),
        np.zeros((48, CELLS, CELLS), np.uint8),
    )


def test_a_grown_network_learns_what_is_finer_and_keeps_the_rest(
    fine_pairs: Pairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "HELD_OUT", 8)
    trainer = train(fine_pairs, tmp_path / "base", replace(RECIPE, stages=(Stage(32, 640, 16),)))
    base, coder = trainer.average.generator, trainer.average.coder
    task = growth.GrowthTask(base, coder, PixelDistance(), fine_pairs)
    started = task.build()
    kept = {name for name, value in started.named_parameters() if not value.requires_grad}
    assert {name for name, _ in started.named_parameters()} - kept == {
        name for name, _ in started.named_parameters() if ".b64." in name and "noise_strength" not in name
    }
    options = LoopOptions(steps=100, learning_rate=2e-2, weight_decay=0.0, warm_up=5, average=0.9, measure_every=100)
    Loop(task, tmp_path / "grown", options).run()
    state = torch.load(tmp_path / "grown" / "checkpoint.pt", weights_only=True)["averaged"]
    for name in kept:
        assert torch.equal(state[name], started.state_dict()[name])
    learnt = task.build()
    learnt.load_state_dict(state)
    assert task.measure(learnt)["psnr"] > task.measure(started)["psnr"] + 0.15  # the base, hardly trained, has 14 dB
    task.sheet(learnt, tmp_path / "sheet.png", count=8)
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_a_coder_is_kept_with_its_codes_moved(pairs: Pairs, tmp_path: Path) -> None:
    coder = Pair(RECIPE, RECIPE.stages[1], 6).coder
    write_coder(tmp_path / "coder.safetensors", coder, torch.linspace(0, 7, 8))
    again = read_coder(tmp_path / "coder.safetensors")
    moved = code_all(again, pairs, 32) - code_all(coder, pairs, 32)
    torch.testing.assert_close(moved, torch.linspace(0, 7, 8).expand(64, -1), rtol=0, atol=1e-5)
