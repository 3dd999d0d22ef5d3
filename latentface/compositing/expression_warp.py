"""Expression mapping: applies the change in a synthesised face to the photo's own pixels, by a warp and a difference.

Liu, Shan and Zhang, Expressive Expression Mapping with Ratio Images, SIGGRAPH 2001: the photo is warped as the
landmarks of the synthesised face move, and changes that a warp cannot explain (teeth, folds, shading) are added, here
as a difference. The likeness of the synthesised face may be rough: skin, eyes and hair remain those of the photo. Its
head movements are ignored; a head turn is a separate warp, of a relief that is highest along the middle of the face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from latentface.arrays import Float64Array, Pixels
from latentface.compositing.compositor import STEADY
from latentface.compositing.displacement_field import Field, dense, pixels, sample, transform
from latentface.compositing.head_relief import HIGHER, Relief
from latentface.compositing.warping import fit_similarity, frame, scaling
from latentface.errors import UsageError
from latentface.faces.crop import FaceCrop, inter_ocular, map_points
from latentface.faces.regions import fill, outline
from latentface.fields import smoothstep

#: Points of the outline that stay in place: all but the chin.
_PINNED = (*range(0, 5), *range(12, 17))
_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper and lower
_LIPS = ((61, 67, 50, 58), (62, 66, 51, 57), (63, 65, 52, 56))  # inner upper and lower, outer upper and lower
_WIDEST = 2.0  # how far eyes may open, as a multiple of their height in the photo
_BLINK = 0.92  # share of an eye's height that disappears when it shuts; the rest are the lashes
_REACH = 0.75  # inter-ocular distances around the face over which the warp fades out
_FOREHEAD, _CROWN = 0.45, 0.85  # above the brows
_FEATHER = 0.3
_TEETH = (
    8.0,
    40.0,
)  # grey levels: mean change inside the lips at which the photo's mouth starts to be replaced, and is replaced
_FINEST = 128  # pixels: detail finer than a picture of this size can show is taken from the photo


@dataclass(frozen=True)
class Motion:
    """Movements of a face other than its expression.

    Attributes:
        shut: how far the eyes are closed, from 0 to 1.
        yaw, pitch: degrees by which the head is turned to the viewer's right, and down.
    """

    shut: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


class ExpressionMap:
    """Gives one photo the expressions of synthesised pictures of its face.

    Args:
        photo: uint8 RGB [H, W, 3].
        crop: the face as it was aligned out of this photo.
        reference: the generator's picture of the unedited crop, uint8 [S, S, 3].
        landmarks: [68, 2], the landmarks of the reference, in its pixels.

    Raises:
        UsageError: the face lies outside the photo, or the landmarks have the wrong shape.
    """

    def __init__(self, photo: Pixels, crop: FaceCrop, reference: Pixels, landmarks: NDArray[np.floating]) -> None:
        self.photo, self.crop = photo, crop
        self.side, self.rest = len(reference), _points(landmarks)
        self.unit = inter_ocular(crop.landmarks)
        self._relief = Relief(crop.landmarks)
        to_photo = np.asarray(crop.to_photo @ scaling(crop.size / self.side))
        self.linear = to_photo[:2, :2]
        x0, y0, x1, y1 = self.box = _box(crop.landmarks, photo.shape, self.unit)
        self.base = _planes(photo[y0:y1, x0:x1])  # [1, 3, h, w]
        self.window = self._window()
        self._lips = self._around(crop.landmarks[48:68] - (x0, y0))
        here = map_points(
            np.linalg.inv(to_photo), crop.landmarks
        )  # the photo's face in pixels of the synthesised picture
        self._here = dense(here)
        self._level = Field(np.concatenate([self._here, frame(self.side, self.side)]), (self.side, self.side))
        self.mask, self.skin, self.mouth = self._masks(here)
        self._inside = (3 * self.mouth).clamp(max=1)  # a thin mouth has less than 1 in its middle
        self._drawn = self._straighten(reference, self.rest)
        at = transform(scaling(crop.size / self.side), pixels(self.side, self.side))
        self._off = sample(_planes(crop.image), at, "bilinear") - self._drawn  # the error of the generator
        self._off -= self._mean(self._off)
        # pixel (x, y) of the box -> pixel of the synthesised picture
        self._to_drawn = np.linalg.inv(to_photo) @ np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]])

    def place(self, image: Pixels, landmarks: NDArray[np.floating], motion: Motion | None = None) -> Pixels:
        """The photo with the expression of a synthesised picture [S, S, 3] with landmarks [68, 2] in its pixels.

        motion: additional movements of the head and the lids.

        Returns uint8 RGB of the photo's size; outside `box` (left, top, right, bottom) it is the photo to the bit.
        """
        points = _points(landmarks)
        grid = self._backward(points, motion or Motion())  # [h, w, 2]: the pixel of the box that is shown here
        new = self._straighten(image, points) - self._drawn
        new = new - self._mean(new)  # exposure and skin colour are kept
        # the more the teeth change, the less of the photo's mouth is kept
        share = (new.abs().mean(1, keepdim=True) * self.mouth).sum() / self.mouth.sum()
        gone = self.mouth * ((share - _TEETH[0]) / (_TEETH[1] - _TEETH[0])).clamp(0, 1)
        new = self._soften((new - self._off * gone) * self.mask)
        at = transform(self._to_drawn, grid)
        moved = sample(self.base, grid, "bicubic")
        seen = moved + sample(new, at, "bilinear")
        down, across = self._lips
        where = sample(self._inside, at[down, across], "bilinear")[:, 0]
        _warm(seen[..., down, across], where, _cold(moved[..., down, across]))
        x0, y0, x1, y1 = self.box
        result: Pixels = self.photo.copy()
        result[y0:y1, x0:x1] = seen[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
        return result

    def _moved(self, points: Float64Array, shut: float) -> Float64Array:
        """The photo's landmarks [68, 2] after the change of expression with a still head, in photo pixels."""
        still = map_points(fit_similarity(points[[*STEADY]], self.rest[[*STEADY]]), points)
        goal: Float64Array = self.crop.landmarks + (still - self.rest) @ self.linear.T
        goal[[*_PINNED]] = self.crop.landmarks[[*_PINNED]]
        for upper, lower in _LIDS:  # eyes and mouth close by the photo's own height
            part = min(_gap(still, upper, lower) / _gap(self.rest, upper, lower), _WIDEST)
            opening = part * (self.crop.landmarks[lower] - self.crop.landmarks[upper])
            _set_gap(goal, upper, lower, (1 - shut * _BLINK) * opening)
            goal[[upper, lower]] += 0.3 * shut * opening  # it is the upper lid that comes down
        for upper, lower, *outer in _LIPS:
            part = _gap(still, upper, lower) / _gap(self.rest, upper, lower)
            if part < 1:
                before = goal[[upper, lower]]
                _set_gap(goal, upper, lower, part * (self.crop.landmarks[lower] - self.crop.landmarks[upper]))
                goal[outer] += goal[[upper, lower]] - before
        return goal

    def _backward(self, points: Float64Array, motion: Motion) -> Tensor:
        """For every pixel of the box, the pixel it shows, [h, w, 2], for synthesised landmarks [68, 2]."""
        x0, y0, x1, y1 = self.box
        height, width = y1 - y0, x1 - x0
        turn = self._relief.turn(motion.yaw, motion.pitch)
        goal = dense(self._moved(points, motion.shut) + np.outer(HIGHER, turn))
        there, ring = self._relief.turned(goal, turn), _ring(self.crop.landmarks, self.unit)
        field = Field(np.concatenate([there, ring]) - (x0, y0), (height, width))
        shift = field(np.concatenate([dense(self.crop.landmarks) - goal, np.zeros_like(ring)]))
        if turn.any():
            shift = shift - self._height * torch.from_numpy(turn).float()
        return pixels(height, width) + shift * self.window

    @cached_property
    def _height(self) -> Tensor:
        """The relief of the box, [h, w, 1]."""
        x0, y0, x1, y1 = self.box
        height = self._relief.height(pixels(y1 - y0, x1 - x0).numpy() + np.array([x0, y0]))
        return torch.from_numpy(height).float()[..., None]

    def _straighten(self, image: Pixels, points: Float64Array) -> Tensor:
        """A synthesised picture [S, S, 3] with its landmarks moved to the photo's, without a cast on its teeth."""
        if image.shape != (self.side, self.side, 3):
            raise UsageError(f"picture of shape {list(image.shape)}: expected [{self.side}, {self.side}, 3]")
        shift = self._level(np.concatenate([dense(points) - self._here, np.zeros((8, 2))]))
        straight = sample(_planes(image), pixels(self.side, self.side) + shift, "bilinear")
        return _warm(straight, self._inside[:, 0], torch.zeros(2, 1, 1, 1))

    def _soften(self, change: Tensor) -> Tensor:
        """A change [1, 3, S, S] without details finer than a picture of `_FINEST` pixels can show.

        Synthesised lashes are not in the same place as the photo's own, and would appear beside them.
        """
        factor = self.side // _FINEST
        if factor < 2:
            return change
        return F.interpolate(F.avg_pool2d(change, factor), size=(self.side,) * 2, mode="bilinear", align_corners=False)

    def _mean(self, picture: Tensor) -> Tensor:
        """Mean colour [1, 3, 1, 1] of the skin that an expression does not change."""
        return (picture * self.skin).sum((2, 3), keepdim=True) / self.skin.sum()

    def _masks(self, here: Float64Array) -> tuple[Tensor, Tensor, Tensor]:
        """[1, 1, S, S] each: the face, soft towards its outline; its skin away from the features; inside the lips."""
        size, unit = (self.side, self.side), inter_ocular(here)
        face = fill(outline([here], _FOREHEAD), size)
        soft = smoothstep(ndimage.distance_transform_edt(face) / (_FEATHER * unit))
        features = np.logical_or.reduce(
            [fill(here[part], size) for part in (slice(36, 42), slice(42, 48), slice(48, 60))]
        )
        skin = soft * (ndimage.distance_transform_edt(~features) > 0.25 * unit)
        mouth = ndimage.gaussian_filter(fill(here[60:68], size).astype(np.float32), 0.03 * unit)
        face_mask, skin_mask, mouth_mask = (
            torch.from_numpy(np.asarray(each, np.float32))[None, None] for each in (soft, skin, mouth + 1e-6)
        )
        return face_mask, skin_mask, mouth_mask

    def _around(self, lips: Float64Array) -> tuple[slice, slice]:
        """Rows and columns of the box that the lips [20, 2] may reach."""
        (left, top), (right, bottom) = lips.min(0) - 0.8 * self.unit, lips.max(0) + 0.8 * self.unit
        return slice(max(int(top), 0), int(bottom) + 1), slice(max(int(left), 0), int(right) + 1)

    def _window(self) -> Tensor:
        """[h, w, 1]: 1 near the face, 0 at the edge of the box, except where that is the edge of the photo."""
        (x0, y0, x1, y1), (height, width, _) = self.box, self.photo.shape
        y, x = np.mgrid[: y1 - y0, : x1 - x0]
        inwards = np.full(x.shape, np.inf)
        for inside, depth in (
            (x0 > 0, x), (y0 > 0, y), (x1 < width, x1 - x0 - 1 - x), (y1 < height, y1 - y0 - 1 - y),
        ):  # fmt: skip
            if inside:
                inwards = np.minimum(inwards, depth)
        return torch.from_numpy(smoothstep(inwards / (0.4 * self.unit)))[..., None]


