"""Where an eye lies in a photo: the iris, the corners and the margins of the lids, more exact than landmarks tell.

The iris is found by Daugman's operator (1993) on the sides that no lid covers: the circle over which the photo gets
brightest outwards. The margins are arcs through two corners where the photo steps from dark lashes to bright skin, and
which cover the iris as lids do; corners lie where such edges end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.head.geometry import Doubles, Photo
from latentface.head.model import Floats, HeadModel
from latentface.ops.raster import sample

#: outer corner, inner corner, the upper margin's two landmarks, the lower's, each pair from the outer corner on
POINTS = {"left": (45, 42, (44, 43), (46, 47)), "right": (36, 39, (37, 38), (41, 40))}
# all of the inter-ocular distance
STEP = 0.01  # of the patch that is looked at
WIDE, LOW, HIGH = 0.46, 0.36, 0.40  # how far the patch goes to the sides, down and up
LENGTH = 0.44  # from corner to corner, about
RADII = (0.080, 0.088, 0.096, 0.104)  # of irises


@dataclass(frozen=True)
class Eye:
    """An eye in its own frame: u from the outer to the inner side, v upwards, in inter-ocular distances.

    Attributes:
        origin: u = v = 0, in pixels. axes: u and v in pixels, rows of [2, 2].
        corners: u and v of the outer and of the inner corner, [2, 2].
        upper: height and lean of the upper margin's arc over the corners' line. lower: of the lower one's, below it.
        iris: u, v and radius of the iris.
    """

    origin: Doubles
    axes: Doubles
    corners: Doubles
    upper: Doubles
    lower: Doubles
    iris: Doubles

    @property
    def unit(self) -> float:
        """Pixels of an inter-ocular distance."""
        return float(np.linalg.norm(self.axes[0]))

    def frame(self, places: npt.ArrayLike) -> tuple[Doubles, Doubles]:
        """u and v of places [..., 2]."""
        found = (np.asarray(places, np.float64) - self.origin) @ np.linalg.inv(self.axes)
        return found[..., 0], found[..., 1]

    def places(self, u: Doubles, v: Doubles) -> Doubles:
        """The places [..., 2] of u and v."""
        places: Doubles = np.stack([u, v], axis=-1) @ self.axes + self.origin
        return places

    def across(self, t: Doubles) -> Doubles:
        """u at t of the way from the outer corner to the inner one."""
        u: Doubles = self.corners[0, 0] + t * (self.corners[1, 0] - self.corners[0, 0])
        return u

    def along(self, u: Doubles) -> Doubles:
        """How far u lies from the outer corner (0) to the inner one (1): the inverse."""
        t: Doubles = (u - self.corners[0, 0]) / (self.corners[1, 0] - self.corners[0, 0])
        return t

    def margins(self, u: Doubles) -> tuple[Doubles, Doubles]:
        """v of the upper and of the lower margin; beside the corners that of their line."""
        t = self.along(u)
        line = self.corners[0, 1] + t * (self.corners[1, 1] - self.corners[0, 1])
        inside = np.clip(t, 0, 1)
        arch = 4 * inside * (1 - inside)
        upper, lower = (arch * (h + k * (2 * inside - 1)) for h, k in (self.upper, self.lower))
        return line + upper, line - lower


def mesh_eye(model: HeadModel, vertices: Floats, side: str) -> Eye:
    """An eye as a head's landmarks have it."""
    points = vertices[model.landmarks, :2].astype(np.float64)
    outer, inner, above, below = POINTS[side]
    unit = float(np.linalg.norm(points[[36, 39]].mean(axis=0) - points[[42, 45]].mean(axis=0)))
    along = points[inner] - points[outer]
    along *= unit / np.linalg.norm(along)
    across = np.array([along[1], -along[0]]) * (1 if along[0] > 0 else -1)
    origin, axes = (points[inner] + points[outer]) / 2, np.stack([along, across])
    iris = vertices[(model.regions[f"eyeball_{side}"] > 0.5) & (model.neutral[:, 2] > 9.35), :2].mean(axis=0)
    bare = Eye(origin, axes, np.zeros((2, 2)), np.zeros(2), np.zeros(2), np.zeros(3))
    corners = np.stack(bare.frame(points[[outer, inner]]), axis=1)
    arcs = []
    for pair, sign in ((above, 1), (below, -1)):
        u, v = bare.frame(points[list(pair)])
        t = np.clip((u - corners[0, 0]) / (corners[1, 0] - corners[0, 0]), 0.15, 0.85)
        arch = 4 * t * (1 - t)
        arcs.append(np.linalg.solve(np.stack([arch, arch * (2 * t - 1)], axis=1), sign * v))
    return Eye(origin, axes, corners, arcs[0], arcs[1], np.array([*bare.frame(iris), RADII[1]]))


