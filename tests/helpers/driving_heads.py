"""A driver whose frames are a photo of the built-in head; the first pixel of each says which landmarks it has."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from latentface import hub
from latentface.faces import alignment
from latentface.io.clip import Clip, Frame
from latentface.motion import head_engine
from latentface.options.clips import AnimateOptions
from tests.head.face_on_model import landmarks_of
from tests.helpers.head_picture import CENTRE, HEIGHT, SCALE, WIDTH, model, picture
from tests.helpers.lookers import ThisProcess

OPTIONS = AnimateOptions(engine="head", best_frame=False)
SHUT, OPEN = 1, 6  # frames of the driver: the jaw opens from 0 on, in steps of .08
FACELESS = 99


def landmarks(expression: dict[str, float] | None = None, pose: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return landmarks_of(model(), expression or {}, pose, scale=SCALE, middle=CENTRE, definition="annotated")


TABLE = {0: landmarks(), **{k: landmarks({"jawOpen": 0.08 * (k - 1)}) for k in range(SHUT, OPEN + 1)}}


def see_by_first_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pixel of a picture says which landmarks it has; none where it says FACELESS."""

    def find(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        count = 0 if photo[0, 0, 0] == FACELESS else photo.shape[1] // WIDTH
        boxes = [[WIDTH * i + 80.0, 90.0, WIDTH * i + 220.0, 260.0] for i in range(count)]
        return np.array(boxes).reshape(-1, 4), np.ones(count)

    def points(photo: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        known = TABLE.get(int(photo[0, 0, 0]), TABLE[0])
        return np.stack([known + np.array([WIDTH * (box[0] // WIDTH), 0]) for box in boxes])

    monkeypatch.setattr(alignment, "detect_faces", find)
    monkeypatch.setattr(alignment, "best_score", lambda picture, least: -1.0 if picture.max() == FACELESS else 1.0)
    monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: points)
    monkeypatch.setattr(head_engine, "SeparateProcess", ThisProcess)


def frame_of(k: int) -> np.ndarray:
    frame = np.full((HEIGHT, WIDTH, 3), FACELESS, np.uint8) if k == FACELESS else picture().photo.copy()
    frame[0, 0, 0] = k
    return frame


def clip_of(*numbers: int) -> Clip:
    return Clip([Frame(frame_of(k), Fraction(i, 25)) for i, k in enumerate(numbers)], 25, (WIDTH, HEIGHT), len(numbers))