def _gap(points: Float64Array, upper: int, lower: int) -> float:
    """Distance of two points in pixels, at least a small positive number."""
    return max(float(np.linalg.norm(points[lower] - points[upper])), 0.3)


def _set_gap(points: Float64Array, upper: int, lower: int, gap: Float64Array) -> None:
    middle = (points[upper] + points[lower]) / 2
    points[upper], points[lower] = middle - gap / 2, middle + gap / 2


def _ring(landmarks: Float64Array, unit: float) -> Float64Array:
    """Points around a face where the warp has faded out, [K, 2]."""
    hull = outline([landmarks], _FOREHEAD)
    centre = hull.mean(0)
    out = hull - centre
    away = hull + out / np.linalg.norm(out, axis=1, keepdims=True) * 0.5 * unit
    return np.asarray(away)


def _box(landmarks: Float64Array, shape: Sequence[int], unit: float) -> tuple[int, int, int, int]:
    hull = outline([landmarks], _CROWN)
    low, high = hull.min(0) - _REACH * unit, hull.max(0) + _REACH * unit + 1
    x0, y0 = np.floor(low).astype(int).clip(0).tolist()
    x1, y1 = np.ceil(high).astype(int).clip(None, (shape[1], shape[0])).tolist()
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise UsageError("the face lies outside the photo; give the photo that the crop was made from")
    return x0, y0, x1, y1


def _planes(picture: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32))[None]


def _cold(picture: Tensor) -> Tensor:
    """How far green lies above red, and blue above both, in a picture [1, 3, h, w]: [2, 1, h, w], 0 or more."""
    return torch.stack([picture[:, k] - picture[:, :k].mean(1) for k in (1, 2)]).clamp(min=0)


def _warm(picture: Tensor, where: Tensor, most: Tensor) -> Tensor:
    """Limit the green and blue cast of a picture [1, 3, h, w] to `most` [2, 1, h, w], in place, weighted by `where`.

    Far from the mean w the generator's teeth become green and blue; under warm light even grey ones would look so.
    """
    for k in (1, 2):  # blue is compared with what green has become
        cold = picture[:, k] - picture[:, :k].mean(1)
        picture[:, k] -= (cold - most[k - 1]).clamp(min=0) * where
    return picture


def _points(landmarks: NDArray[np.floating]) -> Float64Array:
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise UsageError(f"landmarks of shape {list(points.shape)}: expected [68, 2] in pixels of the picture")
    return points