def find_eyes(photo: Photo, left: Eye, right: Eye) -> tuple[Eye, Eye]:
    """Both eyes as the photo shows them, near where a head's landmarks have them, and much alike."""
    starts = (left, right)
    patches = [_Patch.of(photo, start) for start in starts]
    found = [replace(eye, iris=iris) for eye, iris in zip(starts, _find_irises(patches, starts), strict=True)]
    best = [
        max((_climb(patch, _guess(eye, outer), start, None) for outer in (-0.08, -0.04, 0.0)), key=lambda e: e[0])
        for patch, eye, start in zip(patches, found, starts, strict=True)
    ]
    first = int(best[1][0] > best[0][0])  # the clearer one
    for k in (1 - first, first, 1 - first):
        other = best[1 - k][1]
        tries = [best[k][1], replace(found[k], corners=other.corners, upper=other.upper, lower=other.lower)]
        best[k] = max((_climb(patches[k], eye, starts[k], other) for eye in tries), key=lambda e: e[0])
    return best[0][1], best[1][1]


def _guess(eye: Eye, outer: float) -> Eye:
    """Lids that cover the iris as lids do, and a corner further out."""
    corners = eye.corners + np.array([[outer, 0.0], [0.01, 0.0]])
    middle, radius = corners[:, 1].mean(), eye.iris[2]
    upper, lower = eye.iris[1] + 0.8 * radius - middle, middle - eye.iris[1] + 0.9 * radius
    arcs = np.array([[max(upper, 0.03), 0.0], [np.clip(lower, 0.0, 0.08), 0.0]])
    return replace(eye, corners=corners, upper=arcs[0], lower=arcs[1])


def _climb(patch: _Patch, eye: Eye, start: Eye, other: Eye | None) -> tuple[float, Eye]:
    """The best score that small changes reach, and its eye; with the other eye, the two are to be alike."""
    best = _score(patch, eye, start, other)
    for reach in (1.0, 1.0, 0.5, 0.25):
        for name, index, step in _MOVES:
            for sign in (-2, -1, 1, 2):
                values = getattr(eye, name).copy()
                values[index] += sign * step * reach
                tried = replace(eye, **{name: values})
                score = _score(patch, tried, start, other)
                if score > best:
                    best, eye = score, tried
    return best, eye


_MOVES: tuple[tuple[str, int | tuple[int, int], float], ...] = (
    ("upper", 0, 0.02), ("lower", 0, 0.015), ("corners", (0, 0), 0.025), ("corners", (1, 0), 0.02),
    ("corners", (0, 1), 0.015), ("corners", (1, 1), 0.015), ("upper", 1, 0.015), ("lower", 1, 0.012),
    ("upper", 0, 0.01), ("lower", 0, 0.008),
)  # fmt: skip


