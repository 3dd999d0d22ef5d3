"""People told from backgrounds in pictures, by a segmenter that takes bright pixels for people in MediaPipe's place."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.training.person_masks import main, person_segmenter, write_masks
from tests.helpers.portrait_folder import person, write_folder


def bright(picture: np.ndarray) -> np.ndarray:
    """Bright pixels, and the left half of the picture, whichever that is."""
    found = (picture.mean(axis=2) > 120).astype(np.float32)
    found[:, : len(found) // 2] = 1
    return found


def test_pictures_and_their_mirror_images_are_segmented(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "faces", 2)
    assert write_masks(folder, tmp_path / "masks.npz", bright) == 2
    with np.load(tmp_path / "masks.npz") as file:
        assert file["name"].tolist() == ["person000.png", "person001.png"]
        share = file["share"][1]
    seen = person(1, 0).mean(axis=2) > 120
    assert share.dtype == np.uint8 and set(np.unique(share)) <= {127, 128, 255}
    assert ((share == 255) == seen).all()  # each half is taken for a person in one of the two pictures


def test_without_mediapipe_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UsageError, match="pip install"):
        person_segmenter()
    with pytest.raises(UsageError, match="mediapipe"):
        main([str(tmp_path), str(tmp_path / "masks.npz")])
