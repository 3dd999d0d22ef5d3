"""The compositor: the face goes where it came from, everything else stays, metadata survive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentface as lf
from latentface.arrays import Pixels
from latentface.compositing.compositor import OUTLINE, STEADY, Compositor, composite
from latentface.errors import UsageError
from latentface.faces.alignment import crop_face
from latentface.faces.crop import map_points
from latentface.options.photos import CompositeOptions
from tests.helpers.faces import face_points, scene

BLENDS = ["alpha", "multiband", "poisson"]


def changed(photo: Pixels, result: Pixels) -> np.ndarray:
    return (photo != result).any(-1)


@pytest.mark.parametrize("blend", BLENDS)
def test_the_photo_outside_the_face_is_bit_identical(blend: str) -> None:
    photo, crop = scene()
    before = photo.copy()
    result = composite(photo, crop, 255 - crop.image, CompositeOptions(blend=blend, match_colour=False))
    assert np.array_equal(photo, before)
    assert result.shape == photo.shape and result.dtype == np.uint8
    away = changed(photo, result)
    hull = np.concatenate([crop.landmarks, crop.landmarks[17:27] - (0, 25)])
    low, high = hull.min(0) - 8, hull.max(0) + 8
    y, x = np.nonzero(away)
    assert len(y) > 3000
    assert (x >= low[0]).all() and (x <= high[0]).all() and (y >= low[1]).all() and (y <= high[1]).all()


@pytest.mark.parametrize("blend", BLENDS)
def test_an_unedited_crop_gives_the_photo_back(blend: str) -> None:
    """Up to what the crop's own resolution loses."""
    photo, crop = scene()
    result = composite(photo, crop, crop.image, CompositeOptions(blend=blend))
    assert np.abs(result.astype(int) - photo).max() < 25
    assert np.abs(result.astype(float) - photo).mean() < 1


@pytest.mark.parametrize("size", [64, 128, 512])
def test_a_mark_in_the_crop_lands_on_its_place_in_the_photo(size: int) -> None:
    """Whatever the side of the picture: a dark spot drawn at the nose ends up at the nose's landmark."""
    photo, crop = scene()
    nose = map_points(crop.from_photo, crop.landmarks[30:31])[0]
    image = np.asarray(Image.fromarray(crop.image).resize((size, size), Image.Resampling.BICUBIC)).astype(float)
    y, x = np.mgrid[:size, :size]
    at = (nose + 0.5) * size / 128 - 0.5
    spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (size / 40) ** 2))
    image = (image * (1 - spot[..., None])).astype(np.uint8)
    result = composite(photo, crop, image, CompositeOptions(blend="alpha", match_colour=False))
    drop = (photo.astype(float) - result).mean(-1).clip(10) - 10
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]]
    found = np.array([(drop * columns).sum(), (drop * rows).sum()]) / drop.sum()
    assert np.abs(found - crop.landmarks[30]).max() < 0.5


def test_colour_is_matched_to_the_surroundings() -> None:
    photo, crop = scene()
    tinted = np.clip(crop.image.astype(int) + np.array([40, -20, 25]), 0, 255).astype(np.uint8)
    plain = composite(photo, crop, tinted, CompositeOptions(blend="alpha", match_colour=False))
    matched = composite(photo, crop, tinted, CompositeOptions(blend="alpha"))
    assert np.abs(plain.astype(float) - photo).max() > 35
    assert np.abs(matched.astype(float) - photo).mean() < 0.15 * np.abs(plain.astype(float) - photo).mean()


def test_with_a_reference_only_what_the_edit_changed_is_touched() -> None:
    """The generator's own errors (here a tint and a blur) do not come into the photo; the edit does."""
    photo, crop = scene()
    drawn = np.asarray(Image.fromarray(crop.image).resize((16, 16)).resize((128, 128))).astype(int)
    drawn = drawn + np.array([20, 10, -10])
    drawn = drawn.clip(0, 255).astype(np.uint8)
    edited = drawn.copy()
    mouth = np.rint(crop.crop_landmarks[48:60]).astype(int)
    (x0, y0), (x1, y1) = mouth.min(0), mouth.max(0)
    edited[y0:y1, x0:x1] //= 3
    result = composite(photo, crop, edited, reference=drawn)
    where = changed(photo, result)
    centre = crop.landmarks[48:60].mean(0).round().astype(int)
    assert result[centre[1], centre[0]].astype(int).mean() < 0.6 * photo[centre[1], centre[0]].mean()
    eye = crop.landmarks[36:42].mean(0).round().astype(int)
    assert not where[eye[1] - 5 : eye[1] + 6, eye[0] - 5 : eye[0] + 6].any()
    assert not changed(photo, composite(photo, crop, drawn, reference=drawn)).any()


def test_a_dropped_chin_widens_the_mask() -> None:
    photo, crop = scene(height=360)
    points = crop.crop_landmarks.copy()
    points[5:12, 1] += 14
    options = CompositeOptions(match_colour=False)
    narrow = changed(photo, composite(photo, crop, 255 - crop.image, options))
    wide = changed(photo, composite(photo, crop, 255 - crop.image, options, landmarks=points))
    assert np.nonzero(wide)[0].max() > np.nonzero(narrow)[0].max() + 8


