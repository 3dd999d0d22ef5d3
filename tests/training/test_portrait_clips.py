"""Clips of photographed people: a head moves and its landmarks with it, and people who are held out stay apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latentface.head.fit import HeadFit
from latentface.head.fitting import fit_head
from latentface.io.images import write_image
from latentface.training import portrait_clips
from latentface.training.motion_data import load_clips
from latentface.training.portrait_clips import chosen_faces, place_photo, write_clips
from tests.helpers.head_picture import model, picture, place

TOP, SIZE = 20, 300  # of the square that is cut out of the picture


def face() -> tuple[np.ndarray, HeadFit]:
    photo = picture().photo[TOP : TOP + SIZE]
    return photo, fit_head(model(), place()[model().landmarks, :2].astype(float) - [0, TOP], photo)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four photos of three people, one of whom is held out, and the heads in them."""
    photo, fit = face()
    (tmp_path / "crops").mkdir()
    rows, fits = [], []
    for k, person in enumerate("abbc"):
        write_image(tmp_path / "crops" / f"{k}.png", photo)
        row = {"name": f"{k}.png", "source": "here", "person": person, "landmarks": fit.landmarks(model()).tolist()}
        rows.append(json.dumps(row | {"held_out": k == 1}) + "\n")
        fits.append(f'{{"name": "{k}.png", "fit": {fit.to_json()}}}\n')
    (tmp_path / "faces.jsonl").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "fits.jsonl").write_text("".join(fits), encoding="utf-8")
    return tmp_path


def test_a_photo_that_is_shown_smaller_takes_its_head_along() -> None:
    fit = face()[1]
    columns, rows = np.meshgrid(*2 * [np.arange(SIZE) * 255 / SIZE])
    told = np.dstack([columns, rows, rows]).round().astype(np.uint8)  # colours that say where they were
    shown, placed = place_photo(told, fit, 200, np.random.default_rng(0))
    assert shown.shape == (200, 200, 3) and 0.53 < placed.scale / fit.scale < 0.67
    before, after = (each.landmarks(model()) for each in (fit, placed))
    x, y = np.rint(after).astype(int).T
    assert np.abs(shown[y, x, :2] - before * 255 / SIZE).max() < 2
    assert np.array_equal(shown[0], shown[1])  # the border goes on


def test_nobody_is_held_out_and_trained_on(folder: Path) -> None:
    fits: dict[str, HeadFit | None] = dict.fromkeys((f"{k}.png" for k in range(4)), face()[1])
    trained, held = (chosen_faces(folder, fits, each) for each in (False, True))
    assert [each.name for each in trained] == ["0.png", "3.png"] and [each.name for each in held] == ["1.png", "2.png"]


def test_clips_are_written_as_training_reads_them_and_not_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait_clips, "SHARD", 1)
    paths = write_clips(folder, folder / "out", folder / "fits.jsonl", 1, 3, 64, held_out=False)
    clips = load_clips(folder / "out")
    assert len(paths) == len(clips) == 1
    assert clips.pictures[0].shape == (3, 64, 64, 3) and clips.landmarks[0].shape == (3, 68, 2)
    moved = np.abs(np.diff(clips.landmarks[0], axis=0)).mean((1, 2))
    changed = np.abs(np.diff(clips.pictures[0].astype(int), axis=0)).mean((1, 2, 3))
    assert (moved > 0.3).all() and (changed > 0.5).all()
    monkeypatch.setattr(portrait_clips, "make_clip", None)  # which cannot be called
    assert write_clips(folder, folder / "out", folder / "fits.jsonl", 1, 3, 64, held_out=False) == paths
