"""The reader of heads: shapes, deviations, the file format."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface import pretrained
from latentface.errors import UsageError, WeightsError
from latentface.networks.head_reader import ANGLES, LEAST_DEVIATION, HeadReaderConfig, HeadReaderNet
from latentface.pretrained.native import write_network

SMALL = HeadReaderConfig(
    ("jawOpen", "mouthSmileLeft"), input_size=32, widths=(8, 8, 16, 16), fine=2, coarse=4, features=8
)


def make(seed: int = 0) -> HeadReaderNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return HeadReaderNet(SMALL).eval()


def pictures(count: int = 3, side: int = 32) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_it_answers_each_shape_and_four_angles() -> None:
    mean, deviation = make()(pictures())
    assert mean.shape == deviation.shape == (3, len(SMALL.expression_names) + ANGLES)
    assert (deviation > LEAST_DEVIATION).all()
    assert (mean[0] - mean[1]).abs().max() > 1e-4


def test_where_something_is_matters() -> None:
    dot = torch.full((2, 3, 32, 32), -1.0)
    dot[0, :, 4:8, 4:8] = dot[1, :, 20:24, 4:8] = 1.0
    mean = make()(dot)[0]
    assert (mean[0] - mean[1]).abs().max() > 1e-3


def test_deviations_do_not_change_what_the_means_learn_from() -> None:
    network = make()
    network(pictures())[1].sum().backward()
    assert network.mix.weight.grad is None and network.spread.bias.grad is not None


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 1, 32, 32), (1, 3, 32, 48), (1, 3, 64, 64)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"expected \[N, 3, 32, 32\]"):
        make()(torch.zeros(shape))


@pytest.mark.parametrize("bad", [{"input_size": 40}, {"input_size": 16}, {"expression_names": ()}])
def test_impossible_configs_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        HeadReaderConfig(**({"expression_names": ("jawOpen",)} | bad))


def test_files_come_back(tmp_path: Path) -> None:
    path, ours = tmp_path / "reader.safetensors", make()
    write_network(path, "head-reader", asdict(SMALL), ours.state_dict(), dtype=torch.float32)
    loaded = pretrained.load_head_reader(path)
    assert loaded.config == SMALL and not loaded.training
    assert torch.equal(loaded(pictures())[0], ours(pictures())[0])
    write_network(path, "emotion", asdict(SMALL), ours.state_dict())
    with pytest.raises(WeightsError, match="'emotion', expected 'head-reader'"):
        pretrained.load_head_reader(path)
