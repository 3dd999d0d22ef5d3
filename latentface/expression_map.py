"""Expression mapping: what changes in a drawn face is done to a photo's own pixels, by a warp and a difference image.

Liu, Shan and Zhang, Expressive Expression Mapping with Ratio Images, SIGGRAPH 2001: the photo is warped as the drawn
landmarks move, and what no warp explains (teeth, folds, shading) is added, as a difference here. The generator may draw
the person roughly: skin, eyes and hair stay the photo's. Head movements of the drawn face are left out; a head that is
to turn does so by a warp too, as a relief that is highest along its middle.
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

from latentface.compositor import STEADY
from latentface.errors import UsageError
from latentface.face import Array, FaceCrop, inter_ocular, map_points
from latentface.images import Pixels
from latentface.masking import fill, outline, smoothstep
from latentface.warping import fit_similarity, scaling

#: Points of the outline that stay where they are: all but the chin.
_PINNED = (*range(0, 5), *range(12, 17))
_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))  # upper and lower
_LIPS = ((61, 67, 50, 58), (62, 66, 51, 57), (63, 65, 52, 56))  # inner upper and lower, outer upper and lower
_WIDEST = 2.0  # times the photo's height to which eyes open
_BLINK = 0.92  # of an eye's height, gone when it is shut: what remains is the lashes
_REACH = 0.75  # inter-ocular distances around the face over which the warp dies away
_FOREHEAD, _CROWN = 0.45, 0.85  # above the brows
#: The head as a relief before the neck's axis, in inter-ocular distances of 6.3 cm: how high, from the middle to the
#: sides and from the eyes to the chin (1 each at the outline); and how much higher parts of the face are.
_HEIGHT, _SIDES, _CHIN = 9.5 / 6.3, 1.15, 1.1
_HIGHER = np.zeros(68)
for _part, _centimetres in ((range(28, 30), 1.0), (range(30, 36), 2.5), (range(48, 68), 1.0)):
    _HIGHER[_part] = _centimetres / 6.3
_FEATHER = 0.3
_TEETH = (8.0, 40.0)  # grey levels: mean change inside the lips at which the photo's mouth begins to go, and is gone
_FINEST = 128  # side of the drawn picture beyond which changes are the photo's own affair
_ROUNDS = 8  # after which a point turned by 20 degrees is found to 0.01 inter-ocular distances
_CELLS = 64  # a side of the coarse grid on which the warp is computed
_NARROW = 0.02  # inter-ocular distances between its rows at eyes and mouth


@dataclass(frozen=True)
class Motion:
    """What a face does besides its expression.

    Attributes:
        shut: how far the eyes are shut, 0 ... 1.
        yaw, pitch: degrees by which the head is turned to the viewer's right, and down.
    """

    shut: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0


class ExpressionMap:
    """Gives one photo the expressions of drawn pictures of its face.

    Args:
        photo: uint8 RGB [H, W, 3].
        crop: the face as it was aligned out of this photo.
        reference: what the generator draws for the unedited crop, uint8 [S, S, 3].
        landmarks: [68, 2], where the reference's face is, in its pixels.

    Raises:
        UsageError: the face lies outside the photo, or landmarks of another shape.
    """

    def __init__(self, photo: Pixels, crop: FaceCrop, reference: Pixels, landmarks: NDArray[np.floating]) -> None:
        self.photo, self.crop = photo, crop
        self.side, self.rest = len(reference), _points(landmarks)
        self.unit = inter_ocular(crop.landmarks)
        right = crop.landmarks[42:48].mean(0) - crop.landmarks[36:42].mean(0)
        self._axes = right, np.array([-right[1], right[0]])  # each an inter-ocular distance long
        to_photo = np.asarray(crop.to_photo @ scaling(crop.size / self.side))
        self.linear = to_photo[:2, :2]
        x0, y0, x1, y1 = self.box = _box(crop.landmarks, photo.shape, self.unit)
        self.base = _planes(photo[y0:y1, x0:x1])  # [1, 3, h, w]
        self.window = self._window()
        self._lips = self._around(crop.landmarks[48:68] - (x0, y0))
        here = map_points(np.linalg.inv(to_photo), crop.landmarks)  # the photo's face in pixels of the drawn picture
        self._here = _dense(here)
        self._level = _Field(np.concatenate([self._here, _frame(self.side)]), (self.side, self.side))
        self.mask, self.skin, self.mouth = self._masks(here)
        self._inside = (3 * self.mouth).clamp(max=1)  # a thin mouth has less than 1 in its middle
        self._drawn = self._straighten(reference, self.rest)
        at = _apply(scaling(crop.size / self.side), _pixels(self.side, self.side))
        self._off = _sample(_planes(crop.image), at, "bilinear") - self._drawn  # what the generator draws wrongly
        self._off -= self._mean(self._off)
        # pixel (x, y) of the box -> pixel of the drawn picture
        self._to_drawn = np.linalg.inv(to_photo) @ np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]])

    def place(self, image: Pixels, landmarks: NDArray[np.floating], motion: Motion | None = None) -> Pixels:
        """The photo with the expression of a drawn picture [S, S, 3] whose face has these landmarks [68, 2], in pixels.

        motion: what the head and the lids do besides.

        Returns uint8 RGB of the photo's size; outside `box` (left, top, right, bottom) it is the photo to the bit.
        """
        points = _points(landmarks)
        grid = self._backward(points, motion or Motion())  # [h, w, 2]: which pixel of the box is seen here
        new = self._straighten(image, points) - self._drawn
        new = new - self._mean(new)  # exposure and skin colour stay
        # teeth that come or go: the more of them, the less of the photo's mouth remains
        share = (new.abs().mean(1, keepdim=True) * self.mouth).sum() / self.mouth.sum()
        gone = self.mouth * ((share - _TEETH[0]) / (_TEETH[1] - _TEETH[0])).clamp(0, 1)
        new = self._soften((new - self._off * gone) * self.mask)
        at = _apply(self._to_drawn, grid)
        moved = _sample(self.base, grid, "bicubic")
        seen = moved + _sample(new, at, "bilinear")
        down, across = self._lips
        where = _sample(self._inside, at[down, across], "bilinear")[:, 0]
        _warm(seen[..., down, across], where, _cold(moved[..., down, across]))
        x0, y0, x1, y1 = self.box
        result: Pixels = self.photo.copy()
        result[y0:y1, x0:x1] = seen[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
        return result

    def _moved(self, points: Array, shut: float) -> Array:
        """Where the photo's landmarks [68, 2] go while the head is still, in photo pixels."""
        still = map_points(fit_similarity(points[[*STEADY]], self.rest[[*STEADY]]), points)
        goal: Array = self.crop.landmarks + (still - self.rest) @ self.linear.T
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

    def _backward(self, points: Array, motion: Motion) -> Tensor:
        """For every pixel of the box the one it shows, [h, w, 2], of a face whose drawn landmarks are [68, 2]."""
        x0, y0, x1, y1 = self.box
        height, width = y1 - y0, x1 - x0
        right, down = self._axes
        turn = np.sin(np.deg2rad(motion.yaw)) * right + np.sin(np.deg2rad(motion.pitch)) * down
        goal = _dense(self._moved(points, motion.shut) + np.outer(_HIGHER, turn))
        there, ring = goal, _ring(self.crop.landmarks, self.unit)
        for _ in range(_ROUNDS if turn.any() else 0):  # a relief is turned by its height where it ends up
            there = goal + np.outer(self._relief(there), turn)
        field = _Field(np.concatenate([there, ring]) - (x0, y0), (height, width))
        shift = field(np.concatenate([_dense(self.crop.landmarks) - goal, np.zeros_like(ring)]))
        if turn.any():
            shift = shift - self._height * torch.from_numpy(turn).float()
        return _pixels(height, width) + shift * self.window

    def _relief(self, at: Array) -> Array:
        """How high the head is at photo pixels [..., 2], in inter-ocular distances: [...]."""
        points = self.crop.landmarks
        right, down = self._axes
        eyes, level = points[36:48].mean(0), right / self.unit
        side = (points[[0, 16]] - eyes) @ level  # the outline on either side, of a turned head nearer on one
        away = at - (eyes + side.mean() * level)
        across = away @ level / (_SIDES * (side[1] - side[0]) / 2)
        along = away @ down / (_CHIN * float((points[8] - eyes) @ down))
        return np.asarray(_HEIGHT * (1 - across**2 - along**4).clip(0) ** 1.5)

    @cached_property
    def _height(self) -> Tensor:
        """The relief of the box, [h, w, 1]."""
        x0, y0, x1, y1 = self.box
        height = self._relief(_pixels(y1 - y0, x1 - x0).numpy() + np.array([x0, y0]))
        return torch.from_numpy(height).float()[..., None]

    def _straighten(self, image: Pixels, points: Array) -> Tensor:
        """A drawn picture [S, S, 3] with its landmarks moved to the photo's, teeth not green or blue: [1, 3, S, S]."""
        if image.shape != (self.side, self.side, 3):
            raise UsageError(f"picture of shape {list(image.shape)}: expected [{self.side}, {self.side}, 3]")
        shift = self._level(np.concatenate([_dense(points) - self._here, np.zeros((8, 2))]))
        straight = _sample(_planes(image), _pixels(self.side, self.side) + shift, "bilinear")
        return _warm(straight, self._inside[:, 0], torch.zeros(2, 1, 1, 1))

    def _soften(self, change: Tensor) -> Tensor:
        """A change [1, 3, S, S] without what is finer than `_FINEST` pixels a side show: drawn lashes lie elsewhere
        than the photo's own, and would stand beside them."""
        factor = self.side // _FINEST
        if factor < 2:
            return change
        return F.interpolate(F.avg_pool2d(change, factor), size=(self.side,) * 2, mode="bilinear", align_corners=False)

    def _mean(self, picture: Tensor) -> Tensor:
        """Mean colour [1, 3, 1, 1] over the skin that an expression leaves alone."""
        return (picture * self.skin).sum((2, 3), keepdim=True) / self.skin.sum()

    def _masks(self, here: Array) -> tuple[Tensor, Tensor, Tensor]:
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

    def _around(self, lips: Array) -> tuple[slice, slice]:
        """Rows and columns of the box that the lips [20, 2] may come to lie in."""
        (left, top), (right, bottom) = lips.min(0) - 0.8 * self.unit, lips.max(0) + 0.8 * self.unit
        return slice(max(int(top), 0), int(bottom) + 1), slice(max(int(left), 0), int(right) + 1)

    def _window(self) -> Tensor:
        """[h, w, 1]: 1 near the face, 0 from the edge of the box on; beyond the photo's own edge nothing is to fit."""
        (x0, y0, x1, y1), (height, width, _) = self.box, self.photo.shape
        y, x = np.mgrid[: y1 - y0, : x1 - x0]
        inwards = np.full(x.shape, np.inf)
        for inside, depth in (
            (x0 > 0, x), (y0 > 0, y), (x1 < width, x1 - x0 - 1 - x), (y1 < height, y1 - y0 - 1 - y),
        ):  # fmt: skip
            if inside:
                inwards = np.minimum(inwards, depth)
        return torch.from_numpy(smoothstep(inwards / (0.4 * self.unit)))[..., None]


