"""LPIPS on its three backbones against the layers in a row and the formula written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.errors import UsageError, WeightsError
from latentface.networks.lpips import BACKBONES, Lpips, SqueezeLpips
from tests.helpers.lpips_references import CHANNELS, distances, maps_of, random_heads, state_of


def pictures(count: int, side: int = 65, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side + 6, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def lpips(backbone: str) -> Lpips:
    return Lpips(backbone, state_of(backbone) | random_heads(backbone))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_maps_are_those_of_the_layers_in_a_row(backbone: str) -> None:
    images = pictures(2)
    found, expected = lpips(backbone).features(images), maps_of(backbone, images)
    assert [each.shape for each in found] == [each.shape for each in expected]
    assert tuple(each.shape[1] for each in found) == CHANNELS[backbone]
    assert all(torch.allclose(f, e, rtol=1e-4, atol=1e-6) for f, e in zip(found, expected, strict=True))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_distances_are_the_formula(backbone: str) -> None:
    a, b = pictures(2), pictures(2, seed=1)
    expected = distances(backbone, random_heads(backbone), a, b)
    network = lpips(backbone)
    with torch.no_grad():
        assert network(a, b).numpy() == pytest.approx(expected, rel=1e-4)
        assert torch.equal(network(a, a), torch.zeros(2))
    assert expected.min() > 1e-3


@pytest.mark.parametrize("backbone", BACKBONES)
def test_gradients_reach_the_picture_and_no_weight(backbone: str) -> None:
    network, a = lpips(backbone), pictures(1).requires_grad_(True)
    network(a, pictures(1, seed=1)).sum().backward()
    assert a.grad is not None and torch.isfinite(a.grad).all() and a.grad.abs().sum() > 0
    assert list(network.parameters()) == []


def test_what_does_not_fit_is_named() -> None:
    state = state_of("alexnet") | random_heads("alexnet")
    with pytest.raises(WeightsError, match=r"features\.6\.bias of shape \[384\]; got nothing"):
        Lpips("alexnet", {name: value for name, value in state.items() if name != "features.6.bias"})
    with pytest.raises(WeightsError, match=r"lin1\.weight of shape \[192\]; got \[64\]"):
        Lpips("alexnet", state | {"lin1.weight": state["lin0.weight"]})
    with pytest.raises(WeightsError, match="no LPIPS on 'resnet'; expected one of alexnet, vgg16, squeezenet1_1"):
        Lpips("resnet", state)


def test_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(UsageError, match="32 or more"):
        lpips("squeezenet1_1").features(torch.zeros(1, 3, 31, 64))


def test_squeezenet_comes_from_arrays_too(tmp_path: Path) -> None:
    state = state_of("squeezenet1_1") | random_heads("squeezenet1_1")
    arrays = {name: value.numpy() for name, value in state.items()}
    np.savez(tmp_path / "squeeze.npz", **arrays)
    a, b = pictures(1), pictures(1, seed=1)
    assert torch.equal(SqueezeLpips(tmp_path / "squeeze.npz")(a, b), lpips("squeezenet1_1")(a, b))
    with pytest.raises(WeightsError, match=r"lacks features\.12\.expand3x3\.bias"):
        SqueezeLpips({name: value for name, value in arrays.items() if name != "features.12.expand3x3.bias"})
