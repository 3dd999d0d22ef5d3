"""Locates an eye in a photo: iris, corners and lid margins, more exactly than the landmarks do.

The iris is found by Daugman's operator (1993) on the sides that no lid covers: the circle over which the photo gets
brightest outwards. The margins are arcs through two corners where the photo steps from dark lashes to bright skin, and
which cover the iris as lids do; corners lie where such edges end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Float64Array, Int64Array, Pixels
from latentface.head.geometry import brightness
from latentface.head.model import HeadModel
from latentface.ops.raster import sample

#: outer corner, inner corner, the upper margin's two landmarks, the lower's, each pair from the outer corner on
POINTS = {"left": (45, 42, (44, 43), (46, 47)), "right": (36, 39, (37, 38), (41, 40))}
# all of the inter-ocular distance
STEP = 0.01  # of the patch that is searched
WIDE, LOW, HIGH = 0.46, 0.36, 0.40  # how far the patch goes to the sides, down and up
LENGTH = 0.44  # from corner to corner, about
TURNED = 0.03  # how much longer than their mean an eye is in a face that is turned
#: cost of deviations from the landmarks: u and v of the outer and inner corner, and height and slant of each margin
NEAR = np.array([40.0, 60, 60, 60, 60, 0, 60, 0])
RADII = (0.080, 0.088, 0.096, 0.104)  # of irises
RIM = (0.018, -0.018)  # beyond and within which their edge is

#: what the height of the upper margin's arc counts beside an iris's edge, and the sum that open eyes have
ARCHED, OPEN = 8.0, 0.65


@dataclass(frozen=True)
class Eye:
    """An eye in its own frame: u from the outer to the inner side, v upwards, in inter-ocular distances.

    Attributes:
        origin: u = v = 0, in pixels. axes: u and v in pixels, rows of [2, 2].
        corners: u and v of the outer and of the inner corner, [2, 2].
        upper: height and slant of the upper margin's arc above the line of the corners; lower: of the lower one's,
        below it.
        iris: u, v and radius of the iris.
    """

    origin: Float64Array
    axes: Float64Array
    corners: Float64Array
    upper: Float64Array
    lower: Float64Array
    iris: Float64Array

    @property
    def unit(self) -> float:
        """Pixels of an inter-ocular distance."""
        return float(np.linalg.norm(self.axes[0]))

    @property
    def opening(self) -> float:
        """The mean height of its middle."""
        upper, lower = self.margins(self.across(np.linspace(0.2, 0.8, 9)))
        return float((upper - lower).mean())

    def frame(self, places: npt.ArrayLike) -> tuple[Float64Array, Float64Array]:
        """Coordinates u and v of places [..., 2]."""
        found = (np.asarray(places, np.float64) - self.origin) @ np.linalg.inv(self.axes)
        return found[..., 0], found[..., 1]

    def places(self, u: Float64Array, v: Float64Array) -> Float64Array:
        """The places [..., 2] of u and v."""
        places: Float64Array = np.stack([u, v], axis=-1) @ self.axes + self.origin
        return places

    def across(self, t: Float64Array) -> Float64Array:
        """Coordinate u at t of the way from the outer corner to the inner one."""
        u: Float64Array = self.corners[0, 0] + t * (self.corners[1, 0] - self.corners[0, 0])
        return u

    def along(self, u: Float64Array) -> Float64Array:
        """How far u lies from the outer corner (0) to the inner one (1): the inverse."""
        t: Float64Array = (u - self.corners[0, 0]) / (self.corners[1, 0] - self.corners[0, 0])
        return t

    def margins(self, u: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Coordinates v of the upper and of the lower margin; beside the corners that of their line."""
        t = self.along(u)
        line = self.corners[0, 1] + t * (self.corners[1, 1] - self.corners[0, 1])
        inside = np.clip(t, 0, 1)
        arch = 4 * inside * (1 - inside)
        upper, lower = (arch * (h + k * (2 * inside - 1)) for h, k in (self.upper, self.lower))
        return line + upper, line - lower


