"""Perceptual distances: axioms, the LPIPS formula written out, reading of arrays, gradients, size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.errors import UsageError, WeightsError
from latentface.networks.lpips import Lpips
from latentface.networks.perceptual import (
    DistilledVgg,
    FeatureDistance,
    PerceptualConfig,
    PerceptualNet,
)
from tests.helpers.lpips_references import random_heads, state_of


def draw(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed + sum(shape)).standard_normal(shape) * scale).astype(np.float32)


def vgg_arrays() -> dict[str, np.ndarray]:
    arrays = {"conv0.weight": draw(3, 3, 1, 1), "conv0.bias": draw(3)}
    widths = {"11": (3, 16), "12": (16, 16), "21": (16, 32), "22": (32, 32), "31": (32, 64), "41": (64, 128)}
    widths |= {"32": (64, 64), "33": (64, 64), "34": (64, 64)}
    widths |= {name: (128, 128) for name in ("42", "43", "44", "51")}
    for name, (inputs, outputs) in widths.items():
        arrays[f"conv{name}.weight"] = draw(outputs, inputs, 3, 3, scale=(2 / (9 * inputs)) ** 0.5)
        arrays[f"conv{name}.bias"] = draw(outputs, scale=0.1)
    return arrays


def small_net() -> PerceptualNet:
    torch.manual_seed(0)
    return PerceptualNet(PerceptualConfig(widths=(4, 6, 8), depths=(1, 2, 1)))


def pictures(count: int = 3, side: int = 48, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


NETWORKS = {
    "small": small_net,
    "squeeze": lambda: Lpips("squeezenet1_1", state_of("squeezenet1_1") | random_heads("squeezenet1_1")),
    "vgg": lambda: DistilledVgg(vgg_arrays()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_distance_is_zero_for_equal_symmetric_and_grows_with_noise(name: str) -> None:
    network = NETWORKS[name]()
    a, b = pictures(), pictures(seed=1)
    with torch.no_grad():
        assert torch.equal(network(a, a), torch.zeros(3))
        assert torch.allclose(network(a, b), network(b, a))
        near, far = network(a, torch.lerp(a, b, 0.1)), network(a, torch.lerp(a, b, 0.6))
    assert network(a, b).shape == (3,)
    assert (near > 0).all() and (near < far).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_each_pair_of_a_batch_is_measured_alone(name: str) -> None:
    network = NETWORKS[name]()
    a, b = pictures(), pictures(seed=1)
    with torch.no_grad():
        alone = torch.cat([network(a[k : k + 1], b[k : k + 1]) for k in range(3)])
        assert torch.allclose(network(a, b), alone, rtol=1e-4)


@pytest.mark.parametrize("name", ["squeeze", "vgg"])
def test_the_distance_is_the_formula_of_lpips(name: str) -> None:
    network: FeatureDistance = NETWORKS[name]()
    a, b = pictures(2), pictures(2, seed=1)
    expected = np.zeros(2)
    with torch.no_grad():
        maps = zip(network.features(a), network.features(b), network.channel_weights(), strict=True)
        for x, y, weights in maps:
            x, y, w = x.double().numpy(), y.double().numpy(), weights.double().numpy()
            x = x / (np.sqrt((x**2).sum(axis=1, keepdims=True)) + 1e-10)
            y = y / (np.sqrt((y**2).sum(axis=1, keepdims=True)) + 1e-10)
            expected += ((x - y) ** 2 * w[None, :, None, None]).sum(axis=1).mean(axis=(1, 2))
        assert network(a, b).numpy() == pytest.approx(expected, rel=1e-4)


def convolution(arrays: dict[str, np.ndarray], name: str, **options: Any) -> torch.nn.Conv2d:
    weight = torch.tensor(arrays[f"{name}.weight"])
    layer = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], **options)
    layer.load_state_dict({"weight": weight, "bias": torch.tensor(arrays[f"{name}.bias"])})
    return layer


def test_vgg_features_agree_with_the_layers_in_a_row() -> None:
    arrays, expected = vgg_arrays(), []
    x = convolution(arrays, "conv0")(pictures(1) * 0.5 + 0.5)
    for block in (["11", "12"], ["21", "22"], ["31", "32", "33", "34"], ["41", "42", "43", "44"], ["51"]):
        for position, name in enumerate(block):
            with torch.no_grad():
                x = convolution(arrays, f"conv{name}", padding=1, padding_mode="reflect")(x).relu()
            if position == 0:
                expected.append(x)
        x = torch.nn.MaxPool2d(2)(x)
    found = DistilledVgg(arrays).features(pictures(1))
    assert [f.shape[1] for f in found] == [16, 32, 64, 128, 128]
    assert all(torch.allclose(f, e, rtol=1e-4, atol=1e-4) for f, e in zip(found, expected, strict=True))


def test_vgg_stops_after_as_many_scales_as_it_has_weights() -> None:
    network = DistilledVgg(vgg_arrays(), scales=(0.5, 2.0))
    assert [f.shape[1] for f in network.features(pictures(1))] == [16, 32]
    assert [w[0].item() for w in network.channel_weights()] == [0.5, 2.0]


def test_arrays_come_from_a_file_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "vgg.npz", **vgg_arrays())
    a, b = pictures(1), pictures(1, seed=1)
    assert torch.equal(DistilledVgg(tmp_path / "vgg.npz")(a, b), DistilledVgg(vgg_arrays())(a, b))


def test_unusable_arrays_are_named(tmp_path: Path) -> None:
    arrays = vgg_arrays()
    with pytest.raises(WeightsError, match=r"lacks conv34\.bias"):
        DistilledVgg({key: value for key, value in arrays.items() if key != "conv34.bias"})
    with pytest.raises(WeightsError, match=r"conv11.weight .* expected \[16, 3, 3, 3\]"):
        DistilledVgg(arrays | {"conv11.weight": arrays["conv12.weight"]})
    with pytest.raises(WeightsError, match=r"missing\.npz"):
        DistilledVgg(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(WeightsError, match=r"text\.npz"):
        DistilledVgg(tmp_path / "text.npz")


def test_small_network_features_halve_from_scale_to_scale() -> None:
    shapes = [tuple(f.shape) for f in small_net().features(pictures(2, side=48))]
    assert shapes == [(2, 4, 48, 48), (2, 6, 24, 24), (2, 8, 12, 12)]


def test_small_network_has_a_finite_gradient_on_flat_pictures() -> None:
    network = small_net()
    with torch.no_grad():
        for parameter in network.stages.parameters():
            parameter.fill_(-0.01)  # ReLU leaves nothing: the unit features of a zero vector
    a = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    network(a, pictures(1, side=32)).sum().backward()
    assert torch.isfinite(a.grad).all()


def test_small_network_gradient_agrees_with_finite_differences() -> None:
    network = small_net().double()
    a, b = (pictures(1, side=32, seed=seed).double() for seed in (0, 1))
    direction = pictures(1, side=32, seed=2).double()
    a.requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(a, b).sum(), a)
    with torch.no_grad():
        step = 1e-6
        slope = (network(a + step * direction, b) - network(a - step * direction, b)) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(slope.item(), rel=1e-4)


def test_negative_weights_count_as_zero() -> None:
    network = small_net()
    with torch.no_grad():
        for weights in network.weights:
            weights.fill_(-1.0)
    assert network(pictures(), pictures(seed=1)).tolist() == [0.0, 0.0, 0.0]


def test_default_network_is_small_and_cheap() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = PerceptualNet()
    assert 2 * sum(value.numel() for value in network.state_dict().values()) < 1_000_000  # bytes in float16
    with FlopCounterMode(display=False) as counter:
        network.features(pictures(1, side=128))
    assert counter.get_total_flops() < 0.6e9


def test_pooling_is_what_the_config_says() -> None:
    torch.manual_seed(0)
    strongest = PerceptualNet(PerceptualConfig(widths=(4, 8), depths=(1, 1)))
    average = PerceptualNet(PerceptualConfig(widths=(4, 8), depths=(1, 1), pooling="average"))
    average.load_state_dict(strongest.state_dict())
    image = pictures(1, side=32)
    with torch.no_grad():
        (first, ours), (same, theirs) = strongest.features(image), average.features(image)
    assert torch.equal(first, same) and not torch.allclose(ours, theirs, rtol=1e-2)
    with pytest.raises(WeightsError, match="expected max or average"):
        PerceptualConfig(pooling="none")
    old = {key: value for key, value in PerceptualConfig().to_dict().items() if key != "pooling"}
    assert PerceptualConfig.from_dict(old).pooling == "average"  # files that do not say come from before the choice


def test_config_survives_json_and_refuses_nonsense() -> None:
    config = PerceptualConfig(widths=(4, 8), depths=(1, 2), epsilon=0.01)
    assert PerceptualConfig.from_dict(config.to_dict()) == config
    with pytest.raises(WeightsError, match="as many of both"):
        PerceptualConfig(widths=(4, 8), depths=(1,))
    with pytest.raises(WeightsError, match="expected widths"):
        PerceptualConfig.from_dict({"widths": [4]})


@pytest.mark.parametrize("shape", [(1, 3, 16, 64), (1, 1, 64, 64), (3, 64, 64)])
def test_pictures_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="expected"):
        small_net()(torch.zeros(shape), torch.zeros(shape))
    with pytest.raises(UsageError, match="equal shapes"):
        small_net()(torch.zeros(1, 3, 64, 64), torch.zeros(shape))
