"""The recipe of the identity embedding, on drawn people."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentface import pretrained
from latentface.errors import InputError, WeightsError
from latentface.io.tensors import read_tensors
from latentface.networks.trunk import TrunkConfig
from latentface.training import identity
from latentface.training.faces import FaceData
from latentface.training.identity import (
    IdentityTask,
    contrastive_loss,
    cosines,
    discriminant,
    join,
    settle,
    verification,
)
from latentface.training.loop import Loop, LoopOptions
from tests.helpers.curves import read_curve
from tests.helpers.drawn_people import VIEWS, landmark_network, write_people
from tests.helpers.portrait_folder import write_driven, write_folder

SMALL = TrunkConfig(input_size=32, widths=(8, 16, 16, 16), summary=8, features=16)
OPTIONS = LoopOptions(
    steps=100, measure_every=50, warm_up=4, learning_rate=5e-3, average=0.9, bfloat16=False, minutes=None
)


@pytest.fixture
def task(people: FaceData) -> IdentityTask:
    """Thirty people to learn, ten who are held out; every second one is of another source."""
    person = people.labels["head"]
    data = replace(people, labels={"person": person})
    held, even = person >= 30, person // 2 % 2 == 0
    learnt, unseen = (
        {name: data.chosen(part & chosen) for name, chosen in (("drawn", even), ("also", ~even))}
        for part in (~held, held)
    )
    return IdentityTask(learnt, unseen, SMALL, people=12, views=3)


def test_people_are_learnt(task, tmp_path, gently):
    loop = Loop(task, tmp_path, OPTIONS)
    loop.run()
    rows = read_curve(tmp_path)
    assert rows[-1]["loss"] < rows[0]["loss"]
    network = join(loop.averaged, landmark_network())
    assert torch.equal(network.trunk.stem.weight, loop.averaged.stem.weight)
    settle(network, task, torch.Generator().manual_seed(0))
    figures = task.compare(network)
    for source in ("drawn", "also"):
        assert figures[f"{source}_same"] > figures[f"{source}_different"] + 0.2
        assert abs(figures[f"{source}_different"]) < 0.3 and figures[f"{source}_accuracy"] > 0.7


def test_batches_hold_several_pictures_of_some_people_of_one_source(task):
    pictures, persons = task.sample_batch(torch.Generator().manual_seed(0))
    assert pictures.shape == (12 * 3, 3, 32, 32) and pictures.min() >= -1 and pictures.max() <= 1
    found, counts = persons.unique(return_counts=True)
    assert counts.tolist() == [3] * 12 and found.max() < 30 and len((found // 2 % 2).unique()) == 1
    views = IdentityTask(task.sources, task.held, SMALL, people=2, views=2 * VIEWS)
    assert sorted(views._views_of(torch.arange(VIEWS), torch.Generator()).tolist()) == sorted([*range(VIEWS)] * 2)


def test_copies_of_one_photograph_are_no_pair(task):
    twice = task.held["drawn"].chosen(torch.tensor([0, 0, 1, VIEWS]))
    brighter = replace(twice, images=torch.cat([twice.images[:1], (twice.images[1:] * 0.8).to(torch.uint8)]))
    apart = IdentityTask(task.sources, {"drawn": brighter}, SMALL, people=2).apart["drawn"]
    assert not apart[0, 1] and apart[0, 2:].all()


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
    sources = persons // 30
    vectors[:, 0] += 20 * sources  # tells the sources apart, and nobody
    weight, bias = discriminant(vectors, persons, 2, sources)
    found = vectors @ weight.T + bias
    torch.testing.assert_close(found.mean(0), torch.zeros(2).double(), atol=1e-9, rtol=0)
    assert (found[:150].mean(0) - found[150:].mean(0)).abs().max() < 0.1 * found.std()
    figures = cosines(torch.nn.functional.normalize(found, dim=1), persons)
    plain = cosines(torch.nn.functional.normalize(vectors, dim=1), persons)
    assert figures["same"] - figures["different"] > 0.3 > plain["same"] - plain["different"]


def test_cosines_of_pairs():
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    persons = torch.tensor([4, 4, 5, 9])
    figures = cosines(vectors, persons)
    assert figures["same"] == pytest.approx(0.8) and figures["accuracy"] == 1
    assert figures["different"] == pytest.approx((0.0 + 0.6 - 1.0 - 0.8 + 0.0) / 5)
    counted = ~torch.eye(4, dtype=torch.bool)
    counted[1, 2] = counted[2, 1] = False
    assert cosines(vectors, persons, counted)["different"] == pytest.approx((0.0 - 1.0 - 0.8 + 0.0) / 4)
    assert verification(torch.tensor([0.2, 0.9]), torch.tensor([0.1, 0.3])) == pytest.approx(0.75)


def test_too_few_people_are_refused(task):
    with pytest.raises(InputError, match="expected at least 31"):
        IdentityTask(task.sources, task.held, SMALL, people=31)


def test_command_line(tmp_path, capsys):
    faces, driven = write_folder(tmp_path / "faces", 54), write_driven(tmp_path / "driven", 54)
    rows = [json.loads(line) for line in (faces / "faces.jsonl").read_text().splitlines()]
    renders = write_people(tmp_path / "renders", 44)
    for number in (50, 52):  # the last four photographs are of two people
        rows[number]["person"] = rows[number + 1]["person"] = f"p{number}"
    (faces / "faces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    words = ["--faces", str(faces), "--rigged", str(driven), "--renders", str(renders), "--out", str(out)]
    identity.main([*words, "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / "identity.safetensors") in capsys.readouterr().out
    stored = read_tensors(out / "identity.safetensors", WeightsError, "")[0]
    assert stored and not any(name.startswith("landmarks.") for name in stored)  # that network is built in
    network = pretrained.load_identity(out / "identity.safetensors")
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 128)
