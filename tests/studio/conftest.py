"""A photo with two faces, a clip of one, and the photo that comes with the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.io.clip import Clip
from latentface.io.video import write_clip

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