class _Field:
    """Smooth fields [h, w, 2] through values at points [K, 2]: radial basis functions |r| and a constant.

    Computed on a coarse grid whose rows lie closer at eyes and mouth, which the first 68 points say.
    """

    def __init__(self, centres: Array, shape: tuple[int, int]) -> None:
        height, width = shape
        self.lines = np.linspace(0, width - 1, _CELLS), _rows(centres[:68], height)
        at = np.stack(np.meshgrid(*self.lines), axis=-1).reshape(-1, 2)
        count = len(centres)
        self.system = np.ones((count + 1, count + 1))
        self.system[:count, :count] = _distances(centres, centres)
        self.system[count, count] = 0
        self.basis = np.concatenate([_distances(at, centres), np.ones((len(at), 1), np.float32)], axis=1)
        x, y = (
            torch.from_numpy(np.interp(np.arange(side), line, np.arange(len(line)))).float()
            for side, line in zip((width, height), self.lines, strict=True)
        )
        self.places = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1)  # in the coarse grid

    def __call__(self, values: Array) -> Tensor:
        weights = np.linalg.solve(self.system, np.concatenate([values, np.zeros((1, 2))]))
        coarse = torch.from_numpy(self.basis @ weights.astype(np.float32))
        coarse = coarse.reshape(1, len(self.lines[1]), len(self.lines[0]), 2)
        return _sample(coarse.permute(0, 3, 1, 2), self.places, "bilinear")[0].permute(1, 2, 0)


