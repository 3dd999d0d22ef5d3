"""Values about one face: its 68 landmarks, its aligned crop, and the exact map between crop and photo.

Landmarks are in Multi-PIE (dlib) order: 0-16 jaw, 17-26 brows, 27-35 nose, 36-41 and 42-47 the eyes (the
subject's right first, which lies on the left of the picture), 48-67 mouth. Coordinates are (x, y) with y down;
an integer is the centre of a pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latentface.arrays import Float32Array, Float64Array
from latentface.errors import InputError, UsageError

JAW = slice(0, 17)
INNER = slice(17, 68)
LEFT_EYE = slice(36, 42)  # on the left of the picture
RIGHT_EYE = slice(42, 48)
EYES_AND_MOUTH = slice(36, 68)
MOUTH_CORNERS = (48, 54)

_FEATURE_REACH = 3 / 64  # share of the picture's side: the extent of a feature around its landmarks

# the index of each landmark in the mirrored picture
_MIRROR_GROUPS = (
    tuple(range(16, -1, -1)),
    tuple(range(26, 16, -1)),
    (27, 28, 29, 30, 35, 34, 33, 32, 31),
    (45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    (54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
)
MIRROR = tuple(index for group in _MIRROR_GROUPS for index in group)


def _as_landmarks(landmarks: NDArray[np.floating]) -> Float64Array:
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2):
        raise UsageError(f"landmarks: expected shape (68, 2), got {points.shape}")
    return points


def inter_ocular(landmarks: NDArray[np.floating]) -> float:
    """Distance between the centres of the two eyes (each the mean of its six points), in the landmarks' unit.

    landmarks: [68, 2]. Raises UsageError for another shape.
    """
    points = _as_landmarks(landmarks)
    return float(np.linalg.norm(points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)))


def ffhq_quad(landmarks: NDArray[np.floating]) -> Float64Array:
    """The oriented square of the FFHQ alignment (Karras et al. 2019, appendix A).

    landmarks: [68, 2] pixels, y down. Returns [4, 2]: top left, bottom left, bottom right, top right, in the same
    coordinates; the corners are the outer edges of the crop, not the centres of its corner pixels.
    Raises UsageError for a wrong shape, for values that are not finite, and for a face without extent.
    """
    points = _as_landmarks(landmarks)
    left, right = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    mouth = points[list(MOUTH_CORNERS)].mean(0)
    eyes = (left + right) / 2
    across, down = right - left, mouth - eyes
    x = across + np.array([down[1], -down[0]])  # "right" is the sum of the eye line and the rotated eye-to-mouth line
    length = float(np.linalg.norm(x))
    if not np.isfinite(length) or length == 0:
        raise UsageError("landmarks: eyes and mouth do not span a face")
    x *= max(2.0 * float(np.linalg.norm(across)), 1.8 * float(np.linalg.norm(down))) / length
    y = np.array([-x[1], x[0]])
    centre = eyes + 0.1 * down
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def quad_to_matrix(quad: NDArray[np.floating], size: int) -> Float64Array:
    """The 3x3 affine map from crop pixel centres (x, y, 1), 0 <= x < size, to photo pixel coordinates.

    quad: [4, 2] in photo pixels (TL, BL, BR, TR; a parallelogram). The crop's outer edge lies half a pixel outside
    its outermost pixel centres, hence the + 0.5.
    """
    top_left, bottom_left, _, top_right = np.asarray(quad, dtype=np.float64)
    across, down = (top_right - top_left) / size, (bottom_left - top_left) / size
    matrix = np.eye(3)
    matrix[:2, 0], matrix[:2, 1] = across, down
    matrix[:2, 2] = top_left + 0.5 * (across + down)
    return matrix


def map_points(matrix: NDArray[np.floating], points: NDArray[np.floating]) -> Float64Array:
    """Apply a 3x3 affine map to points [..., 2]."""
    affine = np.asarray(matrix, dtype=np.float64)
    mapped: Float64Array = np.asarray(points, dtype=np.float64) @ affine[:2, :2].T + affine[:2, 2]
    return mapped


def frontality(landmarks: NDArray[np.floating]) -> float:
    """1 for a frontal face, falling to 0 in profile, from the position of the nose between the ends of the jaw line.

    landmarks: [68, 2]. At 30 degrees of yaw it is about 0.5.
    """
    points = _as_landmarks(landmarks)
    across = points[RIGHT_EYE].mean(0) - points[LEFT_EYE].mean(0)
    left, right = ((points[side].mean(0) - points[27:31].mean(0)) @ across for side in (slice(0, 3), slice(14, 17)))
    near, far = sorted((max(-left, 0.0), max(right, 0.0)))
    return float(near / far) if far > 0 else 0.0


def near_features(landmarks: NDArray[np.floating], size: int) -> Float32Array:
    """Closeness of each pixel of an FFHQ crop, [size, size], to eyes and mouth: 1 on their landmarks, falling to 0.

    landmarks: [68, 2] in pixels of the crop. Raises UsageError for another shape.
    """
    points, middles = _as_landmarks(landmarks)[EYES_AND_MOUTH], np.arange(size)
    dx, dy = ((middles - points[:, axis, None]) / (_FEATURE_REACH * size) for axis in (0, 1))  # [points, size]
    across, down = np.exp(-0.5 * dx**2), np.exp(-0.5 * dy**2)
    return np.asarray((across[:, None, :] * down[:, :, None]).max(0), np.float32)


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """One aligned face and its position in its photo.

    image: uint8 RGB [S, S, 3]. landmarks: [68, 2] and quad: [4, 2] (TL, BL, BR, TR), both in pixels of the
    original photo, regardless of any shrinking or padding on the way. score: the detector's confidence (higher is
    better).
    """

    image: NDArray[np.uint8]
    landmarks: Float64Array
    quad: Float64Array
    score: float = 1.0

    @property
    def size(self) -> int:
        """Side of the crop in pixels."""
        return int(self.image.shape[0])

    @property
    def side(self) -> float:
        """Side of the crop's square in photo pixels."""
        return float(np.linalg.norm(self.quad[3] - self.quad[0]))

    @property
    def quarter_turns(self) -> int:
        """Anticlockwise quarter turns, 0 to 3, by which the photo would have to be turned to make the face upright."""
        across = self.quad[3] - self.quad[0]
        return round(float(np.arctan2(across[1], across[0])) / (np.pi / 2)) % 4

    @property
    def turn_note(self) -> str | None:
        """A note about a face that is not upright in its photo; None for an upright face."""
        if not self.quarter_turns:
            return None
        return f"the face is turned by {90 * self.quarter_turns} degrees clockwise, and is left that way"

    @property
    def to_photo(self) -> Float64Array:
        """3x3 map: crop pixel centre (x, y, 1) -> photo pixel coordinates."""
        return quad_to_matrix(self.quad, self.size)

    @property
    def from_photo(self) -> Float64Array:
        """3x3 map: photo pixel coordinates (x, y, 1) -> crop pixel coordinates."""
        return np.asarray(np.linalg.inv(self.to_photo))

    @property
    def crop_landmarks(self) -> Float64Array:
        """The landmarks [68, 2] in crop pixels."""
        return map_points(self.from_photo, self.landmarks)


