"""Content Credentials: signed, read again, and carried on; `test_manifest_store` changes them."""

from __future__ import annotations

from pathlib import Path

import c2pa
import numpy as np
import pytest

from latentface.errors import InputError
from latentface.io.images import Photo, read_image, write_photo
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.io.video import read_clip, write_clip
from latentface.provenance import credentials
from latentface.provenance.certificate import CERTIFICATE, KEY, LOCAL_NAME
from latentface.provenance.credentials import Story, holds_credentials, read_credentials, sign
from tests.helpers.films import moving
from tests.provenance.marked import smooth_face


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_photo(tmp_path / "source of Anna.jpg", Photo(smooth_face(64)))
    return tmp_path / "source of Anna.jpg"


def signed(path: Path, *sources: Path) -> Path:
    """A written and signed result."""
    if path.suffix == ".mp4":
        write_clip(path, moving(3), source_type=COMPOSITE)
    else:
        write_photo(path, Photo(smooth_face(64), source_type=COMPOSITE))
    sign(path, Story("edit", {"set": {"happiness": 2.0}, "place": "head"}, sources), COMPOSITE)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.mp4"])
def test_what_was_done_is_signed_and_the_pixels_stay(name: str, photo: Path, tmp_path: Path) -> None:
    path = signed(tmp_path / name, photo)
    found = read_credentials(path)
    assert found is not None and found.state == "valid" and not found.trusted and found.problems == ()
    assert found.actions == ("c2pa.opened", "c2pa.edited", "latentface.composited")
    assert found.source_type == COMPOSITE and found.signer == LOCAL_NAME
    assert found.ingredients == 1 and found.signed_ingredients == 0
    if name == "a.png":
        assert np.array_equal(read_image(path), smooth_face(64))
    if name == "a.mp4":
        assert len(list(read_clip(path))) == 3


def test_neither_names_of_files_nor_thumbnails_are_in_it(photo: Path, tmp_path: Path) -> None:
    path = signed(tmp_path / "a.png", photo)
    with c2pa.Reader(str(path)) as reader:
        told = reader.json()
    assert "happiness" in told and "Anna" not in told and "thumbnail" not in told and str(tmp_path) not in told


def test_credentials_of_the_source_are_kept_within(photo: Path, tmp_path: Path) -> None:
    first = signed(tmp_path / "first.png", photo)
    found = read_credentials(signed(tmp_path / "second.jpg", first, photo))
    assert found is not None and (found.ingredients, found.signed_ingredients) == (2, 1)


def test_a_generated_picture_was_created(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_photo(path, Photo(smooth_face(32), source_type=GENERATED))
    assert read_credentials(path) is None and not holds_credentials(path)
    sign(path, Story("sample", {"psi": 0.7}), GENERATED)
    found = read_credentials(path)
    assert found is not None and found.actions == ("c2pa.created",) and found.source_type == GENERATED


def test_a_certificate_that_does_not_fit_is_told(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signed(tmp_path / "a.png", photo)
    (local,) = (tmp_path / "cache" / "credentials").iterdir()
    (tmp_path / "chain.pem").write_bytes(b"no chain")
    monkeypatch.setenv(CERTIFICATE, str(tmp_path / "chain.pem"))
    monkeypatch.setenv(KEY, str(local))
    with pytest.raises(InputError, match="cannot be signed"):
        signed(tmp_path / "b.png", photo)


def test_sources_whose_credentials_cannot_be_kept_are_named(photo: Path, tmp_path: Path) -> None:
    first = signed(tmp_path / "first.jpg")
    data = first.read_bytes()
    first.write_bytes(data.replace(b"c2pa.claim.v2", b"c2pa.claim.v7"))
    with pytest.raises(InputError, match=r"first.jpg: its Content Credentials cannot be kept .* --no-sign"):
        signed(tmp_path / "second.jpg", first)


def test_without_the_package_it_is_told_that_there_are_some(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = signed(tmp_path / "a.png", photo)
    monkeypatch.setattr(credentials, "is_available", lambda: False)
    found = read_credentials(path)
    assert found is not None and found.state == "unread"
