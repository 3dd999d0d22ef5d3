"""Mouths to learn from: files that come back, variations, and what the network must not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.networks.mouth import PLANES, MouthConfig, Plane
from latentface.training.mouth_data import Changes, MouthData, hide, still, varied
from tests.helpers.drawn_mouths import drawn_data

CONFIG = MouthConfig()


@pytest.fixture(scope="module")
def data() -> MouthData:
    return drawn_data()


def test_a_file_brings_them_back(data: MouthData, tmp_path: Path) -> None:
    data.save(tmp_path / "mouths.npz")
    read = MouthData.load(tmp_path / "mouths.npz")
    assert np.array_equal(read.planes, data.planes) and np.array_equal(read.styles, data.styles)
    assert (read.sources, read.names) == (data.sources, data.names) and np.array_equal(read.weights, data.weights)


def test_other_files_are_refused(data: MouthData, tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no mouths")
    np.savez(tmp_path / "less.npz", planes=data.planes)
    for name in ("text.npz", "less.npz", "none.npz"):
        with pytest.raises(InputError, match=f"{name} is no file of mouths"):
            MouthData.load(tmp_path / name)


def test_a_part_keeps_what_belongs_together(data: MouthData) -> None:
    part = data.part(np.array([source == "t2i" for source in data.sources]))
    assert len(part) == 6 and set(part.sources) == {"t2i"}
    first = data.names.index(part.names[0])
    assert np.array_equal(part.planes[0], data.planes[first])


def test_the_network_never_sees_what_it_is_to_paint(data):
    planes, style = varied(data, torch.arange(6), CONFIG, Changes(), torch.Generator().manual_seed(0))
    assert planes.shape == (6, PLANES, CONFIG.height, CONFIG.width) and style.shape == (6, 3)
    seen, opening = hide(planes), planes[:, Plane.OPENING : Plane.OPENING + 1]
    assert (seen[:, :3].abs() * (opening >= 0.02)).max() == 0
    assert (planes[:, :3] * (opening > 0.5)).abs().max() > 0.3
    assert (seen[:, :3] == planes[:, :3])[(opening == 0).expand(-1, 3, -1, -1)].all()
    assert (planes[:, Plane.UPPER_TEETH] <= planes[:, Plane.OPENING] + 1e-6).all()


def test_variations_vary_and_repeat(data):
    first, again = (
        varied(data, torch.arange(6), CONFIG, Changes(), torch.Generator().manual_seed(1))[0] for _ in range(2)
    )
    assert torch.equal(first, again)
    plain, _ = still(data, torch.arange(6), CONFIG)
    assert (first - plain)[:, :3].abs().mean() > 0.02
    nothing = Changes(0, 0, 0, 0, 0, 0, 0, 0)
    same, _ = varied(data, torch.arange(32) % 14, CONFIG, nothing, torch.Generator().manual_seed(1))
    whole, _ = still(data, torch.arange(32) % 14, CONFIG)
    off = torch.minimum((same - whole).abs().amax((1, 2, 3)), (same.flip(3) - whole).abs().amax((1, 2, 3)))
    assert off.max() < 1e-4
    grey, _ = varied(data, torch.arange(6), CONFIG, Changes(grey=1.0), torch.Generator().manual_seed(1))
    assert (grey[:, 0] - grey[:, 2]).abs().max() < 1e-5


def test_an_opening_grows_by_pixels(data):
    areas = [still(data, torch.arange(2), CONFIG, widen)[0][:, Plane.OPENING].sum() for widen in (0.0, 1.0, 2.0)]
    assert areas[0] < areas[1] < areas[2]