def largest_face(crops: Sequence[FaceCrop]) -> int:
    """The number of the largest face, counted from 1 as in `pick_face`; among equals, the best-scored one."""
    return 1 + max(range(len(crops)), key=lambda k: crops[k].side)


#: Which face of a photo: its number from 1 in order of score, a rule that tells it, or None for the largest.
WhichFace = int | Callable[[Sequence[FaceCrop]], int] | None


def pick_face(crops: Sequence[FaceCrop], face: WhichFace, name: str = "the photo") -> FaceCrop:
    """The face that is meant; InputError if there is none."""
    return crops[face_number(crops, face, name) - 1]


def face_number(crops: Sequence[FaceCrop], face: WhichFace, name: str = "the photo") -> int:
    """The number of the face that is meant, counted from 1 in order of score; InputError if there is none."""
    if face is None:
        face = largest_face(crops)
    if callable(face):
        try:
            face = face(crops)
        except InputError as error:
            raise InputError(f"{name.rstrip(',')}: {error}") from None
    if face < 1:
        raise UsageError(f"face {face}: faces are counted from 1")
    if face > len(crops):
        if len(crops) == 1:
            raise InputError(f"{name} has 1 face, so there is no face {face}; leave the number out")
        raise InputError(
            f"{name} has {len(crops)} faces, so there is no face {face}; choose a number from 1 to {len(crops)}"
        )
    return face
