"""The part of W+ that a property moves: fitted to faces whose scenes are known, told apart from what goes along."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import UsageError
from latentface.latents.subspace import Subspace

CHOSEN = slice(2, 5)


def faces(count: int = 4000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """ws [N, 4, 6], factors [N, 9] that are correlated across the property's border, and the map between them."""
    source = torch.Generator().manual_seed(0)
    factors = torch.randn(count, 9, generator=source)
    factors[:, 3] += 0.7 * factors[:, 6]
    leads = torch.randn(9, 4, 6, generator=source)
    ws = 2 + torch.einsum("np,plw->nlw", factors, leads) + 0.05 * torch.randn(count, 4, 6, generator=source)
    return ws, factors, leads


def test_the_part_is_what_the_property_makes_and_nothing_else() -> None:
    ws, factors, leads = faces()
    space = Subspace.fit(ws, factors, CHOSEN, "net", 3)
    for factor in range(9):
        part = space.part(leads[factor])
        if factor in range(*CHOSEN.indices(9)):
            assert torch.allclose(part, leads[factor], atol=0.1)
        else:
            assert float(part.norm()) < 0.05 * float(leads[factor].norm())
    mixed = leads[3] - 2 * leads[6] + 0.5 * leads[0]
    assert float((space.part(mixed) - leads[3]).norm()) < 0.1 * float(leads[3].norm())


def test_fewer_directions_keep_the_greatest() -> None:
    ws, factors, leads = faces()
    factors[:, 2] *= 0.01
    weak, strong = leads[2].clone(), leads[4].clone()
    ws = ws - torch.einsum("n,lw->nlw", faces()[1][:, 2], weak) + torch.einsum("n,lw->nlw", factors[:, 2], weak)
    space = Subspace.fit(ws, factors, CHOSEN, "net", 2)
    assert float((space.part(strong) - strong).norm()) < 0.2 * float(strong.norm())
    assert float(space.part(weak).norm()) < 0.6 * float(weak.norm())


@pytest.mark.parametrize(
    ("shapes", "count", "words"),
    [(((5, 4), (5, 9)), 2, "expected"), (((5, 4, 6), (4, 9)), 2, "expected"), (((5, 4, 6), (5, 9)), 4, "1 to 3")],
)
def test_what_does_not_go_together_is_refused(shapes: tuple[tuple[int, ...], ...], count: int, words: str) -> None:
    ws, factors = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(UsageError, match=words):
        Subspace.fit(ws, factors, CHOSEN, "net", count)


def test_reader_and_basis_have_one_shape() -> None:
    with pytest.raises(UsageError, match="same"):
        Subspace(torch.zeros(2, 3, 4), torch.zeros(2, 3, 5), "net")
