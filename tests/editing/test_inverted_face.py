"""Faces made ready to be edited: when the encoder's latents do, and what is warned of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.editing.attribute_edit import Retoucher
from latentface.editing.expression_transfer import Transferrer
from latentface.editing.expression_video import perform
from latentface.editing.inverted_face import Face, FaceFinder, choose_projection
from latentface.editing.placement import synthesise
from latentface.emotion import EmotionSequence
from latentface.errors import InputError, UsageError
from latentface.inversion.cache import ProjectionCache
from latentface.inversion.projector import Projection
from latentface.io.clip import Clip
from latentface.io.colour import UNREADABLE
from latentface.io.images import Photo
from latentface.latents.latent import Direction, Latent
from latentface.networks.generator import Generator
from latentface.options.clips import SequenceOptions, VideoOptions
from latentface.options.photos import TransferOptions
from latentface.options.projection import ProjectOptions
from tests.helpers.cli_desk import Desk, draw_photo, place_points
from tests.helpers.profiles import rgb_profile
from tests.helpers.stand_in_networks import stand_in_networks

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
    with pytest.raises(UsageError, match="the mean face"):
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


class TestTuning:
    """What pivot tuning changed in the generator goes with the face, wherever it comes from."""

    TUNED = ProjectOptions(steps=2, tune_steps=3, tune_learning_rate=0.05)

    @pytest.fixture
    def generator(self, desk: Desk) -> Generator:
        return api.load_generator(desk.network)

    @pytest.fixture
    def projection(self, generator: Generator) -> Projection:
        crop = api.align(draw_photo(), generator.config.resolution)[0]
        return api.project(crop, generator, self.TUNED)

    def test_of_a_projection(self, generator: Generator, projection: Projection) -> None:
        face = FaceFinder(generator).face(projection)
        assert face.tuned is projection.tuned is not None
        assert np.array_equal(synthesise(face.tune(generator), face.latent, face.latent.ws[None])[0], projection.image)
        plain = FaceFinder(generator).face(projection.latent)
        assert plain.tuned is None and plain.tune(generator) is generator
        assert not np.array_equal(synthesise(generator, face.latent, face.latent.ws[None])[0], projection.image)

    def test_of_a_photo_found_again(self, generator: Generator, projection: Projection, tmp_path: Path) -> None:
        finder = FaceFinder(generator, self.TUNED, cache=ProjectionCache(tmp_path))
        first, again = finder.face(draw_photo()), finder.face(draw_photo())
        assert (first.cached, again.cached) == (False, True)
        assert first.tuned is not None and again.tuned is not None and projection.tuned is not None
        for name, values in projection.tuned.values.items():
            assert torch.equal(first.tuned.values[name], values) and torch.equal(again.tuned.values[name], values)
        for path in tmp_path.glob("*.tuned.safetensors"):
            path.unlink()
        assert not finder.face(draw_photo()).cached

    def test_a_face_that_only_lends_its_latent_is_not_tuned(self, generator: Generator) -> None:
        crop = api.align(draw_photo(), generator.config.resolution)[0]
        phases = list[str]()
        finder = FaceFinder(generator, self.TUNED, on_step=lambda step, state: phases.append(state.phase))
        finder.latent(crop)
        assert phases == ["project"] * 2

    def test_of_a_file(self, generator: Generator, projection: Projection, desk: Desk, tmp_path: Path) -> None:
        assert projection.tuned is not None
        path = tmp_path / "anna.latent.safetensors"
        projection.latent.save(path)
        assert FaceFinder(generator).face(path).tuned is None
        projection.tuned.save(tmp_path / "anna.tuned.safetensors")
        tuned = FaceFinder(generator).face(path).tuned
        assert tuned is not None and tuned.values.keys() == projection.tuned.values.keys()
        (tmp_path / "anna.tuned.safetensors").write_bytes(b"broken")
        with pytest.raises(InputError, match=r"anna\.tuned\.safetensors is damaged"):
            FaceFinder(generator).face(path)

    def test_an_edit_is_synthesised_by_it(self, generator: Generator, projection: Projection) -> None:
        step = Direction(torch.full((6, 8), 0.5), generator.fingerprint, "up")
        made = Retoucher(FaceFinder(generator).face(projection), generator, {"up": step}).edit({"up": 1.0})
        expected = api.synthesise(generator, projection.latent + step, projection.tuned)[0]
        assert np.array_equal(made.reference, projection.image) and np.array_equal(made.image, expected)

    def test_a_video_is_synthesised_by_it(self, generator: Generator, projection: Projection) -> None:
        still = SequenceOptions(blinks=False, sway=False, rest=False)
        face = FaceFinder(generator).face(projection)
        shown = perform(face, EmotionSequence.of("neutral"), generator, still, VideoOptions(fps="2"))
        assert all(np.array_equal(frame.pixels, projection.image) for frame in shown)

    def test_a_transfer_is_synthesised_by_it(
        self, generator: Generator, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api, "face_networks", stand_in_networks)
        other = replace(projection.latent, ws=projection.latent.ws + 0.5)
        options = TransferOptions(layers="1-3", units="rows")
        for made in (
            api.transfer(identity=projection, expression=other, generator=generator, options=options),
            Transferrer(FaceFinder(generator), options).photo(projection, other).transfer,
        ):
            assert np.array_equal(made.reference, projection.image)
            assert np.array_equal(made.image, api.synthesise(generator, made.latent, projection.tuned)[0])
        turned = api.transfer(identity=other, expression=projection, generator=generator, options=options)
        plain = api.transfer(identity=other, expression=projection.latent, generator=generator, options=options)
        assert np.array_equal(turned.reference, api.synthesise(generator, other)[0])
        assert turned.expression != plain.expression, "the face that is to be met is the tuned one"

    def test_a_clip_is_synthesised_by_it(
        self, generator: Generator, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api, "face_networks", stand_in_networks)
        finder = FaceFinder(generator, QUICK)
        options = TransferOptions(layers="1-3", units="rows")
        driver = Clip.of([draw_photo()], 5, draw_photo().shape[1::-1])
        monkeypatch.setattr(api, "follow", lambda crop, generator, before: before)
        clip, _, made = Transferrer(finder, options).clip(finder.face(projection), driver)
        assert np.array_equal(made.reference, projection.image)
        assert [np.array_equal(frame.pixels, made.image) for frame in clip] == [True]


def test_a_face_for_a_clip_is_in_srgb_and_a_broken_profile_is_told() -> None:
    latent = Latent(torch.zeros(2, 4), "x")
    pixels = np.full((8, 8, 3), (180, 120, 90), np.uint8)
    made = Face(latent, Photo(pixels, icc=rgb_profile("prophoto"))).in_srgb()
    assert made.photo is not None and made.photo.icc is None and (made.photo.rgb != pixels).any()
    told: list[str] = []
    assert np.array_equal(Face(latent, Photo(pixels, icc=b"none")).in_srgb(told.append).photo.rgb, pixels)
    assert told == [UNREADABLE]
    assert Face(latent).in_srgb().photo is None
