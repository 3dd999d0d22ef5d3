"""What every command's files say of their origin, with tiny networks; the rule is in `latentface.io.provenance`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editor import FaceEditor
from latentface.emotions.recognition import Recogniser
from latentface.faces import alignment
from latentface.io.images import read_image
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.io.video import write_clip
from latentface.latents.latent import Direction
from latentface.options.clips import VideoOptions
from latentface.options.photos import EditOptions
from latentface.pretrained.directions import write_directions
from tests.helpers.cli_desk import Desk
from tests.helpers.marks import mark_of
from tests.helpers.motion_models import Wander, best_skin, write_motion_model
from tests.helpers.stand_in_networks import stand_in_networks


@pytest.fixture
def studio(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with a photo, a driver, a motion model, directions, and stand-ins for the networks that see faces."""
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    monkeypatch.setattr(api, "face_networks", stand_in_networks)
    monkeypatch.setattr(hub, "encoder", lambda generator: lambda crops: torch.zeros(len(crops), 6, 8))
    monkeypatch.setattr(api, "find_recogniser", lambda *given: Recogniser(lambda crops: np.eye(7)[[0] * len(crops)]))
    monkeypatch.setattr(alignment, "best_score", best_skin)
    source = torch.Generator().manual_seed(0)
    fingerprint = api.load_generator(desk.network).fingerprint
    made = [Direction(torch.randn(6, 8, generator=source), fingerprint, name) for name in ("fear", "yaw", "pitch")]
    (desk.folder / "cache" / "directions").mkdir(parents=True)
    write_directions(desk.folder / "cache" / "directions" / "made.safetensors", made)
    write_motion_model(desk.folder / "model.safetensors")
    write_clip(desk.folder / "driver.mp4", Wander(3).clip())
    desk.photo("anna.png")
    desk.photo("bert.png")
    return desk


def run(studio: Desk, *words: object) -> Path:
    """The file that a command with `-o` wrote."""
    done = studio.run(*words)
    assert done.code == 0, done.err
    return Path(str(words[words.index("-o") + 1]))


def latent_of(studio: Desk, name: str) -> Path:
    assert studio.project(studio.folder / f"{name}.png").code == 0
    return studio.out / f"{name}.latent.safetensors"


def test_project(studio: Desk) -> None:
    latent_of(studio, "anna")
    assert mark_of(studio.out / "anna.projected.png") == GENERATED
    assert mark_of(studio.out / "anna.compare.png") == COMPOSITE


def test_sample(studio: Desk) -> None:
    words = ("sample", "--network", studio.network, "--seeds", "0-1", "-o")
    assert mark_of(run(studio, *words, studio.folder / "sheet.png")) == GENERATED
    singles = run(studio, *words, studio.folder / "singles")
    assert [mark_of(path) for path in sorted(singles.glob("*.png"))] == [GENERATED, GENERATED]


def test_directions_show(studio: Desk) -> None:
    words = ("directions", "show", "fear", "--network", studio.network, "-o", studio.folder / "sheet.png")
    assert mark_of(run(studio, *words)) == GENERATED


@pytest.mark.parametrize(("words", "mark"), [((), COMPOSITE), (("--crop",), GENERATED)])
def test_edit(studio: Desk, words: tuple[str, ...], mark: str) -> None:
    given = ("--network", studio.network, "--steps", 2, "--set", "fear=1", "--strip", "fear", *words)
    out = run(studio, "edit", studio.folder / "anna.png", *given, "-o", studio.folder / "out.png")
    assert mark_of(out) == mark
    assert mark_of(studio.folder / "out.strip.png") == mark


def test_edit_of_a_latent(studio: Desk) -> None:
    words = ("edit", latent_of(studio, "anna"), "--network", studio.network, "--set", "fear=1", "-o")
    assert mark_of(run(studio, *words, studio.folder / "out.png")) == GENERATED


def test_transfer(studio: Desk) -> None:
    words = ("transfer", "--network", studio.network, "--steps", 2, "--rounds", 1)
    pair = ("--identity", studio.folder / "anna.png", "--expression", studio.folder / "bert.png")
    assert mark_of(run(studio, *words, *pair, "-o", studio.folder / "out.png")) == COMPOSITE
    assert mark_of(studio.folder / "out.strip.png") == COMPOSITE
    pair = ("--identity", latent_of(studio, "anna"), "--expression", latent_of(studio, "bert"))
    words = ("transfer", "--network", studio.network, "--rounds", 1)
    assert mark_of(run(studio, *words, *pair, "-o", studio.folder / "latents.png")) == GENERATED
    assert mark_of(studio.folder / "latents.strip.png") == GENERATED


def test_transfer_of_a_clip(studio: Desk) -> None:
    words = ("transfer", "--network", studio.network, "--steps", 2, "--rounds", 1)
    photo = ("--identity", studio.folder / "anna.png", "--expression", studio.folder / "driver.mp4")
    assert mark_of(run(studio, *words, *photo, "-o", studio.folder / "out.mp4")) == COMPOSITE
    latent = ("--identity", latent_of(studio, "anna"), "--expression", studio.folder / "driver.mp4")
    assert mark_of(run(studio, *words, *latent, "-o", studio.folder / "latent.mp4")) == GENERATED


@pytest.mark.parametrize(("words", "mark"), [((), COMPOSITE), (("--crop",), GENERATED)])
@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "frames"])
def test_video(studio: Desk, name: str, words: tuple[str, ...], mark: str) -> None:
    given = ("--network", studio.network, "--emotions", "fear", "--seconds", 0.4, "--fps", 5, "--sway", 0, *words)
    out = run(studio, "video", studio.folder / "anna.png", *given, "-o", studio.folder / name)
    assert mark_of(out) == mark


def test_animate(studio: Desk) -> None:
    words = (
        "animate",
        "--engine",
        "motion",
        "--source",
        studio.folder / "anna.png",
        "--network",
        studio.folder / "model.safetensors",
    )
    driven = (*words, "--driving", studio.folder / "driver.mp4", "-o", studio.folder / "out.gif")
    assert mark_of(run(studio, *driven)) == COMPOSITE


def test_values_of_the_editor_know_what_they_are(studio: Desk) -> None:
    editor = FaceEditor(studio.network)
    anna = studio.folder / "anna.png"
    assert editor.edit(anna, {"fear": 1.0}).photo.source_type == COMPOSITE
    assert editor.edit(anna, {"fear": 1.0}, options=EditOptions(crop=True)).photo.source_type == GENERATED
    assert editor.video(anna, "fear", drawing=VideoOptions(fps="5")).source_type == COMPOSITE
    moved = editor.animate(anna, studio.folder / "driver.mp4", network=studio.folder / "model.safetensors")
    assert moved.clip.source_type == COMPOSITE
    (crop,) = api.align(read_image(anna))
    photo = api.composite(editor.edit(anna, {"fear": 1.0}).photo, crop, crop.image)
    assert photo.source_type == COMPOSITE
