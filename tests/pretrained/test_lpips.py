"""LPIPS from files: torchvision's backbones as torch wrote them, then and now, and the heads of the package lpips."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from latentface import hub, metrics
from latentface.errors import UnknownNetwork, WeightsError
from latentface.networks.lpips import BACKBONES, Lpips
from latentface.pretrained import cache, load_perceptual
from latentface.pretrained.lpips import find_heads, read_heads, read_lpips
from latentface.pretrained.published import PUBLISHED
from tests.helpers.lpips_references import CHANNELS, distances, layers, state_of


def images(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module", params=sorted(BACKBONES))
def backbone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def file(backbone: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torchvision") / f"{backbone}.pth"
    torch.save(state_of(backbone), path, _use_new_zipfile_serialization=backbone == "squeezenet1_1")
    return path


def test_the_published_heads_are_found_without_importing_their_package() -> None:
    statement = (
        "import sys; from latentface.pretrained.lpips import read_heads;"
        "print(len(read_heads('vgg16')), {'lpips', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split(maxsplit=1) == ["5", "set()\n"]


def test_heads_are_what_torch_reads_from_their_file(backbone: str) -> None:
    heads = read_heads(backbone)
    expected = torch.load(find_heads(backbone), map_location="cpu", weights_only=True)
    assert tuple(len(value) for value in heads.values()) == CHANNELS[backbone]
    for level, value in enumerate(heads.values()):
        assert torch.equal(value, expected[f"lin{level}.model.1.weight"].flatten())
        assert value.min() >= 0  # a distance is never negative


def test_a_file_of_torchvision_and_the_published_heads_make_lpips(backbone: str, file: Path) -> None:
    network = load_perceptual(file)
    assert isinstance(network, Lpips) and network.backbone == backbone and not network.training
    a, b = images(0), images(1)
    expected = distances(backbone, read_heads(backbone), a, b)
    assert metrics.lpips(network, a, b).numpy() == pytest.approx(expected, rel=1e-4)
    assert metrics.pooled_features(network, a).shape == (2, CHANNELS[backbone][-1])


def test_names_of_the_catalogue_open_from_the_cache(
    backbone: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path))
    monkeypatch.setenv("LATENTFACE_OFFLINE", "1")
    (entry,) = (entry for entry in PUBLISHED if entry.name == backbone)
    with pytest.raises(WeightsError, match=f"weights get {backbone}"):
        load_perceptual(backbone)
    own = {name: value for name, value in vars(entry).items() if name != "sha256"}  # ours has other weights
    kept = cache.adopt(type(entry)(**own), file)
    assert kept == cache.path_of(entry)
    network = read_lpips(kept)
    assert torch.equal(network(images(0), images(1)), load_perceptual(kept)(images(0), images(1)))


def test_safetensors_of_torchvisions_tensors_open_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(state_of("squeezenet1_1"), path)
    torch.save(state_of("squeezenet1_1"), tmp_path / "same.pth")
    a, b = images(0), images(1)
    assert torch.equal(load_perceptual(path)(a, b), load_perceptual(tmp_path / "same.pth")(a, b))


def test_the_built_in_network_is_what_no_name_means() -> None:
    assert type(load_perceptual()).__name__ == "PerceptualNet"
    assert type(hub.perceptual("cpu")).__name__ == "PerceptualNet"
    with pytest.raises(UnknownNetwork, match="did you mean vgg16"):
        load_perceptual("vgg61")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"conv1.weight": torch.ones(3)}, r"contains no backbone of LPIPS \(conv1\.weight, \.\.\.\)"),
        ({}, "contains no backbone of LPIPS"),
        ({"features.34.weight": torch.ones(3), **state_of("alexnet")}, "contains no backbone of LPIPS"),  # VGG-19
    ],
)
def test_other_networks_are_refused(state: dict[str, torch.Tensor], reason: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=f"{reason}.*give torchvision's vgg16"):
        load_perceptual(tmp_path / "a.pth")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    state = state_of("alexnet")
    torch.save(state | {"features.0.bias": torch.full((64,), torch.nan)}, path)
    with pytest.raises(WeightsError, match=r"NaN or infinity in features\.0\.bias"):
        load_perceptual(path)
    torch.save(state | {"features.0.bias": torch.ones(63)}, path)
    with pytest.raises(WeightsError, match=r"features\.0\.bias of shape \[64\]; got \[63\]"):
        load_perceptual(path)
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="damaged or truncated"):
        load_perceptual(path)
    path.write_text("<!doctype html>")
    with pytest.raises(WeightsError, match="a web page"):
        load_perceptual(path)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match="is empty: give torchvision's"):
        load_perceptual(path)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({**state_of("alexnet"), "trap": Trap()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError):
        load_perceptual(tmp_path / "a.pth")
    assert not (tmp_path / "sprung").exists()


def test_missing_heads_say_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save(state_of("squeezenet1_1"), tmp_path / "a.pth")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "lpips" else found(name))
    with pytest.raises(WeightsError, match=r"pip install 'latentface\[lpips\]'"):
        load_perceptual(tmp_path / "a.pth")


def test_the_layers_here_have_the_numbers_of_torchvision() -> None:
    for backbone, layout in BACKBONES.items():
        expected = {f"features.{name}": tuple(value.shape) for name, value in layers(backbone).state_dict().items()}
        assert layout.shapes() == expected
        assert np.prod([1, *layout.channels]) > 0
