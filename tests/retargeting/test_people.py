"""New people for a frozen network: fitted, written and read."""

from pathlib import Path

import pytest
import torch

from latentface.errors import UsageError, WeightsError
from latentface.io.tensors import write_tensors
from latentface.networks.retargeting import Person
from latentface.retargeting.people import fingerprint, fit_person, load_person, save_person
from tests.helpers.cli_desk import PixelDistance
from tests.helpers.tiny_cast import tiny_network


def test_a_new_person_is_fitted_while_the_network_stays():
    """Pictures of somebody whom the network can show are explained by fitting that person, without the network."""
    network = tiny_network(views=("keypoints",))
    before = fingerprint(network)
    source = torch.Generator().manual_seed(0)
    landmarks = torch.rand(3, 68, 2, generator=source)
    colour = torch.rand(1, 3, 1, 1, generator=source)
    hidden = Person(torch.randn(1, 8, generator=source), colour.expand(1, 3, 16, 16)).expand(3)
    codes = network.encode(None, landmarks).mean
    pictures, _ = network.decode(codes, hidden)
    losses: list[float] = []
    person = fit_person(network, pictures, landmarks, PixelDistance(), 80, lambda step, loss: losses.append(loss))
    assert len(losses) == 80 and losses[-1] < 0.5 * losses[0]
    assert fingerprint(network) == before
    shown, _ = network.decode(codes, person.expand(3))
    anna, _ = network.decode(codes, network.people(torch.tensor([0])).expand(3))
    assert (shown - pictures).abs().mean() < 0.6 * (anna - pictures).abs().mean()
    with pytest.raises(UsageError, match="at least one picture"):
        fit_person(network, pictures[:0], landmarks[:0], PixelDistance())


def test_a_person_is_kept_in_a_file_of_the_network(tmp_path: Path):
    network, path = tiny_network(), tmp_path / "carla.person.safetensors"
    known = network.people(torch.tensor([1]))
    save_person(path, known, network)
    found = load_person(path, network)
    assert torch.equal(found.vector, known.vector) and torch.equal(found.portrait, known.portrait)
    with pytest.raises(WeightsError, match="another network"):
        load_person(path, tiny_network(("anna", "ben", "carla")))
    write_tensors(tmp_path / "other.safetensors", {"w": torch.zeros(2)}, {"format": "latentface"})
    with pytest.raises(WeightsError, match="no person's file"):
        load_person(tmp_path / "other.safetensors", network)
    with pytest.raises(WeightsError, match="does not exist"):
        load_person(tmp_path / "none.safetensors", network)
