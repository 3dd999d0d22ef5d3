"""The training of the motion model: it resumes, learns, writes its curves, and takes a discriminator if asked."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.networks.motion import MotionModel
from latentface.training import motion
from latentface.training.motion import MotionTrainer, held_out_psnr
from latentface.training.motion_data import GUIDES
from latentface.training.motion_recipe import Stage, staged, start_from
from tests.helpers.dotted_clips import TINY, Pixels, dotted, trainer, weights_of
from tests.helpers.motion_models import CONFIG


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = weights_of(trainer(tmp_path / "whole").run())
    assert trainer(tmp_path / "parts").run(minutes=0).config.resolution == 16  # one step
    parts = trainer(tmp_path / "parts")
    assert parts.steps == 1
    again = parts.run()
    assert again.config == TINY.network
    assert all(torch.equal(a, b) for a, b in zip(whole, weights_of(again), strict=True))


def test_where_the_generator_rests_the_motion_alone_is_trained(tmp_path: Path) -> None:
    stages = (Stage(32, 8, 4, motion_only=True), Stage(32, 8, 4))
    run = trainer(tmp_path / "whole", replace(TINY, stages=stages))
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    run.run(minutes=0)  # one step
    changed = {name for name, value in run.model.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("kp_detector.", "generator.dense_motion_network.")) for name in changed)
    assert {"places", "spans", "flow", "mask", "warped"} == set(run._recent[0])
    whole = weights_of(run.run())
    assert "perceptual" in run._recent[-1]
    trainer(tmp_path / "parts", replace(TINY, stages=stages)).run(minutes=0)
    again = weights_of(trainer(tmp_path / "parts", replace(TINY, stages=stages)).run())
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_a_training_starts_from_what_fits_of_another_network(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        other = MotionModel(replace(CONFIG, num_keypoints=3, scale=0.25))
    (tmp_path / "run").mkdir()
    run = MotionTrainer(TINY, dotted(side=32), dotted(2, side=32), Pixels(), tmp_path / "run", start=other)
    for model in (run.model, run.average):
        ours, theirs = model.state_dict(), other.state_dict()
        assert torch.equal(ours["generator.first.conv.weight"], theirs["generator.first.conv.weight"])
        assert ours["kp_detector.kp.weight"].shape != theirs["kp_detector.kp.weight"].shape
    fresh = MotionModel(staged(TINY.network, 16)).state_dict()
    start_from(run.model, other.state_dict())
    for name in fresh:
        if name.endswith("down.weight"):  # these low passes are no knowledge
            assert torch.equal(run.model.state_dict()[name], fresh[name])


def test_training_brings_the_losses_down(tmp_path: Path) -> None:
    clips = dotted(side=32)
    alike = replace(clips, landmarks=clips.landmarks[:1] * 6)
    recipe = replace(TINY, stages=(Stage(32, 196, 4),), guide_weight=10.0, learning_rate=5e-3)
    run = MotionTrainer(recipe, alike, clips[:2], Pixels(), tmp_path, bfloat16=False)
    run.run()
    first, last = run._recent[:8], run._recent[-8:]
    for part in ("places", "flow"):
        assert np.mean([row[part] for row in last]) < 0.9 * np.mean([row[part] for row in first])


def test_curves_and_sheets_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "LOGGED", 5)
    run = trainer(tmp_path, replace(TINY, stages=(Stage(16, 40, 2),)))
    run.run()
    with open(tmp_path / "curves.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["seen"]) for row in rows] == [10, 20, 30, 40]
    assert {"perceptual", "pixel", "equivariance", "places", "flow", "mask"} <= set(rows[0])
    assert float(rows[-1]["psnr"]) > 0
    assert (tmp_path / "sheet.png").exists()


def test_a_discriminator_is_trained_only_when_it_is_asked_for(tmp_path: Path) -> None:
    assert trainer(tmp_path / "without").discriminator is None
    recipe = replace(TINY, network=replace(CONFIG, num_keypoints=len(GUIDES), resolution=64), stages=(Stage(64, 4, 2),))
    run = MotionTrainer(
        replace(recipe, generator_gan=1.0), dotted(side=64), dotted(1, side=64), Pixels(), tmp_path, bfloat16=False
    )
    assert run.discriminator is not None
    before = [value.clone() for value in run.discriminator.parameters()]
    run.run()
    assert {"gan", "feature_matching", "discriminator"} <= set(run._recent[0])
    assert not all(torch.equal(a, b) for a, b in zip(before, run.discriminator.parameters(), strict=True))


def test_held_out_psnr_is_that_of_the_rebuilt_frames() -> None:
    model = MotionModel(CONFIG).eval()
    assert 0 < held_out_psnr(model, dotted(3, side=32), 32) < 40