def _rows(landmarks: Array, height: int) -> Array:
    """Rows of a picture of that height, in increasing order; narrowly spaced where lids and lips open and close."""
    step = _NARROW * inter_ocular(landmarks)
    bands = [landmarks[36:48, 1], landmarks[48:68, 1]]
    close = [np.arange(band.min() - 2 * step, band.max() + 2 * step, step) for band in bands]
    rows = np.concatenate([np.linspace(0, height - 1, _CELLS // 2), *close]).clip(0, height - 1)
    return np.unique(rows.round(2))


def _dense(landmarks: Array) -> Array:
    """Landmarks [68, 2] and the points half-way between them around eyes and lips, which shut along their length."""
    loops = [landmarks[36:42], landmarks[42:48], landmarks[60:68]]
    return np.concatenate([landmarks, *((loop + np.roll(loop, -1, 0)) / 2 for loop in loops)])


def _distances(a: Array, b: Array) -> NDArray[np.float32]:
    """Between every point of [M, 2] and every one of [K, 2]: [M, K]."""
    x, y = (np.subtract.outer(a[:, k].astype(np.float32), b[:, k].astype(np.float32)) for k in (0, 1))
    return np.asarray(np.hypot(x, y))


def _gap(points: Array, upper: int, lower: int) -> float:
    """How far apart two points are, in pixels; never quite nothing."""
    return max(float(np.linalg.norm(points[lower] - points[upper])), 0.3)


def _set_gap(points: Array, upper: int, lower: int, gap: Array) -> None:
    middle = (points[upper] + points[lower]) / 2
    points[upper], points[lower] = middle - gap / 2, middle + gap / 2


def _ring(landmarks: Array, unit: float) -> Array:
    """Points around a face where the warp has died away, [K, 2]."""
    hull = outline([landmarks], _FOREHEAD)
    centre = hull.mean(0)
    out = hull - centre
    away = hull + out / np.linalg.norm(out, axis=1, keepdims=True) * 0.5 * unit
    return np.asarray(away)


def _frame(side: int) -> Array:
    ends = (0.0, (side - 1) / 2, side - 1.0)
    return np.array([(x, y) for x in ends for y in ends if (x, y) != (ends[1], ends[1])])


def _box(landmarks: Array, shape: Sequence[int], unit: float) -> tuple[int, int, int, int]:
    hull = outline([landmarks], _CROWN)
    low, high = hull.min(0) - _REACH * unit, hull.max(0) + _REACH * unit + 1
    x0, y0 = np.floor(low).astype(int).clip(0).tolist()
    x1, y1 = np.ceil(high).astype(int).clip(None, (shape[1], shape[0])).tolist()
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise UsageError("the face lies outside the photo; give the photo that the crop was made of")
    return x0, y0, x1, y1


def _planes(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32))[None]


def _pixels(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([x, y], dim=-1)


def _apply(matrix: Array, grid: Tensor) -> Tensor:
    """Pixels [h, w, 2] through an affine map 3x3."""
    linear, shift = torch.from_numpy(matrix[:2, :2]).float(), torch.from_numpy(matrix[:2, 2]).float()
    return grid @ linear.T + shift


def _sample(planes: Tensor, grid: Tensor, mode: str) -> Tensor:
    """planes [1, C, H, W] at pixels [h, w, 2]; beyond the edge its last pixels."""
    size = torch.tensor([planes.shape[3] - 1.0, planes.shape[2] - 1.0])
    return F.grid_sample(planes, (grid / size * 2 - 1)[None], mode=mode, padding_mode="border", align_corners=True)


def _cold(picture: Tensor) -> Tensor:
    """How far green lies above red, and blue above both, in a picture [1, 3, h, w]: [2, 1, h, w], 0 or more."""
    return torch.stack([picture[:, k] - picture[:, :k].mean(1) for k in (1, 2)]).clamp(min=0)


def _warm(picture: Tensor, where: Tensor, most: Tensor) -> Tensor:
    """A picture [1, 3, h, w] made no colder than `most` [2, 1, h, w], in place, as far as `where` [1, h, w] says.

    Far from the mean w teeth are drawn green and blue; under warm light even grey ones would look so.
    """
    for k in (1, 2):  # blue is compared with what green has become
        cold = picture[:, k] - picture[:, :k].mean(1)
        picture[:, k] -= (cold - most[k - 1]).clamp(min=0) * where
    return picture


def _points(landmarks: NDArray[np.floating]) -> Array:
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2):
        raise UsageError(f"landmarks of shape {list(points.shape)}: expected [68, 2] in pixels of the picture")
    return points
