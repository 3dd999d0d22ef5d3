"""The fused layer against the operations it replaces, one after the other: values, derivatives, whole generators."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface.networks.generator import Generator, GeneratorConfig
from latentface.ops import PreparedWeight, make_filter, native, styled_conv2d

TAPS = make_filter((1.0, 3.0, 3.0, 1.0))
SMALL = GeneratorConfig(resolution=32, z_dim=8, w_dim=8, num_mapping_layers=1, channel_base=256, channel_max=16)


@pytest.fixture(autouse=True)
def native_ops() -> object:
    """Native or an error: nothing here may pass by falling back."""
    with native.chosen("native"):
        yield


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def compare(one: Tensor, other: Tensor, tolerance: float) -> None:
    assert one.shape == other.shape and one.dtype == other.dtype
    spread = float(other.detach().double().abs().max())
    torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=tolerance * max(spread, 1e-30))


@pytest.mark.parametrize("side", [4, 11], ids=["styles on activations", "styles on weights"])
@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("maps", ["none", "shared", "own"])
@pytest.mark.parametrize("clamp", [None, 1.0])
def test_layer(side: int, up: int, images: int, maps: str, clamp: float | None) -> None:
    x, styles, weight, bias = (
        draw(images, 5, side, side),
        draw(images, 5, seed=1),
        draw(7, 5, 3, 3, seed=2),
        draw(7, seed=3),
    )
    styles[0, 0] = 0.0  # nothing may be divided by a style
    noise = None if maps == "none" else draw(images if maps == "own" else 1, 1, side * up, side * up, seed=4)
    pick = draw(images, 7, side * up, side * up, seed=5)
    inputs = [each.requires_grad_() for each in (x, styles, noise) if each is not None]

    def both() -> tuple[Tensor, ...]:
        y = styled_conv2d(x, weight, styles, bias, noise, kernel=TAPS.double(), up=up, gain=0.8, clamp=clamp)
        return y, *torch.autograd.grad((y * pick).sum(), inputs)

    came = both()
    assert "StyledConv" in type(came[0].grad_fn).__name__
    with native.chosen("reference"):
        expected = both()
    for one, other in zip(came, expected, strict=True):
        compare(one, other, 1e-11)


@pytest.mark.parametrize("up", [1, 2])
def test_layer_by_differences(up: int) -> None:
    drawn = draw(2, 2, 3, 3), draw(2, 2, seed=1), draw(1, 1, 3 * up, 3 * up, seed=4), draw(2, 2, 3, 3, seed=2)
    inputs = tuple(each.requires_grad_() for each in (*drawn, draw(2, seed=3)))

    def layer(x: Tensor, styles: Tensor, noise: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return styled_conv2d(x, weight, styles, bias, noise, kernel=TAPS.double(), up=up, clamp=2.0)

    assert torch.autograd.gradcheck(layer, inputs)
    assert torch.autograd.gradgradcheck(layer, inputs)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("side", [4, 11], ids=["styles on activations", "styles on weights"])
def test_weights_that_are_trained(up: int, side: int) -> None:
    x, styles, weight, bias = draw(2, 5, side, side), draw(2, 5, seed=1), draw(7, 5, 3, 3, seed=2), draw(7, seed=3)
    pick = draw(2, 7, side * up, side * up, seed=5)
    inputs = [each.requires_grad_() for each in (weight, bias, styles)]

    def gradients() -> tuple[Tensor, ...]:
        y = styled_conv2d(x, weight, styles, bias, kernel=TAPS.double(), up=up)
        return torch.autograd.grad((y * pick).sum(), inputs)

    came = gradients()
    with native.chosen("reference"):
        expected = gradients()
    for one, other in zip(came, expected, strict=True):
        compare(one, other, 1e-11)


def test_a_weight_is_prepared_once_and_again_when_it_changes() -> None:
    weight, prepared = draw(3, 2, 3, 3), PreparedWeight()
    first = prepared.prepare(weight, torch.float64, 1)
    assert prepared.prepare(weight, torch.float64, 1) is first
    weight[0, 0, 0, 0] += 1.0
    again = prepared.prepare(weight, torch.float64, 1)
    assert torch.equal(again.plain, weight) and torch.equal(again.power, weight.square().sum((2, 3)))
    assert torch.equal(prepared.prepare(weight, torch.float64, 2).plain, weight.transpose(0, 1))
    assert prepared.prepare(weight, torch.float32, 2).plain.dtype == torch.float32


@pytest.mark.parametrize("up", [1, 2])
def test_what_was_prepared_stays_when_the_weight_changes(up: int) -> None:
    weight = draw(3, 2, 3, 3).contiguous(memory_format=torch.channels_last)
    before = PreparedWeight().prepare(weight, torch.float64, up)
    kept = before.plain.clone()
    weight.zero_()
    assert torch.equal(before.plain, kept) and torch.equal(before.scaled, kept)


def edit_data(weight: Tensor) -> None:
    weight.data.add_(1.0)


def edit_by_numpy(weight: Tensor) -> None:
    weight.detach().numpy()[0, 0, 0, 0] += 1.0


def swap_signs(weight: Tensor) -> None:
    weight.data.neg_()


@pytest.mark.parametrize("edit", [edit_data, edit_by_numpy, swap_signs])
@pytest.mark.parametrize("name", ["b8.conv0", "b8.conv1"])
def test_changes_that_torch_does_not_count_are_drawn(name: str, edit: Callable[[Tensor], None]) -> None:
    generator = make()
    ws = draw(1, generator.config.num_ws, 8).float()
    before = generator.synthesis(ws)
    weight = generator.synthesis.get_submodule(name).weight
    assert isinstance(weight, Tensor)
    version = weight._version
    edit(weight)
    assert weight._version == version
    came = generator.synthesis(ws)
    with native.chosen("reference"):
        expected = generator.synthesis(ws)
    compare(came, expected, 1e-5)
    assert float((came - before).abs().max()) > 0.01


def test_what_is_kept_from_inference_mode_serves_outside() -> None:
    generator = make()
    ws = draw(1, generator.config.num_ws, 8).float()
    expected = make().synthesis(ws)
    with torch.inference_mode():
        assert torch.equal(generator.synthesis(ws.clone()), expected)
    ws.requires_grad_()
    image = generator.synthesis(ws)
    assert torch.equal(image, expected)
    (gradient,) = torch.autograd.grad(image.square().mean(), ws, create_graph=True)
    gradient.square().sum().backward()
    assert ws.grad is not None and float(ws.grad.abs().max()) > 0


def test_copies_and_files_of_a_network_prepare_their_own(tmp_path: Path) -> None:
    generator = make()
    ws = draw(1, generator.config.num_ws, 8).float()
    expected = generator.synthesis(ws)
    twin = copy.deepcopy(generator)
    twin.synthesis.get_submodule("b8.conv0").weight.mul_(2.0)
    assert torch.equal(generator.synthesis(ws), expected)
    torch.save(generator, tmp_path / "whole.pt")
    read = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert torch.equal(read.synthesis(ws), expected)


def make(**changes: object) -> Generator:
    """A small generator that is not trained, whose noise strengths and biases are not zero."""
    generator = Generator(dataclasses.replace(SMALL, **changes)).requires_grad_(False)
    source = torch.Generator().manual_seed(1)
    for name, value in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            value += 0.3 * torch.randn(value.shape, generator=source)
    return generator


def picture_and_gradients(generator: Generator, ws: Tensor, noise: list[Tensor]) -> list[Tensor]:
    image = generator.synthesis(ws, noise=noise)
    return [image.detach(), *torch.autograd.grad(image.square().mean(), [ws, *noise])]


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("clamp", [None, 0.5])
def test_generators_draw_the_same(architecture: str, clamp: float | None) -> None:
    generator = make(architecture=architecture, conv_clamp=clamp)
    ws = draw(2, generator.config.num_ws, 8).float().requires_grad_()
    noise = [draw(2, 1, *shape, seed=9).float().requires_grad_() for shape in generator.synthesis.noise_shapes()]
    came = picture_and_gradients(generator, ws, noise)
    with native.chosen("reference"):
        expected = picture_and_gradients(generator, ws, noise)
    for one, other in zip(came, expected, strict=True):
        compare(one, other, 1e-5)


def test_bfloat16_is_as_near_as_plain_torch() -> None:
    generator = make()
    ws = draw(2, generator.config.num_ws, 8).float().requires_grad_()
    noise = [draw(1, 1, *shape, seed=9).float().requires_grad_() for shape in generator.synthesis.noise_shapes()]
    exact = picture_and_gradients(generator, ws, noise)
    errors = []
    for choice in ("native", "reference"):
        with native.chosen(choice), torch.autocast("cpu", torch.bfloat16):
            came = picture_and_gradients(generator, ws, noise)
        errors.append([float((one - other).norm() / other.norm()) for one, other in zip(came, exact, strict=True)])
    assert 0 < errors[0][0] < 0.01
    for mine, plain in zip(*errors, strict=True):
        assert mine < 1.2 * plain + 1e-3


def test_a_saved_output_is_not_written_over() -> None:
    """The layer computes in place where it may: drawing twice from the same input gives the same picture twice."""
    generator = make()
    ws = draw(1, generator.config.num_ws, 8).float()
    first = generator.synthesis(ws)
    kept = first.clone()
    second = generator.synthesis(ws)
    assert torch.equal(first, kept) and torch.equal(first, second)
    x = draw(1, 5, 11, 11).float()
    before = x.clone()
    styled_conv2d(x, draw(7, 5, 3, 3).float(), draw(1, 5).float(), draw(7).float(), kernel=TAPS)
    assert torch.equal(x, before)
