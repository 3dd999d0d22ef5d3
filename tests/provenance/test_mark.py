"""Marks in photos and clips: what they leave alone, and how they are read again."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from latentface.arrays import Float64Array, Pixels
from latentface.faces import alignment
from latentface.io.clip import Clip
from latentface.io.images import read_image
from latentface.provenance.mark import LOOK_EVERY, SMALLEST, FaceFinder, Marker, decode_odds
from latentface.provenance.payload import Payload
from latentface.provenance.publish import marker as builtin
from tests.provenance.marked import LANDMARKS, marker, smooth_face
from tests.studio.conftest import ASTRONAUT

PAYLOAD = Payload("edit", 1, 77)


def test_pixels_outside_the_face_stay_and_few_levels_change_within() -> None:
    photo = smooth_face(300)
    made = marker().mark(photo, PAYLOAD, near=LANDMARKS)
    assert made is not None and made.dtype == np.uint8
    change = np.abs(made.astype(int) - photo)
    assert 0 < change.max() < 20
    inside = np.zeros((300, 300), bool)
    low, high = (LANDMARKS.min(0) * 300 / 128).astype(int), (LANDMARKS.max(0) * 300 / 128).astype(int)
    inside[low[1] - 60 : high[1] + 4, low[0] - 4 : high[0] + 4] = True
    assert not change[~inside].any() and (change[inside] > 0).mean() > 0.3


def test_a_face_that_is_too_small_is_not_marked() -> None:
    assert marker().mark(smooth_face(SMALLEST - 1), PAYLOAD, near=LANDMARKS) is None
    assert marker().mark_face(smooth_face(200), LANDMARKS * 0.3, PAYLOAD) is None


def test_a_photo_without_a_face_is_not_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "detect_faces", lambda photo: (np.empty((0, 4)), np.empty(0)))
    assert marker().mark(smooth_face(128), PAYLOAD) is None and marker().read(smooth_face(128)) == []


def test_small_clips_stay_and_frames_without_a_face_too() -> None:
    small = Clip.of([smooth_face(64)], 25, (64, 64))
    assert marker().mark_clip(small, "edit") is small
    rgba = np.dstack([smooth_face(160), np.full((160, 160), 99, np.uint8)])
    clip = Clip.of([rgba], 25, (160, 160), alpha=True)
    (frame,) = marker().mark_clip(clip, "edit")
    assert np.array_equal(frame.pixels, rgba)


def test_the_mark_of_anybody_in_a_clip_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two people are followed, and only the second one is marked: votes of one face do not water down the other's."""
    bits = (PAYLOAD.to_bits() * 2.0 - 1) * 6

    def odds(self: Marker, photo: Pixels, landmarks: Float64Array) -> np.ndarray:
        return bits if landmarks[0, 0] > 50 else np.where(np.arange(48) % 3, 4.0, -4.0)

    monkeypatch.setattr(Marker, "odds", odds)
    people = {1: np.zeros((68, 2)), 2: np.full((68, 2), 99.0)}
    frames = Clip.of([smooth_face(100)] * 3, 25, (100, 100))
    found = marker().read_people(frames, lambda picture: people)
    assert found is not None and found.payload == PAYLOAD and found.frames == 3
    assert marker().read_people(frames, lambda picture: {1: people[1]}) is None


def test_a_drawn_face_is_looked_at_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[float] = []

    def landmarks(photo: Pixels, boxes: Float64Array) -> Float64Array:
        looked.append(float(boxes[0, 0]))
        return np.add(drawn, (1.0, 2.0))[None]  # the network sees it a little elsewhere

    faces, picture, drawn = FaceFinder(landmarks), smooth_face(160), LANDMARKS + 3.0
    for k in range(LOOK_EVERY + 1):
        drawn = drawn + 0.5
        found = faces(picture, drawn)
        assert found is not None and np.allclose(found - drawn, (1.0, 2.0))
        assert len(looked) == 1 + k // LOOK_EVERY
    monkeypatch.setattr(alignment, "detect_faces", lambda photo: (np.empty((0, 4)), np.empty(0)))
    assert faces(picture, None) is None and len(looked) == 2


def test_a_word_that_is_hardly_certain_is_no_mark() -> None:
    signs = PAYLOAD.to_bits().astype(np.float32) * 2 - 1
    sure = decode_odds([signs * 6])
    assert sure is not None and sure.payload == PAYLOAD and sure.confidence > 0.99
    assert decode_odds([signs * 2.5]) is None  # as faces without a mark are read
    assert decode_odds([signs * 2.5] * 100) is None  # and their frames, which are alike
    assert decode_odds([]) is None


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))


@pytest.fixture(scope="module")
def shipped() -> Marker:
    return builtin()


def test_the_shipped_mark_survives_jpeg_half_the_size_and_a_crop(shipped: Marker) -> None:
    photo = np.ascontiguousarray(read_image(ASTRONAUT)[:320, 60:380])
    made = shipped.mark(photo, PAYLOAD)
    assert made is not None and shipped.read(photo) == []
    half = np.asarray(Image.fromarray(made).resize((160, 160), Image.Resampling.LANCZOS))
    for changed in (as_jpeg(made, 50), half, np.ascontiguousarray(made[8:-24, 10:-22])):
        (reading,) = shipped.read(changed)
        assert reading.payload == PAYLOAD and reading.confidence > 0.9
    region = np.abs(made.astype(float) - photo)[(made != photo).any(2)]
    assert 10 * np.log10(255**2 / np.square(region).mean()) > 40


def test_frames_vote(shipped: Marker) -> None:
    photo = np.ascontiguousarray(read_image(ASTRONAUT)[:256, 100:356])
    clip = Clip.of([photo] * 2, 25, (256, 256))
    frames = list(shipped.mark_clip(clip, "animate"))
    reading = shipped.read_frames(frames)
    assert reading is not None and reading.frames == 2 and reading.payload == Payload.of("animate", photo)
    assert shipped.read_frames(clip) is None