@dataclass(frozen=True, eq=False)
class EyeMap:
    """Places in an eye that has changed, in its own frame.

    Attributes:
        eye: as the photo shows it. now: after the change.
        u, v: the places, [...] each.
    """

    eye: Eye
    now: Eye
    u: Float64Array
    v: Float64Array

    def at(self, some: BoolArray) -> EyeMap:
        """Some of the places, [N]."""
        return EyeMap(self.eye, self.now, self.u[some], self.v[some])

    @cached_property
    def along(self) -> Float64Array:
        """How far u lies from the outer corner (0) to the inner one (1)."""
        return self.now.along(self.u)

    @cached_property
    def u_was(self) -> Float64Array:
        """Coordinate u, before, of what is now at u, as lids are."""
        return self.eye.across(self.along)

    @cached_property
    def margins(self) -> tuple[Float64Array, Float64Array]:
        """Coordinates v of the upper and of the lower margin at u."""
        return self.now.margins(self.u)

    @cached_property
    def margins_was(self) -> tuple[Float64Array, Float64Array]:
        """Those before of the margins that are now at u."""
        return self.eye.margins(self.u_was)

    @cached_property
    def margins_there(self) -> tuple[Float64Array, Float64Array]:
        """Those before at the same u, as on an eyeball, which keeps still."""
        return self.eye.margins(self.u)


def mesh_eye(model: HeadModel, vertices: Float32Array, side: str) -> Eye:
    """The eye according to the landmarks of the head."""
    points = vertices[model.landmarks, :2].astype(np.float64)
    outer, inner, above, below = POINTS[side]
    unit = float(np.linalg.norm(points[[36, 39]].mean(axis=0) - points[[42, 45]].mean(axis=0)))
    along = points[inner] - points[outer]
    along *= unit / np.linalg.norm(along)
    across = np.array([along[1], -along[0]]) * (1 if along[0] > 0 else -1)
    origin, axes = (points[inner] + points[outer]) / 2, np.stack([along, across])
    iris = vertices[_iris(model, side), :2].mean(axis=0)
    bare = Eye(origin, axes, np.zeros((2, 2)), np.zeros(2), np.zeros(2), np.zeros(3))
    corners = np.stack(bare.frame(points[[outer, inner]]), axis=1)
    arcs = []
    for pair, sign in ((above, 1), (below, -1)):
        u, v = bare.frame(points[list(pair)])
        t = np.clip((u - corners[0, 0]) / (corners[1, 0] - corners[0, 0]), 0.15, 0.85)
        arch = 4 * t * (1 - t)
        arcs.append(np.linalg.solve(np.stack([arch, arch * (2 * t - 1)], axis=1), sign * v))
    return Eye(origin, axes, corners, arcs[0], arcs[1], np.array([*bare.frame(iris), RADII[1]]))


@lru_cache(maxsize=8)
def _iris(model: HeadModel, side: str) -> Int64Array:
    """The vertices of an eyeball that lie in front."""
    found: Int64Array = np.flatnonzero((model.regions[f"eyeball_{side}"] > 0.5) & (model.neutral[:, 2] > 9.35))
    return found


def find_eyes(photo: Pixels, left: Eye, right: Eye, before: tuple[Eye, Eye] | None = None) -> tuple[Eye, Eye]:
    """Find both eyes in the photo, near the landmarks of the head, with a preference for similar shapes.

    before: the eyes of the previous frame of a clip; the search starts from them and from the landmarks.
    """
    starts = (left, right)
    patches = [_Patch.of(photo, start) for start in starts]
    irises = _find_irises(patches, starts)
    if before is None:
        tries = [_guesses(start, iris) for start, iris in zip(starts, irises, strict=True)]
    else:
        tries = [np.stack([_parameters(eye) for eye in pair]) for pair in zip(before, starts, strict=True)]
    lengths = np.array([np.ptp(start.corners[:, 0]) for start in starts])
    ratios = lengths / lengths.mean()
    searches = [
        _Search(patch, iris, _parameters(start), LENGTH * float(ratio), 1 + max(float(ratio) - 1, 0) ** 2 / TURNED**2)
        for patch, iris, start, ratio in zip(patches, irises, starts, ratios, strict=True)
    ]
    best = [search.climb(guesses, None) for search, guesses in zip(searches, tries, strict=True)]
    first = int(best[1][1] > best[0][1])  # the clearer one
    for k in (1 - first, first, 1 - first):
        other = best[1 - k][0]
        best[k] = searches[k].climb(np.stack([best[k][0], other]), other)
    eyes = [
        replace(start, corners=found[:4].reshape(2, 2), upper=found[4:6], lower=found[6:], iris=iris)
        for start, iris, (found, _) in zip(starts, irises, best, strict=True)
    ]
    return eyes[0], eyes[1]


def are_shut(photo: Pixels, eyes: Sequence[Eye]) -> bool:
    """Whether eyes that were found are shut: their upper margins are flat, and no iris has an edge."""
    found = []
    for eye in eyes:
        u, v = (eye.iris[k] + np.array(offsets) for k, offsets in ((0, (-0.02, 0.0, 0.02)), (1, (0.0,))))
        edges = _iris_edges(_Patch.of(photo, eye), u[:, None, None], v[:, None], np.array(RADII))
        found.append(float(edges.max()) + ARCHED * eye.upper[0])
    return float(np.mean(found)) < OPEN


