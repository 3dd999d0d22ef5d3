"""Which faces of a photo file a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import NoFaceFound

if TYPE_CHECKING:
    from latentface.faces.crop import FaceCrop


def find_faces(source: Path, landmarks: str) -> list[FaceCrop]:
    """Every face of a photo file, the surest first; NoFaceFound names the file."""
    from latentface import api
    from latentface.io.images import read_image

    try:
        return api.align(read_image(source), landmarks=landmarks)
    except NoFaceFound as error:
        raise NoFaceFound(f"{source}: {error}") from None
