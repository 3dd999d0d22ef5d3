"""Native network files are read strictly; built-in networks are found by name and verified."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import safetensors.torch
import torch

from latentface import pretrained
from latentface.errors import OutputError, UnknownNetwork, UsageError, WeightsError
from latentface.io.atomic import sha256
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained import catalogue
from latentface.pretrained.catalogue import BUILTIN
from latentface.pretrained.native import read_network, write_network

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=64, channel_max=6)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG, seed=1)


@pytest.fixture
def path(tmp_path: Path, generator: Generator) -> Path:
    target = tmp_path / "small.safetensors"
    write_network(target, "generator", asdict(CONFIG), generator.state_dict(), dtype=torch.float32)
    return target


def test_a_written_generator_comes_back(path: Path, generator: Generator) -> None:
    loaded = pretrained.load_generator(path)
    assert loaded.config == CONFIG and loaded.fingerprint == generator.fingerprint
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    ws = torch.randn(1, CONFIG.num_ws, 8, generator=torch.Generator().manual_seed(0))
    frozen = copy.deepcopy(generator).requires_grad_(False)  # weights that learn are drawn with by another path
    assert torch.equal(loaded.synthesis(ws), frozen.synthesis(ws))


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


def refused(path: Path, *words: str) -> None:
    with pytest.raises(WeightsError) as caught:
        pretrained.load_generator(path)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in (path.name, *words)), message


@pytest.mark.parametrize("keep", [0.0, 0.0001, 0.01, 0.5, 0.99999])
def test_truncated_files_are_refused(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(path)


def test_trailing_bytes_are_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 8)
    refused(path, "damaged")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + b"\0" * 40, "zip archive"),
        (pickle.dumps({"G_ema": 1}), "holds no StyleGAN2 generator"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "HDF5"),
        (b"<html>not found</html>", "web page"),
        (b"\xff" * 64, "no network file of a known format"),
    ],
)
def test_foreign_files_are_refused_by_name(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "foreign.bin"
    path.write_bytes(content)
    refused(path, word)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[Path, str]]:
            return Path.write_text, (tmp_path / "sprung", "x")  # type: ignore[return-value]

    for name, content in (("a.pkl", pickle.dumps(Trap())), ("a.pt", None)):
        if content is None:
            torch.save(Trap(), tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content)
        refused(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


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
    ({"format": "latentface-latent"}, "not a network of ours"),
    ({"kind": None}, "not a network of ours"),
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
    ({"synthesis.b4.const": torch.full((6, 4, 4), float("nan"))}, "synthesis.b4.const [6, 4, 4] holds NaN"),
    ({"synthesis.b4.const": torch.full((6, 4, 4), float("inf"))}, "infinity"),
]


@pytest.mark.parametrize(("state", "word"), TENSORS)
def test_wrong_tensors_are_refused(path: Path, generator: Generator, state: dict[str, object], word: str) -> None:
    refused(rewritten(path, generator, {}, state), word)


@pytest.mark.parametrize("format", [None, "pt"])
def test_a_plain_state_dict_of_the_same_names_opens(path: Path, generator: Generator, format: str | None) -> None:
    loaded = pretrained.load_generator(rewritten(path, generator, {"format": format, "kind": None, "config": None}, {}))
    assert loaded.fingerprint == generator.fingerprint


def test_an_unchanged_rewrite_is_accepted(path: Path, generator: Generator) -> None:
    loaded = pretrained.load_generator(rewritten(path, generator, {}, {}))
    assert loaded.fingerprint == generator.fingerprint


@pytest.mark.parametrize("name", ["synthface-512", "Synthface-128", "synthfase-128", "synthface-l28"])
def test_near_names_are_offered(name: str) -> None:
    with pytest.raises(UnknownNetwork, match=r"did you mean .*synthface-128") as caught:
        pretrained.load_generator(name)
    assert caught.value.exit_code == 4 and name in str(caught.value)


def test_a_far_name_gets_the_list() -> None:
    with pytest.raises(UnknownNetwork, match=r"built in: synthface-256, synthface-128 \(latentface weights list\)$"):
        pretrained.load_generator("/tmp/no/such.file")


def test_damaged_built_in_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(catalogue, "WEIGHTS_DIR", tmp_path)
    entry = BUILTIN[0]
    with pytest.raises(WeightsError, match="reinstall"):
        pretrained.load_generator(entry.name)
    path.rename(entry.path)
    with pytest.raises(WeightsError, match="SHA256SUMS"):
        pretrained.load_generator(entry.name)
    sums = tmp_path / catalogue.CHECKSUMS
    sums.write_text(f"{'0' * 64}  other.safetensors\n")
    with pytest.raises(WeightsError, match="does not list"):
        pretrained.load_generator(entry.name)
    sums.write_text(f"{'0' * 64}  {entry.file}\n")
    with pytest.raises(WeightsError, match="damaged"):
        pretrained.load_generator(entry.name)
    sums.write_text(f"{'0' * 64}  other.safetensors\n{sha256(entry.path)}  {entry.file}\n")
    assert pretrained.load_generator(entry.name).config == CONFIG


class TestBuiltIn:
    @pytest.mark.parametrize("entry", BUILTIN, ids=lambda entry: entry.name)
    def test_file_checksum_and_card(self, entry: catalogue.Entry) -> None:
        assert sha256(entry.path) == entry.sha256
        card = entry.card.read_text(encoding="utf-8").lower()
        for word in ("data", "licence", "recipe", "limits"):
            assert word in card

    def test_the_bundle_is_small(self) -> None:
        sizes = {entry.name: entry.path.stat().st_size for entry in BUILTIN}
        assert sizes["synthface-128"] <= 15e6 and sum(sizes.values()) < 40e6

    def test_every_network_loads_and_runs(self) -> None:
        assert pretrained.load_generator("synthface-128").config.resolution == 128
        generator = pretrained.load_generator()
        assert generator.config.resolution == 256
        z = torch.randn(1, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            image = generator(z, truncation_psi=0.7)
            assert image.shape == (1, 3, 256, 256)
            side = pretrained.load_landmarks().config.input_size
            assert pretrained.load_landmarks()(torch.zeros(1, 3, side, side)).shape == (1, 68, 2)
            assert pretrained.load_emotion()(image).shape == (1, 7)
            assert pretrained.load_identity()(image).norm().item() == pytest.approx(1.0, abs=1e-5)
            distance = pretrained.load_perceptual()
            assert float(distance(image, image)) == pytest.approx(0.0, abs=1e-5)
            assert float(distance(image, image.flip(2))) > 0.01


@pytest.mark.parametrize("load", [pretrained.load_perceptual, pretrained.load_emotion, pretrained.load_landmarks])
def test_networks_loaded_in_inference_mode_can_be_differentiated(load: Callable[[], torch.nn.Module]) -> None:
    with torch.inference_mode():
        network = load()
    tensors = [*network.parameters(), *network.buffers()]
    assert tensors and not any(each.is_inference() for each in tensors)


def test_values_read_in_inference_mode_serve_outside() -> None:
    with torch.inference_mode():
        found = pretrained.read_preconditioner("synthface-128-preconditioner")
        subspace = pretrained.read_expressions("synthface-128-expressions")
    values = (found.directions, found.shares, found.deviations, subspace.reader, subspace.basis)
    assert not any(each.is_inference() for each in values)
