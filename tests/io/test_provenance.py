"""What files say of their origin: a mark that travels with the pixels, and none where no network had a hand in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import latentface
from latentface.arrays import Pixels
from latentface.io.clip import Clip
from latentface.io.images import Photo, read_image, read_photo, write_image, write_photo
from latentface.io.provenance import COMPOSITE, GENERATED, SourceType, stamp, tags, xmp_packet
from latentface.io.video import read_clip, write_clip
from tests.helpers.films import moving
from tests.helpers.marks import mark_of, packet_of

CLIPS = ["a.mp4", "a.webm", "a.gif", "a.webp", "frames"]
PICTURES = ["a.png", "a.jpg", "a.webp"]


def grey(side: int = 16) -> Pixels:
    return np.full((side, side, 3), 90, np.uint8)


@pytest.mark.parametrize("name", PICTURES)
def test_plain_pixels_are_not_said_to_be_made_by_a_network(name: str, tmp_path: Path) -> None:
    write_image(tmp_path / name, grey())
    assert mark_of(tmp_path / name) is None
    assert b"DigitalSourceType" not in (tmp_path / name).read_bytes()


@pytest.mark.parametrize("mark", [COMPOSITE, GENERATED])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_says_what_its_writer_said(name: str, mark: SourceType, tmp_path: Path) -> None:
    write_image(tmp_path / name, grey(), source_type=mark)
    assert mark_of(tmp_path / name) == mark


@pytest.mark.parametrize("mark", [None, COMPOSITE, GENERATED])
def test_a_photo_carries_its_mark_to_the_file(mark: SourceType | None, tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", Photo(grey(), source_type=mark))
    assert mark_of(tmp_path / "a.png") == mark


def test_a_photo_is_written_with_all_that_was_read(tmp_path: Path) -> None:
    alpha, exif = np.tile(np.arange(16, dtype=np.uint8), (16, 1)), Image.Exif()
    exif[0x010F] = "Camera"
    write_photo(tmp_path / "a.png", Photo(grey(), alpha, exif.tobytes(), b"a profile"))
    again = read_photo(tmp_path / "a.png")
    assert np.array_equal(again.rgb, grey()) and again.alpha is not None and np.array_equal(again.alpha, alpha)
    assert again.icc == b"a profile" and again.exif is not None and b"Camera" in again.exif
    assert again.source_type is None


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("mark", [None, COMPOSITE, GENERATED])
def test_a_clip_carries_its_mark_to_the_file(name: str, mark: SourceType | None, tmp_path: Path) -> None:
    write_clip(tmp_path / name, replace(moving(3), source_type=mark))
    assert mark_of(tmp_path / name) == mark
    assert len(list(read_clip(tmp_path / name, 25 if name == "frames" else None))) == 3


def test_a_clip_keeps_its_mark_when_it_is_edited_or_resampled(tmp_path: Path) -> None:
    clip = Clip.of((grey() for _ in range(2)), 25, (16, 16), source_type=COMPOSITE)
    assert clip.map(lambda pixels: 255 - pixels).source_type == COMPOSITE
    assert clip.resampled(10).source_type == COMPOSITE


def test_what_the_writer_says_goes_before_what_the_clip_says(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", replace(moving(2), source_type=COMPOSITE), source_type=GENERATED)
    assert mark_of(tmp_path / "a.mp4") == GENERATED


def test_a_clip_that_was_read_has_no_mark_of_ours(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", moving(2))
    assert read_clip(tmp_path / "a.mp4").source_type is None


def test_a_composite_keeps_the_photos_own_data_and_is_marked() -> None:
    points = 40 * np.random.default_rng(0).random((68, 2)) + 40
    points[36:42], points[42:48], points[[48, 54]] = (50, 60), (70, 60), ((54, 80), (66, 80))
    crop = latentface.faces.alignment.crop_face(grey(120), points, 32)
    made = latentface.composite(Photo(grey(120), exif=b"Exif\0\0"), crop, grey(32))
    assert made.source_type == COMPOSITE and made.exif == b"Exif\0\0"


@pytest.mark.parametrize(("mark", "term"), [(None, ""), (GENERATED, GENERATED)])
def test_players_show_the_mark_in_the_comment(mark: SourceType | None, term: str, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", replace(moving(2), source_type=mark))
    with av.open(str(tmp_path / "a.mp4")) as container:
        comment = container.metadata["comment"]
    assert f"Software: latentface {latentface.__version__}" in comment
    assert ("DigitalSourceType" in comment) == bool(term) and term in comment


def test_tags_of_matroska_hold_the_packet_and_its_parts() -> None:
    marked, plain = tags("webm", COMPOSITE, xmp_packet(COMPOSITE)), tags("webm", None, xmp_packet(None))
    assert marked["DIGITALSOURCETYPE"] == COMPOSITE and marked["XMP"] == xmp_packet(COMPOSITE)
    assert "DIGITALSOURCETYPE" not in plain and plain["XMP"] == xmp_packet(None)
    assert "XMP" not in tags("mp4", COMPOSITE, "")


def test_a_stamp_leaves_the_pictures_as_they_were(tmp_path: Path) -> None:
    for suffix in (".gif", ".webp"):
        path = tmp_path / f"a{suffix}"
        frames = [Image.fromarray(grey() + np.uint8(40 * k)) for k in range(3)]
        frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
        before = [frame.pixels for frame in read_clip(path)]
        stamp(path, xmp_packet(GENERATED))
        after = [frame.pixels for frame in read_clip(path)]
        assert len(after) == 3 and all(map(np.array_equal, before, after))
        assert packet_of(path).strip(b"\0").decode() == xmp_packet(GENERATED)


def test_kinds_of_files_without_a_place_for_a_packet_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.webm").write_bytes(b"as it was")
    stamp(tmp_path / "a.webm", xmp_packet(GENERATED))
    assert (tmp_path / "a.webm").read_bytes() == b"as it was"


def test_the_exif_block_names_the_program_too(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", grey())
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[0x0131] == f"latentface {latentface.__version__}"
    assert read_image(tmp_path / "a.jpg").shape == (16, 16, 3)


@pytest.mark.parametrize("kind", [{"lossless": True}, {"lossless": False}, {"lossless": True, "alpha": True}])
def test_a_webp_of_one_frame_keeps_its_picture_byte_by_byte(kind: dict[str, bool], tmp_path: Path) -> None:
    path, picture = tmp_path / "a.webp", np.dstack([grey(17), grey(17)[..., :1] // 2])[:, :16]
    plain = Image.fromarray(picture if kind.pop("alpha", False) else np.ascontiguousarray(picture[..., :3]))
    plain.save(path, **kind)
    bare, before = path.read_bytes(), np.asarray(Image.open(path))
    stamp(path, xmp_packet(GENERATED))
    stamped = path.read_bytes()
    assert bare[12:] in stamped and stamped[12:16] == b"VP8X"
    with Image.open(path) as image:
        assert image.size == (16, 17) and np.array_equal(np.asarray(image), before)
        assert image.info["xmp"].decode() == xmp_packet(GENERATED)


def test_a_clip_of_one_frame_is_a_sound_webp(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.webp", Clip.of([grey(32)], 25, (32, 32)), source_type=GENERATED)
    assert read_image(tmp_path / "a.webp").shape == (32, 32, 3)
    with Image.open(tmp_path / "a.webp") as image:
        assert image.info["xmp"].decode() == xmp_packet(GENERATED)
