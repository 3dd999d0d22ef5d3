"""The generator: parity with the public implementation, every architecture and option, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.ops import native

GOLDEN = Path(__file__).parents[1] / "golden" / "ada_skip_64.npz"
SMALL = GeneratorConfig(resolution=16, z_dim=12, w_dim=10, num_mapping_layers=2, channel_base=96, channel_max=9)
ARCHITECTURES = ["skip", "resnet", "orig"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make(seed: int = 0, **changes: object) -> Generator:
    """A small generator whose noise strengths and biases are not zero, so that each of them shows."""
    generator = Generator(dataclasses.replace(SMALL, **changes), seed=seed)
    source = seeded(seed + 1)
    with torch.no_grad():
        for name, value in generator.named_parameters():
            if name.endswith("noise_strength") or name.endswith("bias"):
                value += 0.3 * torch.randn(value.shape, generator=source)
        generator.w_avg.copy_(torch.randn(generator.config.w_dim, generator=source))
    return generator.eval()


def draw_ws(generator: Generator, n: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, generator.config.num_ws, generator.config.w_dim, generator=seeded(seed))


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="module")
def reference(golden: dict[str, torch.Tensor]) -> Generator:
    config = GeneratorConfig(
        resolution=64, z_dim=32, w_dim=48, num_mapping_layers=4, channel_base=1024, channel_max=32
    )  # fmt: skip
    generator = Generator(config, seed=3)
    state = {name.removeprefix("state/"): value for name, value in golden.items() if name.startswith("state/")}
    kept = {name: value for name, value in state.items() if not name.endswith("resample_filter")}
    assert set(kept) == set(generator.state_dict()), "the names of the published checkpoints"
    generator.load_state_dict(kept)
    return generator


def assert_close(came: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-4 of the expected range."""
    assert came.shape == expected.shape
    spread = float(expected.max() - expected.min())
    assert float((came.detach() - expected).abs().max()) <= 1e-4 * spread


class TestParity:
    def test_mapping(self, golden: dict[str, torch.Tensor], reference: Generator) -> None:
        z = golden["z"]
        assert_close(reference.mapping(z), golden["ws"])
        assert_close(reference.mapping(z, truncation_psi=0.7), golden["ws_trunc07"])
        assert_close(reference.mapping(z, truncation_psi=0.5, truncation_cutoff=4), golden["ws_trunc05_cut4"])

    def test_images(self, golden: dict[str, torch.Tensor], reference: Generator) -> None:
        assert_close(reference.synthesis(golden["ws"]), golden["img_const"])
        assert_close(reference.synthesis(golden["ws_trunc07"], noise_mode="none"), golden["img_trunc07_nonoise"])
        assert_close(reference(golden["z"]), golden["img_const"])

    def test_gradient(self, golden: dict[str, torch.Tensor], reference: Generator) -> None:
        ws = golden["ws"].clone().requires_grad_()
        reference.synthesis(ws).square().mean().backward()
        assert ws.grad is not None
        assert_close(ws.grad, golden["grad_ws"])


@pytest.mark.parametrize("resolution", [8, 16, 32, 64, 128, 256, 512, 1024])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_resolution_draws(resolution: int, architecture: str) -> None:
    generator = make(resolution=resolution, architecture=architecture, channel_base=2 * resolution, channel_max=3)
    assert generator.config.num_ws == 2 * int(np.log2(resolution)) - 2
    with torch.no_grad():
        image = generator.synthesis(draw_ws(generator, 1))
    assert image.shape == (1, 3, resolution, resolution)
    assert bool(torch.isfinite(image).all()) and float(image.std()) > 0


