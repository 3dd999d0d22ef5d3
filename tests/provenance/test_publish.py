"""The last step of every verb: what is marked, signed and kept, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentface.faces.alignment import crop_face
from latentface.io.clip import Clip
from latentface.io.images import Photo, read_photo, write_photo
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.io.xmp import claimed
from latentface.options.results import ProvenanceOptions
from latentface.provenance import credentials, publish
from latentface.provenance.credentials import Story, read_credentials
from latentface.provenance.publish import Publisher
from tests.io.test_iptc import BLOCK
from tests.io.test_xmp import CAPTURE
from tests.provenance.marked import LANDMARKS, marker, smooth_face

NEITHER = ProvenanceOptions(mark=False, sign=False)


@pytest.fixture(autouse=True)
def stand_ins(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "marker", marker)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_photo(tmp_path / "source.png", Photo(smooth_face(200), xmp=CAPTURE))
    return tmp_path / "source.png"


def published(source: Path, options: ProvenanceOptions, photo: Photo, name: str = "out.png") -> Photo:
    """The result as it was written, after the edit of a face that fills the source."""
    before = read_photo(source)
    face = crop_face(before.rgb, (LANDMARKS + 0.5) * 200 / 128 - 0.5, 32)
    Publisher(Story("edit", sources=(source,)), options).photo(source.with_name(name), photo, before, face)
    return read_photo(source.with_name(name))


def test_a_changed_face_is_marked_and_signed_unless_that_is_declined(source: Path) -> None:
    edited = replace(read_photo(source), rgb=smooth_face(200) + np.uint8(3), source_type=COMPOSITE)
    assert not np.array_equal(published(source, ProvenanceOptions(), edited).rgb, edited.rgb)
    assert read_credentials(source.with_name("out.png")) is not None
    plain = published(source, NEITHER, edited, "plain.png")
    assert np.array_equal(plain.rgb, edited.rgb) and read_credentials(source.with_name("plain.png")) is None
    assert plain.xmp is not None and b"Anna" in plain.xmp


def test_no_change_gives_the_photo_back_bit_for_bit(source: Path) -> None:
    same = replace(read_photo(source), source_type=COMPOSITE)
    assert np.array_equal(published(source, ProvenanceOptions(), same).rgb, smooth_face(200))


def test_pixels_that_no_network_touched_are_left_alone(source: Path) -> None:
    other = Photo(smooth_face(200) + np.uint8(1))
    assert np.array_equal(published(source, ProvenanceOptions(), other).rgb, other.rgb)
    assert read_credentials(source.with_name("out.png")) is None


def test_lost_credentials_of_the_source_are_told(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials.sign(source, Story("edit"), COMPOSITE)
    told: list[str] = []
    publisher = Publisher(Story("edit", sources=(source,)), ProvenanceOptions(mark=False), told.append)
    monkeypatch.setattr(credentials, "is_available", lambda: False)
    publisher.photo(source.with_name("out.png"), Photo(smooth_face(), source_type=COMPOSITE))
    assert len(told) == 1 and "latentface[c2pa]" in told[0]


def test_a_generated_picture_says_whose_work_its_source_is(source: Path) -> None:
    write_photo(source, replace(read_photo(source), iptc=BLOCK))
    publisher = Publisher(Story("project", sources=(source,)), NEITHER)
    path = source.with_name("projected.png")
    made = publisher.photo(path, Photo(smooth_face(), source_type=GENERATED))
    assert made.iptc == BLOCK and made.xmp is not None and b"Anna" in made.xmp
    kept = read_photo(path)
    assert kept.xmp is not None and claimed(kept.xmp) == GENERATED and kept.iptc == BLOCK
    (source.parent / "a.latent.safetensors").write_bytes(b"no picture")
    made = publisher.of(source.parent / "a.latent.safetensors").photo(path, Photo(smooth_face(), source_type=GENERATED))
    assert made.xmp is None and made.iptc is None


@pytest.mark.parametrize(("name", "advice"), [("out.gif", "end its name in .jpg"), ("out.png", "sign it")])
def test_how_credentials_of_the_source_are_kept_is_told(name: str, advice: str, source: Path) -> None:
    credentials.sign(source, Story("edit"), COMPOSITE)
    told: list[str] = []
    Publisher(Story("edit", sources=(source,)), NEITHER, told.append).sign(source.with_name(name), COMPOSITE)
    assert len(told) == 1 and advice in told[0]


def test_a_clip_takes_its_sources_packet_along(source: Path) -> None:
    clip = Clip.of([smooth_face(64)], 25, (64, 64), source_type=COMPOSITE)
    publisher = Publisher(Story("animate", sources=(source,)), NEITHER)
    made = publisher.clip(clip)
    assert made.xmp is not None and b"Anna" in made.xmp
    assert publisher.of(source.with_name("none.png")).clip(clip).xmp is None
