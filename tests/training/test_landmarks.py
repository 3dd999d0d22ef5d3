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
    LandmarkLoss,
    LandmarkTask,
    framed,
    landmark_loss,
    main,
    measure,
)
from latentface.training.loop import Loop, LoopOptions
from tests.helpers.drawn_faces import centres, spots, write_shards

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
    return LandmarkTask(drawn_data, config, held_out=8, batch=batch)


def test_training_learns(drawn_data, tmp_path):
    options = replace(OPTIONS, steps=120, measure_every=40, average=0.9)
    Loop(task(drawn_data, batch=8), tmp_path, options).run()
    with open(tmp_path / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])
    assert float(rows[-1]["held_out_error"]) < 0.6 * float(rows[0]["held_out_error"])


def test_too_few_pictures_are_refused(drawn_data):
    with pytest.raises(UsageError, match="too few"):
        LandmarkTask(drawn_data, SMALL, held_out=40)


def test_command_line(tmp_path, capsys):
    folder = write_shards(tmp_path / "data", count=510, shards=1)
    out = tmp_path / "out"
    main(["--data", str(folder), "--out", str(out), "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / "landmarks.safetensors") in capsys.readouterr().out
    assert load_landmarks(out / "landmarks.safetensors").config == LandmarkConfig()
