"""What the hub opens by name or file, and that it keeps what it opened until the file changes."""

from __future__ import annotations

import bz2
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from latentface import hub, pretrained
from latentface.cli import run
from latentface.errors import UnknownNetwork, WeightsError
from latentface.faces.alignment import BuiltinLandmarks
from latentface.faces.dlib_landmarks import DlibLandmarks
from latentface.io.atomic import sha256
from latentface.networks.generator import Generator
from latentface.pretrained import cache, published
from latentface.pretrained.catalogue import BUILTIN
from latentface.pretrained.published import PUBLISHED
from tests.helpers.cli_desk import draw_photo, write_tiny
from tests.helpers.dlib_files import train_predictor

(LANDMARKS,) = (entry for entry in BUILTIN if entry.name == "landmarks")
(DLIB_68,) = (entry for entry in PUBLISHED if entry.name == "dlib-68")


@pytest.fixture(autouse=True)
def forget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.forget()
    monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LATENTFACE_OFFLINE", "1")


def points(name: str) -> np.ndarray:
    return np.asarray(hub.landmark_predictor(name)(draw_photo(), np.array([[30.0, 20, 120, 110]])))


@pytest.mark.parametrize("name", ["landmarks", str(LANDMARKS.path)])
def test_the_built_in_landmarks_open_by_their_name_and_as_a_file(name: str) -> None:
    assert isinstance(hub.landmark_predictor(name), BuiltinLandmarks)
    assert np.array_equal(points(name), points("builtin"))


@pytest.mark.parametrize("suffix", ["dat", "dat.bz2"])
def test_dlibs_files_open_packed_and_unpacked(suffix: str, tmp_path: Path) -> None:
    train_predictor(tmp_path / "a.dat")
    (tmp_path / "a.dat.bz2").write_bytes(bz2.compress((tmp_path / "a.dat").read_bytes()))
    assert isinstance(hub.landmark_predictor(str(tmp_path / f"a.{suffix}")), DlibLandmarks)
    assert points(str(tmp_path / f"a.{suffix}")).shape == (1, 68, 2)


def test_dlib_68_opens_from_the_cache_when_it_was_fetched_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match="weights get dlib-68 --from FILE"):
        hub.landmark_predictor("dlib-68")
    train_predictor(tmp_path / "a.dat")
    entry = replace(DLIB_68, sha256=sha256(tmp_path / "a.dat"))
    others = tuple(entry if each.name == entry.name else each for each in PUBLISHED)
    for place in (pretrained, published):
        monkeypatch.setattr(place, "PUBLISHED", others)
    packed = tmp_path / "a.dat.bz2"
    packed.write_bytes(bz2.compress((tmp_path / "a.dat").read_bytes()))
    assert run(["weights", "get", "dlib-68", "--from", str(packed)]) == 0
    assert cache.path_of(entry).read_bytes() == (tmp_path / "a.dat").read_bytes()  # kept unpacked
    capsys.readouterr()
    assert points("dlib-68").shape == (1, 68, 2)


def test_names_that_nothing_has_are_refused_with_near_ones() -> None:
    with pytest.raises(UnknownNetwork, match="dlib-68"):
        hub.landmark_predictor("dlib-86")
    with pytest.raises(UnknownNetwork, match="no landmarks and no file is called 'perceptual'"):
        hub.landmark_predictor("perceptual")


def test_a_network_of_another_kind_is_no_landmark_predictor() -> None:
    (identity,) = (entry for entry in BUILTIN if entry.name == "identity")
    with pytest.raises(WeightsError, match="of kind 'identity', expected 'landmarks'"):
        hub.landmark_predictor(str(identity.path))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    train_predictor(tmp_path / "a.dat")
    first = hub.landmark_predictor(str(tmp_path / "a.dat"))
    assert hub.landmark_predictor(str(tmp_path / "a.dat")) is first
    train_predictor(tmp_path / "a.dat", 5)
    with pytest.raises(WeightsError, match="5 points"):
        hub.landmark_predictor(str(tmp_path / "a.dat"))


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    return hub.load_generator(write_tiny(tmp_path / "tiny.safetensors", 1))


def test_what_is_opened_in_inference_mode_is_kept_for_everybody(tmp_path: Path) -> None:
    hub.forget()
    path = write_tiny(tmp_path / "tiny.safetensors", 1)
    with torch.inference_mode():
        kept = [
            hub.load_generator(path),
            hub.rhythm(),
            hub.perceptual("cpu"),
            hub.load_animator(),
            hub.load_talking_head(),
        ]
    assert kept == [
        hub.load_generator(path),
        hub.rhythm(),
        hub.perceptual("cpu"),
        hub.load_animator(),
        hub.load_talking_head(),
    ]
    for network in kept:
        assert not any(each.is_inference() for each in (*network.parameters(), *network.buffers()))
    image = torch.zeros(1, 3, 64, 64, requires_grad=True)
    hub.perceptual("cpu")(image, torch.ones(1, 3, 64, 64)).sum().backward()
    assert image.grad is not None and float(image.grad.abs().max()) > 0


def test_forgotten_networks_are_opened_anew(generator: Generator, tmp_path: Path) -> None:
    hub.forget()
    again = hub.load_generator(tmp_path / "tiny.safetensors")
    assert again is not generator and again.fingerprint == generator.fingerprint


def test_the_digest_of_the_built_in_networks_tells_releases_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = hub.builtin_digest()
    assert len(before) == 64 and before == hub.builtin_digest()
    monkeypatch.setattr(hub, "BUILTIN", (SimpleNamespace(sha256="0" * 64), *hub.BUILTIN[1:]))
    assert hub.builtin_digest() != before


def test_statistics_of_w_are_measured_once_for_the_weights(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.forget()
    first = hub.w_statistics(generator)
    assert hub.w_statistics(generator) is first
    with torch.no_grad():
        generator.w_avg.add_(1)
    changed = hub.w_statistics(generator)
    assert changed is not first
    monkeypatch.setattr(hub, "MOST_STATISTICS", 2)
    with torch.no_grad():
        generator.w_avg.add_(1)
    hub.w_statistics(generator)
    assert len(hub._W_STATISTICS) == 1, "the oldest were released"
