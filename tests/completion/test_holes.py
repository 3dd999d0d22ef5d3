"""Masks: what is read, and what cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentface.completion.holes import box_hole, check_face, grown, read_hole
from latentface.errors import InputError, UsageError

SIZE = (6, 8)


def marked(dtype: type, value: float) -> np.ndarray:
    mask = np.zeros(SIZE, dtype)
    mask[1:3, 2:5] = value
    return mask


@pytest.mark.parametrize("mask", [marked(bool, True), marked(np.uint8, 200), marked(np.float32, 0.7)])
def test_arrays_of_each_kind_mark_the_same(mask: np.ndarray) -> None:
    assert np.array_equal(read_hole(mask, SIZE), marked(bool, True))


def test_a_picture_is_a_mask_where_it_is_bright(tmp_path: Path) -> None:
    Image.fromarray(marked(np.uint8, 255)).save(tmp_path / "mask.png")
    assert np.array_equal(read_hole(tmp_path / "mask.png", SIZE), marked(bool, True))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((6, 7), bool), "7 x 6 pixels and the photo 8 x 6"),
        (np.zeros(SIZE, bool), "marks nothing"),
        (np.ones(SIZE, np.uint8) * 255, "the whole photo"),
        (np.full(SIZE, np.nan), "NaN"),
    ],
)
def test_masks_that_cannot_be_used_say_why(mask: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_hole(mask, SIZE)


def test_a_mask_of_another_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="complex128"):
        read_hole(np.zeros(SIZE, complex), SIZE)


def test_a_box_is_cut_at_the_border_of_the_photo() -> None:
    hole = box_hole((-3, 1, 2, 99), SIZE)
    assert hole.sum() == 2 * 5 and hole[1:, :2].all()


def test_a_box_beside_the_photo_and_three_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="no pixel"):
        box_hole((20, 1, 30, 2), SIZE)
    with pytest.raises(UsageError, match="left, top, right and bottom"):
        box_hole((1, 2, 3), SIZE)


def test_growing_reaches_so_many_pixels() -> None:
    hole = np.zeros((9, 9), bool)
    hole[4, 4] = True
    assert grown(hole, 2).sum() == 13 and np.array_equal(grown(hole, 0), hole)


def test_a_mask_over_the_whole_face_is_refused_and_half_of_it_is_not() -> None:
    angles = np.linspace(0, 2 * np.pi, 68)
    landmarks = 50 + 20 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    hole = np.zeros((100, 100), bool)
    hole[:, 5:50] = True
    check_face(hole, landmarks)
    hole[:] = True
    hole[0] = False
    with pytest.raises(InputError, match="whole face"):
        check_face(hole, landmarks)
