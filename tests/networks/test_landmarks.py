"""The landmark network: shapes, the integral over heat maps, offsets, and the file format."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet, apply_offsets, spatial_mean
from latentface.pretrained import load_landmarks
from latentface.pretrained.native import write_network

SMALL = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)


def make(config=SMALL, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LandmarkNet(config).eval()


def test_answers_are_points_inside_the_picture():
    network = make()
    points = network(torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert points.shape == (3, 68, 2) and points.dtype == torch.float32
    assert points.min() > 0 and points.max() < 1
    assert network.heat_maps(torch.zeros(1, 3, 32, 32)).shape == (1, 68, 8, 8)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 3, 64, 64), (1, 1, 32, 32)])
def test_wrong_shapes_are_named(shape):
    with pytest.raises(UsageError, match=r"expected \[N, 3, 32, 32\]"):
        make()(torch.zeros(shape))


def test_pictures_in_a_batch_do_not_touch_each_other():
    network = make()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(images)[2:3], network(images[2:3]), atol=1e-5, rtol=0)


def test_contrast_and_brightness_matter_little():
    network = make()
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(network(image * 0.5), network(image), atol=1e-3, rtol=0)


def test_spatial_mean_of_one_peak_is_its_cell_centre():
    logits = torch.full((1, 2, 4, 8), -1e4)
    logits[0, 0, 1, 6] = 0
    logits[0, 1, 3, 0] = logits[0, 1, 3, 1] = 0
    expected = torch.tensor([[[6.5 / 8, 1.5 / 4], [1.0 / 8, 3.5 / 4]]])
    torch.testing.assert_close(spatial_mean(logits), expected)


def test_spatial_mean_gradient():
    logits = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(spatial_mean, (logits,))


def test_offsets_turn_and_grow_with_the_face():
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(1, 68, 2, generator=generator, dtype=torch.float64)
    points[:, 36:42] = torch.tensor([0.3, 0.4])
    points[:, 42:48] = torch.tensor([0.7, 0.4])
    offsets = torch.zeros(68, 2, dtype=torch.float64)
    offsets[0] = torch.tensor([0.5, 0.25])
    moved = apply_offsets(points, offsets)
    torch.testing.assert_close(moved[0, 0] - points[0, 0], torch.tensor([0.2, 0.1], dtype=torch.float64))
    assert torch.equal(moved[:, 1:], points[:, 1:])
    turn = 2.0 * torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    torch.testing.assert_close(apply_offsets(points @ turn.T, offsets), moved @ turn.T)


def test_offsets_belong_to_the_file(tmp_path):
    network = make()
    network.offsets[5] = torch.tensor([0.25, -0.5])
    path = tmp_path / "net.safetensors"
    write_network(path, "landmarks", asdict(SMALL), network.state_dict(), dtype=torch.float16)
    loaded = load_landmarks(path)
    assert loaded.config == SMALL
    torch.testing.assert_close(loaded.offsets[5], torch.tensor([0.25, -0.5]))
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        np.testing.assert_allclose(loaded(image), network(image), atol=2e-3)


@pytest.mark.parametrize("bad", [{"input_size": 40}, {"input_size": 16}, {"widths": (8, 8, 8)}, {"decoder": 12}])
def test_impossible_shapes_are_refused(bad):
    with pytest.raises(UsageError):
        LandmarkConfig(**bad)
