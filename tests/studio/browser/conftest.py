"""The page in Debian's Chromium, as people use it: one server and one browser for all files of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.helpers.studio_page import LONG, Served, chromium, serving, visit
from tests.studio.conftest import ASTRONAUT

expect.set_options(timeout=LONG)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("studio")) as made:
        yield made


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium, with the astronaut in front of its camera."""
    seen = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    film_of(ASTRONAUT, seen)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(*camera, f"--use-file-for-fake-video-capture={seen}") as made:
        yield made


@pytest.fixture
def page(served: Served, browser: Browser) -> Iterator[Page]:
    """A page of the test's own."""
    with visit(served, browser) as made:
        yield made


@pytest.fixture(scope="module")
def open_page(served: Served, browser: Browser) -> Iterator[Page]:
    """One page for all tests of a file that do not get in each other's way: loading it takes seconds."""
    with visit(served, browser) as made:
        yield made


def film_of(photo: Path, path: Path) -> None:
    """A photo as what a camera sees, 640 x 480."""
    picture = Image.open(photo).convert("RGB").crop((0, 0, 512, 480)).resize((640, 480))
    with av.open(str(path), "w", format="mjpeg") as film:
        stream = film.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        film.mux([packet for step in (*[frame] * 10, None) for packet in stream.encode(step)])
