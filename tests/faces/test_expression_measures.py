"""What landmarks say of an expression: each measure by the movement it stands for, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.faces.expression_measures import SPREAD, crop_landmarks, measure_expression, still_parts
from latentface.faces.regions import expressive_region
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
from tests.helpers.cli_desk import face_points

NAMES = (
    "mouth open", "mouth width", "left corner", "right corner", "upper lip", "lower lip", "chin", "left eye",
    "right eye", "left inner brow", "right inner brow", "left outer brow", "right outer brow", "between brows",
)  # fmt: skip


def face() -> torch.Tensor:
    return torch.from_numpy(face_points())[None]


def changed(moves: dict[int, tuple[float, float]]) -> dict[str, float]:
    """Which measures a movement of landmarks changes, and by how much in the unit of the landmarks."""
    moved = face()
    for index, shift in moves.items():
        moved[0, index] += torch.tensor(shift)
    change = (measure_expression(moved) - measure_expression(face()))[0] * torch.tensor(SPREAD)
    change = change * 0.4  # the eyes of the plain face are 0.4 apart
    return {name: round(float(value), 6) for name, value in zip(NAMES, change, strict=True) if abs(value) > 1e-9}


def test_measures_are_as_many_as_their_spreads() -> None:
    assert measure_expression(face()).shape == (1, len(SPREAD)) == (1, len(NAMES))


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        (dict.fromkeys((65, 66, 67), (0, 0.04)), {"mouth open": 0.04}),
        ({48: (-0.02, 0), 54: (0.02, 0)}, {"mouth width": 0.04}),
        ({48: (0, -0.03)}, {"left corner": -0.03}),
        ({54: (0, -0.03)}, {"right corner": -0.03}),
        ({8: (0, 0.05)}, {"chin": 0.05}),
        ({21: (0, -0.03), 20: (0, -0.03)}, {"left inner brow": -0.03}),
        ({22: (0, -0.03), 23: (0, -0.03)}, {"right inner brow": -0.03}),
        ({17: (0, -0.03), 18: (0, -0.03), 19: (0, -0.03)}, {"left outer brow": -0.03}),
        ({24: (0, -0.03), 25: (0, -0.03), 26: (0, -0.03)}, {"right outer brow": -0.03}),
    ],
)
def test_a_movement_shows_in_its_own_measure(moves: dict[int, tuple[float, float]], expected: dict[str, float]) -> None:
    assert changed(moves) == pytest.approx(expected, abs=1e-6)


def test_brows_that_meet_and_lips_that_part() -> None:
    together = changed({21: (0.02, 0), 22: (-0.02, 0)})
    assert together == pytest.approx({"between brows": -0.04}, abs=1e-6)
    lips = changed({51: (0, -0.02), 57: (0, 0.04)})
    assert {"upper lip": -0.02, "lower lip": 0.04}.items() <= lips.items()


def test_place_size_and_tilt_do_not_count() -> None:
    straight = measure_expression(face())
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64)
    elsewhere = 3.5 * face() @ turn.T + torch.tensor([40.0, -7.0])
    assert measure_expression(elsewhere) == pytest.approx(straight, abs=1e-9)


def test_measures_have_gradients() -> None:
    points = face().requires_grad_()
    measure_expression(points).sum().backward()
    assert points.grad is not None and torch.isfinite(points.grad).all() and points.grad.abs().sum() > 0


def test_still_parts_leave_out_what_any_of_the_faces_moves() -> None:
    faces = torch.cat([face(), face() * 0.5 + 0.25])
    still = still_parts(faces, 64)
    assert still.shape == (1, 1, 64, 64) and set(still.unique().tolist()) == {0.0, 1.0}
    moving = [expressive_region(each.numpy() * 64 - 0.5, (64, 64)) for each in faces]
    assert np.array_equal(still[0, 0].bool().numpy(), ~(moving[0] | moving[1]))


class Recorder(LandmarkNet):
    """Answers with the middle of what it is shown, and remembers that."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.shown = images
        return torch.full((len(images), 68, 2), 0.5)


@pytest.mark.parametrize("side", [64, 300])
def test_the_network_is_shown_its_own_part_of_a_crop_of_any_size(side: int) -> None:
    network = Recorder(LandmarkConfig(input_size=48, widths=(8, 8, 8, 8), frame_scale=0.5, frame_shift=0.1))
    at = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(at, at, indexing="ij")
    points = crop_landmarks(network, torch.stack([x, y, 0 * x])[None])
    assert points == pytest.approx(torch.tensor([0.5, 0.6]).expand(1, 68, 2), abs=1e-6)  # the middle of the frame
    shown = network.shown[0]
    assert shown.shape == (3, 48, 48)
    inside = (torch.arange(48) + 0.5) / 48 * 0.5
    assert shown[0, 24] == pytest.approx(0.25 + inside, abs=0.01)  # 0.5 - 0.25 ... 0.5 + 0.25 of the crop
    assert shown[1, :, 24] == pytest.approx(0.35 + inside, abs=0.01)
