"""The cache: files pinned and checked, licences shown once, records, locks, and nothing without leave."""

from __future__ import annotations

import hashlib
import logging
import os
import pwd
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import filelock
import pytest

from latentface import pretrained
from latentface.errors import OutputError, WeightsError
from latentface.ops import compiler
from latentface.pretrained import cache
from latentface.pretrained.cache import Access, access, obtain
from tests.helpers.weight_server import CONTENT, SHA256, WeightHandler, entry, files

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_wrong_file_is_refused_and_leaves_nothing(server: str, own_cache: Path) -> None:
    with pytest.raises(WeightsError, match=f"its SHA-256 is {SHA256[:16]}..., the published one is 0000"):
        obtain(entry(f"{server}/file", sha256="0" * 64))
    assert not {"faces.pkl", "faces.pkl.part"} & files(own_cache)


def test_a_wrong_file_sends_on_to_the_next_mirror(server: str) -> None:
    wrong = hashlib.sha256(CONTENT[:-1]).hexdigest()
    with pytest.raises(WeightsError, match="HTTP 404"):
        obtain(entry(f"{server}/file", f"{server}/missing", sha256=wrong))


def test_the_first_digits_are_enough(server: str) -> None:
    assert obtain(entry(f"{server}/file", sha256=SHA256[:8].upper())).read_bytes() == CONTENT


def test_the_first_download_is_pinned(server: str) -> None:
    obtain(entry(f"{server}/file")).unlink()
    WeightHandler.content = CONTENT[::-1]
    with pytest.raises(WeightsError, match=f"that of the first download is {SHA256[:16]}"):
        obtain(entry(f"{server}/file"))
    WeightHandler.content = CONTENT
    assert obtain(entry(f"{server}/file")).read_bytes() == CONTENT


def test_a_file_that_changed_in_the_cache_is_read_again(server: str) -> None:
    path = obtain(entry(f"{server}/file"))
    os.utime(path, (1, 1))
    assert cache.state_of(entry()) == "changed"
    assert obtain(entry(f"{server}/file")) == path and cache.state_of(entry()) == "here"
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        obtain(entry(f"{server}/file"))
    with pytest.raises(WeightsError, match="damaged or was replaced"):
        cache.verify(entry())


def test_a_damaged_record_says_which(server: str) -> None:
    path = obtain(entry(f"{server}/file"))
    path.with_name("faces.pkl.json").write_text("[]")
    with pytest.raises(WeightsError, match=r"faces\.pkl\.json cannot be read"):
        obtain(entry(f"{server}/file"))


