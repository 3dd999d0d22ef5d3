"""The two tables: complete, without doubles, importable without torch, and every name in them can be opened."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from latentface import api, hub, pretrained
from latentface.errors import UnknownNetwork, WeightsError
from latentface.io.atomic import sha256
from latentface.pretrained import cache, catalogue
from latentface.pretrained.cache import Access, access
from latentface.pretrained.catalogue import BUILTIN, Entry
from latentface.pretrained.lpips import HEADS
from latentface.pretrained.published import PUBLISHED, Published
from tests.helpers.weight_server import entry

pytestmark = pytest.mark.usefixtures("own_cache")


def test_names_and_files_are_unique() -> None:
    names = [one.name for one in (*BUILTIN, *PUBLISHED)]
    assert len(set(names)) == len(names) and len({one.file for one in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.name)
def test_every_entry_is_complete(one: Published) -> None:
    assert one.kind in {"generator", "encoder", "perceptual", "landmarks", "motion"}
    assert one.summary and one.licence and one.page.startswith("https://") and not cache.is_url(one.name)
    assert all(url.startswith("https://") for url in one.urls) and "/" not in one.file
    assert one.sha256 is None or re.fullmatch(r"[0-9a-f]{8,64}", one.sha256)


def test_an_encoder_is_a_generator_too(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    kinds = [replace(entry(f"{server}/file", file=kind), name=kind, kind=kind) for kind in ("encoder", "motion")]
    monkeypatch.setattr(pretrained, "PUBLISHED", kinds)
    assert pretrained.resolve("encoder", kind="generator").name == "encoder"
    with pytest.raises(UnknownNetwork, match="no generator and no file is called 'motion'"):
        pretrained.resolve("motion", kind="generator")


def test_landmarks_are_found_by_name() -> None:
    with access(Access(offline=True)), pytest.raises(WeightsError, match=r"dlib-68 is not in the cache"):
        api.landmark_predictor("dlib-68")


READERS = {"generator", "encoder", "perceptual", "landmarks", "motion"}


def test_every_published_kind_has_its_reader() -> None:
    assert {one.kind for one in PUBLISHED} == READERS
    assert {one.name for one in PUBLISHED if one.kind == "perceptual"} == set(HEADS)


@pytest.mark.parametrize("one", [one for one in PUBLISHED if one.kind in READERS], ids=lambda one: one.name)
def test_every_published_name_asks_for_its_file(one: Published) -> None:
    load = {
        "generator": pretrained.load_generator, "encoder": pretrained.load_encoder, "motion": pretrained.load_motion,
        "perceptual": pretrained.load_perceptual, "landmarks": hub.landmark_predictor,
    }[one.kind]  # fmt: skip
    with access(Access(offline=True)), pytest.raises(WeightsError, match=f"download {one.file} from {one.page}"):
        load(one.name)


@pytest.mark.parametrize("one", BUILTIN, ids=lambda one: one.name)
def test_built_in_files_have_a_card_and_a_checksum(one: Entry) -> None:
    assert one.path.is_file() and one.card.suffix == ".md" and one.sha256 == sha256(one.path)


def test_checksums_are_read_as_sha256sum_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "WEIGHTS_DIR", tmp_path)
    one = BUILTIN[0]
    (tmp_path / "SHA256SUMS").write_text(f"{'1' * 64}  other\n{'2' * 64} *{one.file}\n")
    assert one.sha256 == "2" * 64


def test_the_tables_are_read_without_torch() -> None:
    statement = "import sys, latentface.pretrained.catalogue as c; print(len(c.BUILTIN), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{len(BUILTIN)} False\n"
