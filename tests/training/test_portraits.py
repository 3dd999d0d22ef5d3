"""Folders of photographs as training reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.training import portraits
from tests.helpers.portrait_folder import SIDE, person, write_folder


def test_photographs_come_as_they_are_and_mirrored(tmp_path: Path) -> None:
    faces, held = portraits.load_portraits(write_folder(tmp_path / "faces", 14))
    assert held.names == ("person000.png", "person012.png")  # every twelfth
    assert len(faces) == 12 and "person012.png" not in faces.names
    images, near = faces.batch(np.array([0, 0]), np.array([False, True]))
    expected = torch.from_numpy(person(1, 0).copy()).permute(2, 0, 1) / 127.5 - 1
    assert torch.allclose(images[0], expected, atol=1e-5)
    assert torch.equal(images[1], images[0].flip(2)) and torch.allclose(near[1], near[0].flip(2), atol=1e-6)
    assert near.shape == (2, 1, SIDE, SIDE) and 0.5 < float(near.max()) <= 1 and float(near[..., 0, 0].max()) < 0.1


@pytest.mark.parametrize("change", [{"colour": 5.0}, {"inside": 0.5}])
def test_grey_and_cut_off_faces_are_left_out(tmp_path: Path, change: dict[str, float]) -> None:
    faces, _ = portraits.load_portraits(write_folder(tmp_path / "faces", 5, **change))
    assert "person004.png" not in faces.names and len(faces) == 3


def test_small_and_smiling_sources_are_seen_less(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 4, source="gpo_225x275", jaw=55)
    faces, _ = portraits.load_portraits(folder)
    share = portraits.SOURCE_WEIGHTS["gpo_225x275"] / portraits.SOURCE_WEIGHTS["faker"] / 4  # half as sharp, squared
    assert faces.weights[-1] / faces.weights[0] == pytest.approx(share)
    seen = faces.sample(20_000, np.random.default_rng(0))
    assert (seen == len(faces) - 1).mean() == pytest.approx(faces.weights[-1], rel=0.2)


def test_a_folder_without_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"faces\.jsonl"):
        portraits.load_portraits(tmp_path)
    with pytest.raises(InputError, match="no face in colour"):
        portraits.load_portraits(write_folder(tmp_path / "grey", 1, colour=0.0))


def test_a_packed_folder_is_small_and_holds_the_same_people_out(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 14)
    assert portraits.pack(folder, tmp_path / "all", 1.0) == 14
    packed, held = portraits.load_portraits(tmp_path / "all")
    assert held.names == ("person000.webp", "person012.webp") and len(packed) == 12
    whole, _ = portraits.load_portraits(folder)
    one = packed.names.index("person001.webp")
    assert (packed.images[one].float() - whole.images[0].float()).abs().mean() < 6
    size = sum(path.stat().st_size for path in (tmp_path / "all" / "crops").iterdir())
    few = portraits.pack(folder, tmp_path / "few", size / 2e6)
    assert 2 <= few < 10
    assert sum(path.stat().st_size for path in (tmp_path / "few" / "crops").iterdir()) <= size / 2