def test_offline_asks_nobody(server: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with access(Access(offline=True)), pytest.raises(WeightsError, match="downloads are switched off; download faces"):
        obtain(entry(f"{server}/file"))
    monkeypatch.setenv("LATENTFACE_OFFLINE", "1")
    with pytest.raises(WeightsError, match="downloads are switched off"):
        pretrained.resolve(f"{server}/file/faces.pkl")
    assert WeightHandler.asked == [] and not own_cache.exists()
    monkeypatch.setenv("LATENTFACE_OFFLINE", "0")
    path = obtain(entry(f"{server}/file"))
    with access(Access(offline=True)):
        assert obtain(entry(f"{server}/file")) == path


def test_the_licence_is_shown_once(server: str) -> None:
    said: list[str] = []
    for on_licence in (None, said.append, said.append):
        with access(Access(on_licence=on_licence)):
            obtain(entry(f"{server}/file"))
    assert said == ["faces: Some Licence; no commercial use; see https://example.org/faces"]
    with access(Access(on_licence=said.append)):
        obtain(replace(entry(f"{server}/file"), licence="Another", commercial=None))
    assert said[1:] == ["faces: Another; commercial use: not stated; see https://example.org/faces"]


def test_python_hears_of_the_licence_too(server: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        obtain(entry(f"{server}/file"))
    assert "Some Licence" in caplog.text


def test_a_file_fetched_by_hand(tmp_path: Path, own_cache: Path) -> None:
    given = tmp_path / "Download (1).pkl"
    given.write_bytes(CONTENT)
    with pytest.raises(
        WeightsError, match=r"cannot be downloaded by a program; download faces\.pkl from https://example"
    ):
        obtain(entry())
    with pytest.raises(WeightsError, match=r"Download \(1\).pkl is not the file of faces"):
        cache.adopt(entry(sha256="0" * 64), given)
    path = cache.adopt(entry(sha256=SHA256), given)
    assert path.read_bytes() == CONTENT == given.read_bytes() and obtain(entry(sha256=SHA256)) == path
    with pytest.raises(WeightsError, match="No such file"):
        cache.adopt(entry(), tmp_path / "nowhere.pkl")
    assert files(own_cache) == {"faces.pkl", "faces.pkl.json"}


def test_two_threads_of_one_process(server: str) -> None:
    threads = [threading.Thread(target=obtain, args=[entry(f"{server}/slow")]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(WeightHandler.asked) == 1


def test_the_folder_is_the_one_that_is_named(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.folder() == own_cache
    monkeypatch.setenv("LATENTFACE_CACHE", "~/mine")
    assert cache.folder() == Path.home() / "mine"
    monkeypatch.delenv("LATENTFACE_CACHE")
    assert cache.folder().name == "latentface"


def test_a_cache_that_cannot_be_made_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path / "file"))
    given = tmp_path / "given"
    given.write_bytes(CONTENT)
    with pytest.raises(OutputError, match="set LATENTFACE_CACHE to a folder"):
        cache.adopt(entry(), given)
    with pytest.raises(OutputError, match="set LATENTFACE_CACHE"):
        cache.made(tmp_path / "file" / "directions")


def test_whoever_comes_second_waits(own_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(CONTENT)
    place = cache.path_of(entry())
    place.parent.mkdir(parents=True)
    other = filelock.FileLock(place.with_name(".faces.pkl.lock"))  # as another process holds it
    with other:
        waiting = threading.Thread(target=cache.adopt, args=[entry(), tmp_path / "given"])
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not place.exists()
    waiting.join(10)
    assert not waiting.is_alive() and place.read_bytes() == CONTENT


def test_addresses_are_entries_of_their_own() -> None:
    one, other = (cache.entry_of(f"https://{host}.org/a%20net.dat.bz2?x=1") for host in ("one", "other"))
    assert one.file.endswith("-a_net.dat") and one.file != other.file  # the archive is kept unpacked
    assert cache.entry_of("https://one.org/").file.endswith("-network")
    assert len(cache.entry_of("https://one.org/" + 300 * "x").file) < 120
    with pytest.raises(WeightsError, match="give a complete URL"):
        cache.entry_of("https://[one.org/x")


@pytest.mark.parametrize(("name", "address"), [("https://a.org/x", True), ("HTTP://a.org", True), ("ftp://a", False)])
def test_what_is_an_address(name: str, address: bool) -> None:
    assert cache.is_url(name) is address


def test_licences_are_told_in_one_line() -> None:
    assert cache.licence_line(entry()) == "faces: Some Licence; no commercial use; see https://example.org/faces"
    assert "commercial use allowed" in cache.licence_line(replace(entry(), commercial=True))
    assert cache.licence_line(cache.entry_of("https://a.org/x")) == ""


def test_settings_hold_for_their_block_and_their_thread() -> None:
    seen: list[str] = []

    def look() -> None:
        with pytest.raises(WeightsError, match="cannot be downloaded by a program"):
            obtain(entry())  # no leave is taken away here
        seen.append("looked")

    with access(Access(offline=True)):
        with pytest.raises(WeightsError, match="switched off"):
            obtain(entry())
        other = threading.Thread(target=look)
        other.start()
        other.join()
    look()
    assert seen == ["looked", "looked"]


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """No HOME, and no entry for the user among the passwords, as in a container; the folder of temporary files."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "LATENTFACE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    compiler.temporary_cache.cache_clear()
    yield tmp_path
    compiler.temporary_cache.cache_clear()


def test_without_a_home_the_cache_is_a_private_temporary_folder_and_that_is_said_once(
    homeless: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = cache.folder()
    assert place == homeless / f"latentface-{os.getuid()}"
    assert place.stat().st_mode & 0o777 == 0o700
    assert compiler.folder() == place / "ops" and cache.folder() == place
    assert [record.message for record in caplog.records if "no home folder" in record.message] == [
        f"there is no home folder, so the cache is {place}; LATENTFACE_CACHE names another"
    ]


def test_a_temporary_folder_that_others_may_write_is_not_taken(homeless: Path) -> None:
    taken = homeless / f"latentface-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    assert cache.folder() != taken
    assert cache.folder().stat().st_mode & 0o077 == 0


def test_a_cache_that_is_named_needs_no_home(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTFACE_CACHE", str(homeless / "named"))
    assert cache.folder() == homeless / "named" and compiler.folder() == homeless / "named" / "ops"
