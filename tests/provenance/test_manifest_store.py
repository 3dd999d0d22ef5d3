"""Every bit of a signed file counts, also those that no hash of C2PA covers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.io.images import Photo, write_photo
from latentface.io.provenance import COMPOSITE
from latentface.io.video import write_clip
from latentface.provenance.credentials import SIGNED, Story, read_credentials, sign
from latentface.provenance.manifest_store import FlawError, check_form, digest_unhashed, holds_remnants
from tests.helpers.films import moving
from tests.provenance.marked import smooth_face

NAMES = ("a.jpg", "a.png", "a.webp", "a.mp4")


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


def signed(path: Path) -> bytes:
    """A written and signed result."""
    if path.suffix == ".mp4":
        write_clip(path, moving(3), source_type=COMPOSITE)
    else:
        write_photo(path, Photo(smooth_face(64), source_type=COMPOSITE))
    sign(path, Story("edit", {"set": {"happiness": 2.0}}), COMPOSITE)
    return path.read_bytes()


def turned(data: bytes, place: int, bit: int) -> bytes:
    """The same with one other bit."""
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def delicate(data: bytes) -> list[int]:
    """Places that lenient readers miss: the outermost header, labels, a signature's padding, the file's first bytes."""
    store = data.index(b"jumb") - 4
    labels = [
        data.index(b"\x03" + name) + 1 for name in (b"c2pa\0", b"c2pa.assertions", b"c2pa.claim", b"c2pa.signature")
    ]
    padding = data.index(b"cpadY")
    places = [0, 5, 10, store - 9, store, store + 3, *labels, labels[0] - 1, padding + 1, padding + 30, padding + 900]
    return [*places, data.index(b"jumdc2pa") + 3, data.rindex(b"\xf6X@", 0, data.rindex(b"jumb") + 3000)]


@pytest.mark.parametrize("name", NAMES)
def test_every_bit_is_noticed(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    data = signed(path)
    found = read_credentials(path)
    assert found is not None and found.state == "valid"
    source = np.random.default_rng(0)
    for place in [*delicate(data), *source.integers(0, len(data), 24).tolist()]:
        path.write_bytes(turned(data, place, int(source.integers(8))))
        found = read_credentials(path)
        assert found is not None and found.state == "invalid" and found.problems, place


@pytest.mark.parametrize("name", NAMES)
def test_a_store_is_found_where_it_belongs_and_once(name: str, tmp_path: Path) -> None:
    data, kind = signed(tmp_path / name), SIGNED[Path(name).suffix]
    check_form(data, kind)
    assert holds_remnants(data) and not holds_remnants(data.replace(b"c2", b"c1"))
    with pytest.raises(FlawError, match=r"no manifest stores where one belongs|checksum"):
        check_form(data.replace(b"jumdc2pa", b"jumdc3pa"), kind)
    start = data.index(b"jumb") - 4
    check_form(b"II*\0" + data[start:], "image/tiff")
    with pytest.raises(FlawError, match="2 manifest stores"):
        check_form(b"II*\0" + 2 * data[start:], "image/tiff")


def test_what_the_hash_of_clips_leaves_out_is_hashed() -> None:
    brands, free, rest = b"\0\0\0\x0cftypisom", b"\0\0\0\x0afreeab", b"\0\0\0\x0amdatab"
    assert digest_unhashed(brands + rest) == digest_unhashed(brands) != digest_unhashed(brands + free)


@pytest.mark.parametrize("cut", [20, 60, 1000])
def test_what_is_cut_short_is_a_flaw(cut: int, tmp_path: Path) -> None:
    data = signed(tmp_path / "a.jpg")
    with pytest.raises(FlawError):
        check_form(data[: data.index(b"jumb") + cut], "image/jpeg")
