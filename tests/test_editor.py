"""FaceEditor and the public verbs, on files and on arrays, with a tiny network."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editor import FaceEditor
from latentface.errors import InputError, LatentMismatch, NoFaceFound, UnknownNetwork, UsageError
from latentface.faces import alignment
from latentface.faces.crop import largest_face, pick_face
from latentface.io.images import to_tensor, write_image
from latentface.networks.config import GeneratorConfig
from latentface.networks.psp_encoder import PspConfig, PspEncoder
from latentface.options.photos import EditOptions, TransferOptions
from latentface.options.projection import ProjectOptions
from tests.helpers.checkpoint_writers import make, rosinality_state
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


def test_the_largest_face_is_the_default(editor: FaceEditor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "detect_faces", lambda photo: (find_blobs(photo)[0], -find_blobs(photo)[1]))
    photo = draw_photo((60, 100))
    crops = editor.align(photo)
    assert crops[0].side < crops[1].side and largest_face(crops) == 2
    np.testing.assert_array_equal(editor.project(photo, QUICK).image, editor.project(crops[1], QUICK).image)
    with pytest.raises(UsageError, match="a crop shows a single face"):
        editor.project(crops[0], QUICK, face=1)


def write_psp(path: Path) -> tuple[Path, PspEncoder]:
    """A file as pSp publishes them: a small encoder and its generator of 64 px."""
    config = GeneratorConfig(resolution=64, z_dim=64, w_dim=64, num_mapping_layers=2, channel_base=512, channel_max=16)
    torch.manual_seed(0)
    encoder = PspEncoder(PspConfig(10, False, input_size=32, widths=(16, 32, 48, 64), units=(1, 1, 1, 1))).eval()
    encoder.latent_avg += 0.5
    with torch.no_grad():
        for head in encoder.styles:
            head.linear.weight.normal_()
            head.linear.bias.zero_()
    parts = {f"decoder.{name}": value for name, value in rosinality_state(make(config)).items()}
    parts |= {f"encoder.{name}": value for name, value in encoder.state_dict().items() if name != "latent_avg"}
    options = {"encoder_type": "GradualStyleEncoder", "start_from_latent_avg": True}
    torch.save({"state_dict": parts, "latent_avg": encoder.latent_avg, "opts": options}, path)
    return path, encoder


def test_published_encoders_start_projections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "perceptual", lambda device: PixelDistance())
    path, encoder = write_psp(tmp_path / "psp.pt")
    generator = api.load_generator(path)
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with torch.no_grad():
        expected = encoder(to_tensor(picture))[0]
    options = ProjectOptions(start=str(path), steps=0)
    torch.testing.assert_close(api.project(picture, generator, options).latent.ws, expected)
    searched = api.project(picture, generator, replace(options, steps=3))
    assert 0 < float((searched.latent.ws - expected).abs().max()) < 1
    tiny = api.load_generator(write_tiny(tmp_path / "tiny.safetensors", 1))
    with pytest.raises(LatentMismatch, match=r"gives latents \[10, 64\], and this network takes \[6, 8\]"):
        api.project(picture[:16, :16], tiny, options)


def test_starts_that_cannot_be_used(editor: FaceEditor, tmp_path: Path) -> None:
    crop = editor.align(draw_photo())[0]
    (tmp_path / "bad.latent.safetensors").write_bytes(b"no latent")
    for start, error in (
        ("none.latent.safetensors", InputError),
        (str(tmp_path / "bad.latent.safetensors"), InputError),
        ("e4e-fhq", UnknownNetwork),
        ("synthface-128-encoder", LatentMismatch),
    ):
        with pytest.raises(error):
            editor.project(crop, ProjectOptions(start=start, steps=2))
    with pytest.raises(UsageError, match="no encoder"):
        editor.project(crop, ProjectOptions(start="encoder", steps=2))


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