def _parameters(eye: Eye) -> Float64Array:
    """Corners, upper and lower margin of an eye as one row, [8]."""
    return np.concatenate([eye.corners.ravel(), eye.upper, eye.lower])


def _guesses(start: Eye, iris: Float64Array) -> Float64Array:
    """Lids that cover the iris as lids do, with corners further out or in, [N, 8]."""
    rows = []
    for outer in (-0.08, -0.04, 0.0):
        for inner in (-0.01, 0.03):
            corners = start.corners + np.array([[outer, 0.0], [inner, 0.0]])
            middle, radius = corners[:, 1].mean(), iris[2]
            upper = max(iris[1] + 0.8 * radius - middle, 0.03)
            lower = np.clip(middle - iris[1] + 0.9 * radius, 0.0, 0.08)
            rows.append([*corners.ravel(), upper, 0.0, lower, 0.0])
    return np.array(rows)


#: steps of outer u and v, inner u and v, upper height and lean, lower height and lean; and of two heights together
_STEPS = np.concatenate([
    np.diag([0.025, 0.015, 0.02, 0.015, 0.02, 0.015, 0.015, 0.012]),
    [[0, 0.015, 0, 0.015, 0, 0, 0, 0], [0, 0, 0, 0, 0.015, 0, 0.015, 0], [0.02, 0, 0.02, 0, 0, 0, 0, 0]],
])  # fmt: skip
_MOVES = np.concatenate([_STEPS * scale for scale in (-2.0, -1.0, 1.0, 2.0)])


def _curves() -> Float64Array:
    """u, and v of the upper and of the lower margin, at 24 places of an eye, by its parameters: [8, 3 * 24]."""
    t = np.linspace(0.04, 0.96, 24)
    none, arch = np.zeros(24), 4 * t * (1 - t)
    lean = arch * (2 * t - 1)
    return np.concatenate([
        [1 - t, none, t, none, none, none, none, none],
        [none, 1 - t, none, t, arch, lean, none, none],
        [none, 1 - t, none, t, none, none, -arch, -lean],
    ], axis=1)  # fmt: skip


_CURVES = _curves()


@dataclass(frozen=True)
class _Search:
    """For one eye: its patch, its iris, and what landmarks tell.

    Attributes:
        start: the parameters that they give, [8].
        length: from corner to corner, about.
        trust: how much more than usual they are trusted: in a face that is turned, edges of lids mislead.
    """

    patch: _Patch
    iris: Float64Array
    start: Float64Array
    length: float
    trust: float

    def climb(self, rows: Float64Array, other: Float64Array | None) -> tuple[Float64Array, float]:
        """Local search from rows [N, 8]: the best parameters and their score; `other` should be similar."""
        best, reach = self.score(rows, other), 1.0
        while reach > 0.2:
            tried = rows[:, None] + reach * _MOVES
            scores = self.score(tried.reshape(-1, 8), other).reshape(len(rows), -1)
            k = scores.argmax(axis=1)
            top = scores[np.arange(len(rows)), k]
            better = top > best + 1e-6
            rows = np.where(better[:, None], tried[np.arange(len(rows)), k], rows)
            best = np.where(better, top, best)
            if not better.any():
                reach /= 2
        return rows[best.argmax()], float(best.max())

    def score(self, rows: Float64Array, other: Float64Array | None) -> Float64Array:
        """The score [N] of rows [N, 8]: how well the margins lie on edges, and how likely such eyes are."""
        u, *margins = np.split(rows @ _CURVES, 3, axis=1)
        rise, fall = self.patch.read(self.patch.edge, u, np.stack(margins))
        fall = np.abs(fall)  # the lower edge: from dark lashes or from white
        length = rows[:, 2] - rows[:, 0]
        edges = length / LENGTH * (rise.mean(axis=1) - 0.2 + 0.5 * (fall.mean(axis=1) - 0.15))
        near = np.arange(len(u)), np.abs(u - self.iris[0]).argmin(axis=1)
        over, under = (margin[near] for margin in margins)
        moved = rows - self.start
        odd = (
            3.0 * ((over - self.iris[1]) / self.iris[2] - 0.78) ** 2
            + 0.8 * ((self.iris[1] - under) / self.iris[2] - 0.95) ** 2
            + 0.5 * ((length - self.length) / 0.10) ** 2 + 25 * rows[:, 5] ** 2 + 40 * rows[:, 7] ** 2
            + self.trust * (np.square(moved) @ NEAR) + 40 * (moved[:, 1] - moved[:, 3]) ** 2
            + 8 * np.maximum(0.02 - rows[:, 4], 0) + 40 * np.maximum(-0.01 - rows[:, 6], 0)
        )  # fmt: skip
        if other is not None:
            odd += np.square(rows - other) @ np.array([25, 25, 25, 25, 60, 60, 60, 60])
        found: Float64Array = edges - 0.5 * odd
        return found


