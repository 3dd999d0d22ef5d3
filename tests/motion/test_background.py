"""What surrounds a moved head: its motion goes on, nothing folds or tears, and what has to stay does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.motion.background import carry_along
from latentface.networks.motion.dense import DenseMotion
from latentface.networks.motion.generator import Prediction
from latentface.networks.motion.geometry import grid

SIDE = 32
NOWHERE = np.zeros((SIDE, SIDE), bool)
OWN = grid(SIDE, SIDE, torch.zeros(1))


def drawn(shift: tuple[float, float] = (-0.3, 0.0), share: float | None = 0.25) -> Prediction:
    """A disc in the middle that is moved by its one keypoint, before a background that stands still."""
    head = torch.sigmoid((0.45 - OWN.norm(dim=-1)) * 60)  # ends within a pixel or two, as networks' do
    field = OWN + head[..., None] * torch.tensor(shift)
    mask = torch.stack([1 - head, head])[None]
    motion = DenseMotion(field[None], torch.ones(1, 1, SIDE, SIDE), mask, torch.zeros(1, 2, 3, SIDE, SIDE))
    shares = None if share is None else torch.full((1, 1, 64, 64), share)
    return Prediction(torch.zeros(1, 3, 64, 64), shares, motion)


def stretch(made: Prediction) -> np.ndarray:
    """How much of the source a pixel shows, signed: below 0 it is folded."""
    field = made.motion.field[0].numpy() * (SIDE - 1) / 2
    across, down = np.diff(field, axis=1)[:-1], np.diff(field, axis=0)[:, :-1]
    return across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]


def test_a_field_that_folds_behind_a_head_folds_no_more() -> None:
    before = drawn()
    after = carry_along(before, NOWHERE)
    assert stretch(before).min() < -0.5
    assert stretch(after).min() > 0
    middle = np.s_[0, SIDE // 2 - 4 : SIDE // 2 + 4, SIDE // 2 - 4 : SIDE // 2 + 4]
    assert torch.allclose(after.motion.field[middle], before.motion.field[middle], atol=0.01)


def test_hair_beside_the_head_goes_with_it_and_less_so_far_away() -> None:
    moved = (carry_along(drawn(), NOWHERE).motion.field[0] - OWN)[SIDE // 2, :, 0]
    near, far = SIDE // 2 - 9, 2  # pixels from the middle; the head ends after 7
    assert moved[near] < -0.12
    assert -0.08 < moved[far] < 0


def test_the_border_and_what_has_to_stay_stay() -> None:
    still = NOWHERE.copy()
    still[:, : SIDE // 4] = True
    shift = (carry_along(drawn(), still).motion.field[0] - OWN).abs().amax(-1).numpy()
    assert shift[still].max() < 1e-3
    assert max(shift[0].max(), shift[-1].max(), shift[:, -1].max()) < 1e-3


def test_a_head_that_stands_still_changes_nothing() -> None:
    assert torch.allclose(carry_along(drawn((0.0, 0.0)), NOWHERE).motion.field[0], OWN, atol=1e-6)


def test_only_the_head_is_painted_and_not_with_what_lies_beyond_the_picture() -> None:
    share = carry_along(drawn(), NOWHERE).share[0, 0]
    assert share[32, 32] == pytest.approx(0.25, abs=0.01)
    assert share[:8].min() > 0.99
    assert carry_along(drawn((-1.2, 0.0)), NOWHERE).share[0, 0, 32, 32] > 0.99


def test_no_place_is_read_from_beyond_the_picture() -> None:
    assert carry_along(drawn((-1.5, 1.5)), NOWHERE).motion.field.abs().max() <= 1


def test_a_network_that_paints_everything_is_left_alone() -> None:
    made = drawn(share=None)
    assert carry_along(made, NOWHERE) is made
