"""The mapping's recipe: a Gaussian carried onto clustered codes, learnt by the layers and put into a generator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface.networks.config import GeneratorConfig
from latentface.networks.generator import Generator
from latentface.training.loop import Loop, LoopOptions
from latentface.training.mapping import Ladder, LadderConfig, MappingTask, factor_axes, install, sphere
from latentface.training.prior import Whitening

TINY = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=128, channel_max=16)
WIDTH = TINY.w_dim


def scenes(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Codes [n, 8], well above zero, and what they were made of [n, 3]: a beard or none, and two measures."""
    random = torch.Generator().manual_seed(seed)
    beard = (torch.rand(count, generator=random) < 0.3).float()
    measures = torch.randn(count, 2, generator=random)
    noise = 0.3 * torch.randn(count, WIDTH, generator=random)
    mix = torch.linalg.qr(torch.linspace(-1, 1, 3 * WIDTH).reshape(WIDTH, 3) ** 2)[0].T
    factors = torch.cat([beard[:, None], measures], dim=1)
    return 30 + 3 * factors @ mix + noise, factors


def between(codes: Tensor, axis: Tensor) -> float:
    """Share of codes halfway between those without and with a beard, along the axis that tells them apart."""
    known, factors = scenes(4000, seed=5)
    without, with_it = ((known[factors[:, 0] == k] @ axis).mean() for k in (0, 1))
    return float(((codes @ axis - without) / (with_it - without) - 0.5).abs().lt(0.2).float().mean())


@pytest.fixture(scope="module")
def beard_axis() -> Tensor:
    """[8]: what tells bearded codes from others and nothing of the two measures."""
    codes, factors = scenes(4000, seed=5)
    return torch.linalg.lstsq(codes - codes.mean(0), factors[:, :1] - factors[:, :1].mean()).solution[:, 0]


@pytest.fixture(scope="module")
def task() -> MappingTask:
    codes, factors = scenes(3000, seed=0)
    return MappingTask(codes, factors, pairs=12_000, rounds=40)


@pytest.fixture(scope="module")
def trained(task: MappingTask, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    options = LoopOptions(steps=900, minutes=None, learning_rate=3e-3, weight_decay=0.0, warm_up=50, measure_every=300)
    loop = Loop(task, tmp_path_factory.mktemp("mapping"), options)
    loop.run()
    assert loop.curve[-1]["error"] < 0.8 * task.measure(task.build())["error"]
    return loop.averaged


def test_factors_that_do_not_vary_say_nothing() -> None:
    points, factors = scenes(500, seed=1)
    directions = factor_axes(points - points.mean(0), torch.cat([factors, torch.ones(500, 2)], dim=1))
    assert directions.shape == (WIDTH, 3)
    torch.testing.assert_close(directions.norm(dim=0), torch.ones(3))


def test_the_transport_brings_clusters_to_new_z(task: MappingTask, beard_axis: Tensor) -> None:
    codes, _ = scenes(3000, seed=2)
    whitening = task.whitening
    carried = task.points * whitening.deviations @ whitening.axes.T + whitening.mean
    gaussian = task.z * whitening.deviations @ whitening.axes.T + whitening.mean
    assert between(carried, beard_axis) < 2 * between(codes, beard_axis) + 0.02 < 0.6 * between(gaussian, beard_axis)
    moved = (task.points - task.z).square().sum(1).mean()
    unrelated = (task.points - task.z.roll(1, 0)).square().sum(1).mean()
    assert moved < 0.35 * unrelated  # near where they began


def test_a_ladder_begins_as_the_identity_around_the_middle() -> None:
    ladder = Ladder(LadderConfig(WIDTH, 3))
    z = torch.linspace(-1.4, 1.4, 5 * WIDTH).reshape(5, WIDTH)
    torch.testing.assert_close(ladder(z), z)
    far = torch.full((1, WIDTH), -3.0)
    assert (ladder(far) > far).all()  # free to bend: the leaky ReLU is met there


def test_a_generator_gets_the_clusters_and_keeps_what_codes_draw(
    task: MappingTask, trained: Ladder, beard_axis: Tensor
) -> None:
    generator = Generator(TINY)
    network = install(trained, task.whitening, generator, torch.Generator().manual_seed(0))
    codes, _ = scenes(3000, seed=0)
    drawn = network.mapping(torch.randn(20_000, TINY.z_dim, generator=torch.Generator().manual_seed(3)))[:, 0]
    assert (drawn.mean(0) - codes.mean(0)).abs().max() < 0.05 * codes.std(0).min()
    assert (torch.cov(drawn.T) - torch.cov(codes.T)).norm() < 0.05 * torch.cov(codes.T).norm()
    gaussian = sphere(20_000, WIDTH, torch.Generator().manual_seed(4)) * task.whitening.deviations
    gaussian = gaussian @ task.whitening.axes.T + task.whitening.mean
    assert between(drawn, beard_axis) < 0.75 * between(gaussian, beard_axis)
    torch.testing.assert_close(network.w_avg, codes.mean(0))
    assert network.config.num_mapping_layers == trained.config.layers
    ws = codes[:2, None].expand(-1, TINY.num_ws, -1)
    assert torch.equal(network.synthesis(ws, noise_mode="const"), generator.synthesis(ws, noise_mode="const"))


def test_codes_near_zero_are_refused(task: MappingTask, trained: Ladder) -> None:
    whitening = Whitening(torch.zeros(WIDTH), task.whitening.axes, task.whitening.deviations)
    with pytest.raises(ValueError, match="move_codes"):
        install(trained, whitening, Generator(TINY), torch.Generator())


def test_a_run_goes_on_from_its_checkpoint(task: MappingTask, tmp_path: Path) -> None:
    options = LoopOptions(steps=6, minutes=None, warm_up=2, measure_every=2)
    whole = Loop(task, tmp_path / "whole", options).run()
    Loop(task, tmp_path / "parts", options).run(stop_after=3)
    assert Loop(task, tmp_path / "parts", options).run().read_bytes() == whole.read_bytes()
