"""The network that reads heads: its shapes, its deviations, and what of it the deviations may train."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.head_reader import ANGLES, LEAST_DEVIATION, HeadReaderConfig, HeadReaderNet

CONFIG = HeadReaderConfig(("jawOpen", "browDownLeft", "browDownRight"), 32, (8, 8, 8, 8), 2, 3, 5)


@pytest.fixture(scope="module")
def network() -> HeadReaderNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return HeadReaderNet(CONFIG)


def pictures(count: int, side: int = 32) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_means_and_deviations_of_shapes_and_angles(network: HeadReaderNet) -> None:
    mean, deviation = network(pictures(2))
    assert mean.shape == deviation.shape == (2, 3 + ANGLES)
    assert mean.dtype == deviation.dtype == torch.float32
    assert not torch.allclose(mean[0], mean[1], atol=1e-4)
    at_first = torch.nn.functional.softplus(torch.tensor(-2.0)) + LEAST_DEVIATION
    assert torch.allclose(deviation, at_first.expand_as(deviation))


def test_deviations_do_not_train_the_features() -> None:
    network = HeadReaderNet(CONFIG)
    network(pictures(1))[1].sum().backward()
    trained = {name for name, value in network.named_parameters() if value.grad is not None}
    assert trained == {"spread.weight", "spread.bias"}


def test_deviations_stay_above_the_least() -> None:
    network = HeadReaderNet(CONFIG)
    with torch.no_grad():
        network.spread.bias.fill_(-100.0)
        assert torch.allclose(network(pictures(1))[1], torch.tensor(LEAST_DEVIATION))


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 3, 48, 48), (1, 1, 32, 32)])
def test_pictures_of_another_shape_are_refused(network: HeadReaderNet, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"expected \[N, 3, 32, 32\]"):
        network(torch.zeros(shape))


def test_a_file_gives_lists_and_the_config_is_the_same() -> None:
    again = HeadReaderConfig(list(CONFIG.expression_names), 32, [8, 8, 8, 8], 2, 3, 5)  # type: ignore[arg-type]
    assert again == CONFIG and hash(again) == hash(CONFIG)


@pytest.mark.parametrize(
    ("names", "side", "message"),
    [(("jawOpen",), 40, "multiple of 16"), (("jawOpen",), 16, "at least 32"), ((), 32, "must not be empty")],
)
def test_impossible_configs_are_refused(names: tuple[str, ...], side: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HeadReaderConfig(names, side)
