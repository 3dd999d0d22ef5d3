"""The faces of a photo file on which a command works."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentface.errors import NoFaceFound

if TYPE_CHECKING:
    from latentface.cli.report import Report
    from latentface.faces.crop import FaceCrop
    from latentface.io.images import Photo


def find_faces(source: Path, photo: Photo, landmarks: str, report: Report) -> tuple[Photo, list[FaceCrop]]:
    """Read a photo, turned upright, and find its faces, best-scored first; NoFaceFound names the file."""
    from latentface import api

    try:
        upright, faces, note = api.align_upright(photo, landmarks=landmarks)
        report.notes(f"{source}: {text}" for text in (note,) if text)
        return upright, faces
    except NoFaceFound as error:
        raise NoFaceFound(f"{source}: {error}") from None
