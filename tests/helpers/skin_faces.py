"""Stand-ins for detector and landmarks: a face is what is skin-coloured, with a plain face's points in it."""

from __future__ import annotations

import numpy as np

from tests.helpers.cli_desk import face_points


def find_skin(photo):
    """A stand-in detector: the box of what is skin-coloured."""
    rows, columns = np.nonzero((np.abs(photo.astype(int) - (224, 172, 140)) < 24).all(2))
    if len(rows) < 20:
        return np.empty((0, 4)), np.empty(0)
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float), np.array([1.0])


class Points:
    """A stand-in landmark predictor: a plain face in the skin-coloured box nearest to the one it is told."""

    def __init__(self):
        self.calls = 0

    def __call__(self, photo, boxes):
        self.calls += 1
        found, _ = find_skin(photo)
        box = found[0] if len(found) else boxes[0]
        return (box[:2] + face_points() * (box[2:] - box[:2]))[None]
