"""The emotion classifier: shapes, what it observes, mirror images, the file format."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentface import pretrained
from latentface.errors import UsageError, WeightsError
from latentface.networks.classifier import EmotionConfig, EmotionNet, observe
from latentface.networks.landmarks import LandmarkConfig, eye_frame
from latentface.pretrained.native import write_network

POINTS = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)
CONFIG = EmotionConfig(POINTS, features=12)


def make(seed: int = 0) -> EmotionNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EmotionNet(CONFIG).eval()


def crops(count: int = 3, side: int = 60, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("side", [16, 48, 100, 257])
def test_crops_of_any_size_are_taken(side: int) -> None:
    network = make()
    assert network(crops(side=side)).shape == (3, 7)
    assert network.features(crops(side=side)).shape == (3, 12)


def test_logits_are_those_of_the_features() -> None:
    network = make()
    torch.testing.assert_close(network(crops()), network.head(network.features(crops())))


def test_points_in_the_frame_of_the_eyes_do_not_change_with_place_turn_and_size() -> None:
    landmarks = make().landmarks
    points = landmarks(crops(2, 32))
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    framed = eye_frame(points)
    torch.testing.assert_close(eye_frame(points @ turn.T * 0.5 + 0.3), framed, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(framed[:, 36:42].mean(1), torch.tensor([[-0.5, 0.0]] * 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(framed[:, 42:48].mean(1), torch.tensor([[0.5, 0.0]] * 2), atol=1e-4, rtol=0)


def test_the_classifier_observes_the_points_and_the_features_there() -> None:
    landmarks, picture = make().landmarks, crops(1, 32)
    observed, points = observe(landmarks, picture), landmarks(picture)
    torch.testing.assert_close(observed[:, :102], eye_frame(points)[:, 17:].flatten(1))
    maps = landmarks.decode(*landmarks.encode(picture))[0]  # [8, 8, 8]
    x, y = (points[0, 17:] * 8 - 0.5).unbind(1)
    left, top = x.floor().long(), y.floor().long()  # bilinear between the four cells around each point
    right, down = x - left, y - top
    upper = maps[:, top, left] * (1 - right) + maps[:, top, left + 1] * right
    lower = maps[:, top + 1, left] * (1 - right) + maps[:, top + 1, left + 1] * right
    torch.testing.assert_close(observed[0, 102:].view(8, 51), upper * (1 - down) + lower * down)


def test_a_face_and_its_mirror_image_show_the_same_emotion() -> None:
    network, picture = make(), crops(3, 38)  # framed to the pixel: 0.84 of 38 is 32
    torch.testing.assert_close(network(picture), network(picture.flip(3)))
    assert (network(picture)[0] - network(picture)[1]).abs().max() > 1e-4


@pytest.mark.parametrize("shape", [(3, 60, 60), (1, 1, 60, 60), (1, 3, 60, 50), (1, 3, 15, 15)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"expected \[N, 3, R, R\]"):
        make()(torch.zeros(shape))


def test_files_come_back(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    ours = make()
    write_network(path, "emotion", asdict(CONFIG), ours.state_dict(), dtype=torch.float32)
    loaded = pretrained.load_emotion(path)
    assert loaded.config == CONFIG and not loaded.training
    assert torch.equal(loaded(crops()), ours(crops()))
    write_network(path, "perceptual", asdict(CONFIG), ours.state_dict())
    with pytest.raises(WeightsError, match="'perceptual', expected 'emotion'"):
        pretrained.load_emotion(path)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="features must be at least 1"):
        EmotionConfig(features=0)
