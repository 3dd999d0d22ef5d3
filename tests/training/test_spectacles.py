"""The recipe of the network that finds spectacles, on drawn people."""

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.networks.spectacles import SpectaclesConfig
from latentface.pretrained import load_spectacles
from latentface.synthface.drawn_spectacles import put_on
from latentface.training import spectacles
from latentface.training.loop import Loop, LoopOptions
from latentface.training.spectacles import SpectaclesTask, find_wearers, read_patches
from tests.helpers.curves import read_curve
from tests.helpers.portrait_folder import write_folder

SMALL = SpectaclesConfig(height=40, width=88, step=0.025, widths=(6, 8, 8, 8))
OPTIONS = LoopOptions(
    steps=60, measure_every=30, warm_up=4, learning_rate=8e-3, average=0.9, bfloat16=False, minutes=None
)


def faces(count: int) -> np.ndarray:
    """Patches of skin, no two of one colour."""
    colours = np.random.default_rng(0).uniform(120, 220, (count, 1, 1, 3))
    return np.broadcast_to(colours, (count, 40, 88, 3)).astype(np.uint8)


def test_frames_are_learnt_and_their_wearers_found(tmp_path, gently):
    task = SpectaclesTask(faces(24), faces(8), SMALL, batch=12)
    path = Loop(task, tmp_path, OPTIONS).run()
    first, last = read_curve(tmp_path)
    assert last["loss"] < 0.9 * first["loss"] and last["iou_frame"] > 0.35
    network = load_spectacles(path)
    worn = [put_on(face / np.float32(255), SMALL.step, SMALL.high, np.random.default_rng(7)) for face in faces(4)]
    wearers = np.stack([np.rint(each.colours * 255) for each in worn]).astype(np.uint8)
    assert find_wearers(network, wearers).all() and not find_wearers(network, faces(4)).any()


def test_the_part_around_the_eyes_is_read(tmp_path):
    folder = write_folder(tmp_path, 3)
    patches = read_patches(folder)
    assert patches.shape == (3, 80, 176, 3) and patches.std() > 0
    (folder / "faces.jsonl").write_text("")
    with pytest.raises(InputError, match="no faces"):
        read_patches(folder)


def test_truth_moves_with_the_picture():
    truth = torch.zeros(8, 2, 40, 88)
    truth[:, 0, 15:25, 20:60] = 1
    colours = truth[:, :1].expand(-1, 3, -1, -1) * 2 - 1
    moved, where = spectacles.varied(colours, truth, torch.Generator().manual_seed(0))
    bright = moved.mean(1)
    for picture, mask in zip(bright, where[:, 0] > 0.5, strict=True):
        assert picture[mask].mean() > picture[~mask].mean() + 0.5
