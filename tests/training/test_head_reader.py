"""The recipe of the reader of heads: mirrored and framed pictures, and a network that learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError, UsageError
from latentface.networks.head_reader import ANGLES, HeadReaderConfig
from latentface.pretrained.native import read_network
from latentface.training.head_reader import (
    HeadReaderTask,
    augment,
    frame_plainly,
    load_heads,
    mirror_some,
    reader_loss,
)
from latentface.training.landmark_augmentation import AugmentOptions
from latentface.training.loop import Loop, LoopOptions

NAMES = ("eyeLookInLeft", "jawOpen", "mouthSmileLeft", "mouthSmileRight")
SIDE = 48


def write_shards(folder: Path, count: int = 60) -> Path:
    """Grey squares with a dark mouth that jawOpen makes taller, and a bright spot on each side for the smiles."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 1, (count, len(NAMES))).astype(np.float32)
    images = np.full((count, SIDE, SIDE, 3), 120, np.uint8)
    for image, (_, jaw, left, right) in zip(images, weights, strict=True):
        image[30 : 30 + int(12 * jaw), 18:30] = 10
        image[24:30, 32:38] = 120 + int(130 * left)  # the subject's left is the picture's right
        image[24:30, 10:16] = 120 + int(130 * right)
    points = np.full((count, 68, 2), SIDE / 2, np.float32)
    points[:, 36:42], points[:, 42:48] = (18, 20), (30, 20)
    points[:, 48], points[:, 54] = (18, 32), (30, 32)
    folder.mkdir(exist_ok=True)
    np.savez(
        folder / "shard-00000.npz", images=images, landmarks=points, expression=weights,
        expression_names=np.array(NAMES), pose=np.zeros((count, 3), np.float32), gaze=np.zeros((count, 2), np.float32),
    )  # fmt: skip
    return folder


def test_the_gaze_is_told_as_angles_and_not_as_shapes(tmp_path: Path) -> None:
    data = load_heads([write_shards(tmp_path)])
    assert data.names == NAMES[1:] and data.labels.shape == (60, 3 + ANGLES)
    assert data.images.shape == (60, 3, SIDE, SIDE) and data.images.dtype == torch.uint8


def test_folders_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no shard"):
        load_heads([tmp_path])
    np.savez(tmp_path / "shard-00000.npz", images=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="lacks expression"):
        load_heads([tmp_path])


def test_mirrored_pictures_have_mirrored_labels_and_points(tmp_path: Path) -> None:
    data = load_heads([write_shards(tmp_path)])
    batch = data.images.float() / 255, data.points, data.labels
    images, points, labels = mirror_some(batch, data.names, torch.Generator().manual_seed(1))
    turned = (images != batch[0]).flatten(1).any(1)
    assert 15 < int(turned.sum()) < 45
    assert torch.equal(images[turned], batch[0].flip(3)[turned])
    assert torch.equal(labels[turned][:, 1:3], data.labels[turned][:, [2, 1]])
    assert torch.equal(labels[~turned], data.labels[~turned])
    assert (points[turned][:, 36:42, 0] < SIDE / 2).all()


def test_pictures_are_framed_and_changed(tmp_path: Path) -> None:
    data = load_heads([write_shards(tmp_path, 4)])
    config = HeadReaderConfig(data.names, input_size=32)
    made = augment(data.images.float() / 255, data.points, config, torch.Generator().manual_seed(0))
    assert made.shape == (4, 3, 32, 32) and -1 <= float(made.min()) < float(made.max()) <= 1
    assert (made[0] - made[1]).abs().max() > 0.05
    ramp = torch.linspace(-1, 1, SIDE).expand(1, 3, SIDE, SIDE)
    framed = frame_plainly(ramp, HeadReaderConfig(data.names, input_size=32, frame_scale=0.5, frame_shift=0.0))
    assert float(framed.min()) == pytest.approx(-0.5, abs=0.03) and float(framed.max()) == pytest.approx(0.5, abs=0.03)


def test_deviations_learn_the_size_of_the_errors() -> None:
    truth, mean = torch.zeros(64, 2), torch.tensor([[0.1, 0.5]]).expand(64, 2)
    deviation = torch.tensor([0.3, 0.3], requires_grad=True)
    rate = torch.optim.Adam([deviation], lr=0.02)
    for _ in range(200):
        rate.zero_grad()
        reader_loss(mean, deviation.clamp(min=0.01).expand(64, 2), truth).backward()
        rate.step()
    assert torch.allclose(deviation, torch.tensor([0.1, 0.5]), atol=0.03)


def test_a_small_network_learns_and_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    none = {f"{name}_share": 0.0 for name in ("background", "glasses", "occluder", "grey", "soften", "compress")}
    monkeypatch.setattr("latentface.training.head_reader.FRAMING", AugmentOptions(rotation=1.0, log_scale=0.01, **none))
    task = HeadReaderTask(load_heads([write_shards(tmp_path / "data")]), held_out=12, batch=16)
    task.config = HeadReaderConfig(task.data.names, input_size=32, widths=(8, 8, 16, 16), fine=4, coarse=4, features=32)
    options = LoopOptions(
        steps=120, measure_every=60, warm_up=5, learning_rate=5e-3, average=0.9, bfloat16=False, minutes=None
    )
    loop = Loop(task, tmp_path / "run", options)
    before = task.measure(loop.averaged)
    path = loop.run(say=lambda line: None)
    after = task.measure(loop.averaged)
    assert after["weights"] < 0.6 * before["weights"] and set(after) >= {"shown", "gaze_yaw", "gaze_pitch", "yaw"}
    assert read_network(path).kind == "head-reader" and read_network(path).config["expression_names"] == list(NAMES[1:])


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few"):
        HeadReaderTask(load_heads([write_shards(tmp_path, 5)]), held_out=5)
