"""Casts for retargeting: rendered ones with truth, and folders of people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentface.errors import InputError
from latentface.faces import alignment
from latentface.io.clip import Clip
from latentface.io.video import write_clip
from latentface.training import retargeting_data
from latentface.training.retargeting_data import gather, load_rendered, people_in
from tests.helpers.cli_desk import draw_photo, find_blobs, place_points
from tests.helpers.motion_models import best_skin
from tests.helpers.tiny_cast import write_cast


def test_shared_expressions_are_held_out_and_paired(tmp_path: Path) -> None:
    cast = load_rendered(write_cast(tmp_path, people=3, own=4, shared=5))
    own, held = cast.split()
    assert (len(cast), len(own), len(held)) == (27, 12, 15)
    assert cast.truth is not None and cast.truth.shape == (27, 6)
    told, other = held.pairs(2)
    assert torch.equal(held.moment[told], held.moment[other])
    assert torch.equal(held.person[other], (held.person[told] + 2) % 3)
    assert own.truth is not None and held.truth is not None
    assert torch.equal(held.truth[told], held.truth[other])
    assert own.landmarks.abs().max() < 1.2 and 0.9 < float(own.features.max()) <= 1
    last = cast.people(2, 3)
    assert last.names == ("person-00002",) and set(last.person.tolist()) == {0}
    with pytest.raises(InputError, match=r"no person-\*.npz"):
        load_rendered(tmp_path / "none")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two people's folders: photos, a clip, and a file that is no picture."""
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(alignment, "best_score", best_skin)
    for name, faces in (("anna", ((90,), (80,), (70, 90))), ("ben", ((60,),))):
        (tmp_path / "cast" / name).mkdir(parents=True)
        for k, each in enumerate(faces):
            Image.fromarray(draw_photo(each)).save(tmp_path / "cast" / name / f"{k}.png")
    frame = draw_photo((90,))
    write_clip(tmp_path / "cast" / "ben" / "film.mp4", Clip.of([frame] * 9, 10, (frame.shape[1], frame.shape[0])))
    (tmp_path / "cast" / "anna" / "bad.jpg").write_bytes(b"nothing")
    Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(tmp_path / "cast" / "anna" / "dark.png")
    return tmp_path / "cast"


def test_folders_of_people_are_read_and_bad_files_told(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retargeting_data, "KEPT", 2)
    heard: list[int] = []
    cast, left_out = gather([drawn], 32, place_points, heard.append)
    assert cast.names == ("anna", "ben") and cast.person.tolist() == [0, 0, 0, 1, 1, 1]
    assert cast.images.shape == (6, 3, 32, 32) and cast.truth is None
    assert [each.path.name for each in left_out] == ["bad.jpg", "dark.png"]
    assert heard == list(range(1, 8))
    own, held = cast.split()
    assert (len(own), len(held)) == (5, 1)
    assert [each.tolist() for each in held.pairs()] == [[0], [0]]


def test_a_folder_can_be_one_person(drawn: Path, tmp_path: Path) -> None:
    assert list(people_in([drawn / "anna", drawn / "ben"])) == ["anna", "ben"]
    with pytest.raises(InputError, match="two folders are called anna"):
        people_in([drawn, drawn / "anna"])
    with pytest.raises(InputError, match="is no folder"):
        people_in([drawn / "carla"])
    with pytest.raises(InputError, match="faces of 1 people"):
        gather([drawn / "ben"], 32, place_points)
