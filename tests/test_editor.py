"""FaceEditor and the public verbs, on files and on arrays, with a tiny network."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editor import FaceEditor
from latentface.errors import InputError, LatentMismatch, NoFaceFound, UnknownNetwork, UsageError
from latentface.faces import alignment
from latentface.faces.crop import pick_face
from latentface.io.images import write_image
from latentface.options import EditOptions, ProjectOptions, TransferOptions
from tests.helpers.cli_desk import PixelDistance, draw_photo, find_blobs, place_points, write_tiny

QUICK = ProjectOptions(steps=3)


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaceEditor:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: place_points)
    monkeypatch.setattr(hub, "perceptual", lambda device: PixelDistance())
    return FaceEditor(write_tiny(tmp_path / "tiny.safetensors", 1))


def test_file_array_and_crop_give_the_same_projection(editor: FaceEditor, tmp_path: Path) -> None:
    photo = draw_photo()
    write_image(tmp_path / "anna.png", photo)
    crop = editor.align(photo)[0]
    assert crop.image.shape == (16, 16, 3)
    found = [editor.project(source, QUICK) for source in (tmp_path / "anna.png", photo, crop)]
    for other in found[1:]:
        torch.testing.assert_close(found[0].latent.ws, other.latent.ws, rtol=0, atol=0)
    assert found[0].image.shape == (16, 16, 3) and len(found[0].losses) == 3


def test_the_face_number(editor: FaceEditor) -> None:
    photo = draw_photo((60, 100))
    crops = editor.align(photo)
    assert len(crops) == 2 and crops[0].score > crops[1].score
    second = editor.project(photo, QUICK, face=2)
    expected = editor.project(crops[1], QUICK)
    np.testing.assert_array_equal(second.image, expected.image)
    with pytest.raises(InputError, match="no face 3"):
        editor.project(photo, QUICK, face=3)
    with pytest.raises(UsageError, match="counted from 1"):
        pick_face(crops, 0)


def test_several_crops_together(editor: FaceEditor) -> None:
    crops = editor.align(draw_photo((60, 100)))
    steps = []
    both = editor.project_crops(crops, QUICK, on_step=lambda step, state: steps.append(step))
    assert len(both) == 2 and len(steps) == 3
    assert not torch.equal(both[0].latent.ws, both[1].latent.ws)


def test_no_face_names_the_file(editor: FaceEditor, tmp_path: Path) -> None:
    write_image(tmp_path / "meadow.png", np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(NoFaceFound, match=r"meadow\.png"):
        editor.align(tmp_path / "meadow.png")


def test_synthesise_draws_latents_and_files(editor: FaceEditor, tmp_path: Path) -> None:
    projection = editor.project(draw_photo(), QUICK)
    projection.latent.save(tmp_path / "a.latent.safetensors")
    for source in (projection.latent, tmp_path / "a.latent.safetensors"):
        assert np.abs(editor.synthesise(source).astype(int) - projection.image).max() <= 1
    other = FaceEditor(write_tiny(tmp_path / "other.safetensors", 2))
    with pytest.raises(LatentMismatch, match="another network"):
        other.synthesise(projection.latent)


def test_a_seed_is_one_face_whatever_the_others_are(editor: FaceEditor) -> None:
    several = editor.sample([3, 4, 5])
    np.testing.assert_array_equal(editor.sample(4)[0], several[1])
    np.testing.assert_array_equal(editor.sample(), editor.sample([editor.seed]))
    assert not np.array_equal(several[0], several[1])
    with pytest.raises(UsageError, match="no seeds"):
        editor.sample([])


def test_global_random_state_is_not_touched(editor: FaceEditor) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    editor.sample([1, 2])
    editor.project(draw_photo(), QUICK)
    assert torch.equal(before, torch.get_rng_state())


def test_networks_are_loaded_once_a_device_and_again_when_the_file_changes(tmp_path: Path) -> None:
    path = write_tiny(tmp_path / "net.safetensors", 1)
    first = api.load_generator(path)
    assert api.load_generator(str(path)) is first
    write_tiny(path, 2)
    os.utime(path, ns=(1, 1))
    assert api.load_generator(path).fingerprint != first.fingerprint


def test_everything_works_in_inference_mode_and_after_it(editor: FaceEditor, tmp_path: Path) -> None:
    photo, tuning = draw_photo(), ProjectOptions(steps=3, tune_steps=1)
    expected = editor.project(photo, tuning)
    path = write_tiny(tmp_path / "again.safetensors", 1)
    with torch.inference_mode():
        other = FaceEditor(path)
        assert other.fingerprint == editor.fingerprint
        inside = other.project(photo, tuning)
        assert inside.tuned is not None
        drawn = other.synthesise(inside.latent, inside.tuned)
        moved = other.edit(inside, {}, EditOptions())
        refined = TransferOptions(layers="1-3", units="rows", refine_steps=2)
        spliced = other.transfer(inside, photo, refined, project=QUICK).transfer
    assert other.fingerprint == editor.fingerprint
    assert inside.latent == expected.latent and not inside.latent.ws.is_inference()
    np.testing.assert_array_equal(inside.image, expected.image)
    np.testing.assert_array_equal(drawn, expected.image)
    outside = other.project(photo, tuning)
    assert outside.latent == expected.latent
    ws = moved.latent.ws[None].clone().requires_grad_()
    other.generator.synthesis(ws).square().sum().backward()
    assert ws.grad is not None and float(ws.grad.abs().max()) > 0
    assert spliced.latent.fingerprint == editor.fingerprint and not spliced.latent.ws.is_inference()


def test_devices() -> None:
    assert api.pick_device("cpu") == "cpu"
    assert api.pick_device() == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("cuda:99", "warp", "meta"):
        with pytest.raises(UsageError, match=name):
            api.pick_device(name)


def test_unknown_network() -> None:
    with pytest.raises(UnknownNetwork, match="synthface-128"):
        FaceEditor("synthface-12")
