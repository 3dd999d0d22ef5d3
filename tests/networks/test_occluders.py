"""The shape of the network that finds what is in front of faces."""

import pytest
import torch

from latentface import pretrained
from latentface.errors import UsageError
from latentface.networks.occluders import OccluderConfig, OccluderNet


def test_it_gives_one_map():
    with torch.no_grad():
        assert OccluderNet(OccluderConfig(16, (4, 4))).eval()(torch.zeros(2, 3, 16, 16)).shape == (2, 1, 16, 16)


def test_the_built_in_one_is_less_than_a_megabyte():
    assert pretrained.resolve("occluders", kind="occluders").stat().st_size < 1_000_000


@pytest.mark.parametrize(("wrong", "told"), [({"size": 20}, "multiples of 16"), ({"widths": (4,)}, "two numbers")])
def test_wrong_shapes_are_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        OccluderConfig(**wrong)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(UsageError, match=r"OccluderNet: expected pictures \[N, 3, 128, 128\]"):
        OccluderNet(OccluderConfig())(torch.zeros(1, 3, 80, 80))
