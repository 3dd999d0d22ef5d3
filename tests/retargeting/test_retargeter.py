"""Faces of photos and clips in the picture of another person, with drawn faces and an untaught network."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import latentface as lf
from latentface.errors import NoFaceFound, UnknownNetwork, UsageError
from latentface.faces import alignment
from latentface.retargeting.people import save_person
from latentface.retargeting.retargeter import Retargeter
from tests.helpers.cli_desk import Desk, PixelDistance, draw_photo, find_blobs, place_points
from tests.helpers.motion_models import best_skin
from tests.helpers.tiny_cast import SIDE, tiny_network, write_tiny_network


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Retargeter:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(alignment, "best_score", best_skin)
    return Retargeter(tiny_network(), place_points, PixelDistance())


def test_a_photo_is_shown_as_either_person(model: Retargeter) -> None:
    photo = draw_photo((90, 70))
    anna, ben = (model.retarget(photo, name) for name in model.people)
    assert anna.shape == (SIDE, SIDE, 3) and anna.dtype == np.uint8
    assert np.abs(anna.astype(int) - ben).max() > 0
    assert np.array_equal(anna, model.retarget(photo, model.person("anna")))
    assert np.array_equal(model.retarget(photo, "anna"), anna)
    with pytest.raises(UsageError, match="expected one of anna, ben"):
        model.retarget(photo, "carla")
    with pytest.raises(NoFaceFound):
        model.retarget(np.zeros((80, 80, 3), np.uint8), "anna")


def test_a_way_leads_from_one_expression_to_the_other(model: Retargeter) -> None:
    first, last = model.read(draw_photo((90,))), model.read(draw_photo((60,)), 1) + 1
    way = model.interpolate(first, last, "ben", 5)
    assert way.shape == (5, SIDE, SIDE, 3)
    assert np.abs(way[0].astype(int) - model.show(first, "ben")[0]).max() <= 1
    assert np.abs(way[-1].astype(int) - model.show(last, "ben")[0]).max() <= 1
    with pytest.raises(UsageError, match="2 or more"):
        model.interpolate(first, last, "ben", 1)


def test_a_clip_keeps_its_times_and_holds_where_there_is_no_face(model: Retargeter) -> None:
    seen, empty = draw_photo((90,)), np.full((140, 150, 3), 20, np.uint8)
    clip = lf.Clip.of([seen, empty, seen], 10, (150, 140))
    made = model.retarget_clip(clip, "anna")
    frames = list(made)
    assert [frame.time for frame in frames] == [Fraction(k, 10) for k in range(3)]
    assert made.size == (SIDE, SIDE) and made.source_type == "trainedAlgorithmicMedia"
    assert np.array_equal(frames[0].pixels, frames[1].pixels)
    with pytest.raises(NoFaceFound, match="first frame"):
        list(model.retarget_clip(lf.Clip.of([empty], 10, (150, 140)), "anna"))


def test_somebody_new_is_enrolled_and_kept(model: Retargeter, tmp_path: Path) -> None:
    photos = [draw_photo((90,)), draw_photo((80,))]
    person = model.enrol(photos, steps=3)
    shown = model.retarget(photos[0], person)
    assert np.abs(shown.astype(int) - model.retarget(photos[0], "anna")).max() > 0
    save_person(tmp_path / "new.person.safetensors", person, model.network)
    assert np.array_equal(model.retarget(photos[0], str(tmp_path / "new.person.safetensors")), shown)


def test_a_network_is_opened_by_file(desk: Desk) -> None:
    model = lf.load_retargeter(write_tiny_network(desk.folder / "tiny-retarget.safetensors"))
    assert model.people == ("anna", "ben")
    assert torch.equal(model.network.vectors, tiny_network().vectors)
    with pytest.raises(UnknownNetwork, match="retarget"):
        lf.load_retargeter("no-such-network")