def test_full_size_1024_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        generator = Generator(GeneratorConfig(resolution=1024))
        image = generator.synthesis(torch.empty(2, 18, 512))
    assert sum(p.numel() for p in generator.mapping.parameters()) == 2_101_248
    assert sum(p.numel() for p in generator.synthesis.parameters()) == 28_268_812
    assert sum(layer.noise_const.numel() for layer in generator.synthesis.noise_layers()) == 2_796_176
    assert image.shape == (2, 3, 1024, 1024)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_parameter_and_every_w_matters(architecture: str) -> None:
    generator = make(architecture=architecture)
    ws = draw_ws(generator).requires_grad_()
    noise = [
        torch.randn(1, 1, *shape, generator=seeded(5)).requires_grad_() for shape in generator.synthesis.noise_shapes()
    ]
    generator.synthesis(ws, noise=noise).square().mean().backward()
    assert ws.grad is not None
    assert bool((ws.grad.abs().amax((0, 2)) > 0).all())
    for name, parameter in generator.synthesis.named_parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) > 0, name
    for each in noise:
        assert each.grad is not None and float(each.grad.abs().max()) > 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_first_and_second_derivatives(architecture: str) -> None:
    generator = make(resolution=8, architecture=architecture, channel_max=2, w_dim=3, z_dim=3).double()
    ws = draw_ws(generator, 1).double().requires_grad_()
    pick = torch.randn(1, 3, 8, 8, generator=seeded(9)).double()

    def draw(ws: torch.Tensor) -> torch.Tensor:
        return (generator.synthesis(ws) * pick).sum()

    assert torch.autograd.gradcheck(draw, (ws,))
    assert torch.autograd.gradgradcheck(draw, (ws,))


def test_architectures_name_their_parts() -> None:
    parts = {name: set(make(architecture=name).state_dict()) for name in ARCHITECTURES}
    assert "synthesis.b4.torgb.weight" in parts["skip"] and "synthesis.b8.skip.weight" not in parts["skip"]
    assert "synthesis.b8.skip.weight" in parts["resnet"] and "synthesis.b4.torgb.weight" not in parts["resnet"]
    assert parts["orig"] == parts["resnet"] - {"synthesis.b8.skip.weight", "synthesis.b16.skip.weight"}


def test_residual_block_adds_both_branches_at_half_power() -> None:
    """With its convolutions silenced a residual generator draws through the 1x1 branches alone."""
    generator = make(architecture="resnet")
    ws = draw_ws(generator, 1)
    with torch.no_grad():
        whole = generator.synthesis(ws)
        for resolution in (8, 16):
            layer = generator.synthesis.get_submodule(f"b{resolution}.conv1")
            layer.weight.zero_()
            layer.bias.zero_()
            layer.noise_strength.zero_()
        block = generator.synthesis.get_submodule("b8")
        x = torch.randn(1, 9, 4, 4, generator=seeded(1))
        came, _ = block(x, None, ws[:, :3], [None, None])
        torch.testing.assert_close(came, block.skip(x) * 0.5**0.5)
        assert not torch.allclose(whole, generator.synthesis(ws))


def test_labels_change_the_face() -> None:
    generator = make(c_dim=4)
    z = torch.randn(2, 12, generator=seeded())
    one, two = torch.eye(4)[:2], torch.eye(4)[2:]
    assert not torch.allclose(generator.mapping(z, one), generator.mapping(z, two))


