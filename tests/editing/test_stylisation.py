"""Stylising a face: what is learnt from which picture, and how the result reaches the photo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editing.inverted_face import Face
from latentface.editing.stylisation import (
    chosen_layers,
    dressed,
    learn_style,
    open_style,
    stylise,
    stylise_face,
)
from latentface.errors import LatentMismatch, NoFaceFound, UsageError
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualNet
from latentface.options.styles import StyleOptions, StyliseOptions
from latentface.styles.style import Style
from tests.helpers.cli_desk import Desk, draw_photo

QUICK = StyleOptions(learning_steps=3, tuning_rate=0.05)


@pytest.fixture
def style(generator: Generator) -> Style:
    return learn_style(draw_photo((80,)), generator, QUICK, name="blue")


def test_a_style_is_learnt_from_the_face_of_a_picture(generator: Generator, style: Style, desk: Desk) -> None:
    assert style.name == "blue" and style.picture.shape == (16, 16, 3)
    assert max(float(value.abs().max()) for value in style.deltas.values.values()) > 0
    with pytest.raises(NoFaceFound, match=r"the style picture shows no face .*--method gatys"):
        learn_style(np.full((90, 90, 3), 20, np.uint8), generator, QUICK)
    path = desk.photo("oil.png")
    assert open_style(path, generator, QUICK).name == "oil"
    style.save(desk.folder / "s.safetensors")
    assert open_style(desk.folder / "s.safetensors", generator).name == "blue"
    with pytest.raises(LatentMismatch, match="the style blue"):
        open_style(style, api.load_generator(desk.other_network))


def test_places_show_the_crop_the_face_or_the_whole_photo(generator: Generator, style: Style, face: Face) -> None:
    assert face.photo is not None and face.crop is not None
    shown = {
        place: stylise_face(face, generator, style, StyliseOptions(place=place)).photo
        for place in ("crop", "face", "photo")
    }
    assert shown["crop"].rgb.shape[0] == shown["crop"].rgb.shape[1] == 256  # crops are no smaller
    changed = (shown["face"].rgb != face.photo.rgb).any(2)
    assert changed.any() and not changed[:5].any()  # outside the face nothing changes
    assert shown["photo"].rgb.shape == face.photo.rgb.shape
    assert {photo.source_type for photo in shown.values()} == {COMPOSITE}


def test_options_change_what_they_name(generator: Generator, style: Style, face: Face) -> None:
    plain, full = (stylise_face(face, generator, style, StyliseOptions(strength=each)) for each in (0.0, 1.0))
    assert np.array_equal(plain.plain, full.plain)
    flat = stylise_face(face, generator, style, StyliseOptions(strength=0.0, detail=0.0))
    assert flat.image is not None and full.image is not None and not np.array_equal(flat.image, full.image)
    coloured = stylise_face(face, generator, style, StyliseOptions(preserve_colour=True))
    assert not np.array_equal(coloured.image, full.image)
    shape = chosen_layers(style, StyliseOptions(layers="shape"))
    assert shape.resolutions == style.resolutions  # all layers of the tiny network are coarse
    with pytest.raises(UsageError, match="changes layers of"):
        chosen_layers(style, StyliseOptions(layers="texture"))
    with pytest.raises(UsageError, match="strength"):
        StyliseOptions(strength=float("nan"))
    with pytest.raises(UsageError, match="has no effect"):
        StyliseOptions(method="gatys", place="face")


def test_a_latent_is_drawn_alone_and_a_dressed_face_by_every_edit(
    generator: Generator, style: Style, face: Face
) -> None:
    alone = stylise_face(replace(face, photo=None, crop=None), generator, style)
    assert alone.photo.rgb.shape == (16, 16, 3) and alone.photo.source_type == GENERATED
    drawn = dressed(face, style).tune(generator)
    with torch.no_grad():
        ws = face.latent.ws[None]
        assert not torch.equal(drawn.synthesis(ws), generator.synthesis(ws))


def test_one_call_does_it_all(generator: Generator, style: Style, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    made = stylise(draw_photo(), style, generator=generator)
    assert made.image is not None and made.photo.rgb.shape == (256, 256, 3)
    torch.manual_seed(0)
    network = PerceptualNet().requires_grad_(False)
    monkeypatch.setattr(hub, "perceptual", lambda device: network)
    options = StyliseOptions(method="gatys", texture_steps=1)
    whole = stylise(desk.photo(), draw_photo((60,)), options)
    assert whole.photo.rgb.shape == draw_photo().shape and whole.image is None
    kept = stylise(draw_photo(), draw_photo((60,)), replace(options, preserve_colour=True))
    assert not np.array_equal(kept.photo.rgb, whole.photo.rgb)
    with pytest.raises(UsageError, match="draws photos, not latents"):
        stylise(hub.load_latent(latent_file(generator, desk.folder)), style, options)


def latent_file(generator: Generator, folder: Path) -> Path:
    from latentface.latents.latent import Latent

    Latent(api.sample_ws(generator, 1)[0], generator.fingerprint).save(folder / "a.latent.safetensors")
    return folder / "a.latent.safetensors"
