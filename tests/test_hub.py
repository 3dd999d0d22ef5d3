"""Networks by name: kept for the next call, whatever block they were opened in, and let go of together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from latentface import hub
from latentface.networks.generator import Generator
from tests.helpers.cli_desk import write_tiny


@pytest.fixture
def generator(tmp_path: Path) -> Generator:
    return hub.load_generator(write_tiny(tmp_path / "tiny.safetensors", 1))


def test_what_is_opened_in_inference_mode_is_kept_for_everybody(tmp_path: Path) -> None:
    hub.forget()
    path = write_tiny(tmp_path / "tiny.safetensors", 1)
    with torch.inference_mode():
        kept = [hub.load_generator(path), hub.rhythm(), hub.perceptual("cpu"), hub.load_animator()]
    assert kept == [hub.load_generator(path), hub.rhythm(), hub.perceptual("cpu"), hub.load_animator()]
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