def test_labels_are_normalised_and_appended() -> None:
    generator = make(c_dim=4, num_mapping_layers=1)
    z, c = torch.randn(2, 12, generator=seeded()), torch.eye(4)[:2]
    e = c @ generator.mapping.embed.weight.T / 2.0 + generator.mapping.embed.bias
    x = torch.cat([z / z.square().mean(1, keepdim=True).sqrt(), e / e.square().mean(1, keepdim=True).sqrt()], 1)
    layer = generator.mapping.get_submodule("fc0")
    y = x @ layer.weight.T * 0.01 / np.sqrt(22) + 0.01 * layer.bias
    expected = torch.where(y < 0, 0.2 * y, y) * np.sqrt(2)
    torch.testing.assert_close(generator.mapping(z, c)[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_clamp_bounds_every_layer() -> None:
    free, clamped = make(architecture="orig"), make(architecture="orig", conv_clamp=0.05)
    ws = draw_ws(free)
    with torch.no_grad():
        assert float(free.synthesis(ws).abs().max()) > 0.05
        assert float(clamped.synthesis(ws).abs().max()) == pytest.approx(0.05)
        layer = clamped.synthesis.get_submodule("b4.conv1")
        x = torch.randn(1, 9, 4, 4, generator=seeded())
        assert float(layer(x, ws[:1, 0], gain=0.5).abs().max()) == pytest.approx(0.025)
        wide = make(architecture="orig", conv_clamp=1e6)
        assert torch.equal(wide.synthesis(ws), free.synthesis(ws))


def test_truncation() -> None:
    generator = make()
    z = torch.randn(3, 12, generator=seeded())
    ws = generator.mapping(z)
    assert torch.equal(ws, ws[:, :1].expand_as(ws))
    torch.testing.assert_close(generator.mapping(z, truncation_psi=0.0), generator.w_avg.expand_as(ws))
    half = generator.mapping(z, truncation_psi=0.5, truncation_cutoff=2)
    torch.testing.assert_close(half[:, :2], 0.5 * (ws[:, :2] + generator.w_avg))
    assert torch.equal(half[:, 2:], ws[:, 2:])


class TestNoise:
    def test_modes_differ_and_constant_noise_repeats(self) -> None:
        generator, source = make(), seeded(3)
        ws = draw_ws(generator)
        with torch.no_grad():
            const, none = generator.synthesis(ws), generator.synthesis(ws, noise_mode="none")
            first = generator.synthesis(ws, noise_mode="random", generator=source)
            second = generator.synthesis(ws, noise_mode="random", generator=source)
            again = generator.synthesis(ws, noise_mode="random", generator=seeded(3))
            assert torch.equal(const, generator.synthesis(ws))
        for a, b in [(const, none), (const, first), (first, second)]:
            assert not torch.allclose(a, b)
        assert torch.equal(first, again)

    def test_given_maps_take_the_place_of_the_stored_ones(self) -> None:
        generator = make()
        ws = draw_ws(generator)
        stored = [layer.noise_const for layer in generator.synthesis.noise_layers()]
        zeros = [torch.zeros(1, 1, *shape) for shape in generator.synthesis.noise_shapes()]
        with torch.no_grad():
            assert torch.equal(generator.synthesis(ws, noise=stored), generator.synthesis(ws))
            assert torch.equal(generator.synthesis(ws, noise=zeros), generator.synthesis(ws, noise_mode="none"))
            each = [torch.randn(2, 1, *s, generator=seeded(4)) for s in generator.synthesis.noise_shapes()]
            both = generator.synthesis(ws, noise=each)
            alone = generator.synthesis(ws[1:], noise=[each_map[1:] for each_map in each])
        torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-5)

    def test_shapes_are_in_layer_order(self) -> None:
        assert make().synthesis.noise_shapes() == [(4, 4), (8, 8), (8, 8), (16, 16), (16, 16)]

    def test_global_random_state_is_not_touched(self) -> None:
        torch.manual_seed(0)
        before = torch.get_rng_state()
        generator = make()
        generator.synthesis(draw_ws(generator), noise_mode="random", generator=seeded())
        assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_does_not_depend_on_its_batch() -> None:
    generator = make()
    ws = draw_ws(generator, 3)
    with torch.no_grad():
        torch.testing.assert_close(generator.synthesis(ws)[1:2], generator.synthesis(ws[1:2]), atol=1e-5, rtol=1e-5)


def test_the_batch_may_be_empty() -> None:
    generator = make()
    assert generator.synthesis(draw_ws(generator, 0)).shape == (0, 3, 16, 16)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_autocast_draws_nearly_the_same(architecture: str) -> None:
    generator = make(architecture=architecture)
    ws = draw_ws(generator).requires_grad_()
    exact = generator.synthesis(ws)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = generator.synthesis(ws)
    assert rough.dtype == torch.float32
    assert 0 < float((rough - exact).detach().abs().mean()) < 0.02 * float(exact.detach().std())
    (gradient,) = torch.autograd.grad(rough.square().mean(), ws)
    assert bool(torch.isfinite(gradient).all())


class TestFingerprint:
    def test_same_weights_same_fingerprint(self) -> None:
        assert make(0).fingerprint == make(0).fingerprint
        assert len(make(0).fingerprint) == 64
        assert make(0).fingerprint != make(1).fingerprint
        assert make(0).fingerprint != make(0, conv_clamp=256.0).fingerprint

    @pytest.mark.parametrize("name", ["synthesis.b8.conv0.noise_const", "synthesis.b16.torgb.bias", "mapping.w_avg"])
    def test_any_change_shows_at_once(self, name: str) -> None:
        generator = make()
        before = generator.fingerprint
        tensor = generator.state_dict()[name]
        with torch.no_grad():
            tensor.view(-1)[0] += 1.0
        changed = generator.fingerprint
        with torch.no_grad():
            tensor.view(-1)[0] -= 1.0
        assert changed != before

    @pytest.mark.parametrize("choice", ["auto", "reference"])
    def test_changes_that_torch_does_not_count_show(self, choice: str) -> None:
        generator = make()
        with native.chosen(choice):
            found = {generator.fingerprint}
            generator.w_avg.data.add_(1.0)
            found.add(generator.fingerprint)
            generator.synthesis.noise_layers()[0].noise_const.numpy()[0, 0] += 1.0
            found.add(generator.fingerprint)
            assert generator.fingerprint in found and len(found) == 3

    def test_it_is_worked_out_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator = make()
        before = generator.fingerprint
        monkeypatch.setattr(hashlib, "sha256", None)
        assert generator.fingerprint == before
        with torch.inference_mode():
            assert generator.fingerprint == before

    def test_a_copy_agrees_until_it_is_tuned(self) -> None:
        generator = make()
        tuned = copy.deepcopy(generator)
        assert tuned.fingerprint == generator.fingerprint
        tuned.synthesis(draw_ws(tuned)).mean().backward()
        optimiser = torch.optim.SGD(tuned.synthesis.parameters(), lr=0.1)
        optimiser.step()
        assert tuned.fingerprint != generator.fingerprint


def test_a_lower_resolution_is_the_image_drawn_on_the_way() -> None:
    generator = make(resolution=32)
    ws, drawn = draw_ws(generator), generator.synthesis.drawn
    assert drawn == (4, 8, 16, 32)
    images = list[torch.Tensor]()
    for side in drawn:
        block = generator.synthesis.get_submodule(f"b{side}")
        block.register_forward_hook(lambda module, given, out: images.append(out[1].detach()))
    whole = generator.synthesis(ws)
    passed, images[:] = [*images], []
    for side, expected in zip(drawn, passed, strict=True):
        assert torch.equal(generator.synthesis(ws, resolution=side), expected)
    assert torch.equal(passed[-1], whole) and len(images) == 1 + 2 + 3 + 4  # and nothing beyond is computed
    with pytest.raises(UsageError, match="no output of side 64"):
        generator.synthesis(ws, resolution=64)
    residual = make(resolution=32, architecture="resnet")
    assert residual.synthesis.drawn == (32,)
    with pytest.raises(UsageError, match="no output of side 16"):
        residual.synthesis(draw_ws(residual), resolution=16)


def test_wrong_inputs_are_named() -> None:
    generator, labelled = make(), make(c_dim=2)
    ws = draw_ws(generator)
    cases = [
        (lambda: generator.mapping(torch.zeros(1, 11)), r"\[1, 11\].*\[N, 12\]"),
        (lambda: generator.mapping(torch.zeros(1, 12), torch.zeros(1, 2)), "no labels"),
        (lambda: labelled.mapping(torch.zeros(1, 12)), r"label c .*None.*\[1, 2\]"),
        (lambda: labelled.mapping(torch.zeros(1, 12), torch.zeros(1, 3)), r"\[1, 3\]"),
        (lambda: generator.synthesis(ws[:, :-1]), r"\[2, 5, 10\].*\[N, 6, 10\]"),
        (lambda: generator.synthesis(ws, noise_mode="loud"), "'loud'.*const"),
        (lambda: generator.synthesis(ws, noise_mode="random"), "generator="),
        (lambda: generator.synthesis(ws, noise=[torch.zeros(4, 4)]), "noise maps"),
        (lambda: generator.synthesis(ws, noise_mode="none", noise=[]), "noise_mode='none'"),
    ]
    for call, message in cases:
        with pytest.raises(UsageError, match=message):
            call()
