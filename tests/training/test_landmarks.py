"""The landmark recipe on drawn faces: loss, measure, training and its command line."""

from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.landmarks import LandmarkConfig
from latentface.pretrained import load_landmarks
from latentface.training.landmarks import (
    CONFIG,
    LandmarkLoss,
    LandmarkTask,
    framed,
    hold_out,
    landmark_loss,
    main,
    measure,
)
from latentface.training.loop import Loop, LoopOptions
from tests.helpers.drawn_faces import centres, spots, write_shards
from tests.helpers.portrait_folder import write_driven, write_folder, write_mesh

SMALL = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)
OPTIONS = LoopOptions(steps=6, measure_every=3, warm_up=2, learning_rate=5e-3, bfloat16=False, minutes=None)


def test_loss_is_least_at_the_truth():
    truth = torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    truth[:, 36:42], truth[:, 42:48] = torch.tensor([0.3, 0.4]), torch.tensor([0.7, 0.4])

    def maps(points, sharpness=6.0):
        line = (torch.arange(24) + 0.5) / 24
        gap = (line - points[..., :1])[..., None, :] ** 2 + (line - points[..., 1:])[..., :, None] ** 2
        return -gap * 24 * sharpness

    losses = [float(landmark_loss(maps(truth + shift), truth, LandmarkLoss())) for shift in (0.0, 0.02, 0.1)]
    assert losses[0] < losses[1] < losses[2]
    outside = truth.clone()
    outside[:, 5] = 1.5
    assert landmark_loss(maps(truth), outside, LandmarkLoss()) == pytest.approx(losses[0], rel=0.2)


def test_framed_pictures_show_the_points_where_they_say(drawn_data):
    part = drawn_data.part(0, 10)
    spotted = replace(part, images=(spots(part.points) * 255).to(torch.uint8))
    config = replace(SMALL, input_size=96)
    for pictures, truth in framed(spotted, config):
        gap = (centres((pictures + 1) / 2) - truth[:, [30, 48, 54]]).norm(dim=2) * 96
        assert gap.max() < 0.5


def test_measure_is_in_inter_ocular_distances(drawn_data):
    class Oracle(torch.nn.Module):
        def __init__(self, answers, shift):
            super().__init__()
            self.config, self.answers, self.shift = SMALL, answers, shift
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return self.answers + self.shift

    part = drawn_data.part(0, 10)
    truth = next(framed(part, SMALL))[1]
    eyes = (truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm(dim=1)
    assert measure(Oracle(truth, 0.0), part) == 0
    assert measure(Oracle(truth, torch.tensor([0.03, 0.04])), part) == pytest.approx(float((0.05 / eyes).mean()), 1e-4)


def task(drawn_data, config=SMALL, batch=4):
    return LandmarkTask(*hold_out(drawn_data, 8), config, batch=batch)


def test_training_learns(drawn_data, tmp_path):
    options = replace(OPTIONS, steps=120, measure_every=40, average=0.9)
    Loop(task(drawn_data, batch=8), tmp_path, options).run()
    with open(tmp_path / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])
    assert float(rows[-1]["held_out_error"]) < 0.6 * float(rows[0]["held_out_error"])


def test_too_few_pictures_are_refused(drawn_data):
    with pytest.raises(UsageError, match="too few"):
        hold_out(drawn_data, 40)


def test_a_batch_takes_of_each_part_its_share(drawn_data):
    first, second = drawn_data.part(0, 30), drawn_data.part(30, 32)
    white = replace(second, images=torch.full_like(second.images, 255))
    black = replace(first, images=torch.zeros_like(first.images))
    task = LandmarkTask([(black, 0.25), (white, 0.75)], second, SMALL, batch=400)
    chosen = torch.multinomial(task.chances, 4000, replacement=True, generator=torch.Generator().manual_seed(0))
    assert (task.data.images[chosen, 0, 0, 0] == 255).float().mean() == pytest.approx(0.75, abs=0.03)


def test_command_line(tmp_path, capsys):
    folder = write_shards(tmp_path / "data", count=510, shards=1)
    out = tmp_path / "out"
    main(["--data", str(folder), "--out", str(out), "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / "landmarks.safetensors") in capsys.readouterr().out
    assert load_landmarks(out / "landmarks.safetensors").config == CONFIG


def test_photographs_are_learnt_from_and_measured_on(tmp_path, capsys):
    faces, driven = write_folder(tmp_path / "faces", 14), write_driven(tmp_path / "driven", 14)
    names = [f"person{number:03d}.png" for number in range(14)]
    mesh = write_mesh(tmp_path / "faces.npz", names)
    driven_mesh = write_mesh(tmp_path / "driven.npz", [str(100 + number) for number in range(14)])
    renders, out = write_shards(tmp_path / "data", count=20, shards=1, side=160), tmp_path / "out"
    given = ["--data", str(renders), "--out", str(out), "--steps", "1", "--device", "cpu", "--float32"]
    given += ["--photos", str(faces), "--photo-mesh", str(mesh), "--rigged", str(driven)]
    with pytest.raises(UsageError, match="--rigged-mesh"):
        main(given)
    main([*given, "--rigged-mesh", str(driven_mesh)])
    assert "held_out_error" in capsys.readouterr().out
    assert load_landmarks(out / "landmarks.safetensors").config == CONFIG
