"""The shape of the network that tells people from their background."""

import pytest
import torch

from latentface import pretrained
from latentface.errors import UsageError
from latentface.networks.matte import MatteConfig, MatteNet


def test_it_gives_one_map():
    with torch.no_grad():
        assert MatteNet(MatteConfig(16, (4, 4))).eval()(torch.zeros(2, 3, 16, 16)).shape == (2, 1, 16, 16)


def test_the_built_in_one_is_half_a_megabyte_at_most():
    assert pretrained.resolve("matte", kind="matte").stat().st_size < 500_000


@pytest.mark.parametrize(("wrong", "told"), [({"size": 20}, "multiples of 16"), ({"widths": (4,)}, "two numbers")])
def test_wrong_shapes_are_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        MatteConfig(**wrong)
