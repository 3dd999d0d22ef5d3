"""The package's own network files: written alike and checked, read strictly."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from latentface import pretrained
from latentface.errors import OutputError, UsageError, WeightsError
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained.native import build_network, fill, read_network, refuse_foreign, write_network

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=64, channel_max=6)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG, seed=1)


@pytest.fixture
def path(tmp_path: Path, generator: Generator) -> Path:
    target = tmp_path / "small.safetensors"
    write_network(target, "generator", asdict(CONFIG), generator.state_dict(), dtype=torch.float32)
    return target


def refused(path: Path, *words: str) -> None:
    with pytest.raises(WeightsError) as caught:
        pretrained.load_generator(path)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in (path.name, *words)), message


def test_half_precision_is_the_default_and_loads_as_float32(tmp_path: Path, generator: Generator) -> None:
    write_network(tmp_path / "half", "generator", asdict(CONFIG), generator.state_dict())
    file = read_network(tmp_path / "half")
    assert file.kind == "generator" and file.config["resolution"] == 16
    assert {value.dtype for value in file.state.values()} == {torch.float32}
    assert (tmp_path / "half").stat().st_size < 2.2 * sum(value.numel() for value in file.state.values()) + 8000
    loaded = pretrained.load_generator(tmp_path / "half")
    for name, value in generator.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], value, rtol=1e-3, atol=1e-6)


def test_equal_networks_make_equal_files(tmp_path: Path, generator: Generator) -> None:
    for name in ("a", "b", "c", "d"):
        write_network(tmp_path / name, "generator", asdict(CONFIG), generator.state_dict())
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1


def test_integer_tensors_keep_their_type(tmp_path: Path) -> None:
    write_network(tmp_path / "a", "counter", {}, {"count": torch.tensor([70000]), "scale": torch.tensor([0.1])})
    state = read_network(tmp_path / "a").state
    assert state["count"].dtype == torch.int64 and int(state["count"][0]) == 70000


def test_what_cannot_be_written(tmp_path: Path) -> None:
    state = {"a": torch.tensor([1e6])}
    with pytest.raises(WeightsError, match="NaN or infinity"):
        write_network(tmp_path / "a", "generator", {}, state)
    with pytest.raises(UsageError, match="bfloat16"):
        write_network(tmp_path / "a", "generator", {}, state, dtype=torch.bfloat16)
    with pytest.raises(OutputError, match="No such file"):
        write_network(tmp_path / "no" / "a", "generator", {}, state, dtype=torch.float32)
    assert list(tmp_path.iterdir()) == []


def rewritten(path: Path, generator: Generator, header: dict[str, str | None], state: dict[str, object]) -> Path:
    """The file again with some header entries and tensors changed (None: removed)."""
    whole: dict[str, str | None] = {
        "format": "latentface", "format_version": "1", "kind": "generator", "config": json.dumps(asdict(CONFIG)),
    }  # fmt: skip
    whole.update(header)
    tensors = {name: value.clone() for name, value in generator.state_dict().items()}
    tensors.update(state)  # type: ignore[arg-type]
    kept = {name: value for name, value in tensors.items() if value is not None}
    safetensors.torch.save_file(kept, path, {name: value for name, value in whole.items() if value is not None})
    return path


HEADERS = [
    ({"format": "latentface-latent"}, "not a latentface network"),
    ({"kind": None}, "not a latentface network"),
    ({"kind": "landmarks"}, "'landmarks', expected 'generator'"),
    ({"format_version": "2"}, "format version 2"),
    ({"format_version": None}, "format version None"),
    ({"config": None}, "no readable config"),
    ({"config": "{"}, "no readable config"),
    ({"config": "[1]"}, "expected names and values"),
    ({"config": json.dumps({**asdict(CONFIG), "resolution": 100})}, "resolution 100"),
    ({"config": json.dumps({**asdict(CONFIG), "depth": 3})}, "depth"),
    ({"config": json.dumps({**asdict(CONFIG), "z_dim": "wide"})}, "unusable config"),
    ({"config": json.dumps({"z_dim": 8})}, "resolution"),
    ({"config": json.dumps({**asdict(CONFIG), "resolution": 32})}, "missing"),
    ({"config": json.dumps({**asdict(CONFIG), "resolution": 8})}, "unexpected"),
    ({"config": json.dumps({**asdict(CONFIG), "w_dim": 9})}, "misshapen"),
]


@pytest.mark.parametrize(("header", "word"), HEADERS)
def test_a_wrong_header_is_refused(path: Path, generator: Generator, header: dict[str, str | None], word: str) -> None:
    refused(rewritten(path, generator, header, {}), word)


TENSORS = [
    ({"mapping.fc0.weight": None}, "1 missing (mapping.fc0.weight)"),
    ({"mapping.fc9.weight": torch.zeros(2)}, "1 unexpected (mapping.fc9.weight)"),
    ({"mapping.fc0.weight": torch.zeros(8, 9)}, "mapping.fc0.weight [8, 9] instead of [8, 8]"),
    ({"synthesis.b4.const": torch.full((6, 4, 4), float("nan"))}, "synthesis.b4.const [6, 4, 4] contains NaN"),
    ({"synthesis.b4.const": torch.full((6, 4, 4), float("inf"))}, "infinity"),
]


@pytest.mark.parametrize(("state", "word"), TENSORS)
def test_wrong_tensors_are_refused(path: Path, generator: Generator, state: dict[str, object], word: str) -> None:
    refused(rewritten(path, generator, {}, state), word)


def test_an_unchanged_rewrite_is_accepted(path: Path, generator: Generator) -> None:
    loaded = pretrained.load_generator(rewritten(path, generator, {}, {}))
    assert loaded.fingerprint == generator.fingerprint


def test_trailing_bytes_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 8)
    refused(path, "damaged")


@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.01, 0.5, 0.99999])
def test_truncated_files_are_refused(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(path)


@pytest.mark.parametrize(
    ("head", "word"),
    [(b"PK\x03\x04....", "PyTorch checkpoint"), (b"\x80\x04......", "Python pickle"), (b"\x89HDF....", "HDF5")],
)
def test_other_formats_are_refused_by_name(tmp_path: Path, head: bytes, word: str) -> None:
    (tmp_path / "a").write_bytes(head + b"!" * 20)
    with pytest.raises(WeightsError, match=f"{word}.* this version does not read"):
        read_network(tmp_path / "a")


def test_a_header_length_that_looks_like_a_pickle_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x80" + bytes(7) + b"{" + b" " * 200)  # 128 bytes of JSON
    refuse_foreign(tmp_path / "a")


def test_a_network_takes_copies_or_the_tensors_themselves() -> None:
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    copied, given = nn.Linear(3, 2), nn.Linear(3, 2, device="meta")
    fill(copied, state, "a file")
    fill(given, state, "a file", assign=True)
    assert copied.weight.data_ptr() != state["weight"].data_ptr()
    assert given.weight.data_ptr() == state["weight"].data_ptr()


def test_what_does_not_fit_is_counted_and_named() -> None:
    with pytest.raises(WeightsError, match=r"2 missing \(bias, weight\), 4 unexpected \(a, b, c, \.\.\.\)"):
        fill(nn.Linear(3, 2), {name: torch.ones(1) for name in "abcd"}, "a file")


def test_a_network_is_built_frozen_and_ready(tmp_path: Path) -> None:
    write_network(tmp_path / "a", "line", {"inputs": 3}, nn.Linear(3, 2).state_dict(), torch.float32)
    line = build_network(tmp_path / "a", "line", lambda config: nn.Linear(config["inputs"], 2))
    assert not line.training and not line.weight.requires_grad
    with pytest.raises(WeightsError, match="of kind 'line', expected 'plane'"):
        build_network(tmp_path / "a", "plane", lambda config: nn.Linear(3, 2))
    with pytest.raises(WeightsError, match="unusable config"):
        build_network(tmp_path / "a", "line", lambda config: nn.Linear(config["outputs"], 2))


@pytest.mark.parametrize("format", [None, "pt"])
def test_a_plain_state_dict_of_the_same_names_opens(path: Path, generator: Generator, format: str | None) -> None:
    loaded = pretrained.load_generator(rewritten(path, generator, {"format": format, "kind": None, "config": None}, {}))
    assert loaded.fingerprint == generator.fingerprint