def test_warps_move_steady_points_onto_the_photos() -> None:
    """The same face drawn elsewhere, larger and turned in its picture: both warps put it where the photo has it."""
    photo, crop = scene(wave=9, grain=0)
    move = np.array([[1.1, -0.12, 3.0], [0.12, 1.1, -12.0], [0, 0, 1]])
    inverse = np.linalg.inv(move)
    moved = Image.fromarray(crop.image).transform(
        (128, 128), Image.Transform.AFFINE, tuple(inverse[:2].ravel()), Image.Resampling.BICUBIC
    )
    points = map_points(move, crop.crop_landmarks)
    astray = composite(photo, crop, np.asarray(moved), CompositeOptions(match_colour=False))
    for warp in ("similarity", "piecewise"):
        options = CompositeOptions(warp=warp, match_colour=False)
        result = composite(photo, crop, np.asarray(moved), options, landmarks=points)
        error = np.abs(result.astype(float) - photo).mean()
        assert error < 0.35 * np.abs(astray.astype(float) - photo).mean()


def test_hair_in_front_of_the_face_is_left_out() -> None:
    height, width = 320, 280
    photo = np.full((height, width, 3), (205, 160, 140), np.uint8)
    photo = np.clip(photo + np.random.default_rng(0).normal(0, 3, photo.shape), 0, 255).astype(np.uint8)
    points = face_points((width / 2, height / 2 - 15), 50)
    clean = crop_face(photo, points, 128)
    strand = slice(int(points[3, 0]) + 12, int(points[3, 0]) + 26)
    photo[:, strand] = (40, 28, 20)
    image = np.clip(clean.image.astype(int) + 20, 0, 255).astype(np.uint8)
    crop = replace(clean, image=image)
    plain = composite(photo, crop, image, CompositeOptions(match_colour=False))
    spared = composite(photo, crop, image, CompositeOptions(match_colour=False, occluders=True))
    rows = slice(int(points[28, 1]), int(points[33, 1]))
    hair = slice(strand.start + 2, strand.stop - 2)
    assert changed(photo, plain)[rows, hair].all()
    assert np.abs(spared[rows, hair].astype(int) - photo[rows, hair]).max() < 12
    assert changed(photo, spared)[rows, int(points[30, 0]) - 10 : int(points[30, 0]) + 10].all()


def test_a_face_cut_by_the_photos_border() -> None:
    photo, _ = scene()
    points = face_points((20, 150), 45)
    crop = crop_face(photo, points, 128)
    result = composite(photo, crop, 255 - crop.image, CompositeOptions(match_colour=False))
    assert changed(photo, result)[150, 0]  # the border of the photo is no edge of the face
    assert not changed(photo, result)[:, 120:].any()


def test_one_compositor_places_many_pictures() -> None:
    photo, crop = scene()
    compositor = Compositor(photo, crop)
    first = compositor.place(crop.image // 2)
    compositor.place(255 - crop.image)
    assert np.array_equal(compositor.place(crop.image // 2), first)


def test_steady_points_and_outline_do_not_overlap() -> None:
    assert not set(STEADY) & set(OUTLINE)


def test_a_photos_alpha_exif_and_profile_survive(tmp_path: Path) -> None:
    pixels, crop = scene()
    exif = Image.Exif()
    exif[0x010F] = "maker"
    profile = b"\0" * 36 + b"acsp" + b"\0" * 88
    alpha = np.random.default_rng(0).integers(0, 256, pixels.shape[:2], dtype=np.uint8)
    photo = lf.Photo(rgb=pixels, alpha=alpha, exif=exif.tobytes(), icc=profile)
    result = lf.composite(photo, crop, 255 - crop.image)
    assert changed(pixels, result.rgb).any()
    lf.write_image(tmp_path / "a.png", result.rgb, alpha=result.alpha, exif=result.exif, icc=result.icc)
    back = lf.read_photo(tmp_path / "a.png")
    assert np.array_equal(back.rgb, result.rgb)
    assert back.alpha is not None and np.array_equal(back.alpha, alpha)
    assert back.icc == profile
    with Image.open(tmp_path / "a.png") as image:
        assert image.getexif()[0x010F] == "maker"


def test_pixels_in_pixels_out() -> None:
    photo, crop = scene()
    assert np.array_equal(lf.composite(photo, crop, crop.image // 2), composite(photo, crop, crop.image // 2))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"image": np.zeros((10, 12, 3), np.uint8)}, r"\[S, S, 3\], got uint8 \[10, 12, 3\]"),
        ({"image": np.zeros((8, 8, 3), np.float32)}, "float32"),
        ({"photo": np.zeros((8, 8), np.uint8)}, r"\[H, W, 3\]"),
        ({"landmarks": np.zeros((5, 2))}, r"\[5, 2\]: expected \[68, 2\]"),
        ({"options": CompositeOptions(warp="piecewise")}, "needs the landmarks"),
    ],
)
def test_bad_input(change: dict[str, object], words: str) -> None:
    photo, crop = scene()
    values: dict[str, object] = {"photo": photo, "crop": crop, "image": crop.image, **change}
    with pytest.raises(UsageError, match=words):
        composite(**values)  # type: ignore[arg-type]


def test_a_crop_of_another_photo() -> None:
    _, crop = scene()
    with pytest.raises(UsageError, match="outside the photo"):
        composite(np.zeros((40, 40, 3), np.uint8), crop, crop.image)


def test_unknown_blend() -> None:
    with pytest.raises(UsageError, match="one of alpha, multiband, poisson"):
        CompositeOptions(blend="magic")
