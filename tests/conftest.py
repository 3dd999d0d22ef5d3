"""Fixtures that several packages' tests share: a desk to work at (see cli_desk), a server of weights, a cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from latentface import hub
from latentface.faces import alignment
from latentface.ops import native, raster, warp
from latentface.pretrained import download
from latentface.provenance import credentials
from tests.helpers.cli_desk import Desk, PixelDistance, find_blobs, place_points, write_tiny
from tests.helpers.weight_server import serving

#: Files of tests that take longest, most of all first: with several workers these are not what the others wait for.
LONGEST = (
    "tests/test_docs.py",
    "tests/studio/browser/test_work_tabs.py",
    "tests/studio/browser/test_edit_tab.py",
    "tests/training/test_motion.py",
    "tests/training/test_portrait_generator.py",
    "tests/training/test_generator.py",
    "tests/studio/browser/test_page.py",
    "tests/training/test_growth.py",
    "tests/studio/test_server.py",
    "tests/test_wheel.py",
    "tests/test_notebooks.py",
    "tests/latents/test_preconditioner.py",
    "tests/training/test_identity.py",
    "tests/training/test_encoder.py",
    "tests/ops/test_compiler.py",
    "tests/cli/test_real.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.split("::")[0], len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def built_operations() -> None:
    """The native operations, from the user's cache: tests that name caches of their own would build them anew."""
    native.library("cpu")
    raster._library()
    warp._library()


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return write_tiny(folder / "tiny.safetensors", 1), write_tiny(folder / "other.safetensors", 2)


@pytest.fixture
def desk(
    tmp_path: Path,
    networks: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    monkeypatch.setattr(alignment, "detect_faces", find_blobs)
    monkeypatch.setattr(alignment, "detect_weak", lambda photo, least: find_blobs(photo))
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: place_points)
    monkeypatch.setattr(hub, "perceptual", lambda device: PixelDistance())
    monkeypatch.setattr(credentials, "is_available", lambda: False)  # no key of the tests in the user's cache
    monkeypatch.chdir(tmp_path)  # where results land
    return Desk(tmp_path, *networks, capsys)


@pytest.fixture
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, no waiting, and no proxy of the machine it runs on."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LATENTFACE_CACHE", str(folder))
    monkeypatch.delenv("LATENTFACE_OFFLINE", raising=False)
    monkeypatch.setattr(download, "PAUSE", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return folder
