"""Which faces of a photo file a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import NoFaceFound

if TYPE_CHECKING:
    from latentface.faces.crop import FaceCrop


def choose_faces(source: Path, face: int | None) -> list[FaceCrop]:
    """Every face of a photo file, or the one of that number; NoFaceFound names the file."""
    from latentface import api
    from latentface.faces.crop import pick_face
    from latentface.io.images import read_image

    try:
        found = api.align(read_image(source))
    except NoFaceFound as error:
        raise NoFaceFound(f"{source}: {error}") from None
    return found if face is None else [pick_face(found, face, str(source))]
