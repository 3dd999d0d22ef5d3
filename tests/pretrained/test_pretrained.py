"""Native network files are read strictly; built-in networks are found by name and verified."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from latentface import pretrained
from latentface.errors import UnknownNetwork, WeightsError
from latentface.io.atomic import sha256
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained import catalogue
from latentface.pretrained.catalogue import BUILTIN
from latentface.pretrained.native import write_network

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


def refused(path: Path, *words: str) -> None:
    with pytest.raises(WeightsError) as caught:
        pretrained.load_generator(path)
    message = str(caught.value)
    assert "\n" not in message and all(word in message for word in (path.name, *words)), message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"PK\x03\x04" + b"\0" * 40, "zip archive"),
        (pickle.dumps({"G_ema": 1}), "contains no StyleGAN2 generator"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 40, "HDF5"),
        (b"<html>not found</html>", "web page"),
        (b"\xff" * 64, "not a network file of a known format"),
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


@pytest.mark.parametrize("name", ["synthface-512", "Synthface-128", "synthfase-128", "synthface-l28"])
def test_near_names_are_offered(name: str) -> None:
    with pytest.raises(UnknownNetwork, match=r"did you mean .*synthface-128") as caught:
        pretrained.load_generator(name)
    assert caught.value.exit_code == 4 and name in str(caught.value)


def test_a_far_name_gets_the_list() -> None:
    known = r"built in: face-256, synthface-256, synthface-128 \(latentface weights list\)$"
    with pytest.raises(UnknownNetwork, match=known):
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
        assert sizes["face-256"] <= 15e6 and sum(sizes.values()) < 68e6

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
