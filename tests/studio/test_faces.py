"""Faces with numbers, to be picked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentface.studio.faces import CHOSEN, OTHER, SIDE, frame_faces
from latentface.studio.session import Subject


def test_faces_are_framed_and_the_chosen_one_stands_out(two_people: Path) -> None:
    subject = Subject.read(two_people)
    assert len(subject.faces) == 2
    for chosen in ([1], [2], [1, 2], []):
        picture, scale = frame_faces(subject, chosen)
        assert max(picture.shape) <= SIDE
        for number, face in enumerate(subject.faces, 1):
            x, y = np.clip(face.quad.min(axis=0) * scale, 0, None).astype(int) + 2
            assert tuple(picture[y, x]) == (CHOSEN if number in chosen else OTHER)
