"""The emotion classifier and the identity embedding: shapes, the part of the crop they look at, the file format."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latentface import pretrained
from latentface.errors import UsageError, WeightsError
from latentface.networks.classifier import EmotionConfig, EmotionNet, observe
from latentface.networks.identity import IdentityConfig, IdentityNet
from latentface.networks.landmarks import LandmarkConfig, eye_frame
from latentface.networks.trunk import FaceTrunk, TrunkConfig, framed_part
from latentface.pretrained.native import write_network

SMALL = TrunkConfig(input_size=32, widths=(8, 8, 16, 16), summary=4, features=12)
POINTS = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)
CONFIGS = {EmotionNet: EmotionConfig(POINTS, features=12), IdentityNet: IdentityConfig(SMALL, POINTS, features=12)}


def make(kind: type[nn.Module], seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return kind(CONFIGS[kind]).eval()


def crops(count: int = 3, side: int = 60, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("side", [16, 48, 100, 257])
def test_crops_of_any_size_are_taken(side: int) -> None:
    emotion, identity = make(EmotionNet), make(IdentityNet)
    assert emotion(crops(side=side)).shape == (3, 7)
    assert emotion.features(crops(side=side)).shape == (3, 12)
    vectors = identity(crops(side=side))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


def test_the_size_of_a_crop_matters_little() -> None:
    field = nn.functional.interpolate(crops(2, 8), size=48, mode="bicubic")
    twice = nn.functional.interpolate(field, size=96, mode="bilinear")
    network = make(IdentityNet)
    assert (network(field) * network(twice)).sum(1).min() > 0.995


def test_it_looks_at_the_lower_middle_two_thirds() -> None:
    trunk = FaceTrunk(SMALL)
    crop = crops(1, 48)
    framed = trunk.frame(crop)
    assert torch.equal(framed, crop[:, :, 16:, 8:40])
    assert (SMALL.frame_scale, SMALL.frame_shift) == (pytest.approx(32 / 48), pytest.approx((16 + 16 - 24) / 48))


def test_a_frame_that_leaves_the_crop_is_filled_by_reflection() -> None:
    frame = LandmarkConfig(input_size=96)  # 0.84 of the crop's side, centre 0.14 below the middle
    crop = crops(1, 114)
    framed = framed_part(crop, frame)
    assert framed.shape == (1, 3, 96, 96)
    assert torch.equal(framed[:, :, :89], crop[:, :, 25:, 9:105])
    assert torch.equal(framed[:, :, 89:], crop[:, :, 106:113, 9:105].flip(2))


def test_logits_are_those_of_the_features() -> None:
    network = make(EmotionNet)
    torch.testing.assert_close(network(crops()), network.head(network.features(crops())))


def test_points_in_the_frame_of_the_eyes_do_not_change_with_place_turn_and_size() -> None:
    landmarks = make(EmotionNet).landmarks
    points = landmarks(crops(2, 32))
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    framed = eye_frame(points)
    torch.testing.assert_close(eye_frame(points @ turn.T * 0.5 + 0.3), framed, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(framed[:, 36:42].mean(1), torch.tensor([[-0.5, 0.0]] * 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(framed[:, 42:48].mean(1), torch.tensor([[0.5, 0.0]] * 2), atol=1e-4, rtol=0)


def test_the_classifier_observes_the_points_and_the_features_there() -> None:
    landmarks, picture = make(EmotionNet).landmarks, crops(1, 32)
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
    network, picture = make(EmotionNet), crops(3, 38)  # framed to the pixel: 0.84 of 38 is 32
    torch.testing.assert_close(network(picture), network(picture.flip(3)))
    assert (network(picture)[0] - network(picture)[1]).abs().max() > 1e-4


@pytest.mark.parametrize("shape", [(3, 60, 60), (1, 1, 60, 60), (1, 3, 60, 50), (1, 3, 15, 15)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    for kind in (EmotionNet, IdentityNet):
        with pytest.raises(UsageError, match=r"expected \[N, 3, R, R\]"):
            make(kind)(torch.zeros(shape))


def test_gradients_reach_the_picture() -> None:
    picture = crops(1).requires_grad_(True)
    (make(IdentityNet)(picture) * torch.arange(12.0)).sum().backward()
    assert picture.grad is not None and picture.grad[:, :, 20:, 10:50].abs().sum() > 0


@pytest.mark.parametrize(
    ("kind", "network", "load"),
    [("emotion", EmotionNet, pretrained.load_emotion), ("identity", IdentityNet, pretrained.load_identity)],
    ids=["emotion", "identity"],
)
def test_files_come_back(tmp_path: Path, kind: str, network: type[nn.Module], load: object) -> None:
    path = tmp_path / "net.safetensors"
    ours = make(network)
    config = asdict(CONFIGS[network])
    write_network(path, kind, config, ours.state_dict(), dtype=torch.float32)
    loaded = load(path)
    assert loaded.config == CONFIGS[network] and not loaded.training
    assert torch.equal(loaded(crops()), ours(crops()))
    write_network(path, "perceptual", config, ours.state_dict())
    with pytest.raises(WeightsError, match=f"'perceptual', expected '{kind}'"):
        load(path)


@pytest.mark.parametrize(
    "bad", [{"input_size": 40}, {"input_size": 16}, {"widths": (8, 8, 8)}, {"widths": (8, 8, 8, 12)}, {"features": 0}]
)
def test_impossible_shapes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TrunkConfig(**bad)
    with pytest.raises(UsageError):
        EmotionConfig(features=0)
    with pytest.raises(UsageError):
        IdentityConfig(features=0)
