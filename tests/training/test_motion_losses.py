"""Losses of the motion model: each is least where it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentface.errors import WeightsError
from latentface.networks.motion import Keypoints
from latentface.networks.motion.geometry import grid, multiply
from latentface.training import motion_losses as losses


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_derivative_of_a_bend_is_that_of_autograd() -> None:
    bend = losses.RandomBend.sample(2, torch.zeros(1), seeded())
    z = torch.rand(2, 7, 2, generator=seeded(1)) * 2 - 1
    wanted = torch.autograd.functional.jacobian(lambda points: bend(points).sum((0, 1)), z)  # [2, N, M, 2]
    assert torch.allclose(bend.derivative(z), wanted.permute(1, 2, 0, 3), atol=1e-4)


def test_keypoints_that_follow_the_bend_cost_nothing() -> None:
    bend = losses.RandomBend.sample(1, torch.zeros(1), seeded())
    at = torch.rand(1, 4, 2, generator=seeded(2)) - 0.5
    jacobian = torch.eye(2) + 0.1 * torch.randn(1, 4, 2, 2, generator=seeded(3))
    driving = Keypoints(bend(at), multiply(bend.derivative(at), jacobian))
    value, matrix = losses.equivariance(driving, Keypoints(at, jacobian), bend)
    assert float(value) < 1e-6
    assert float(matrix) < 1e-4
    value, matrix = losses.equivariance(Keypoints(at, jacobian), Keypoints(at, jacobian), bend)
    assert float(value) > 1e-3
    assert float(matrix) > 1e-3


def test_a_bent_picture_shows_at_z_what_was_at_t_of_z() -> None:
    bend = losses.RandomBend.sample(1, torch.zeros(1), seeded())
    z = grid(65, 65, torch.zeros(1))
    ramp = z.permute(2, 0, 1)[None]  # a picture whose colours are its positions
    bent = bend.bend(torch.cat([ramp, ramp[:, :1]], 1))[0, :2].permute(1, 2, 0)
    wanted = bend(z.view(1, -1, 2)).view(65, 65, 2)
    inside = (wanted.abs() < 0.95).all(-1)
    assert torch.allclose(bent[inside], wanted[inside], atol=1e-4)


def test_the_field_that_brings_landmarks_together_costs_nothing() -> None:
    driving = torch.rand(1, 51, 2, generator=seeded()) - 0.5
    shift = torch.tensor([0.2, -0.1])
    field = grid(33, 33, driving)[None] + shift
    assert float(losses.flow_error(field, driving, driving + shift)) < 1e-5
    assert float(losses.flow_error(field, driving, driving)) == pytest.approx(0.15, abs=1e-4)


def test_a_mask_costs_least_where_every_place_follows_its_own_keypoint() -> None:
    points = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5]]])
    places = points + 0.01
    nearest = torch.cdist(points, grid(17, 17, points).view(1, -1, 2)).argmin(1).view(1, 17, 17)
    own, first, ground = (torch.nn.functional.one_hot(each, 4).permute(0, 3, 1, 2).float()
                          for each in (nearest + 1, torch.ones_like(nearest), torch.zeros_like(nearest)))  # fmt: skip
    costs = [float(losses.mask_error(mask, places, points)) for mask in (own, first, ground)]
    assert costs[0] < 0.01 < 1 < costs[1] < costs[2]


def test_a_pyramid_keeps_colours_and_leaves_out_what_is_too_small() -> None:
    levels = losses.Pyramid()(torch.full((1, 3, 128, 128), 0.5))
    assert {scale: level.shape[-1] for scale, level in levels.items()} == {1.0: 128, 0.5: 64, 0.25: 32}
    assert torch.allclose(levels[0.25][..., 8:-8, 8:-8], torch.tensor(0.5), atol=1e-5)


def test_a_span_that_is_shifted_as_a_whole_costs_nothing() -> None:
    wanted = torch.rand(2, 3, 2, generator=seeded())
    assert float(losses.span_error(wanted + 0.3, wanted, [(0, 1), (2, 1)])) == pytest.approx(0, abs=1e-6)
    opened = wanted.clone()
    opened[:, 0, 1] += 0.2  # of the first span's four coordinates, one is off
    assert float(losses.span_error(opened, wanted, [(0, 1), (2, 1)])) == pytest.approx(0.05)


def test_pixels_at_eyes_and_mouth_are_near_features_and_others_are_not() -> None:
    landmarks = torch.zeros(1, 68, 2)
    landmarks[:, 36:] = torch.tensor([0.5, -0.5])
    near = losses.near_features(landmarks, 17)
    assert near.shape == (1, 1, 17, 17)
    assert float(near[0, 0, 4, 12]) == pytest.approx(1) and float(near[0, 0, 8, 8]) < 1e-6


def test_least_squares_adversarial_terms() -> None:
    def maps(value: float, feature: float) -> dict[str, losses.Maps]:
        return {"1": ([torch.full((1, 2, 3, 3), feature)] * 4, torch.full((1, 1, 3, 3), value))}

    assert float(losses.generator_gan(maps(1.0, 0))) == 0
    assert float(losses.generator_gan(maps(0.0, 0))) == 1
    assert float(losses.discriminator_gan(maps(1.0, 0), maps(0.0, 0))) == 0
    assert float(losses.discriminator_gan(maps(0.5, 0), maps(0.5, 0))) == 0.5
    assert float(losses.feature_matching(maps(1, 2.0), maps(1, 1.5))) == 2.0


def test_vgg19_is_read_from_torchvision_s_file(tmp_path: Path) -> None:
    state, inputs, index = {}, 3, 0
    for widths in ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4):
        for width in widths:
            state[f"features.{index}.weight"] = torch.full((1,), 1e-3).expand(width, inputs, 3, 3)
            state[f"features.{index}.bias"] = torch.zeros(1).expand(width)
            inputs, index = width, index + 2
        index += 1
    torch.save(state, tmp_path / "vgg19.pth")
    network = losses.Vgg19(tmp_path / "vgg19.pth")
    picture = torch.rand(1, 3, 32, 32, generator=seeded())
    assert [level.shape[1:] for level in network.features(picture)] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2),
    ]  # fmt: skip
    assert float(network(picture, picture)) == 0
    assert float(network(picture, 1 - picture)) > 0
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="VGG-19"):
        losses.Vgg19(tmp_path / "other.pth")
