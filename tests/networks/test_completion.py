"""The completion network: holes, foreign regions, guides, and what may not reach its output."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.completion import CompletionConfig, CompletionNet, continue_into

CONFIG = CompletionConfig(size=32, fine=4, middle=6, coarse=8, dilations=(1, 2))


@pytest.fixture(scope="module")
def network() -> CompletionNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CompletionNet(CONFIG).eval().requires_grad_(False)


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    hole = torch.zeros(2, 1, 32, 32)
    hole[:, :, 8:20, 10:24] = 1
    return picture, hole


def test_outside_the_hole_pixels_stay_and_what_it_hides_has_no_influence(network: CompletionNet) -> None:
    picture, hole = inputs()
    made = network(picture, hole)
    assert torch.equal(made * (1 - hole), picture * (1 - hole))
    assert torch.equal(network(picture * (1 - hole) + 7 * hole, hole), made)


def test_foreign_regions_change_and_their_content_counts(network: CompletionNet) -> None:
    picture, place = inputs()
    nothing = torch.zeros_like(place)
    made = network(picture, nothing, place)
    assert torch.equal(made * (1 - place), picture * (1 - place))
    assert not torch.equal(network(picture + 0.1 * place, nothing, place) * place, made * place)


def test_a_guide_of_zeros_says_nothing(network: CompletionNet) -> None:
    picture, hole = inputs()
    guide = torch.zeros(2, 6, 8, 8)
    assert torch.equal(network(picture, hole, guide=guide), network(picture, hole))
    guide[:, 3, 2:4] = 1
    assert not torch.equal(network(picture, hole, guide=guide), network(picture, hole))


def test_a_proposal_is_fitted_to_the_rim_of_the_hole(network: CompletionNet) -> None:
    picture, hole = inputs()
    first = network(picture, hole, proposal=picture)
    assert torch.allclose(network(picture, hole, proposal=picture + 0.3), first, atol=1e-5)
    assert torch.equal(first * (1 - hole), picture * (1 - hole))
    assert not torch.allclose(first, network(picture, hole), atol=1e-2)
    with pytest.raises(UsageError, match="proposal must be"):
        network(picture, hole, proposal=picture[:, :1])


def test_blocks_begin_as_nothing(network: CompletionNet) -> None:
    picture, hole = inputs()
    assert torch.equal(network(picture, hole, blocks=0), network(picture, hole))


def test_continuation_is_smooth_and_keeps_what_is_known() -> None:
    picture, hole = inputs()
    flat = torch.full_like(picture, 0.25)
    assert torch.allclose(continue_into(flat, hole), flat, atol=1e-5)
    made = continue_into(picture, hole)
    assert torch.equal(made * (1 - hole), picture * (1 - hole))
    assert made.abs().max() <= picture.abs().max() + 1e-5


def test_wrong_shapes_and_configs_are_refused(network: CompletionNet) -> None:
    picture, hole = inputs()
    with pytest.raises(UsageError, match="hole must be"):
        network(picture, hole[:, :, :16])
    with pytest.raises(UsageError, match="pictures must be"):
        network(picture[..., :30], hole[..., :30])
    with pytest.raises(UsageError, match="multiple of 8"):
        CompletionConfig(size=30)
    with pytest.raises(UsageError, match="positive"):
        CompletionConfig(dilations=())
