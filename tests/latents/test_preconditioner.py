"""The preconditioner of the search in W+: its fit, its file, and what it does for a search."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from latentface import api, hub, pretrained
from latentface.errors import LatentMismatch, UnknownNetwork, UsageError, WeightsError
from latentface.inversion.projector import project
from latentface.io.images import to_uint8
from latentface.latents.preconditioner import DAMPING, Preconditioner
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.options.projection import ProjectOptions
from latentface.pretrained.native import write_network
from latentface.training import preconditioner as recipe

ROWS, WIDTH = 3, 4


def jacobian() -> torch.Tensor:
    """[60, 12]: two directions count far more than the others."""
    source = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(12, 12, generator=source))
    sizes = torch.tensor([30.0, 10.0] + [0.3] * 10)
    left, _ = torch.linalg.qr(torch.randn(60, 12, generator=source))
    return left * sizes @ basis.T


@cache
def fitted(*deviations: float) -> Preconditioner:
    noise = torch.randn(2000, 60, generator=torch.Generator().manual_seed(1))
    gradients = (noise @ jacobian()).view(-1, ROWS, WIDTH)
    return Preconditioner.fit(gradients, torch.tensor(deviations or [1.0] * WIDTH), 2, "net")


def matrix(preconditioner: Preconditioner) -> torch.Tensor:
    """P [12, 12]."""
    return preconditioner(torch.eye(12).view(12, ROWS, WIDTH)).flatten(1)


def test_steps_along_steep_directions_are_as_much_shorter_as_they_are_steeper() -> None:
    p, j = matrix(fitted()), jacobian()
    _, sizes, axes = torch.linalg.svd(j)
    torch.testing.assert_close(p, p.T)
    curvatures = 2 * sizes[:2].square()
    expected = (1 + curvatures / (DAMPING * curvatures.mean())).rsqrt()
    along = torch.einsum("kd,de,ke->k", axes[:2], p, axes[:2])
    torch.testing.assert_close(along, expected, rtol=0.05, atol=0)
    torch.testing.assert_close(axes[2:] @ p, axes[2:], rtol=0, atol=0.02)  # the others are left alone
    before, after = (torch.linalg.cond(each) for each in (j @ torch.eye(12), j @ p))
    assert after < before / 5


def test_deviations_scale_the_coordinates() -> None:
    deviations = torch.tensor([0.5, 1.0, 2.0, 4.5])
    found = fitted(*deviations.tolist())
    torch.testing.assert_close(found.deviations, deviations / 2)
    coordinates = torch.randn(5, ROWS, WIDTH, generator=torch.Generator().manual_seed(2))
    flat = coordinates.flatten(1)
    basis = found.directions.flatten(1)
    torch.testing.assert_close(basis @ basis.T, torch.eye(2), rtol=0, atol=1e-5)
    expected = flat + flat @ basis.T @ torch.diag(found.shares - 1) @ basis
    torch.testing.assert_close(found(coordinates), expected.view_as(coordinates) * deviations / 2)


def test_a_grown_network_takes_the_same_on_its_first_rows() -> None:
    small, grown = fitted(), fitted().extended(5, "grown")
    coordinates = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(3))
    step = grown(coordinates)
    assert grown.fingerprint == "grown"
    torch.testing.assert_close(step[:, :ROWS], small(coordinates[:, :ROWS]))
    torch.testing.assert_close(step[:, ROWS:], coordinates[:, ROWS:] * small.deviations)


@pytest.mark.parametrize(
    ("directions", "shares", "deviations", "words"),
    [
        ((2, 3, 4), [1.0], [1.0] * 4, "shapes"),
        ((2, 3, 4), [1.0, 0.5], [1.0] * 3, "shapes"),
        ((2, 12), [1.0, 0.5], [1.0] * 12, "shapes"),
        ((2, 3, 4), [1.0, 0.0], [1.0] * 4, "outside"),
        ((2, 3, 4), [1.0, 1.5], [1.0] * 4, "outside"),
        ((2, 3, 4), [1.0, 0.5], [1.0, 1.0, 0.0, 1.0], "not positive"),
    ],
)
def test_what_does_not_go_together_is_refused(
    directions: tuple[int, ...], shares: list[float], deviations: list[float], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Preconditioner(torch.zeros(directions), torch.tensor(shares), torch.tensor(deviations), "net")


@pytest.mark.parametrize(("shape", "width", "count"), [((5, 12), 12, 2), ((5, 3, 4), 3, 2), ((5, 3, 4), 4, 6)])
def test_a_fit_of_what_does_not_go_together_is_refused(shape: tuple[int, ...], width: int, count: int) -> None:
    with pytest.raises(UsageError, match="expected \\[M, num_ws, w_dim\\]"):
        Preconditioner.fit(torch.ones(shape), torch.ones(width), count, "net")


@pytest.fixture(scope="module")
def tiny() -> tuple[Generator, PerceptualNet]:
    config = GeneratorConfig(
        resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8, lr_multiplier=1.0
    )
    torch.manual_seed(0)
    distance = PerceptualNet(PerceptualConfig(widths=(4, 8, 8), depths=(1, 1, 1)))
    return Generator(config, seed=1).eval(), distance.eval()


def test_one_row_is_searched_as_it_is_and_other_shapes_are_refused(tiny: tuple[Generator, PerceptualNet]) -> None:
    generator, distance = tiny
    preconditioner = recipe.fit(generator, distance, 40, 24, 0)
    assert preconditioner.fingerprint == generator.fingerprint
    with torch.no_grad():
        z = torch.randn(2, 8, generator=torch.Generator().manual_seed(4))
        targets = list(to_uint8(generator(z, noise_mode="const").clamp(-1, 1)))
    options = ProjectOptions(steps=6, precision="float32", optimise_noise=True)
    both = project(targets, generator, options, distance=distance, preconditioner=preconditioner)
    alone = project(targets[1], generator, options, distance=distance, preconditioner=preconditioner)
    torch.testing.assert_close(alone.latent.ws, both[1].latent.ws, rtol=0, atol=1e-4)
    flat = replace(options, space="w")
    plain, same = (
        project(targets[0], generator, flat, distance=distance, preconditioner=each) for each in (None, preconditioner)
    )
    assert torch.equal(plain.latent.ws, same.latent.ws)
    other = Preconditioner(torch.zeros(1, 3, 8), torch.ones(1), torch.ones(8), generator.fingerprint)
    with pytest.raises(UsageError, match="for ws"):
        project(targets[0], generator, options, distance=distance, preconditioner=other)


def test_a_search_in_its_coordinates_is_nearer_after_as_many_steps() -> None:
    generator = api.load_generator("synthface-128")
    with torch.no_grad():
        ws = generator.mapping(torch.randn(2, 256, generator=torch.Generator().manual_seed(5)))
        mixed = torch.where(torch.arange(12)[:, None] % 2 == 0, ws[:1], ws[1:])  # in W+, not in W
        target = to_uint8(generator.synthesis(mixed).clamp(-1, 1))[0]
    options = ProjectOptions(steps=20, start="mean", w_noise=0.0)
    plain, helped = (
        float(api.project(target, generator, each).losses[-1])
        for each in (replace(options, preconditioner="none"), options)
    )
    assert helped < 0.9 * plain


def test_the_built_in_one_serves_its_network_and_what_was_grown_from_it(tmp_path: Path) -> None:
    for name in ("synthface-128", "synthface-256"):
        generator = api.load_generator(name)
        found = hub.preconditioner(generator)
        assert found is not None and found.fingerprint == generator.fingerprint
        assert found.directions.shape[1:] == (generator.config.num_ws, generator.config.w_dim)
        basis = found.directions.flatten(1)
        torch.testing.assert_close(basis @ basis.T, torch.eye(len(basis)), rtol=0, atol=5e-3)
        assert hub.preconditioner(generator, "none") is None
        named = hub.preconditioner(generator, "synthface-128-preconditioner")
        assert named is not None and torch.equal(named.directions, found.directions)
    other = fitted()
    path = tmp_path / "other.safetensors"
    state = {"directions": other.directions, "shares": other.shares, "deviations": other.deviations}
    write_network(path, "preconditioner", {"fingerprint": "net"}, state)
    with pytest.raises(LatentMismatch, match="preconditioner of another network"):
        hub.preconditioner(generator, str(path))
    with pytest.raises(UnknownNetwork):
        hub.preconditioner(generator, str(tmp_path / "missing.safetensors"))
    write_network(path, "preconditioner", {"fingerprint": "net"}, {"directions": other.directions})
    with pytest.raises(WeightsError, match="damaged"):
        pretrained.read_preconditioner(path)
    with pytest.raises(WeightsError, match="contains no preconditioner"):
        pretrained.read_preconditioner(pretrained.resolve("synthface-128-expressions"))
