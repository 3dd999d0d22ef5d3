"""A photo with two faces, and the photo that comes with the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
