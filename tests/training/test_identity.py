"""The recipe of the identity embedding, on drawn people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentface import pretrained
from latentface.errors import InputError
from latentface.networks.trunk import TrunkConfig
from latentface.training import identity
from latentface.training.identity import IdentityTask, contrastive_loss, cosines, discriminant, join, settle
from latentface.training.loop import Loop, LoopOptions
from tests.helpers.curves import read_curve
from tests.helpers.drawn_people import VIEWS, landmark_network, write_people

SMALL = TrunkConfig(input_size=32, widths=(8, 16, 16, 16), summary=8, features=16)
OPTIONS = LoopOptions(
    steps=100, measure_every=50, warm_up=4, learning_rate=5e-3, average=0.9, bfloat16=False, minutes=None
)


def test_people_are_learnt(people, tmp_path, gently):
    task = IdentityTask(people, SMALL, held_out=4, pairs=6)
    loop = Loop(task, tmp_path, OPTIONS)
    loop.run()
    rows = read_curve(tmp_path)
    assert rows[-1]["loss"] < rows[0]["loss"]
    network = join(loop.averaged, landmark_network())
    assert torch.equal(network.trunk.stem.weight, loop.averaged.stem.weight)
    settle(network, task, torch.Generator().manual_seed(0))
    figures = task.compare(network)
    assert figures["same"] > figures["different"] + 0.2 and abs(figures["different"]) < 0.2


def test_batches_hold_all_views_of_pairs(people):
    task = IdentityTask(people, SMALL, held_out=4, pairs=3)
    pictures, persons = task.sample_batch(torch.Generator().manual_seed(0))
    assert pictures.shape == (3 * 2 * VIEWS, 3, 32, 32) and pictures.min() >= -1 and pictures.max() <= 1
    found, counts = persons.unique(return_counts=True)
    assert counts.tolist() == [VIEWS] * 6 and (found[::2] + 1 == found[1::2]).all() and found.max() < 32
    assert set(people.labels["head"][task.held].tolist()) == set(range(32, 40))


def test_contrastive_loss_is_least_when_persons_keep_together():
    persons = torch.tensor([0, 0, 1, 1])
    axes = torch.eye(2)
    right, wrong = axes[[0, 0, 1, 1]], axes[[0, 1, 0, 1]]
    # together: log of e^10 + 2 over e^10; apart: log of 2 + e^10
    assert float(contrastive_loss(right, persons)) == pytest.approx(np.log1p(2 * np.exp(-10)), abs=1e-6)
    assert float(contrastive_loss(wrong, persons)) == pytest.approx(np.log(2 + np.exp(10)), abs=1e-3)


def test_contrastive_loss_gradient():
    vectors = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    persons = torch.tensor([0, 0, 0, 1, 1, 2, 2][:6])
    persons[5] = 1
    assert torch.autograd.gradcheck(lambda v: contrastive_loss(v, persons), (vectors,))


def test_discriminant_finds_what_tells_people_apart():
    generator = torch.Generator().manual_seed(0)
    persons = torch.arange(60).repeat_interleave(5)
    vectors = 7 + 2 * torch.randn(300, 6, generator=generator, dtype=torch.float64)  # a common part, loud noise
    vectors[:, 2] = 7 + torch.randn(60, generator=generator).double()[persons] + 0.1 * vectors[:, 2]
    vectors[:, 4] = torch.randn(60, generator=generator).double()[persons] + 0.1 * vectors[:, 4]
    vectors[:, 5] += 5 * vectors[:, 2]
    weight, bias = discriminant(vectors, persons, 2)
    found = vectors @ weight.T + bias
    torch.testing.assert_close(found.mean(0), torch.zeros(2).double(), atol=1e-9, rtol=0)
    figures = cosines(torch.nn.functional.normalize(found, dim=1), persons)
    plain = cosines(torch.nn.functional.normalize(vectors, dim=1), persons)
    assert figures["same"] - figures["different"] > 0.3 > plain["same"] - plain["different"]


def test_cosines_by_relation():
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    figures = cosines(vectors, torch.tensor([4, 4, 5, 9]))
    assert figures["same"] == pytest.approx(0.8)
    assert figures["look_alike"] == pytest.approx((0.0 + 0.6) / 2)
    assert figures["different"] == pytest.approx((0.0 + 0.6 - 1.0 - 0.8 + 0.0) / 5)


def test_data_that_cannot_serve_is_refused(people):
    with pytest.raises(InputError, match="--views"):
        IdentityTask(people, SMALL, held_out=19)
    single = replace(people, labels={"head": torch.arange(len(people))})
    with pytest.raises(InputError, match="--views"):
        IdentityTask(single, SMALL, held_out=4)


def test_command_line(tmp_path, capsys):
    folder = write_people(tmp_path / "data", people=200)
    out = tmp_path / "out"
    identity.main(["--data", str(folder), "--out", str(out), "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / "identity.safetensors") in capsys.readouterr().out
    network = pretrained.load_identity(out / "identity.safetensors")
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 32)
