"""The recipe of the network that tells people from backgrounds, on discs in front of stripes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.networks.matte import MatteConfig
from latentface.pretrained import load_matte
from latentface.training.loop import Loop, LoopOptions
from latentface.training.matte import MatteTask, People, elsewhere, read_people
from tests.helpers.curves import read_curve
from tests.helpers.portrait_folder import write_folder

SMALL = MatteConfig(size=32, widths=(6, 8, 8))
OPTIONS = LoopOptions(
    steps=60, measure_every=30, warm_up=4, learning_rate=8e-3, average=0.9, bfloat16=False, minutes=None
)


def discs(count: int) -> People:
    """Discs of warm colours in front of cold stripes."""
    source = np.random.default_rng(count)
    y, x = np.mgrid[0:32, 0:32]
    pictures, shares = np.empty((count, 32, 32, 3), np.uint8), np.empty((count, 32, 32), np.uint8)
    for picture, share in zip(pictures, shares, strict=True):
        across, down, radius = source.uniform([12, 12, 8], [20, 20, 12])
        inside = np.hypot(x - across, y - down) < radius
        stripes = source.uniform([40, 60, 120], [80, 100, 200]) * (0.7 + 0.3 * ((x // 4) % 2)[..., None])
        picture[:] = np.where(inside[..., None], source.uniform([180, 120, 90], [230, 160, 120]), stripes)
        share[:] = 255 * inside
    return People(pictures, shares)


def test_people_are_learnt(tmp_path: Path, gently: None) -> None:
    path = Loop(MatteTask(discs(24), discs(8), SMALL, batch=8), tmp_path, OPTIONS).run()
    first, last = read_curve(tmp_path)
    assert last["loss"] < 0.7 * first["loss"] and last["iou"] > 0.8 and last["iou_background"] > 0.8
    held = discs(8)
    with torch.no_grad():
        found = load_matte(path)(torch.from_numpy(held.pictures).permute(0, 3, 1, 2).float() / 127.5 - 1) > 0
    assert (found[:, 0].numpy() == (held.shares > 127)).mean() > 0.9


def test_people_stand_in_front_of_what_was_behind_others() -> None:
    truth = torch.zeros(2, 1, 32, 32)
    truth[0, :, 8:24, 4:20], truth[1, :, 12:28, 10:26] = 1, 1
    red, blue = (torch.tensor(colour).view(3, 1, 1) for colour in ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0)))
    colours = torch.stack([torch.where(truth[0] > 0, red, blue), torch.where(truth[1] > 0, red, -blue)])
    made = elsewhere(colours, truth, torch.Generator().manual_seed(0))
    for k, behind in ((0, -blue), (1, blue)):
        assert torch.equal(made[k][truth[k].expand(3, -1, -1) > 0], colours[k][truth[k].expand(3, -1, -1) > 0])
        around = (truth[k] == 0).expand(3, -1, -1)
        torch.testing.assert_close(made[k][around], behind.expand(3, 32, 32)[around])  # the person there has left


def test_every_face_needs_its_mask(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 2)
    masks = tmp_path / "masks.npz"
    shares = np.zeros((2, 64, 64), np.uint8)
    np.savez(masks, name=["person000.png", "person001.png"], share=shares)
    people = read_people(folder, masks, 32)
    assert people.pictures.shape == (2, 32, 32, 3) and people.shares.shape == (2, 32, 32)
    np.savez(masks, name=["person000.png"], share=shares[:1])
    with pytest.raises(InputError, match=r"has no mask of person001\.png"):
        read_people(folder, masks, 32)
