"""The U-Net that the networks of masks share."""

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.u_net import UNet, check_shape


def test_it_gives_maps_of_the_pictures_size_in_any_light():
    network = UNet(16, 24, (4, 6, 8), 3).eval()
    pictures = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        found, dimmed = network(pictures), network(0.5 * pictures - 0.3)
    assert found.shape == (2, 3, 16, 24)
    torch.testing.assert_close(found, dimmed, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("shape", "told"), [((18, 24), "multiples of 4"), ((16, 2), "multiples of 4")])
def test_wrong_sizes_are_refused(shape, told):
    with pytest.raises(UsageError, match=told):
        check_shape(*shape, (4, 4, 4))
    with pytest.raises(UsageError, match="positive"):
        check_shape(16, 24, (4, 0, 4))
