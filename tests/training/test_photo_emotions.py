"""Faces that show an emotion: driven pictures and photographs whose fit leaves no doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.emotion import Emotion
from latentface.errors import InputError
from latentface.head.fit import HeadFit
from latentface.training.photo_emotions import emotion_of, load_driven, load_photographs
from latentface.training.photo_landmarks import SIDE
from tests.helpers.portrait_folder import fit_of, write_driven, write_fits, write_folder


def test_emotions_of_driven_people_come_with_their_names_and_speech_with_none(tmp_path: Path) -> None:
    driven = write_driven(tmp_path / "driven", 4)
    with np.load(driven / "shard-00000.npz") as shard:
        arrays = dict(shard)
    arrays["kind"] = np.array([2, 1, len(Emotion), 3])  # the third speaks
    np.savez(driven / "shard-00000.npz", **arrays)
    learnt, held = load_driven(driven, frozenset({"person001.png"}))
    assert learnt.labels["emotion"].tolist() == [2, 3] and held.labels["emotion"].tolist() == [1]
    assert learnt.images.shape == (2, 3, SIDE, SIDE)
    with pytest.raises(InputError, match="none to measure on"):
        load_driven(driven, frozenset())


@pytest.mark.parametrize(
    ("shapes", "emotion"),
    [
        ({}, Emotion.NEUTRAL),
        ({"mouthSmileLeft": 0.5, "mouthSmileRight": 0.45}, Emotion.HAPPINESS),
        ({"mouthSmileLeft": 0.3, "mouthSmileRight": 0.3}, None),
        ({"jawOpen": 0.3}, None),
        ({"browDownLeft": 0.6}, None),
    ],
)
def test_only_fits_that_leave_no_doubt_count(shapes: dict[str, float], emotion: Emotion | None) -> None:
    fit: HeadFit = fit_of(shapes)
    assert emotion_of(fit) is emotion


def test_as_many_happy_photographs_as_neutral_ones(tmp_path: Path) -> None:
    faces = write_folder(tmp_path / "faces", 9)
    fits = write_fits(tmp_path / "fits.jsonl", faces, smiling=range(3))
    data = load_photographs(faces, fits, frozenset({"person000.png"}))
    assert data.labels["emotion"].tolist() == [0, 0, 1, 1] and data.images.shape == (4, 3, SIDE, SIDE)
    with pytest.raises(InputError, match="none surely neutral"):
        load_photographs(faces, write_fits(tmp_path / "all.jsonl", faces, smiling=range(9)), frozenset())
