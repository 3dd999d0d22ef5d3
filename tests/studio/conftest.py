"""Photos and a clip to work on, and the page in a browser: a server and a Chromium for all files of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from latentface.io.clip import Clip
from latentface.io.video import write_clip
from tests.helpers.studio_page import LONG, Served, chromium, serving, visit

expect.set_options(timeout=LONG)
ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="session")
def astronaut() -> Path:
    return ASTRONAUT


@pytest.fixture(scope="session")
def two_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut and her smaller mirror image, whose face is the second one, side by side."""
    photo = Image.open(ASTRONAUT).convert("RGB").crop((100, 0, 356, 320))
    other = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((205, 256), Image.Resampling.LANCZOS)
    sheet = np.full((320, 256 + 205, 3), 255, np.uint8)
    sheet[:, :256] = photo
    sheet[64:, 256:] = other
    path = tmp_path_factory.mktemp("people") / "two.png"
    Image.fromarray(sheet).save(path)
    return path


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames in which the astronaut moves a little, at 12 a second."""
    photo = np.asarray(Image.open(ASTRONAUT).convert("RGB"))
    frames = [photo[:320, 100 + step : 356 + step] for step in (0, 1, 2, 3, 4, 4, 3, 2, 1, 0)]
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    write_clip(path, Clip.of(frames, 12, (256, 320), count=10))
    return path


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
