"""A tiny generator and a face that it synthesises, for the tests of editing."""

from __future__ import annotations

import pytest

from latentface import api
from latentface.editing.inverted_face import Face
from latentface.io.images import Photo
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator
from tests.helpers.cli_desk import Desk, draw_photo
from tests.helpers.stand_in_networks import stand_in_networks


@pytest.fixture
def generator(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """The desk's network (6 rows of 8 numbers, 16 pixels a side), with stand-ins for the networks that see faces."""
    monkeypatch.setattr(api, "face_networks", stand_in_networks)
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    return api.load_generator(desk.network)


@pytest.fixture
def face(generator: Generator) -> Face:
    """A sampled latent in a photo whose face stands for it."""
    photo = draw_photo()
    crop = api.align(photo, generator.config.resolution)[0]
    return Face(Latent(api.sample_ws(generator, 3)[0], generator.fingerprint), Photo(photo), crop)
