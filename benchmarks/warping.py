"""What the warps cost, against the same arithmetic written out plainly: `python benchmarks/warping.py`.

The references: a displacement field by numpy's `solve` on every call, with distances by `hypot`; a piecewise affine
warp by barycentric coordinates and `scipy.ndimage.map_coordinates`. Differences are in pixels and in grey levels.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy import ndimage, spatial

from latentface.arrays import Float64Array, Pixels
from latentface.compositing.displacement_field import Field, dense, sample
from latentface.compositing.warping import frame, warp_piecewise

SIDES = (128, 256, 512)


class PlainField:
    """What `Field` computes, with nothing kept from call to call."""

    def __init__(self, centres: Float64Array, shape: tuple[int, int]) -> None:
        grid = Field(centres, shape)
        self.centres, self.lines, self.places = centres, grid.lines, grid.places
        self.prepare()

    def prepare(self) -> None:
        """What a new set of points costs."""
        at, count = np.stack(np.meshgrid(*self.lines), axis=-1).reshape(-1, 2), len(self.centres)
        self.system = np.ones((count + 1, count + 1))
        self.system[:count, :count] = between(self.centres, self.centres)
        self.system[count, count] = 0
        self.basis = np.concatenate([between(at, self.centres), np.ones((len(at), 1), np.float32)], axis=1)

    def __call__(self, values: Float64Array) -> torch.Tensor:
        weights = np.linalg.solve(self.system, np.concatenate([values, np.zeros((1, 2))]))
        coarse = torch.from_numpy(self.basis @ weights.astype(np.float32))
        coarse = coarse.reshape(1, len(self.lines[1]), len(self.lines[0]), 2)
        return sample(coarse.permute(0, 3, 1, 2), self.places, "bilinear")[0].permute(1, 2, 0)


def face(side: int) -> Float64Array:
    """68 points in about the places of a face's landmarks, in a picture of that side."""

    def ring(count: int, x: float, y: float, across: float, down: float) -> Float64Array:
        turn = 2 * np.pi * np.arange(count) / count
        return np.stack([x + across * np.cos(turn), y + down * np.sin(turn)], axis=1)

    parts = (
        ring(17, 0.5, 0.5, 0.33, 0.4), ring(10, 0.5, 0.33, 0.24, 0.02), ring(9, 0.5, 0.52, 0.05, 0.08),
        ring(6, 0.38, 0.42, 0.05, 0.02), ring(6, 0.62, 0.42, 0.05, 0.02), ring(12, 0.5, 0.7, 0.12, 0.05),
        ring(8, 0.5, 0.7, 0.09, 0.02),
    )  # fmt: skip
    return side * np.concatenate(parts)


def between(a: Float64Array, b: Float64Array) -> Float64Array:
    """Distances of points [M, 2] and [K, 2]: [M, K]."""
    x, y = (np.subtract.outer(a[:, k].astype(np.float32), b[:, k].astype(np.float32)) for k in (0, 1))
    return np.asarray(np.hypot(x, y))


def plain_warp(image: Pixels, source: Float64Array, target: Float64Array) -> Pixels:
    """`warp_piecewise` by barycentric coordinates."""
    height, width = image.shape[:2]
    still = frame(width, height)
    corners = np.concatenate([still, source])
    mesh = spatial.Delaunay(np.concatenate([still, target]))
    at = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2).astype(np.float64)
    triangle = np.maximum(mesh.find_simplex(at), 0)
    inverse = mesh.transform[triangle]
    two = np.einsum("nij,nj->ni", inverse[:, :2], at - inverse[:, 2])
    weights = np.concatenate([two, 1 - two.sum(1, keepdims=True)], axis=1)
    places = np.einsum("nk,nkd->nd", weights, corners[mesh.simplices[triangle]])[:, ::-1].T.reshape(2, height, width)
    planes = [
        ndimage.map_coordinates(image[..., c].astype(np.float32), places, order=1, mode="nearest") for c in range(3)
    ]
    return np.asarray(np.rint(np.stack(planes, axis=-1)), np.uint8)


def milliseconds(work: Callable[[], object]) -> float:
    """Processor time of one run, the best of nine times five."""
    best = np.inf
    for _ in range(9):
        began = time.process_time()
        for _ in range(5):
            work()
        best = min(best, (time.process_time() - began) / 5)
    return float(1000 * best)


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    print(f"{'':32}{'plain':>9}{'ours':>9}{'ratio':>7}{'differs by at most':>20}   milliseconds")
    for side in SIDES:
        points = np.concatenate([dense(face(side)), frame(side, side)])
        values = random.normal(0, 1, points.shape).cumsum(0) / 5
        plain, ours = PlainField(points, (side, side)), Field(points, (side, side))
        gap = float((plain(values) - ours(values)).abs().max())
        times = milliseconds(plain.prepare), milliseconds(partial(Field, points, (side, side)))
        show(f"field of new points, {side} px", *times, gap)
        show(f"field of new values, {side} px", *(milliseconds(partial(f, values)) for f in (plain, ours)), gap)
        image = random.integers(0, 256, (side, side, 3), np.uint8)
        given = image, face(side), face(side) + random.normal(0, side / 300, (68, 2))
        difference = np.abs(plain_warp(*given).astype(int) - warp_piecewise(*given))
        times = milliseconds(partial(plain_warp, *given)), milliseconds(partial(warp_piecewise, *given))
        show(f"piecewise warp, {side} px", *times, float(difference.max()))


def show(name: str, plain: float, ours: float, gap: float) -> None:
    """One line, times in milliseconds."""
    print(f"{name:32}{plain:9.2f}{ours:9.2f}{plain / ours:7.1f}{gap:20.2g}")


if __name__ == "__main__":
    main()
