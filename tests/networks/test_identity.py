"""The identity embedding: unit vectors of crops of any size, gradients, files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latentface import pretrained
from latentface.errors import UsageError, WeightsError
from latentface.networks.identity import IdentityConfig, IdentityNet
from latentface.networks.landmarks import LandmarkConfig, eye_frame
from latentface.networks.trunk import TrunkConfig, framed_part
from latentface.pretrained.native import write_network

SMALL = TrunkConfig(input_size=32, widths=(8, 8, 16, 16), summary=4, features=12)
POINTS = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)

CONFIG = IdentityConfig(SMALL, POINTS, features=12)


def make(seed: int = 0) -> IdentityNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return IdentityNet(CONFIG).eval()


def crops(count: int = 3, side: int = 60, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_the_size_of_a_crop_matters_little() -> None:
    field = nn.functional.interpolate(crops(2, 8), size=48, mode="bicubic")
    twice = nn.functional.interpolate(field, size=96, mode="bilinear")
    network = make()
    assert (network(field) * network(twice)).sum(1).min() > 0.995


def test_gradients_reach_the_picture() -> None:
    picture = crops(1).requires_grad_(True)
    (make()(picture) * torch.arange(12.0)).sum().backward()
    assert picture.grad is not None and picture.grad[:, :, 20:, 10:50].abs().sum() > 0


@pytest.mark.parametrize("side", [16, 48, 100, 257])
def test_crops_of_any_size_become_unit_vectors(side: int) -> None:
    torch.testing.assert_close(make()(crops(side=side)).norm(dim=1), torch.ones(3))


def test_what_is_compared_holds_the_points_and_their_squares() -> None:
    network, pictures = make(), crops()
    described = network.describe(pictures)
    points = eye_frame(network.landmarks(framed_part(pictures, POINTS))).flatten(1)
    assert described.shape == (3, 12 + 4 * 68)
    torch.testing.assert_close(described[:, 12:148], points)
    torch.testing.assert_close(described[:, 148:], points.square())


@pytest.mark.parametrize("shape", [(3, 60, 60), (1, 1, 60, 60), (1, 3, 60, 50), (1, 3, 15, 15)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"expected \[N, 3, R, R\]"):
        make()(torch.zeros(shape))


def test_files_come_back(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    ours = make()
    write_network(path, "identity", asdict(CONFIG), ours.state_dict(), dtype=torch.float32)
    loaded = pretrained.load_identity(path)
    assert loaded.config == CONFIG and not loaded.training
    assert torch.equal(loaded(crops()), ours(crops()))
    write_network(path, "perceptual", asdict(CONFIG), ours.state_dict())
    with pytest.raises(WeightsError, match="'perceptual', expected 'identity'"):
        pretrained.load_identity(path)


def test_vectors_have_a_length() -> None:
    with pytest.raises(UsageError, match="features must be at least 1"):
        IdentityConfig(features=0)
