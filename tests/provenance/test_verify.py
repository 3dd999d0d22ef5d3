"""Where files come from, in facts and in words: ours, those of others, and those that say nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.io.images import Photo, read_photo, write_photo
from latentface.io.provenance import COMPOSITE, GENERATED, stamp, xmp_packet
from latentface.io.video import write_clip
from latentface.provenance import verify as module
from latentface.provenance.credentials import Credentials, Story, sign
from latentface.provenance.mark import MarkReading
from latentface.provenance.payload import Payload
from latentface.provenance.publish import Publisher
from latentface.provenance.verify import Verification, verify
from tests.helpers.films import moving
from tests.provenance.marked import marker, smooth_face
from tests.studio.conftest import ASTRONAUT

READING = MarkReading(Payload("edit", 1, 77), 1, 0.99, 4)


@pytest.fixture(autouse=True)
def cache(own_cache: Path) -> Path:
    return own_cache


def test_an_edited_photo_is_known_by_all_three(tmp_path: Path) -> None:
    photo = read_photo(ASTRONAUT)
    edited = replace(photo, rgb=np.ascontiguousarray(photo.rgb[:320, 60:380]), source_type=COMPOSITE)
    path = tmp_path / "a.png"
    Publisher(Story("edit", sources=(ASTRONAUT,))).photo(path, edited)
    found = verify(path)
    assert found.credentials is not None and found.credentials.state == "valid"
    assert [mark.payload.kind for mark in found.marks] == ["edit"] and found.source_type == COMPOSITE
    assert found.made_by_network and "opened, edited" in found.meaning[0] and "latentface edit" in found.meaning[1]


def test_a_clip_is_read_and_its_comment_speaks_where_the_packet_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "marker", marker)
    path = tmp_path / "a.mp4"
    write_clip(path, replace(moving(3), source_type=GENERATED))
    sign(path, Story("video"), GENERATED)
    found = verify(path)
    assert found.source_type == GENERATED and found.credentials is not None and found.credentials.state == "valid"
    write_clip(path, replace(moving(3), source_type=GENERATED))
    path.write_bytes(path.read_bytes().replace(b"rdf:RDF", b"rdf:RDX"))
    found = verify(path)
    assert found.source_type == GENERATED and found.software is None and found.made_by_network


def test_other_programs_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "marker", marker)
    path = tmp_path / "a.gif"
    write_clip(path, moving(3))
    stamp(path, xmp_packet(GENERATED).replace("latentface", "another program"))
    assert verify(path).made_by_network is None or verify(path).software is not None
    write_photo(tmp_path / "b.png", Photo(smooth_face(64)))
    found = verify(tmp_path / "b.png")
    assert found.made_by_network is None and "no proof" in found.meaning[-1]


@pytest.mark.parametrize(
    ("address", "state", "told"),
    [
        ("https://example.org/a.c2pa", "elsewhere", "at https://example.org/a.c2pa"),
        ("self#jumbf=/c2pa/x", "lost", "LOST"),
    ],
)
def test_credentials_that_the_metadata_name_are_missed(
    address: str, state: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "marker", marker)
    packet = xmp_packet(None).replace(
        "xmp:CreatorTool", f'xmlns:d="http://purl.org/dc/terms/" d:provenance="{address}" xmp:CreatorTool'
    )
    write_photo(tmp_path / "a.jpg", Photo(smooth_face(64), xmp=packet.encode()))
    found = verify(tmp_path / "a.jpg")
    assert found.credentials is not None and found.credentials.state == state and told in found.meaning[0]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    for path in (tmp_path, tmp_path / "none.png", tmp_path / "a.png"):
        with pytest.raises(InputError):
            verify(path)


def test_every_finding_has_words() -> None:
    capture = Credentials("valid", True, "A camera", "Firmware 1", ("c2pa.created",), "digitalCapture")
    told = Verification(Path("a.jpg"), capture, (), None, None)
    assert (
        told.made_by_network is False and "vouches for" in told.meaning[-1] and "created (taken by" in told.meaning[0]
    )
    assert "nobody" not in told.meaning[0]
    broken = Verification(Path("a.jpg"), Credentials("invalid", problems=("some.code",)), (READING,), COMPOSITE, "x")
    assert broken.made_by_network and "INVALID (some.code)" in broken.meaning[0] and "4 frames" in broken.meaning[1]
    earlier = Credentials(
        "expired", signer="A lab", actions=("c2pa.edited",), ingredients=2, earlier_types=(GENERATED,)
    )
    told = Verification(Path("a.jpg"), earlier, (), None, None)
    assert told.made_by_network and "made by a trained network" in told.meaning[0] and "has expired" in told.meaning[0]
    unread = Verification(Path("a.jpg"), Credentials("unread"), (), "digitalCapture", None)
    assert unread.made_by_network is None and "latentface[c2pa]" in unread.meaning[0]
    assert "taken by a camera" in unread.meaning[2]
