"""Adam for one tensor takes the steps that torch's takes."""

from __future__ import annotations

import torch

from latentface.ops.adam import Adam


def test_steps_are_those_of_torch() -> None:
    start, goal = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 1.0, 0.5])
    own, theirs = start.clone(), start.clone().requires_grad_(True)
    mine, reference = Adam(own, 0.1), torch.optim.Adam([theirs], lr=0.1)
    for _ in range(30):
        mine.step(2 * (own - goal))
        reference.zero_grad()
        (theirs - goal).square().sum().backward()
        reference.step()
        assert torch.allclose(own, theirs.detach(), atol=1e-6)
    assert (own - goal).abs().max() < (start - goal).abs().max()
