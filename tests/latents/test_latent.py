"""Latents and directions: arithmetic that knows its generator, files that are whole or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentface.errors import InputError, LatentMismatch, OutputError, UsageError
from latentface.latents.latent import Direction, Latent

MINE, OTHER = "a" * 64, "b" * 64


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def latent() -> Latent:
    return Latent(tensor(6, 5), MINE, (tensor(4, 4), tensor(8, 8)), {"source": "photo.jpg", "quad": "[[0, 1]]"})


def test_difference_is_a_direction_that_leads_back(latent: Latent) -> None:
    other = Latent(tensor(6, 5, seed=1), MINE)
    step = other - latent
    assert isinstance(step, Direction)
    torch.testing.assert_close((latent + step).ws, other.ws)
    torch.testing.assert_close((other - step).ws, latent.ws)
    torch.testing.assert_close((latent + 0.25 * step).ws, 0.75 * latent.ws + 0.25 * other.ws)


def test_weighted_mean(latent: Latent) -> None:
    other = Latent(tensor(6, 5, seed=1), MINE)
    mean = 0.5 * latent + other * 0.5
    torch.testing.assert_close(mean.ws, (latent.ws + other.ws) / 2)
    assert isinstance(mean, Latent) and mean.fingerprint == MINE


def test_an_edit_is_a_new_value_with_noise_and_metadata_kept(latent: Latent) -> None:
    before = latent.ws.clone()
    edited = latent + 2.0 * Direction(tensor(6, 5, seed=2), MINE, "happiness")
    assert torch.equal(latent.ws, before)
    assert edited.metadata == latent.metadata
    assert edited.noise is not None and latent.noise is not None
    assert all(torch.equal(a, b) for a, b in zip(edited.noise, latent.noise, strict=True))


def test_directions_add_and_scale() -> None:
    a, b = Direction(tensor(6, 5), MINE, "a"), Direction(tensor(6, 5, seed=1), MINE)
    torch.testing.assert_close((2 * a + b - a).values, a.values + b.values)
    assert (3 * a).name == "a" and (-a).values.equal(-a.values) and (a + b).name == ""


@pytest.mark.parametrize(
    "other", [Latent(tensor(6, 5), OTHER), Latent(tensor(7, 5), MINE), Direction(tensor(6, 5), OTHER)]
)
def test_two_generators_do_not_mix(latent: Latent, other: Latent | Direction) -> None:
    for combine in (lambda: latent + other, lambda: latent - other):
        with pytest.raises(LatentMismatch, match="same network"):
            combine()


def test_directions_of_two_generators_do_not_mix() -> None:
    with pytest.raises(LatentMismatch):
        Direction(tensor(6, 5), MINE) + Direction(tensor(6, 5), OTHER)


def test_meaningless_operands_are_type_errors(latent: Latent) -> None:
    direction = Direction(tensor(6, 5), MINE)
    for combine in (
        lambda: latent + 1.0, lambda: latent * latent, lambda: direction + latent, lambda: direction * "2",
        lambda: latent - None, lambda: direction - 1,
    ):  # fmt: skip
        with pytest.raises(TypeError):
            combine()


def test_values_are_copies_of_their_tensors() -> None:
    ws, map_ = tensor(6, 5).requires_grad_(), tensor(4, 4)
    latent = Latent(ws, MINE, (map_,))
    with torch.no_grad():
        ws.zero_()
        map_.zero_()
    assert latent.noise is not None
    assert float(latent.ws.abs().min()) > 0 and float(latent.noise[0].abs().min()) > 0
    assert not latent.ws.requires_grad
    with pytest.raises(AttributeError):
        latent.ws = ws  # type: ignore[misc]


@pytest.mark.parametrize(
    "ws", [torch.zeros(5), torch.zeros(1, 6, 5), torch.zeros(6, 5, dtype=torch.int64), torch.full((6, 5), float("nan"))]
)
def test_ws_must_be_finite_floats_of_two_axes(ws: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="ws"):
        Latent(ws, MINE)
    with pytest.raises(UsageError, match="values"):
        Direction(ws, MINE)


@settings(max_examples=25, deadline=None)
@given(
    ws=st.integers(0, 2**32), layers=st.integers(1, 4), noise=st.integers(0, 3),
    metadata=st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3),
)  # fmt: skip
def test_saved_latents_come_back(
    tmp_path_factory: pytest.TempPathFactory, ws: int, layers: int, noise: int, metadata: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("latent") / "a.latent.safetensors"
    maps = tuple(tensor(4 + k, 4 + k, seed=k) for k in range(noise)) or None
    latent = Latent(tensor(layers, 3, seed=ws), MINE, maps, metadata or None)
    latent.save(path)
    assert Latent.load(path) == latent


def test_equality_looks_at_everything(latent: Latent) -> None:
    others = [
        replace(latent, ws=latent.ws + 1), replace(latent, fingerprint=OTHER), replace(latent, noise=None),
        replace(latent, metadata=None), replace(latent, noise=(tensor(4, 4), tensor(8, 8, seed=9))),
    ]  # fmt: skip
    assert all(latent != other for other in others)
    assert latent == replace(latent) and latent != 1


def test_equal_latents_make_equal_files(latent: Latent, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        latent.save(tmp_path / name)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def save(path: Path, tensors: dict[str, torch.Tensor], **changes: str | None) -> Path:
    header = {"format": "latentface-latent", "format_version": "1", "fingerprint": MINE, "metadata": "{}"}
    merged = {name: value for name, value in {**header, **changes}.items() if value is not None}
    safetensors.torch.save_file(tensors, path, merged)
    return path


def test_malformed_files_are_input_errors(latent: Latent, tmp_path: Path) -> None:
    ws = {"ws": tensor(6, 5)}
    latent.save(tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for name, content in {
        "empty": b"", "text": b"not a latent at all", "half": whole[: len(whole) // 2], "short": whole[:-1],
        "long": whole + b"x", "pickle": b"\x80\x04K\x01.", "huge": b"\xff" * 16,
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(content)
    cases = [tmp_path / name for name in ("missing", "empty", "text", "half", "short", "long", "pickle", "huge")]
    cases += [
        tmp_path,
        save(tmp_path / "network", ws, format="latentface"),
        save(tmp_path / "newer", ws, format_version="2"),
        save(tmp_path / "nameless", ws, fingerprint=None),
        save(tmp_path / "no-ws", {"w": tensor(6, 5)}),
        save(tmp_path / "gap", {**ws, "noise.1": tensor(4, 4)}),
        save(tmp_path / "extra", {**ws, "more": tensor(4, 4)}),
        save(tmp_path / "nan", {"ws": torch.full((6, 5), float("nan"))}),
        save(tmp_path / "flat", {"ws": tensor(30)}),
        save(tmp_path / "integers", {"ws": torch.zeros(6, 5, dtype=torch.int32)}),
        save(tmp_path / "metadata", ws, metadata="{not json"),
        save(tmp_path / "list", ws, metadata=json.dumps([1, 2])),
    ]
    for path in cases:
        with pytest.raises(InputError) as caught:
            Latent.load(path)
        message = str(caught.value)
        assert str(path) in message and "\n" not in message, message


def test_saving_where_no_file_can_be_is_an_output_error(latent: Latent, tmp_path: Path) -> None:
    for path in (tmp_path / "missing" / "a.safetensors", tmp_path):
        with pytest.raises(OutputError, match="cannot write"):
            latent.save(path)
    assert list(tmp_path.iterdir()) == []


def test_values_made_in_inference_mode_serve_outside(tmp_path: Path) -> None:
    with torch.inference_mode():
        latent = Latent(torch.randn(4, 3), "f", (torch.randn(4, 4),))
        latent.save(tmp_path / "a.latent.safetensors")
        read = Latent.load(tmp_path / "a.latent.safetensors")
        moved = read + 2.0 * Direction(torch.ones(4, 3), "f")
    for each in (latent, read, moved):
        assert each.noise is not None
        for values in (each.ws, *each.noise):
            factor = torch.ones((), requires_grad=True)
            (factor * values).sum().backward()  # keeps the values for the derivative
            assert factor.grad is not None and torch.equal(factor.grad, values.sum())
