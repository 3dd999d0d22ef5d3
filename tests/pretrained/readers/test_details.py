"""What the readers make of what a file leaves out, says in vain or spells the old way."""

from __future__ import annotations

import pickle
import re
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from latentface import pretrained
from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.errors import Unreadable
from latentface.pretrained.readers.unpickler import unpickle
from tests.helpers import checkpoint_writers as write
from tests.helpers.checkpoint_refusals import refused
from tests.helpers.checkpoint_writers import SMALL, make


def test_unknown_tensorflow_settings_are_warned_of(tmp_path: Path) -> None:
    content = write.tensorflow(make(), tmp_path / "mark", conditioning=True, fused_modconv=True)
    (tmp_path / "a").write_bytes(content)
    assert read_checkpoint(tmp_path / "a").notes == ("unknown settings, ignored: conditioning",)
    with pytest.warns(UserWarning, match="conditioning"):
        pretrained.load_generator(tmp_path / "a")


@pytest.mark.parametrize("change", [{"nonlinearity": "relu"}, {"normalize_latents": False}, {"fmap_decay": 2.0}])
def test_settings_of_another_arithmetic_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "a").write_bytes(write.tensorflow(make(), tmp_path / "mark", **change))
    refused(tmp_path / "a", next(iter(change)))


def test_the_averaged_weights_are_preferred_and_their_absence_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(write.ada(make(), tmp_path / "mark", key="G"))
    assert re.search("G is used", " ".join(read_checkpoint(tmp_path / "a").notes))
    (tmp_path / "b").write_bytes(write.rosinality(make(), key="g"))
    assert re.search("'g' are used", " ".join(read_checkpoint(tmp_path / "b").notes))
    both = {"g": write.rosinality_state(make(seed=1)), "g_ema": write.rosinality_state(make(seed=2))}
    (tmp_path / "c").write_bytes(write.torch_bytes({**both, "latent_avg": make(seed=2).w_avg}))
    assert read_checkpoint(tmp_path / "c").generator().fingerprint == make(seed=2).fingerprint


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
    assert first.notes == ("5 noise maps are missing: drawn from a fixed seed",)
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


def test_old_rosinality_biases(tmp_path: Path) -> None:
    generator = make()
    state = {
        re.sub(r"\.activate\.bias$", ".bias", name): value.reshape(1, -1, 1, 1) if "activate" in name else value
        for name, value in write.rosinality_state(generator).items()
        if not name.endswith("kernel")
    }
    (tmp_path / "a").write_bytes(write.torch_bytes({"g_ema": state, "latent_avg": generator.w_avg}))
    assert read_checkpoint(tmp_path / "a").generator().fingerprint == generator.fingerprint


def test_an_encoder_comes_with_its_options(tmp_path: Path) -> None:
    generator = make()
    (tmp_path / "a").write_bytes(write.psp(generator))
    checkpoint = read_checkpoint(tmp_path / "a")
    assert checkpoint.encoder is not None and set(checkpoint.encoder) == {
        "input_layer.0.weight", "styles.0.linear.bias",
    }  # fmt: skip
    assert read_checkpoint(tmp_path / "a", encoder=False).encoder is None
    assert checkpoint.latent_avg is not None and checkpoint.latent_avg.shape == (SMALL.num_ws, SMALL.w_dim)
    assert checkpoint.options == {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, "lr": 1e-4}


def test_big_endian_arrays_and_half_precision(tmp_path: Path) -> None:
    generator = make()
    arrays = write.tensorflow_variables(generator.state_dict(), SMALL)
    swapped = {name: value.astype(">f4") for name, value in arrays.items()}
    (tmp_path / "a").write_bytes(write.tensorflow_pickle(swapped, {}, tmp_path / "mark"))
    assert read_checkpoint(tmp_path / "a").generator().fingerprint == generator.fingerprint
    half = {name: value.half() for name, value in generator.state_dict().items()}
    (tmp_path / "b").write_bytes(write.torch_bytes(half))
    for name, value in read_checkpoint(tmp_path / "b").state.items():
        torch.testing.assert_close(value, half[name].float())


def test_the_header_of_safetensors_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(struct.pack("<Q", 1 << 40) + b"{}" + bytes(20))
    refused(tmp_path / "a")


class Old:
    """Pickled as Python 2 pickled an OrderedDict: with a list of its pairs."""

    def __init__(self, pairs: Any) -> None:
        self.pairs = pairs

    def __reduce__(self) -> tuple[Any, tuple[Any]]:
        return (OrderedDict, (self.pairs,))


def test_dictionaries_of_python_2_are_read(tmp_path: Path) -> None:
    pairs = [[name, value] for name, value in write.rosinality_state(make()).items()]
    (tmp_path / "a").write_bytes(write.torch_bytes({"g_ema": Old(pairs), "latent_avg": make().w_avg}))
    assert read_checkpoint(tmp_path / "a").generator().fingerprint == make().fingerprint


def test_a_list_of_pairs_becomes_one_dictionary_however_often_it_is_named() -> None:
    pairs = [[f"name {k}", k] for k in range(1000)]
    content = pickle.dumps([Old(pairs) for _ in range(50)], protocol=2)
    value, _ = unpickle(memoryview(content))
    assert [len(each) for each in value] == [1000] + [0] * 49


@pytest.mark.parametrize("pairs", [[["a"]], [[1, 2]], [[("a",), 2]], "ab", [7]])
def test_dictionaries_of_anything_else_are_refused(pairs: Any) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        unpickle(memoryview(pickle.dumps(Old(pairs), protocol=2)))
