"""Published networks: fetched over a bad line, checked, cached, and never without leave. The server is local."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from latentface import api, pretrained
from latentface.cli import run
from latentface.errors import OutputError, UnknownNetwork, WeightsError
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.pretrained import cache, catalogue, download, pages
from latentface.pretrained.cache import Access, access, obtain
from latentface.pretrained.catalogue import BUILTIN, PUBLISHED, Published
from latentface.pretrained.native import write_network
from tests.helpers.weight_server import CONTENT, WeightHandler, serving

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, no waiting, and no proxy of the machine it runs on."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LATENTFACE_CACHE", str(folder))
    monkeypatch.delenv("LATENTFACE_OFFLINE", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def entry(*urls: str, sha256: str | None = None, file: str = "faces.pkl") -> Published:
    return Published(
        "faces", "generator", "faces", 64, "Some Licence", False, file, "https://example.org/faces", urls, sha256=sha256
    )


def files(folder: Path) -> set[str]:
    """What lies in the cache, locks left out."""
    return {path.name for path in (folder / "networks").iterdir() if path.suffix != ".lock"}


class TestTransfer:
    def test_a_file_arrives_whole_and_only_once(self, server: str, own_cache: Path) -> None:
        seen: list[tuple[str, int, int | None]] = []
        with access(Access(on_progress=lambda *facts: seen.append(facts))):
            path = obtain(entry(f"{server}/file", sha256=SHA256))
        assert path.read_bytes() == CONTENT and files(own_cache) == {"faces.pkl", "faces.pkl.json"}
        assert seen[0] == ("faces", 0, len(CONTENT)) and seen[-1] == ("faces", len(CONTENT), len(CONTENT))
        assert obtain(entry(f"{server}/file", sha256=SHA256)) == path and len(WeightHandler.asked) == 1

    def test_a_cut_line_is_taken_up_where_it_broke(self, server: str) -> None:
        WeightHandler.cut_at[:] = [100_000, 400_000, 900_000]
        assert obtain(entry(f"{server}/file", sha256=SHA256)).read_bytes() == CONTENT
        assert [wanted for _, wanted in WeightHandler.asked] == [
            None, "bytes=100000-", "bytes=400000-", "bytes=900000-",
        ]  # fmt: skip

    def test_a_later_run_goes_on_with_what_is_there(
        self, server: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(download, "TRIES", 1)
        WeightHandler.cut_at[:] = [300_000]
        with pytest.raises(WeightsError, match="cut after 300000 of 1024000 bytes"):
            obtain(entry(f"{server}/file"))
        assert "faces.pkl.part" in files(own_cache) and cache.state_of(entry()) == "partly here"
        assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT
        assert WeightHandler.asked[-1][1] == "bytes=300000-"
        assert files(own_cache) == {"faces.pkl", "faces.pkl.json"}

    def test_another_file_of_the_same_name_is_not_appended(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "TRIES", 1)
        WeightHandler.cut_at[:] = [300_000]
        with pytest.raises(WeightsError, match="cut"):
            obtain(entry(f"{server}/file"))
        WeightHandler.content, WeightHandler.tag = CONTENT[::-1], '"v2"'
        assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT[::-1]

    def test_without_a_validator_it_begins_anew(self, server: str) -> None:
        WeightHandler.tag, WeightHandler.cut_at[:] = None, [300_000]
        assert obtain(entry(f"{server}/file", sha256=SHA256)).read_bytes() == CONTENT
        assert [wanted for _, wanted in WeightHandler.asked] == [None, None]

    def test_a_line_that_always_breaks_ends(self, server: str) -> None:
        WeightHandler.cut_at[:] = [300_000] * 50
        with pytest.raises(WeightsError, match=r"cut after 300000 of 1024000 bytes; try later, or get faces\.pkl from"):
            obtain(entry(f"{server}/file"))
        assert len(WeightHandler.asked) == download.TRIES

    def test_a_slow_server_is_waited_for(self, server: str) -> None:
        assert obtain(entry(f"{server}/slow", sha256=SHA256)).read_bytes() == CONTENT

    def test_a_silent_server_is_left(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "SECONDS", 0.05)
        monkeypatch.setattr(download, "TRIES", 1)
        with pytest.raises(WeightsError, match="timed out"):
            obtain(entry(f"{server}/stall"))

    def test_a_busy_server_is_asked_again(self, server: str) -> None:
        WeightHandler.fail[:] = [503, 429]
        assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT

    def test_mirrors_are_tried_in_order(self, server: str) -> None:
        urls = (
            f"{server}/missing",
            "http://127.0.0.1:9/refused",
            f"{server}/quota",
            f"{server}/file",
            f"{server}/slow",
        )
        assert obtain(entry(*urls, sha256=SHA256)).read_bytes() == CONTENT
        assert [path for path, _ in WeightHandler.asked] == ["/missing", "/quota", "/file"]

    def test_every_mirror_is_named_when_none_works(self, server: str) -> None:
        with pytest.raises(WeightsError) as caught:
            obtain(entry(f"{server}/missing", f"{server}/quota"))
        message = str(caught.value)
        assert "HTTP 404" in message and "Quota exceeded" in message and "\n" not in message
        assert "latentface weights get faces --from FILE" in message

    def test_redirects_are_followed(self, server: str) -> None:
        assert obtain(entry(f"{server}/moved")).read_bytes() == CONTENT

    def test_the_proxy_of_the_environment_is_used(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", server)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(
            WeightsError
        ):  # asked for http://weights.invalid/missing as a proxy is, it knows no such kind
            WeightHandler.fail[:] = [404]
            obtain(entry("http://weights.invalid/faces.pkl"))
        assert WeightHandler.asked == [("http://weights.invalid/faces.pkl", None)]

    @pytest.mark.parametrize("address", ["http://", "https://[::1", "http://a b/c", "http://127.0.0.1:99999/x"])
    def test_no_address_at_all(self, address: str) -> None:
        with pytest.raises(WeightsError, match="cannot download"):
            obtain(cache.entry_of(address))

    def test_a_cache_that_cannot_be_written(self, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_bytes(b"in the way")
        monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path / "file"))
        with pytest.raises(OutputError, match="LATENTFACE_CACHE"):
            obtain(entry(f"{server}/file"))

    def test_two_processes_fetch_it_once(self, server: str, own_cache: Path) -> None:
        code = (
            "import sys; from latentface.pretrained import cache;"
            "print(cache.obtain(cache.entry_of(sys.argv[1])).stat().st_size)"
        )
        words = [sys.executable, "-c", code, f"{server}/slow/faces.pkl"]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ) for _ in range(2)]
        assert [process.communicate(timeout=300)[0] for process in both] == [f"{len(CONTENT)}\n"] * 2
        assert [path for path, _ in WeightHandler.asked] == ["/slow/faces.pkl"]


class TestWebPages:
    def test_a_quota_page_is_not_a_network(self, server: str, own_cache: Path) -> None:
        with pytest.raises(WeightsError, match=r"a web page came instead of the file .*Quota exceeded"):
            obtain(entry(f"{server}/quota"))
        assert "faces.pkl" not in files(own_cache)

    def test_google_drive_is_told_that_one_is_sure(self, server: str) -> None:
        assert obtain(entry(f"{server}/confirm", sha256=SHA256)).read_bytes() == CONTENT

    @pytest.mark.parametrize(
        ("head", "kind", "page"),
        [
            (b"<!DOCTYPE html>", "", True),
            (b"\xef\xbb\xbf\n <HTML lang=en>", "application/octet-stream", True),
            (b"Sign in", "text/html; charset=utf-8", True),
            (b"\x80\x04\x95\0\0\0", "text/html", False),
            (b"PK\x03\x04", "application/zip", False),
            (b"BZh9", "", False),
        ],
    )
    def test_what_is_a_page(self, head: bytes, kind: str, page: bool) -> None:
        assert pages.is_page(head, kind) is page

    def test_the_words_of_a_page_without_title(self) -> None:
        assert pages.page_words(b"<html><style>p{}</style><p>Please <b>sign in</b>&amp; pay") == "Please sign in & pay"

    def test_links_to_drives_own_pages(self) -> None:
        direct = "https://drive.usercontent.google.com/download?export=download&confirm=t&id=1a_B-c"
        for link in ("file/d/1a_B-c/view?usp=sharing", "open?id=1a_B-c", "uc?export=download&id=1a_B-c"):
            assert pages.direct_address(f"https://drive.google.com/{link}") == direct
        assert pages.direct_address("https://example.org/uc?id=1") == "https://example.org/uc?id=1"


class TestChecksums:
    def test_a_wrong_file_is_refused_and_leaves_nothing(self, server: str, own_cache: Path) -> None:
        with pytest.raises(WeightsError, match=f"its SHA-256 is {SHA256[:16]}..., the published one is 0000"):
            obtain(entry(f"{server}/file", sha256="0" * 64))
        assert not {"faces.pkl", "faces.pkl.part"} & files(own_cache)

    def test_a_wrong_file_sends_on_to_the_next_mirror(self, server: str) -> None:
        wrong = hashlib.sha256(CONTENT[:-1]).hexdigest()
        with pytest.raises(WeightsError, match="HTTP 404"):
            obtain(entry(f"{server}/file", f"{server}/missing", sha256=wrong))

    def test_the_first_digits_are_enough(self, server: str) -> None:
        assert obtain(entry(f"{server}/file", sha256=SHA256[:8].upper())).read_bytes() == CONTENT

    def test_the_first_download_is_pinned(self, server: str) -> None:
        obtain(entry(f"{server}/file")).unlink()
        WeightHandler.content = CONTENT[::-1]
        with pytest.raises(WeightsError, match=f"that of the first download is {SHA256[:16]}"):
            obtain(entry(f"{server}/file"))
        WeightHandler.content = CONTENT
        assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT

    def test_a_file_that_changed_in_the_cache_is_read_again(self, server: str) -> None:
        path = obtain(entry(f"{server}/file"))
        os.utime(path, (1, 1))
        assert cache.state_of(entry()) == "changed"
        assert obtain(entry(f"{server}/file")) == path and cache.state_of(entry()) == "here"
        path.write_bytes(CONTENT[:-1] + b"!")
        with pytest.raises(WeightsError, match="damaged or was replaced"):
            obtain(entry(f"{server}/file"))
        with pytest.raises(WeightsError, match="damaged or was replaced"):
            cache.verify(entry())

    def test_a_damaged_record_says_which(self, server: str) -> None:
        path = obtain(entry(f"{server}/file"))
        path.with_name("faces.pkl.json").write_text("[]")
        with pytest.raises(WeightsError, match=r"faces\.pkl\.json cannot be read"):
            obtain(entry(f"{server}/file"))


class TestArchives:
    def test_bzip2_is_unpacked_and_checked(self, server: str, own_cache: Path) -> None:
        assert obtain(entry(f"{server}/archive/x.dat.bz2", sha256=SHA256)).read_bytes() == CONTENT
        assert files(own_cache) == {"faces.pkl", "faces.pkl.json"}
        assert cache.verify(entry(sha256=SHA256)).name == "faces.pkl"

    def test_a_damaged_archive(self, server: str, own_cache: Path) -> None:
        with pytest.raises(WeightsError, match="damaged archive"):
            obtain(entry(f"{server}/damaged"))
        assert files(own_cache) == {"faces.pkl.json"}

    def test_a_bomb_is_not_unpacked(self, server: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "MOST_UNPACKED", len(CONTENT) - 1)
        with pytest.raises(WeightsError, match="unpacks to more than"):
            obtain(entry(f"{server}/archive"))
        assert files(own_cache) == {"faces.pkl.json"}


class TestLeave:
    def test_offline_asks_nobody(self, server: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with access(Access(offline=True)), pytest.raises(WeightsError, match="downloads are switched off; get faces"):
            obtain(entry(f"{server}/file"))
        monkeypatch.setenv("LATENTFACE_OFFLINE", "1")
        with pytest.raises(WeightsError, match="downloads are switched off"):
            pretrained.resolve(f"{server}/file/faces.pkl")
        assert WeightHandler.asked == [] and not own_cache.exists()
        monkeypatch.setenv("LATENTFACE_OFFLINE", "0")
        path = obtain(entry(f"{server}/file"))
        with access(Access(offline=True)):
            assert obtain(entry(f"{server}/file")) == path

    def test_the_licence_is_shown_once(self, server: str) -> None:
        said: list[str] = []
        for on_licence in (None, said.append, said.append):
            with access(Access(on_licence=on_licence)):
                obtain(entry(f"{server}/file"))
        assert said == ["faces: Some Licence; no commercial use; see https://example.org/faces"]
        with access(Access(on_licence=said.append)):
            obtain(replace(entry(f"{server}/file"), licence="Another", commercial=None))
        assert said[1:] == ["faces: Another; commercial use: not stated; see https://example.org/faces"]

    def test_python_hears_of_the_licence_too(self, server: str, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.WARNING):
            obtain(entry(f"{server}/file"))
        assert "Some Licence" in caplog.text

    def test_a_file_fetched_by_hand(self, tmp_path: Path, own_cache: Path) -> None:
        given = tmp_path / "Download (1).pkl"
        given.write_bytes(CONTENT)
        with pytest.raises(
            WeightsError, match=r"cannot be downloaded by a program; get faces\.pkl from https://example"
        ):
            obtain(entry())
        with pytest.raises(WeightsError, match=r"Download \(1\).pkl is not the file of faces"):
            cache.adopt(entry(sha256="0" * 64), given)
        path = cache.adopt(entry(sha256=SHA256), given)
        assert path.read_bytes() == CONTENT == given.read_bytes() and obtain(entry(sha256=SHA256)) == path
        with pytest.raises(WeightsError, match="No such file"):
            cache.adopt(entry(), tmp_path / "nowhere.pkl")
        assert files(own_cache) == {"faces.pkl", "faces.pkl.json"}


class TestCatalogue:
    def test_names_and_files_are_unique(self) -> None:
        names = [one.name for one in (*BUILTIN, *PUBLISHED)]
        assert len(set(names)) == len(names) and len({one.file for one in PUBLISHED}) == len(PUBLISHED)

    @pytest.mark.parametrize("one", PUBLISHED, ids=lambda one: one.name)
    def test_every_entry_is_complete(self, one: Published) -> None:
        assert one.kind in {"generator", "encoder", "perceptual", "landmarks", "motion"}
        assert one.summary and one.licence and one.page.startswith("https://") and not cache.is_url(one.name)
        assert all(url.startswith("https://") for url in one.urls) and "/" not in one.file
        assert one.sha256 is None or re.fullmatch(r"[0-9a-f]{8,64}", one.sha256)

    def test_an_encoder_is_a_generator_too(self, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
        kinds = [replace(entry(f"{server}/file", file=kind), name=kind, kind=kind) for kind in ("encoder", "motion")]
        monkeypatch.setattr(pretrained, "PUBLISHED", kinds)
        assert pretrained.resolve("encoder", kind="generator").name == "encoder"
        with pytest.raises(UnknownNetwork, match="no generator and no file is called 'motion'"):
            pretrained.resolve("motion", kind="generator")

    def test_landmarks_are_found_by_name(self) -> None:
        with access(Access(offline=True)), pytest.raises(WeightsError, match=r"dlib-68 is not in the cache"):
            api.landmark_predictor("dlib-68")


class TestCommands:
    @pytest.fixture(autouse=True)
    def one_entry(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        known = (entry(f"{server}/file"), replace(entry(), name="by-hand", file="hand.pkl"))
        for module in (catalogue, pretrained):
            monkeypatch.setattr(module, "PUBLISHED", known)

    def test_get_list_verify(self, capsys: pytest.CaptureFixture[str], own_cache: Path) -> None:
        assert run(["weights", "get", "faces"]) == 0
        said = capsys.readouterr()
        assert "Some Licence; no commercial use" in said.err and "downloading faces, 1 MB" in said.err
        assert said.out == f"faces: {own_cache / 'networks' / 'faces.pkl'}\n"
        assert run(["weights", "list", "--json"]) == 0
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["published"]}
        assert (rows["faces"]["state"], rows["by-hand"]["state"]) == ("here", "absent")
        assert (rows["faces"]["bytes"], rows["faces"]["commercial"]) == (len(CONTENT), False)
        assert run(["weights", "verify", "faces"]) == 0
        assert capsys.readouterr().out.startswith("faces: verified, ")
        (own_cache / "networks" / "faces.pkl").write_bytes(b"something else")
        assert run(["weights", "verify", "--json"]) == 4
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["weights"]}
        assert not rows["faces"]["verified"] and rows["synthface-128"]["verified"] and "by-hand" not in rows

    def test_get_by_hand(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(CONTENT)
        assert run(["weights", "get", "by-hand"]) == 4
        assert "then latentface weights get by-hand --from FILE" in capsys.readouterr().err
        assert run(["weights", "get", "by-hand", "--from", str(tmp_path / "x")]) == 0

    @pytest.mark.parametrize(
        ("words", "code", "message"),
        [
            (["facse"], 4, "did you mean faces?"),
            (["synthface-128"], 2, "comes with the package"),
            (["faces", "by-hand", "--from", "x"], 2, "name one network"),
            (["faces", "--offline"], 4, "downloads are switched off"),
        ],
    )
    def test_get_wrongly(self, words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["weights", "get", *words]) == code
        assert message in capsys.readouterr().err and WeightHandler.asked == []

    def test_a_url_is_a_network(
        self, server: str, tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        config = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=64, channel_max=8)
        made = tmp_path / "tiny.safetensors"
        write_network(made, "generator", asdict(config), Generator(config, seed=1).state_dict(), torch.float32)
        WeightHandler.content = made.read_bytes()
        url = f"{server}/file/tiny.safetensors"
        words = ["sample", "--network", url, "--seeds", "1", "-o", str(tmp_path / "sheet.png")]
        assert run([*words, "--offline"]) == 4 and WeightHandler.asked == []
        assert run(words) == 0 and (tmp_path / "sheet.png").exists()
        assert run([*words, "--offline"]) == 0 and len(WeightHandler.asked) == 1
        capsys.readouterr()
        assert run(["weights", "verify"]) == 0
        assert f"{url}: verified" in capsys.readouterr().out

    def test_a_quiet_command_keeps_quiet(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["weights", "get", "faces", "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")


def test_two_threads_of_one_process(server: str) -> None:
    threads = [threading.Thread(target=obtain, args=[entry(f"{server}/slow")]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(WeightHandler.asked) == 1
