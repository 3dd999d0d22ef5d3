"""Generators grown from a built-in one: their files, and what of the base's serves them too."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from latentface import api, hub, pretrained
from latentface.errors import LatentMismatch, UsageError, WeightsError
from latentface.io.atomic import sha256
from latentface.io.tensors import read_tensors, write_tensors
from latentface.latents.latent import Direction, extended
from latentface.latents.subspace import Subspace
from latentface.networks.generator import Generator
from latentface.pretrained.directions import write_directions
from latentface.pretrained.native import Base, read_network, write_network

NAME = "synthface-128"


@pytest.fixture(scope="module")
def base() -> Generator:
    return pretrained.load_generator(NAME)


@pytest.fixture(scope="module")
def file(base: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base with a block of 256 pixels that adds something faint, and one tensor of its own."""
    network = Generator(replace(base.config, resolution=256), seed=3)
    network.load_state_dict(base.state_dict(), strict=False)
    with torch.no_grad():
        network.get_parameter("synthesis.b256.torgb.weight").mul_(0.01)
        network.get_parameter("synthesis.b128.torgb.bias").add_(0.25)
    path = tmp_path_factory.mktemp("grown") / "grown.safetensors"
    origin = Base(NAME, sha256(pretrained.resolve(NAME)), base.fingerprint)
    write_network(path, "generator", asdict(network.config), network.state_dict(), base=origin)
    return path


@pytest.fixture(scope="module")
def grown(file: Path) -> Generator:
    return pretrained.load_generator(file)


def test_the_file_holds_what_differs_and_the_network_is_whole(base: Generator, file: Path, grown: Generator) -> None:
    names = read_tensors(file, WeightsError, "")[0]
    assert all(name.startswith("synthesis.b256.") or name == "synthesis.b128.torgb.bias" for name in names)
    assert file.stat().st_size < pretrained.resolve(NAME).stat().st_size / 10
    assert (grown.config.resolution, grown.config.num_ws) == (256, 14)
    assert grown.base == base.fingerprint != grown.fingerprint
    ws = base.mapping(torch.randn(2, 256, generator=torch.Generator().manual_seed(0)))
    with torch.no_grad():
        small = base.synthesis(ws)
        on_its_way = grown.synthesis(extended(ws, 14), resolution=128)
    torch.testing.assert_close(on_its_way, small + 0.25, rtol=0, atol=2e-3)


def test_a_file_of_another_base_is_refused(file: Path, tmp_path: Path) -> None:
    tensors, header = read_tensors(file, WeightsError, "")
    del header["format"]
    for change, message in (
        ({"name": "synthface-99"}, "was grown from synthface-99, and this version of latentface does not include it"),
        (
            {"sha256": "0" * 64},
            "was grown from synthface-128, and this version of latentface has a different network with that name",
        ),
        ({"surplus": 1}, "does not say what it was grown from"),
    ):
        path = tmp_path / "other.safetensors"
        spoilt = json.dumps({**json.loads(header["base"]), **change})
        write_tensors(path, tensors, {**header, "format": "latentface", "base": spoilt})
        with pytest.raises(WeightsError, match=message):
            pretrained.load_generator(path)


def test_a_base_of_another_kind_is_refused(base: Generator, tmp_path: Path) -> None:
    origin = Base(NAME, sha256(pretrained.resolve(NAME)), base.fingerprint)
    with pytest.raises(WeightsError, match="does not include it"):
        write_network(tmp_path / "a.safetensors", "landmarks", {}, {"a": torch.zeros(1)}, base=origin)
    write_network(tmp_path / "b.safetensors", "rhythm", {}, {"a": torch.zeros(1)})
    assert read_network(tmp_path / "b.safetensors").base is None


def test_a_built_in_network_inside_another_is_not_stored_again(tmp_path: Path) -> None:
    network, inside = pretrained.load_emotion(), Base.inside("landmarks", "landmarks.")
    assert inside is not None and Base.inside(tmp_path / "landmarks", "landmarks.") is None
    state = network.state_dict() | {
        f"landmarks.{name}": value for name, value in pretrained.load_landmarks().state_dict().items()
    }
    path = tmp_path / "emotion.safetensors"
    write_network(path, "emotion", asdict(network.config), state, torch.float32, inside)
    stored, header = read_tensors(path, WeightsError, "")
    assert stored.keys() == {name for name in state if not name.startswith("landmarks.")}
    read = read_network(path).state
    assert read.keys() == state.keys() and all(torch.equal(read[name], state[name]) for name in state)
    spoilt = json.dumps({**json.loads(header["base"]), "sha256": "0" * 64})
    del header["format"]
    write_tensors(path, stored, {**header, "format": "latentface", "base": spoilt})
    with pytest.raises(WeightsError, match="uses landmarks, and this version of latentface has a different network"):
        pretrained.load_emotion(path)


def test_the_encoder_of_the_base_serves_what_was_grown_from_it(base: Generator, grown: Generator) -> None:
    z = torch.randn(2, 256, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pictures = grown(z, truncation_psi=0.5)
    encoder, theirs = hub.encoder(grown), hub.encoder(base)
    assert encoder is not None and theirs is not None and api.has_encoder(grown)
    with torch.no_grad():
        ws, rows = encoder(pictures), theirs(pictures)
    assert ws.shape == (2, 14, 256)
    assert torch.equal(ws[:, :12], rows) and torch.equal(ws[:, 12], rows[:, 11]) and torch.equal(ws[:, 13], rows[:, 11])


def test_directions_of_the_base_move_what_was_grown_from_it(base: Generator, grown: Generator, tmp_path: Path) -> None:
    theirs, ours = hub.list_directions(base), hub.list_directions(grown)
    assert set(ours) == set(theirs) and "happiness" in ours
    assert ours["happiness"].fingerprint == grown.fingerprint
    assert torch.equal(ours["happiness"].values, extended(theirs["happiness"].values, 14))
    assert ours["happiness"].metadata == theirs["happiness"].metadata
    own, other = (tmp_path / f"{name}.safetensors" for name in ("own", "other"))
    write_directions(own, [Direction(torch.ones(14, 256), grown.fingerprint, "up")])
    write_directions(other, [Direction(torch.ones(14, 256), "elsewhere", "up")])
    assert torch.equal(hub.load_direction("up", grown, own).values, torch.ones(14, 256))
    with pytest.raises(LatentMismatch):
        hub.list_directions(grown, other)
    with pytest.raises(LatentMismatch):  # the base knows nothing of its descendants
        hub.list_directions(base, own)


def test_expressions_are_read_where_they_were_and_move_all_rows(base: Generator, grown: Generator) -> None:
    theirs, ours = hub.expressions(base), hub.expressions(grown)
    assert theirs is not None and ours is not None and ours.fingerprint == grown.fingerprint
    step = torch.randn(14, 256, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ours.read(step), theirs.read(step[:12]))
    torch.testing.assert_close(ours.part(step), extended(theirs.part(step[:12]), 14))


def test_rows_cannot_be_taken_away() -> None:
    with pytest.raises(UsageError, match="14 rows of W\\+ for a network of 12"):
        extended(torch.zeros(14, 256), 12)
    space = Subspace(torch.ones(2, 3, 4), torch.ones(2, 3, 4), "a").extended(5, "b")
    assert space.fingerprint == "b" and float(space.reader[:, 3:].abs().sum()) == 0 and float(space.basis.min()) == 1
