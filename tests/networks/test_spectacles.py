"""The shape of the network that finds spectacles."""

import pytest
import torch

from latentface import pretrained
from latentface.errors import UsageError
from latentface.networks.spectacles import SpectaclesConfig, SpectaclesNet


def test_it_gives_a_map_of_frames_and_one_of_glass_in_any_light():
    network = SpectaclesNet(SpectaclesConfig(height=16, width=24, widths=(4, 4, 6, 6))).eval()
    patches = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        found, dimmed = network(patches), network(0.5 * patches - 0.3)
    assert found.shape == (2, 2, 16, 24)
    torch.testing.assert_close(found, dimmed, atol=1e-4, rtol=1e-3)


def test_the_built_in_one_is_half_a_megabyte_at_most():
    assert pretrained.resolve("spectacles", kind="spectacles").stat().st_size < 500_000


@pytest.mark.parametrize(
    ("wrong", "told"), [({"height": 20}, "multiples of 8"), ({"widths": (4, 4)}, "four"), ({"step": 0.0}, "above 0")]
)
def test_wrong_shapes_are_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        SpectaclesConfig(**wrong)


def test_patches_of_another_size_are_refused():
    with pytest.raises(UsageError, match=r"expected pictures \[N, 3, 80, 176\]"):
        SpectaclesNet(SpectaclesConfig())(torch.zeros(1, 3, 80, 80))
