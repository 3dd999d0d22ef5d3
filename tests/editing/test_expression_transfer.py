"""Transfer with the built-in networks: latents by the encoder, and the photo's own pixels moved and changed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api
from latentface.editing.expression_transfer import Transferrer
from latentface.editing.inverted_face import Face, FaceFinder
from latentface.faces.crop import FaceCrop
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo, read_photo
from latentface.latents.latent import Latent
from latentface.options.photos import TransferOptions

PORTRAIT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
QUICK = TransferOptions(layers="0-8", units="expression", refine_steps=2)


@pytest.fixture(scope="module")
def photo() -> Photo:
    return read_photo(PORTRAIT)


@pytest.fixture(scope="module")
def crop(photo: Photo) -> FaceCrop:
    return api.align(photo.rgb)[0]


@pytest.fixture(scope="module")
def own(crop: FaceCrop) -> Latent:
    generator = api.load_generator()
    return Latent(api.encode(crop, generator)[0], generator.fingerprint)


@pytest.fixture(scope="module")
def shut(own: Latent) -> Latent:
    """The same face without its smile."""
    return own + -3.0 * api.load_direction("smile", api.load_generator())


def transferrer(options: TransferOptions = QUICK) -> Transferrer:
    def search(step: int, state: object) -> None:
        raise AssertionError("nothing is to be projected")

    return Transferrer(FaceFinder(api.load_generator(), on_step=search), options)


def test_the_encoder_gives_the_latents_and_the_photo_its_pixels(
    photo: Photo, crop: FaceCrop, own: Latent, shut: Latent
) -> None:
    made = transferrer().photo(PORTRAIT, shut)
    assert torch.allclose(made.identity.latent.ws, own.ws)
    assert not made.identity.cached
    assert made.transfer.space is not None
    changed = np.abs(made.photo.rgb.astype(int) - photo.rgb).max(2)
    mouth = crop.landmarks[48:68]
    x0, y0, x1, y1 = (*mouth.min(0).astype(int), *mouth.max(0).astype(int) + 1)
    assert changed[y0:y1, x0:x1].mean() > 3
    outside = np.ones_like(changed, bool)
    low, high = crop.landmarks.min(0) - 1.3 * crop.side, crop.landmarks.max(0) + 1.3 * crop.side
    near = np.clip([low, high], 0, changed.shape[::-1]).astype(int)
    outside[near[0, 1] : near[1, 1], near[0, 0] : near[1, 0]] = False
    assert not changed[outside].any()
    measured = api.face_networks().landmarks
    drawn, before = (torch.from_numpy(each).permute(2, 0, 1)[None] / 127.5 - 1 for each in
                     (made.transfer.image, made.transfer.reference))  # fmt: skip
    width = [float(points[0, 54, 0] - points[0, 48, 0]) for points in (measured(drawn), measured(before))]
    assert width[0] < width[1]


def test_a_clip_is_followed_by_the_encoder(monkeypatch: pytest.MonkeyPatch, photo: Photo, own: Latent) -> None:
    def search(*arguments: object) -> torch.Tensor:
        raise AssertionError("nothing is to be searched")

    monkeypatch.setattr(api, "follow", search)
    blank = np.zeros_like(photo.rgb)
    frames = [Frame(pixels, Fraction(k, 5)) for k, pixels in enumerate([photo.rgb, blank, photo.rgb[:, ::-1].copy()])]
    driver = Clip(frames, Fraction(5), photo.rgb.shape[1::-1], 3)
    maker = transferrer()
    clip, report, made = maker.clip(Face(own), driver)
    drawn = [frame.pixels for frame in clip]
    assert (report.frames, report.missing) == (3, 1)
    first = np.abs(drawn[0].astype(int) - made.image)  # the first frame is what the rows were chosen for
    assert first.max() <= 1
    assert np.array_equal(drawn[1], drawn[0])
    assert np.abs(drawn[2].astype(int) - drawn[0]).max() > 5


def test_every_frame_of_a_clip_that_comes_once_is_followed(photo: Photo, own: Latent) -> None:
    blank = np.zeros_like(photo.rgb)
    driver = Clip.of(iter([blank, photo.rgb, blank]), 5, photo.rgb.shape[1::-1])
    assert driver.once
    clip, report, _ = transferrer().clip(Face(own), driver)
    assert [frame.time for frame in clip] == [Fraction(k, 5) for k in range(3)]
    assert (report.frames, report.missing) == (3, 2)


def test_pasting_looks_different_from_warping(photo: Photo, shut: Latent) -> None:
    warped = transferrer().photo(PORTRAIT, shut)
    pasted = transferrer(replace(QUICK, place="paste")).photo(PORTRAIT, shut)
    assert np.array_equal(warped.transfer.image, pasted.transfer.image)
    assert not np.array_equal(warped.photo.rgb, pasted.photo.rgb)
