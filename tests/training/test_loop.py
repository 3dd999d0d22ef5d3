"""The training loop, on landmarks of drawn faces: it resumes, ends, refuses, and leaves the global state alone."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace

import pytest
import torch

from latentface.errors import InputError, UsageError, WeightsError
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
from latentface.networks.trunk import FaceTrunk, TrunkConfig
from latentface.pretrained import load_landmarks
from latentface.pretrained.native import read_network, write_network
from latentface.training.landmarks import LandmarkTask, hold_out
from latentface.training.loop import Loop, LoopOptions, begin_from, command_line, loop_options

SMALL = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)
OPTIONS = LoopOptions(steps=6, measure_every=3, warm_up=2, learning_rate=5e-3, bfloat16=False, minutes=None)


def task(drawn_data, config=SMALL, batch=4):
    return LandmarkTask(*hold_out(drawn_data, 8), config, batch=batch)


def test_resumed_training_ends_like_an_uninterrupted_one(drawn_data, tmp_path):
    whole = Loop(task(drawn_data), tmp_path / "whole", OPTIONS).run()
    Loop(task(drawn_data), tmp_path / "parts", OPTIONS).run(stop_after=4)
    parts = Loop(task(drawn_data), tmp_path / "parts", OPTIONS).run()
    assert whole.read_bytes() == parts.read_bytes()
    curves = []
    for name in ("whole", "parts"):
        with open(tmp_path / name / "curves.csv", newline="") as file:
            curves.append([(r["step"], r["loss"], r["held_out_error"]) for r in csv.DictReader(file)])
    assert [r[0] for r in curves[0]] == ["3", "6"]
    assert curves[0] == curves[1]
    assert load_landmarks(whole).config == SMALL


def test_a_run_may_be_measured_in_time(drawn_data, tmp_path):
    loop = Loop(task(drawn_data), tmp_path, replace(OPTIONS, steps=None, minutes=0.002))
    loop.run()
    assert loop.step >= 1 and loop.seconds >= 0.12


def test_a_checkpoint_of_another_network_is_refused(drawn_data, tmp_path):
    Loop(task(drawn_data), tmp_path, OPTIONS).run(stop_after=1)
    with pytest.raises(InputError, match="another network"):
        Loop(task(drawn_data, replace(SMALL, decoder=16)), tmp_path, OPTIONS).run()


def test_the_global_random_state_is_left_alone(drawn_data, tmp_path):
    before = torch.random.get_rng_state()
    Loop(task(drawn_data), tmp_path, OPTIONS).run(stop_after=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_options_that_make_no_run_are_refused(drawn_data, tmp_path):
    with pytest.raises(UsageError, match="steps or minutes"):
        Loop(task(drawn_data), tmp_path, replace(OPTIONS, steps=None))


def test_the_rate_warms_up_and_ends_at_nothing(drawn_data, tmp_path):
    loop = Loop(task(drawn_data), tmp_path, replace(OPTIONS, steps=100, warm_up=10, learning_rate=1.0))
    rates = []
    for loop.step in (0, 4, 9, 50, 100):
        rates.append(loop.rate())
    assert rates[0] == pytest.approx(0.1) and rates[1] == pytest.approx(0.5 * 0.996, abs=1e-3)
    assert rates[2] > rates[3] == pytest.approx(0.5) and rates[4] == pytest.approx(1e-6)
    assert loop.progress() == 1


def test_a_command_line_becomes_options(tmp_path):
    parser = command_line("latentface.training.any", "Any.", OPTIONS)
    given = parser.parse_args(["--data", "a", "b", "--out", str(tmp_path), "--steps", "7", "--seed", "3", "--float32"])
    options = loop_options(given, replace(OPTIONS, bfloat16=True))
    assert (options.steps, options.seed, options.bfloat16) == (7, 3, False)
    assert options.warm_up == OPTIONS.warm_up and options.minutes == OPTIONS.minutes
    assert [str(folder) for folder in given.data] == ["a", "b"]
    with pytest.raises(SystemExit):
        command_line("latentface.training.any", "Any.", OPTIONS, data=None).parse_args(["--data", "a"])


def test_a_trunk_begins_from_the_encoder_of_a_landmark_network(tmp_path):
    small = TrunkConfig(input_size=32, widths=(8, 16, 16, 16), summary=8, features=16)
    widths = small.widths
    config = LandmarkConfig(input_size=32, widths=widths, decoder=8)
    write_network(tmp_path / "a", "landmarks", asdict(config), LandmarkNet(config).state_dict(), dtype=torch.float32)
    theirs, network = read_network(tmp_path / "a").state, FaceTrunk(small)
    last = network.out.weight.clone()
    begin_from(network, tmp_path / "a")
    assert torch.equal(network.deep.conv1.weight, theirs["deep.conv1.weight"])
    assert torch.equal(network.stem.weight, theirs["stem.weight"]) and torch.equal(network.out.weight, last)
    write_network(tmp_path / "b", "other", {}, {"scale": torch.ones(1)})
    landmarks = LandmarkNet(config)
    landmarks.offsets.fill_(0.5)
    begin_from(landmarks, tmp_path / "a")
    assert torch.equal(landmarks.stem.weight, theirs["stem.weight"])
    assert float(landmarks.offsets.min()) == 0.5  # a buffer is the task's own
    with pytest.raises(WeightsError, match="no tensor fits"):
        begin_from(network, tmp_path / "b")
