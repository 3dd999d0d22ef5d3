"""Distillation of the perceptual network: learning, resuming, the files it leaves."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from latentface.errors import UsageError
from latentface.networks.perceptual import VGG_SCALES, DistilledVgg, FeatureDistance, PerceptualConfig, PerceptualNet
from latentface.pretrained import load_perceptual
from latentface.training import perceptual
from latentface.training.distortions import distort
from tests.helpers.smooth_pictures import smooth_images, smooth_pictures

COUNT = perceptual.HELD_OUT + 12
OPTIONS = perceptual.TrainOptions(steps=4, batch=4, lured=2, side=32, measure_every=2, warm_up=1)


class Teacher(FeatureDistance):
    """Fixed random features of the student's widths, as cheap as they come."""

    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(9)
        self.mixes = [torch.randn(width, 3, 1, 1, generator=source) for width in PerceptualConfig().widths]

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = []
        for level, mix in enumerate(self.mixes):
            x = torch.nn.functional.avg_pool2d(images, 2**level)
            maps.append(torch.nn.functional.conv2d(x, mix).relu() + 0.05)
        return tuple(maps)

    def channel_weights(self) -> tuple[Tensor, ...]:
        return tuple(torch.full((len(mix),), 0.2) for mix in self.mixes)


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_training_lowers_the_loss_and_ranks_like_the_teacher() -> None:
    training = perceptual.Distillation(smooth_images(COUNT), Teacher(), replace(OPTIONS, steps=60, learning_rate=2e-3))
    first = np.mean([training.step() for _ in range(5)], axis=0)
    for _ in range(50):
        training.step()
    last = np.mean([training.step() for _ in range(5)], axis=0)
    assert (last < 0.8 * first).all()
    pictures, copies = perceptual.held_out_pairs(smooth_images(COUNT))
    ranks = [perceptual.measure_distances(n, pictures, copies) for n in (training.student, Teacher())]
    assert perceptual.spearman(*ranks) > 0.8


def test_lured_copies_are_nearer_by_the_network_and_stay_pictures() -> None:
    torch.manual_seed(1)
    network, pictures = PerceptualNet(), smooth_pictures()
    copies, source = distort(pictures, stream()), stream(3)
    moved = copies
    for _ in range(5):
        moved = perceptual.descend(network, pictures, moved, source)
    with torch.no_grad():
        assert (network(moved, pictures) < network(copies, pictures)).all()
    assert moved.abs().max() <= 1.0 and not moved.requires_grad
    assert all(p.grad is None for p in network.parameters())


def test_half_of_a_batch_comes_from_the_pool_of_lured_pairs() -> None:
    training = perceptual.Distillation(smooth_images(COUNT), Teacher(), replace(OPTIONS, lure_life=10**9))
    pictures = training.pool[0]
    before = perceptual.measure_distances(training.student, *training.pool)
    training.lure(0, training.pairs(0, 2))
    assert torch.equal(training.pool[0], pictures)
    assert (perceptual.measure_distances(training.student, *training.pool) < before).all()
    training.options = replace(training.options, lure_life=1)
    fresh = training.pairs(7, 2)
    training.lure(1, fresh)
    assert torch.equal(training.pool[0], fresh[0])


def test_the_student_starts_as_the_teacher_where_it_can() -> None:
    from tests.networks.test_perceptual import vgg_arrays

    teacher = DistilledVgg(vgg_arrays())
    student = perceptual.Distillation(smooth_images(COUNT), teacher, OPTIONS).student
    pictures = smooth_pictures(2)
    with torch.no_grad():
        theirs, ours = teacher.features(pictures)[0], student.features(pictures)[0]
    inner = (..., slice(1, -1), slice(1, -1))  # the border is padded otherwise
    assert torch.allclose(ours[inner], theirs[inner], atol=1e-4)
    assert [weights[0].item() for weights in student.weights] == pytest.approx(VGG_SCALES)


def test_a_run_leaves_a_network_a_curve_and_a_checkpoint(tmp_path: Path) -> None:
    student = perceptual.run(smooth_images(COUNT), Teacher(), tmp_path, OPTIONS, Teacher())
    loaded = load_perceptual(tmp_path / "perceptual.safetensors")
    a, b = smooth_pictures(2), smooth_pictures(4)[2:]
    with torch.no_grad():
        assert torch.allclose(loaded(a, b), student(a, b), rtol=1e-2)  # float16 on disk
    with (tmp_path / "log.csv").open() as log:
        rows = list(csv.DictReader(log))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert float(rows[-1]["spearman_teacher"]) == float(rows[-1]["spearman_lpips"])


def test_a_stopped_run_continues_to_the_same_bytes(tmp_path: Path) -> None:
    perceptual.run(smooth_images(COUNT), Teacher(), tmp_path / "whole", OPTIONS, None)
    part = perceptual.Distillation(smooth_images(COUNT), Teacher(), OPTIONS)
    part.step(), part.step()
    (tmp_path / "parts").mkdir()
    part.checkpoint(tmp_path / "parts" / "checkpoint.pt")
    perceptual.run(smooth_images(COUNT), Teacher(), tmp_path / "parts", OPTIONS, None)
    whole, parts = ((tmp_path / name / "perceptual.safetensors").read_bytes() for name in ("whole", "parts"))
    assert whole == parts


def test_minutes_end_a_run_when_no_steps_are_given() -> None:
    training = perceptual.Distillation(smooth_images(COUNT), Teacher(), replace(OPTIONS, steps=None, minutes=2.0))
    training.seconds = 60.0
    training.steps_done = 10
    assert training.progress() == pytest.approx(0.5)
    assert training.rate() == pytest.approx(OPTIONS.learning_rate / 2)
    training.seconds = 121.0
    assert training.progress() >= 1 and training.rate() == pytest.approx(0.0)


def test_training_leaves_the_global_stream_alone() -> None:
    before = torch.random.get_rng_state()
    perceptual.Distillation(smooth_images(COUNT), Teacher(), OPTIONS).step()
    assert torch.equal(before, torch.random.get_rng_state())


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(UsageError, match="held out"):
        perceptual.Distillation(smooth_images(20), Teacher(), OPTIONS)


def test_rank_correlation_agrees_with_scipy() -> None:
    from scipy.stats import spearmanr

    source = np.random.default_rng(0)
    a = source.standard_normal(50)
    b = a + source.standard_normal(50)
    assert perceptual.spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)


def test_the_command_line_reads_shards_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.networks.test_perceptual import vgg_arrays

    monkeypatch.setattr(perceptual, "HELD_OUT", 24)
    np.savez(tmp_path / "shard-00000.npz", images=smooth_images(perceptual.HELD_OUT + 8, side=96))
    np.savez(tmp_path / "teacher.npz", **vgg_arrays())
    where = ["--data", str(tmp_path), "--teacher", str(tmp_path / "teacher.npz"), "--out", str(tmp_path / "out")]
    perceptual.main([*where, "--steps", "1"])
    assert isinstance(load_perceptual(tmp_path / "out" / "perceptual.safetensors"), PerceptualNet)
