"""What every edit of a photo shares: pictures of latents, their landmarks, and what puts them into a photo."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentface import api
from latentface.compositing.compositor import Compositor
from latentface.compositing.expression_warp import ExpressionMap
from latentface.editing.inverted_face import Face
from latentface.editing.placement import find_points, make_placer, synthesise
from latentface.io.images import to_uint8
from latentface.networks.generator import Generator
from latentface.options.photos import CompositeOptions
from tests.helpers.stand_in_networks import stand_in_networks


def test_pictures_are_those_of_the_generator(generator: Generator, face: Face) -> None:
    ws = torch.cat([api.sample_ws(generator, seed) for seed in (1, 2)])
    pictures = synthesise(generator, face.latent, ws)
    assert pictures.shape == (2, 16, 16, 3) and pictures.dtype == np.uint8
    with torch.no_grad():
        assert np.array_equal(pictures, to_uint8(generator.synthesis(ws, noise_mode="const")))


def test_pictures_have_the_noise_of_their_latent(generator: Generator, face: Face) -> None:
    with torch.no_grad():
        for layer in generator.synthesis.noise_layers():
            layer.noise_strength.fill_(0.5)
    source = torch.Generator().manual_seed(0)
    noise = tuple(torch.randn(shape, generator=source) for shape in generator.synthesis.noise_shapes())
    latent = replace(face.latent, noise=noise)
    ws = torch.cat([api.sample_ws(generator, seed) for seed in (1, 2)])
    with torch.no_grad():
        wanted = to_uint8(generator.synthesis(ws, noise_mode="const", noise=noise))
    assert np.array_equal(synthesise(generator, latent, ws), wanted)
    assert not np.array_equal(synthesise(generator, face.latent, ws), wanted)


def test_landmarks_are_in_pixels_whose_centres_are_whole_numbers(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks measure in crop units from edge to edge: 0 is half a pixel before the first pixel's centre."""
    points = torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(0))
    points[0, 0], points[0, 1] = 0.0, 1.0
    monkeypatch.setattr(api, "face_networks", lambda device: replace(stand_in_networks(), landmarks=lambda _: points))
    found = find_points(generator, np.zeros((2, 16, 16, 3), np.uint8))
    assert found.dtype == np.float64
    assert found[0, 0].tolist() == [-0.5, -0.5] and found[0, 1].tolist() == [15.5, 15.5]
    assert np.allclose(found, points.double().numpy() * 16 - 0.5)


def test_the_place_decides_what_puts_a_face_into_its_photo(generator: Generator, face: Face) -> None:
    (reference,) = synthesise(generator, face.latent, face.latent.ws[None])
    assert isinstance(make_placer(face, generator, reference, "warp"), ExpressionMap)
    assert isinstance(make_placer(face, generator, reference, "paste", CompositeOptions()), Compositor)


@pytest.mark.parametrize("place", ["warp", "paste"])
def test_without_a_photo_or_a_crop_there_is_nothing_to_put_it_into(
    generator: Generator, face: Face, place: str
) -> None:
    reference = np.zeros((16, 16, 3), np.uint8)
    for alone in (replace(face, photo=None), replace(face, crop=None)):
        assert make_placer(alone, generator, reference, place) is None


def test_the_face_as_it_is_leaves_the_photo_as_it_is(generator: Generator, face: Face) -> None:
    (reference,) = synthesise(generator, face.latent, face.latent.ws[None])
    warp, paste = (make_placer(face, generator, reference, place) for place in ("warp", "paste"))
    assert isinstance(warp, ExpressionMap) and isinstance(paste, Compositor)
    assert face.photo is not None
    (points,) = find_points(generator, reference[None])
    assert np.array_equal(warp.place(reference, points), face.photo.rgb)
    assert np.array_equal(paste.place(reference), face.photo.rgb)
