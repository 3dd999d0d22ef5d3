"""Generators with attention: what they begin with, how they blend, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.translation import TranslationConfig, TranslationNet

CONFIG = TranslationConfig(size=32, fine=4, coarse=8, dilations=(1, 2))


def network(attention: bool = True) -> TranslationNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TranslationNet(TranslationConfig(32, 4, 8, [1, 2], attention)).requires_grad_(False)  # type: ignore[arg-type]  # as in files


def pictures() -> torch.Tensor:
    return torch.rand(2, 3, 32, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_before_training_pictures_stay_nearly_as_they_are() -> None:
    made = network()(pictures())
    assert float((made.picture - pictures()).abs().mean()) < 0.1
    assert float(made.attention.min()) > 0.5 and float(made.attention.max()) < 0.9


def test_the_result_is_the_input_where_attention_is_zero_and_the_content_where_it_is_one() -> None:
    net = network()
    with torch.no_grad():
        net.back.leave.bias[:12] = 0.5
        made = net(pictures(), back=True)
        blended = made.attention * made.content + (1 - made.attention) * pictures()
        assert torch.allclose(made.picture, blended, atol=1e-6)
        net.back.leave.bias[12:] = -100
        assert torch.equal(net(pictures(), back=True).picture, pictures())
        net.back.leave.bias[12:] = 100
        made = net(pictures(), back=True)
        assert torch.allclose(made.picture, made.content) and not torch.allclose(made.picture, pictures(), atol=0.1)
        assert torch.allclose(net(pictures()).attention, network()(pictures()).attention)  # the other way is another


def test_without_attention_the_content_is_the_result() -> None:
    made = network(attention=False)(pictures())
    assert torch.equal(made.attention, torch.ones(2, 1, 32, 24)) and torch.allclose(made.picture, made.content)
    assert network(attention=False).config.dilations == (1, 2)


@pytest.mark.parametrize("changes", [{"size": 30}, {"size": 4}, {"fine": 0}, {"dilations": ()}, {"dilations": (0,)}])
def test_shapes_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TranslationConfig(**changes)  # type: ignore[arg-type]


def test_pictures_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match=r"multiple of 4, got \[1, 3, 30, 32\]"):
        network()(torch.zeros(1, 3, 30, 32))