@dataclass(frozen=True)
class _Patch:
    """The photo in an eye's frame: its light, and how it gets brighter upwards, both of unit deviation."""

    light: Floats
    rise: Floats

    @classmethod
    def of(cls, photo: Photo, eye: Eye) -> _Patch:
        u, v = np.meshgrid(np.arange(-WIDE, WIDE, STEP), np.arange(-LOW, HIGH, STEP))
        light = sample(photo, eye.places(u, v)).mean(axis=2)
        light = (light - np.median(light)) / max(float(light.std()), 4.0)
        soft = ndimage.gaussian_filter(light, 1.2)
        return cls(soft, ndimage.gaussian_filter(light, 1.6, order=(1, 0)))

    def read(self, values: Floats, u: Doubles, v: Doubles) -> Floats:
        row = np.clip(np.rint((v + LOW) / STEP).astype(int), 0, values.shape[0] - 1)
        column = np.clip(np.rint((u + WIDE) / STEP).astype(int), 0, values.shape[1] - 1)
        found: Floats = values[row, column]
        return found


def _find_irises(patches: Sequence[_Patch], starts: Sequence[Eye]) -> list[Doubles]:
    """u, v and radius of both irises: the pair of the best sum among those that look the same way."""
    across, down = np.arange(-0.14, 0.141, 0.01), np.arange(-0.09, 0.131, 0.01)
    middles = [eye.corners.mean(axis=0) + np.array([0, (eye.upper[0] - eye.lower[0]) / 2]) for eye in starts]
    scores = [_iris_scores(*each, across, down) for each in zip(patches, middles, strict=True)]
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


def _iris_scores(patch: _Patch, middle: Doubles, across: Doubles, down: Doubles) -> Floats:
    """How like an iris each circle is, [U, V, R]."""
    sides = np.radians([-40, -25, -10, 5, 20, 140, 160, 175, 190, 205, 220])
    u, v, radius, angle = np.meshgrid(middle[0] + across, middle[1] + down, RADII, sides, indexing="ij")
    edge = [
        patch.read(patch.light, u + (radius + d) * np.cos(angle), v + (radius + d) * np.sin(angle))
        for d in (0.018, -0.018)
    ]
    rise = np.tanh((edge[0] - edge[1]) / 1.5)
    both = np.minimum(rise[..., :5].mean(axis=3), rise[..., 5:].mean(axis=3)) + 0.5 * rise.mean(axis=3)
    u, v = u[..., 0], v[..., 0]
    dark = -patch.read(ndimage.gaussian_filter(patch.light, 4), u, v)
    away = ((u - middle[0]) / 0.10) ** 2 + ((v - middle[1]) / 0.08) ** 2
    scores: Floats = both + 0.7 * dark - 0.15 * away
    return scores


def _score(patch: _Patch, eye: Eye, start: Eye, other: Eye | None) -> float:
    """How well the margins lie on edges, and how likely such an eye is."""
    t = np.linspace(0.04, 0.96, 24)
    (u_out, _), (u_in, _) = eye.corners
    u = u_out + t * (u_in - u_out)
    upper, lower = eye.margins(u)
    rise = np.tanh(patch.read(patch.rise, u, upper) / 0.10)
    fall = np.tanh(-patch.read(patch.rise, u, lower) / 0.10)
    length = float(u_in - u_out)
    edges = length / LENGTH * ((rise - 0.2).mean() + 0.5 * (fall - 0.15).mean())
    iu, iv, radius = eye.iris
    over, under = (float(x[0]) for x in eye.margins(np.array([iu])))
    odd = (
        3.0 * ((over - iv) / radius - 0.78) ** 2 + 0.8 * ((iv - under) / radius - 0.95) ** 2
        + ((length - LENGTH) / 0.10) ** 2 * 0.5 + 25 * eye.upper[1] ** 2 + 40 * eye.lower[1] ** 2
        + 6 * float(np.square(eye.corners - start.corners).sum())
        + 8 * max(0.0, 0.02 - eye.upper[0]) + 40 * max(0.0, -0.01 - eye.lower[0])
    )  # fmt: skip
    if other is not None:
        odd += 25 * float(np.square(eye.corners - other.corners).sum())
        odd += 60 * float(np.square(eye.upper - other.upper).sum() + np.square(eye.lower - other.lower).sum())
    return float(edges - 0.5 * odd)
