"""Which face is meant: by its place, or by a picture."""

import numpy as np
import pytest

from latentface.errors import InputError, UsageError
from latentface.faces.choice import Likeness, Place
from latentface.faces.crop import FaceCrop, face_number, pick_face


def crop(x: float, side: float, grey: int) -> FaceCrop:
    quad = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * side + [x, 0]
    return FaceCrop(np.full((8, 8, 3), grey, np.uint8), np.full((68, 2), x), quad)


CROPS = [crop(200, 40, 10), crop(10, 30, 90), crop(90, 60, 200)]


@pytest.mark.parametrize(("where", "number"), [("largest", 3), ("left", 2), ("middle", 3), ("right", 1)])
def test_places(where: str, number: int) -> None:
    assert face_number(CROPS, Place(where)) == number and pick_face(CROPS, Place(where)) is CROPS[number - 1]


def test_a_place_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="largest, left, middle, right"):
        Place("top")


def test_a_picture_finds_the_face_that_is_most_alike() -> None:
    def embed(crops: np.ndarray) -> np.ndarray:
        angle = crops[:, 0, 0, 0] / 255 * np.pi
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    alike = Likeness("anna.jpg", embed(CROPS[1].image[None])[0], embed)
    assert face_number(CROPS, alike) == 2
    with pytest.raises(InputError, match=r"the photo: none of its 1 faces is that of anna\.jpg"):
        face_number(CROPS[2:], alike)
