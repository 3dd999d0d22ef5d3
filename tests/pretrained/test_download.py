"""Published networks: fetched over a bad line, checked, cached, and never without leave. The server is local."""

from __future__ import annotations

import bz2
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from latentface.errors import OutputError, WeightsError
from latentface.pretrained import cache, download
from latentface.pretrained.cache import Access, access, obtain
from tests.helpers.weight_server import CONTENT, SHA256, WeightHandler, entry, files

pytestmark = pytest.mark.usefixtures("own_cache")


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
        with pytest.raises(WeightsError, match="lost after 300000 of 1024000 bytes"):
            obtain(entry(f"{server}/file"))
        assert "faces.pkl.part" in files(own_cache) and cache.state_of(entry()) == "partly here"
        assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT
        assert WeightHandler.asked[-1][1] == "bytes=300000-"
        assert files(own_cache) == {"faces.pkl", "faces.pkl.json"}

    def test_another_file_of_the_same_name_is_not_appended(self, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(download, "TRIES", 1)
        WeightHandler.cut_at[:] = [300_000]
        with pytest.raises(WeightsError, match="lost after"):
            obtain(entry(f"{server}/file"))
        WeightHandler.content, WeightHandler.tag = CONTENT[::-1], '"v2"'
        assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT[::-1]

    def test_without_a_validator_it_begins_anew(self, server: str) -> None:
        WeightHandler.tag, WeightHandler.cut_at[:] = None, [300_000]
        assert obtain(entry(f"{server}/file", sha256=SHA256)).read_bytes() == CONTENT
        assert [wanted for _, wanted in WeightHandler.asked] == [None, None]

    def test_a_line_that_always_breaks_ends(self, server: str) -> None:
        WeightHandler.cut_at[:] = [300_000] * 50
        with pytest.raises(
            WeightsError, match=r"lost after 300000 of 1024000 bytes; try again later, or download faces\.pkl from"
        ):
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


def test_a_quota_page_is_not_a_network(server: str, own_cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"the server sent a web page instead of the file .*Quota exceeded"):
        obtain(entry(f"{server}/quota"))
    assert "faces.pkl" not in files(own_cache)


def test_google_drive_is_told_that_one_is_sure(server: str) -> None:
    assert obtain(entry(f"{server}/confirm", sha256=SHA256)).read_bytes() == CONTENT


def test_bzip2_is_unpacked_and_checked(server: str, own_cache: Path) -> None:
    assert obtain(entry(f"{server}/archive/x.dat.bz2", sha256=SHA256)).read_bytes() == CONTENT
    assert files(own_cache) == {"faces.pkl", "faces.pkl.json"}
    assert cache.verify(entry(sha256=SHA256)).name == "faces.pkl"


def test_a_damaged_archive(server: str, own_cache: Path) -> None:
    with pytest.raises(WeightsError, match="damaged archive"):
        obtain(entry(f"{server}/damaged"))
    assert files(own_cache) == {"faces.pkl.json"}


def test_a_bomb_is_not_unpacked(server: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MOST_UNPACKED", len(CONTENT) - 1)
    with pytest.raises(WeightsError, match="unpacks to more than"):
        obtain(entry(f"{server}/archive"))
    assert files(own_cache) == {"faces.pkl.json"}


def test_a_file_that_is_whole_is_moved_or_unpacked_if_it_is_the_right_one(tmp_path: Path) -> None:
    for name, content in (("plain", CONTENT), ("packed", bz2.compress(CONTENT))):
        (tmp_path / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        with pytest.raises(download.Refusal, match="its SHA-256 is"):
            download.settle(tmp_path / name, tmp_path / "target.dat", digest, {"the published one": "0" * 64})
        assert not (tmp_path / "target.dat").exists()
        found = download.settle(tmp_path / name, tmp_path / "target.dat", digest, {"the published one": SHA256})
        assert found == SHA256 and (tmp_path / "target.dat").read_bytes() == CONTENT
        (tmp_path / "target.dat").unlink()
    (tmp_path / "packed").write_bytes(bz2.compress(CONTENT))
    digest = hashlib.sha256((tmp_path / "packed").read_bytes()).hexdigest()
    assert download.settle(tmp_path / "packed", tmp_path / "target.bz2", digest, {}) == digest  # one wants the archive
