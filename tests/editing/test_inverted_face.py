"""Faces made ready to be edited: when the encoder's latents do, and what is warned of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editing.inverted_face import FaceFinder, choose_projection
from latentface.errors import UsageError
from latentface.options import ProjectOptions
from tests.helpers.cli_desk import Desk, draw_photo, place_points

QUICK = ProjectOptions(steps=2)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that gives zeros."""
    monkeypatch.setattr(hub, "encoder", lambda generator: lambda crops: torch.zeros(len(crops), 6, 8))


def test_without_an_encoder_faces_are_projected(desk: Desk) -> None:
    generator = api.load_generator(desk.network)
    assert choose_projection(generator, seed=3) == ProjectOptions(seed=3)
    with pytest.raises(UsageError, match="no encoder"):
        FaceFinder(generator, ProjectOptions(steps=0)).face(draw_photo())
    with pytest.raises(UsageError, match="nobody's face"):
        FaceFinder(generator, ProjectOptions(steps=0, start="mean")).face(draw_photo())


@pytest.mark.usefixtures("encoder")
def test_the_encoder_does_where_no_likeness_is_wanted(desk: Desk) -> None:
    generator = api.load_generator(desk.network)
    assert choose_projection(generator, seed=3) == ProjectOptions(steps=0, seed=3)
    assert choose_projection(generator, likeness=True) == ProjectOptions()
    found = FaceFinder(generator).face(draw_photo())
    assert not found.latent.ws.any() and found.photo is not None and not found.cached


@pytest.mark.usefixtures("encoder")
@pytest.mark.parametrize("project", [None, QUICK])
def test_faces_turned_away_and_several_faces_are_told_of_alike(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, project: ProjectOptions | None
) -> None:
    def turned(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        points = place_points(photo, boxes)
        points[:, 27:36, 0] += 0.35 * (boxes[:, 2:3] - boxes[:, 0:1])
        return points

    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: turned)
    notes: list[str] = []
    FaceFinder(api.load_generator(desk.network), project, note=notes.append).face(draw_photo((90, 60)))
    assert "2 faces, taking the largest (face 1)" in notes[0]
    assert "turned far away or partly hidden" in notes[1] and notes[1].endswith("expect a poor result")


def test_frames_are_followed_by_a_search_or_by_the_encoder(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = api.load_generator(desk.network)
    monkeypatch.setattr(api, "follow", lambda crop, generator, before: before + 1)
    crop = api.align(draw_photo(), generator.config.resolution)[0]
    before = torch.zeros(6, 8)
    assert (FaceFinder(generator, QUICK).follow(crop, before) == 1).all()
    monkeypatch.setattr(hub, "encoder", lambda *given: lambda crops: torch.full((len(crops), 6, 8), 2.0))
    assert (FaceFinder(generator).follow(crop, before) == 2).all()
    assert FaceFinder(generator).largest(np.zeros((90, 90, 3), np.uint8)) is None


def test_pivot_tuning_does_not_go_with_edits(desk: Desk) -> None:
    with pytest.raises(UsageError, match="pivot tuning"):
        FaceFinder(api.load_generator(desk.network), ProjectOptions(tune_steps=2))
