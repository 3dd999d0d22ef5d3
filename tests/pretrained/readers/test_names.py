"""One table of names, read both ways: what goes out under rosinality's names comes back, as do TensorFlow's layouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.networks.generator import GeneratorConfig
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.names import from_rosinality, from_tensorflow, table, to_rosinality
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make

CONFIGS = [SMALL, GeneratorConfig(32, z_dim=8, w_dim=4, num_mapping_layers=3, channel_base=64, channel_max=6)]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_tensor_of_a_generator_is_in_the_table_once(config: GeneratorConfig) -> None:
    rows = list(table(config.resolution, config.num_mapping_layers))
    for names in ([row.ours for row in rows], [row.rosinality for row in rows], [row.tensorflow for row in rows]):
        used = [name for name in names if name]
        assert len(set(used)) == len(used)
    assert set(make(config).state_dict()) <= {row.ours for row in rows}


@pytest.mark.parametrize("config", CONFIGS)
def test_rosinalitys_names_lead_there_and_back(config: GeneratorConfig) -> None:
    state = make(config).state_dict()
    theirs = to_rosinality(state, config)
    back = from_rosinality(theirs, table(config.resolution, config.num_mapping_layers))
    assert back.keys() == state.keys() - {"mapping.w_avg"}  # which rosinality keeps beside the state
    assert all(torch.equal(back[name], state[name]) for name in back)


def test_rosinalitys_published_names_and_shapes() -> None:
    theirs = to_rosinality(make().state_dict(), SMALL)
    width = SMALL.channels(4)
    assert theirs["input.input"].shape == (1, width, 4, 4)
    assert theirs["conv1.conv.weight"].shape == (1, width, width, 3, 3)
    assert theirs["to_rgb1.bias"].shape == (1, 3, 1, 1)
    assert theirs["convs.0.noise.weight"].shape == (1,)
    assert theirs["noises.noise_0"].shape == (1, 1, 4, 4)
    assert theirs["style.1.weight"].shape == (8, 8)  # style.0 is the normalisation of z


def test_tensorflows_layouts() -> None:
    state = make().state_dict()
    variables = write.tensorflow_variables(state, SMALL)
    arrays = {name: torch.from_numpy(np.asarray(value)) for name, value in variables.items()}
    back = from_tensorflow(arrays, table(SMALL.resolution, SMALL.num_mapping_layers))
    assert back.keys() == state.keys()
    for name, value in back.items():
        torch.testing.assert_close(value, state[name])


def test_axes_that_are_no_ones_are_damage() -> None:
    with pytest.raises(Unreadable, match=r"input\.input has shape \[2, 6, 4, 4\]"):
        from_rosinality({"input.input": torch.ones(2, 6, 4, 4)}, table(16, 2))
    with pytest.raises(Unreadable, match=r"Dense0/weight has shape \[8\]"):
        from_tensorflow({"mapping/Dense0/weight": torch.ones(8)}, table(16, 2))
