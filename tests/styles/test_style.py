"""Styles: their files, their strengths, mixtures and layers, and the networks they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError, LatentMismatch, UsageError
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.io.tensors import write_tensors
from latentface.networks.generator import Generator
from latentface.styles.style import FORMAT, Style, mix
from tests.helpers.tiny_networks import tiny_generator

PICTURE = np.full((32, 32, 3), 90, np.uint8)


def made(generator: Generator, seed: int, name: str = "ink") -> Style:
    source = torch.Generator().manual_seed(seed)
    values = {
        f"synthesis.{key}": (0.1 * torch.randn(value.shape, generator=source)).half()
        for key, value in generator.synthesis.named_parameters()
    }
    return Style(TunedDeltas(values, generator.fingerprint), PICTURE, name)


def largest(style: Style) -> float:
    return max(float(value.abs().max()) for value in style.deltas.values.values())


def test_a_file_gives_the_style_back(tmp_path: Path) -> None:
    generator = tiny_generator()
    style = made(generator, 1)
    style.save(tmp_path / "ink.safetensors")
    again = Style.load(tmp_path / "ink.safetensors")
    assert (again.name, again.fingerprint) == ("ink", generator.fingerprint)
    assert np.array_equal(again.picture, PICTURE)
    assert all(torch.equal(value, again.deltas.values[name]) for name, value in style.deltas.values.items())
    w = torch.zeros(1, generator.config.num_ws, generator.config.w_dim)
    assert not torch.equal(style.apply(generator).synthesis(w), generator.synthesis(w))


def test_other_files_and_networks_are_refused(tmp_path: Path) -> None:
    generator = tiny_generator()
    style = made(generator, 1)
    with pytest.raises(LatentMismatch, match="the style ink fits the network"):
        style.apply(tiny_generator(seed=5))
    style.deltas.save(tmp_path / "tuned.safetensors")
    with pytest.raises(InputError, match="of the kind 'latentface-tuned'"):
        Style.load(tmp_path / "tuned.safetensors")
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(InputError, match="is empty"):
        Style.load(tmp_path / "empty.safetensors")
    name = next(iter(style.deltas.values))
    facts = {"format": FORMAT, "format_version": "1", "fingerprint": "f"}
    spoilt = {name: torch.tensor([float("nan")]), "picture": torch.from_numpy(PICTURE)}
    write_tensors(tmp_path / "nan.safetensors", spoilt, facts)
    with pytest.raises(InputError, match="not finite"):
        Style.load(tmp_path / "nan.safetensors")
    write_tensors(tmp_path / "next.safetensors", spoilt, facts | {"format_version": "2"})
    with pytest.raises(InputError, match="format version 2"):
        Style.load(tmp_path / "next.safetensors")
    write_tensors(tmp_path / "odd.safetensors", {"picture": torch.zeros(3)}, facts)
    with pytest.raises(InputError, match=r"expected uint8 \[R, R, 3\]"):
        Style.load(tmp_path / "odd.safetensors")


def test_strength_and_mixture_are_linear() -> None:
    generator = tiny_generator()
    ink, oil = made(generator, 1), made(generator, 2, "oil")
    assert largest(ink.scaled(0)) == 0
    assert largest(ink.scaled(0.5)) == pytest.approx(largest(ink) / 2, rel=1e-3)
    half = mix([(ink, 0.25), (oil, 0.75)])
    name = next(iter(ink.deltas.values))
    expected = 0.25 * ink.deltas.values[name].float() + 0.75 * oil.deltas.values[name].float()
    assert torch.allclose(half.deltas.values[name].float(), expected, atol=1e-3)
    assert half.name == "ink+oil"
    with pytest.raises(LatentMismatch):
        mix([(ink, 0.5), (made(tiny_generator(seed=5), 1), 0.5)])
    with pytest.raises(UsageError, match="no style"):
        mix([])


def test_layers_are_swapped_by_resolution() -> None:
    style = made(tiny_generator(), 1)
    assert style.resolutions == [4, 8, 16, 32]
    fine = style.limited([16, 32])
    assert {name.split(".")[1] for name in fine.deltas.values} == {"b16", "b32"}
    with pytest.raises(UsageError, match=r"layers of \[4, 8, 16, 32\] pixels"):
        style.limited([64])


def test_a_style_goes_on_top_of_the_tuning_of_a_face() -> None:
    generator = tiny_generator()
    style = made(generator, 1)
    assert style.over(None) is style.deltas
    both = style.over(style.deltas)
    name = next(iter(both.values))
    assert torch.allclose(both.values[name], 2 * style.deltas.values[name])
    with pytest.raises(LatentMismatch, match="different networks"):
        style.over(TunedDeltas({}, "another"))