@dataclass(frozen=True)
class _Patch:
    """The photo in an eye's frame: its light, of unit deviation, and how clearly it gets brighter upwards, -1 to 1."""

    light: Float32Array
    edge: Float32Array

    @classmethod
    def of(cls, photo: Pixels, eye: Eye) -> _Patch:
        u, v = np.meshgrid(np.arange(-WIDE, WIDE, STEP), np.arange(-LOW, HIGH, STEP))
        light = brightness(sample(photo, eye.places(u, v)))
        light = (light - np.median(light)) / max(float(light.std()), 4.0)
        soft = ndimage.gaussian_filter(light, 1.2)
        return cls(soft, np.tanh(ndimage.gaussian_filter(light, 1.6, order=(1, 0)) / 0.10))

    def read(self, values: Float32Array, u: Float64Array, v: Float64Array) -> Float32Array:
        row = np.rint((v + LOW) / STEP).astype(int).clip(0, values.shape[0] - 1)
        column = np.rint((u + WIDE) / STEP).astype(int).clip(0, values.shape[1] - 1)
        found: Float32Array = values.take(row * values.shape[1] + column)
        return found


def _find_irises(patches: Sequence[_Patch], starts: Sequence[Eye]) -> list[Float64Array]:
    """u, v and radius of both irises: the pair with the best sum of scores among those with a common gaze."""
    across, down = np.arange(-0.14, 0.141, 0.01), np.arange(-0.06, 0.071, 0.01)
    middles = [eye.corners.mean(axis=0) + np.array([0, (eye.upper[0] - eye.lower[0]) / 2]) for eye in starts]
    looks = [start.iris[0] for start in starts]
    scores = [_iris_scores(*each, across, down) for each in zip(patches, middles, looks, strict=True)]
    # u runs outwards to inwards in both: eyes that look to one side have opposite ones
    reach = (5, 5, 1)
    alike = ndimage.maximum_filter(scores[1][::-1], (2 * reach[0] + 1, 2 * reach[1] + 1, 2 * reach[2] + 1))
    k = np.unravel_index(np.argmax(scores[0] + alike), alike.shape)
    near = np.full(alike.shape, -np.inf)
    window = tuple(slice(max(i - r, 0), i + r + 1) for i, r in zip(k, reach, strict=True))
    near[window] = scores[1][::-1][window]
    m = np.unravel_index(np.argmax(near), near.shape)
    picked = (k, (len(across) - 1 - m[0], m[1], m[2]))
    return [
        np.array([middle[0] + across[i], middle[1] + down[j], RADII[r]])
        for middle, (i, j, r) in zip(middles, picked, strict=True)
    ]


def _iris_scores(
    patch: _Patch, middle: Float64Array, look: float, across: Float64Array, down: Float64Array
) -> Float32Array:
    """The score [U, V, R] of each circle as an iris; `look`, the direction of the head, is a prior of u."""
    u, v = middle[0] + across[:, None, None], middle[1] + down[:, None]
    edges = _iris_edges(patch, u, v, np.array(RADII))
    dark = -patch.read(ndimage.gaussian_filter(patch.light, 5), u, v)
    away = ((u - look) / 0.06) ** 2 + ((v - middle[1]) / 0.05) ** 2
    scores: Float32Array = edges + 1.2 * dark - 0.4 * away
    return scores


def _iris_edges(patch: _Patch, u: Float64Array, v: Float64Array, radius: Float64Array) -> Float32Array:
    """How much brighter it gets outwards over circles around (u, v), on the sides that no lid covers, [...]."""
    angle = np.radians([-40, -25, -10, 5, 20, 140, 160, 175, 190, 205, 220])
    x, y, r = u[..., None], v[..., None], radius[..., None]
    beyond, within = (patch.read(patch.light, x + (r + d) * np.cos(angle), y + (r + d) * np.sin(angle)) for d in RIM)
    rise = np.tanh((beyond - within) / 1.5)
    edges: Float32Array = np.minimum(rise[..., :5].mean(axis=-1), rise[..., 5:].mean(axis=-1)) + 0.5 * rise.mean(
        axis=-1
    )
    return edges
