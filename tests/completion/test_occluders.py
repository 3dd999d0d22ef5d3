"""What lies over a face: found where it is, and said where it is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import latentface as lf
from latentface.arrays import Pixels
from latentface.completion.occluders import FINDERS, find_occluder
from latentface.errors import InputError, UsageError
from latentface.faces.crop import FaceCrop
from latentface.options.photos import OCCLUDERS

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


@pytest.fixture(scope="module")
def face() -> tuple[Pixels, FaceCrop]:
    photo = lf.read_image(PHOTO)
    return photo, lf.align(photo)[0]


def test_a_thing_in_front_of_the_face_is_found(face: tuple[Pixels, FaceCrop]) -> None:
    photo, crop = face
    made = photo.copy()
    (x, y), unit = crop.landmarks[30], np.linalg.norm(crop.landmarks[36] - crop.landmarks[45])
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    thing = (np.abs(columns - x) < 0.3 * unit) & (rows > y) & (rows < y + 1.4 * unit)
    made[thing] = (40, 60, 200)
    found = find_occluder("hand", made, crop)
    assert (found & thing).sum() > 0.8 * thing.sum()
    with pytest.raises(InputError, match="no hand found"):
        find_occluder("hand", photo, crop)


def frames(photo: Pixels, crop: FaceCrop) -> tuple[Pixels, np.ndarray]:
    """The photo with a pair of dark glasses' frames drawn on, and where they are."""
    eyes = crop.landmarks[36:42].mean(0), crop.landmarks[42:48].mean(0)
    unit = float(np.linalg.norm(eyes[1] - eyes[0]))
    drawn = Image.new("L", (photo.shape[1], photo.shape[0]))
    pen, width = ImageDraw.Draw(drawn), max(2, round(0.06 * unit))
    for x, y in eyes:
        pen.rectangle((x - 0.42 * unit, y - 0.22 * unit, x + 0.42 * unit, y + 0.3 * unit), outline=255, width=width)
    pen.line([(eyes[0][0] + 0.4 * unit, eyes[0][1]), (eyes[1][0] - 0.4 * unit, eyes[1][1])], fill=255, width=width)
    mask = np.asarray(drawn) > 0
    made = photo.copy()
    made[mask] = 20
    return made, mask


def test_frames_are_found_and_the_eyes_are_left(face: tuple[Pixels, FaceCrop]) -> None:
    photo, crop = face
    made, mask = frames(photo, crop)
    found = find_occluder("glasses", made, crop)
    assert found[mask].mean() > 0.75
    assert found.sum() < 5 * mask.sum()
    for eye in (slice(36, 42), slice(42, 48)):
        x, y = np.rint(crop.landmarks[eye].mean(0)).astype(int)
        assert not found[y, x]


def test_faint_rims_go_with_the_frames_that_are_seen(face: tuple[Pixels, FaceCrop]) -> None:
    photo, crop = face
    made, mask = frames(photo, crop)
    faint = mask & (np.arange(photo.shape[1]) > crop.landmarks[45, 0])  # beyond the outer corner of an eye
    made[faint] = (0.8 * photo[faint]).astype(np.uint8)
    assert find_occluder("glasses", made, crop)[faint].mean() > 0.5


def test_there_is_a_finder_for_each_kind() -> None:
    assert tuple(FINDERS) == OCCLUDERS


def test_what_is_not_there_is_not_found(face: tuple[Pixels, FaceCrop]) -> None:
    with pytest.raises(InputError, match="no glasses found"):
        find_occluder("glasses", *face)
    with pytest.raises(InputError, match="no hand found"):
        find_occluder("hand", *face)
    with pytest.raises(UsageError, match="expected one of glasses, hand"):
        find_occluder("hat", *face)


def test_an_arm_is_followed_beyond_the_crop(face: tuple[Pixels, FaceCrop]) -> None:
    photo, crop = face
    made = photo.copy()
    (x, y), unit = crop.landmarks[57], np.linalg.norm(crop.landmarks[36] - crop.landmarks[45])
    bottom = crop.quad[:, 1].max()
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    arm = (np.abs(columns - x) < 0.4 * unit) & (rows > y - 0.2 * unit) & (rows < bottom + 1.2 * unit)
    made[arm] = (40, 60, 200)
    found = find_occluder("hand", made, crop)
    beyond = arm & (rows > bottom)
    assert beyond.sum() > 0.2 * arm.sum()
    assert (found & beyond).sum() > 0.7 * beyond.sum()
