"""What the readers supply where a file leaves it out, and the generator made of its tensors."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch

from latentface.errors import WeightsError
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.checkpoint import build_generator, check_finite, complete, mean_w, shell
from latentface.pretrained.readers.errors import Unreadable
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_writers import SMALL, make


def test_a_missing_mean_is_computed(tmp_path: Path) -> None:
    generator = make()
    (tmp_path / "a").write_bytes(write.rosinality(generator, average=False))
    first, second = read_checkpoint(tmp_path / "a"), read_checkpoint(tmp_path / "a")
    assert re.search("10000 samples", " ".join(first.notes))
    z = torch.randn(20_000, SMALL.z_dim, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(first.state["mapping.w_avg"], generator.mapping(z)[:, 0].mean(0), atol=0.05, rtol=0)
    assert torch.equal(first.state["mapping.w_avg"], second.state["mapping.w_avg"])


def test_missing_noise_maps_are_drawn_from_a_fixed_seed(tmp_path: Path) -> None:
    state = {name: value for name, value in write.rosinality_state(make()).items() if not name.startswith("noises")}
    (tmp_path / "a").write_bytes(write.torch_bytes({"g_ema": state, "latent_avg": make().w_avg}))
    first, second = read_checkpoint(tmp_path / "a"), read_checkpoint(tmp_path / "a")
    assert first.notes == ("5 noise maps are missing: generated from a fixed seed",)
    assert first.generator().fingerprint == second.generator().fingerprint


def test_a_network_without_noise(tmp_path: Path) -> None:
    generator = make()
    state = {name: value for name, value in generator.state_dict().items() if "noise" not in name}
    module = write.persistent(state, SMALL, "")
    (tmp_path / "a").write_bytes(write.dumps({"G_ema": module}, write.ADA_GLOBALS))
    checkpoint = read_checkpoint(tmp_path / "a")
    ws = torch.randn(1, SMALL.num_ws, SMALL.w_dim, generator=torch.Generator().manual_seed(0))
    assert checkpoint.notes == ("its layers take no noise",)
    torch.testing.assert_close(checkpoint.generator().synthesis(ws), generator.synthesis(ws, noise_mode="none"))


def test_a_shell_costs_no_memory() -> None:
    network = shell(GeneratorConfig(resolution=1024))
    assert {value.device.type for value in network.state_dict().values()} == {"meta"}


def test_the_generator_is_made_of_the_tensors_themselves() -> None:
    state = dict(make().state_dict())
    network = build_generator(SMALL, state, "a file")
    assert network.state_dict()["mapping.w_avg"].data_ptr() == state["mapping.w_avg"].data_ptr()
    assert network.fingerprint == make().fingerprint and not network.training
    with pytest.raises(WeightsError, match=r"a file does not fit .* 1 missing \(mapping\.w_avg\)"):
        build_generator(SMALL, {name: value for name, value in state.items() if name != "mapping.w_avg"}, "a file")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_found(value: float) -> None:
    check_finite({"a": torch.ones(3), "count": torch.tensor([7])})
    with pytest.raises(Unreadable, match=r"NaN or infinity in b \[2, 3\]"):
        check_finite({"a": torch.ones(3), "b": torch.full((2, 3), value)})


def test_the_mean_of_a_labelled_network_is_that_of_no_label() -> None:
    labelled = Generator(GeneratorConfig(16, z_dim=8, w_dim=8, c_dim=3, num_mapping_layers=2, channel_base=64), seed=0)
    z = torch.randn(20_000, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = labelled.mapping(z, torch.zeros(len(z), 3))[:, 0].mean(0)
    torch.testing.assert_close(mean_w(labelled), expected, atol=0.05, rtol=0)
    assert torch.equal(mean_w(labelled), mean_w(labelled))


def test_tensors_that_do_not_fit_are_the_file_s_fault() -> None:
    state = {**make().state_dict(), "mapping.fc7.weight": torch.ones(8, 8)}
    with pytest.raises(Unreadable, match=r"missing \(mapping\.fc2"):
        complete("rosinality", state, {}, ())
