"""The tab that completes: the mask is what was painted, and the command says the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.errors import InputError, UsageError
from latentface.studio.complete_tab import COMPLETE, PAINTED, PASTED, painted
from latentface.studio.results import Results
from latentface.studio.work import Workshop


@pytest.fixture
def value(tmp_path: Path) -> dict[str, object]:
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[4:8, 5:9] = 255
    Image.new("RGB", (60, 40)).save(tmp_path / "photo.png")
    Image.fromarray(layer).save(tmp_path / "layer.png")
    return {"background": str(tmp_path / "photo.png"), "layers": [str(tmp_path / "layer.png")], "composite": None}


def test_what_is_painted_is_the_mask_at_the_photo_s_size(value: dict[str, object]) -> None:
    path, hole = painted(value)
    assert path == value["background"] and hole.shape == (40, 60)
    assert hole[10:14, 12:16].all() and not hole[20:, 25:].any()
    with pytest.raises(InputError, match="no photo"):
        painted(None)


@pytest.mark.parametrize(
    ("remove", "search", "line"),
    [
        (PAINTED, False, "complete photo.png --mask mask.png"),
        (PAINTED, True, "complete photo.png --mask mask.png --method optimise"),
        (PASTED, True, "complete photo.png --mask mask.png --harmonise"),
        ("glasses", False, "complete photo.png --remove glasses"),
    ],
)
def test_the_tab_tells_the_command(value: dict[str, object], remove: str, search: bool, line: str) -> None:
    assert COMPLETE.words is not None
    assert " ".join(COMPLETE.words(photo=value, remove=remove, search=search)) == line
    assert list(COMPLETE.words(photo=None, remove=remove, search=search)) == []


def test_nothing_painted_is_said_before_it_waits_in_the_queue(value: dict[str, object], tmp_path: Path) -> None:
    shop = Workshop("face-256", Results(tmp_path))
    with pytest.raises(InputError, match="marks nothing"):
        COMPLETE.work(shop, photo={**value, "layers": []}, remove=PAINTED, search=False)
    with pytest.raises(UsageError, match="either"):
        shop.complete("photo.png")
