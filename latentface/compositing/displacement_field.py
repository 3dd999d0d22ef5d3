"""Smooth displacement fields through points, and pictures sampled at displaced pixels."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import lapack
from scipy.spatial import distance
from torch import Tensor

from latentface.arrays import Float64Array
from latentface.faces.crop import inter_ocular

_CELLS = 64  # grid size in each dimension at which a field is computed
_NARROW = 0.02  # inter-ocular distances between rows of the grid at eyes and mouth


class Field:
    """Smooth fields [h, w, 2] through values at points [K, 2]: radial basis functions |r| and a constant.

    They are computed on a coarse grid whose rows are denser at eyes and mouth, which the first 68 points locate.
    """

    def __init__(self, centres: Float64Array, shape: tuple[int, int]) -> None:
        height, width = shape
        self.lines = np.linspace(0, width - 1, _CELLS), _rows(centres[:68], height)
        at = np.stack(np.meshgrid(*self.lines), axis=-1).reshape(-1, 2)
        different, same = np.unique(centres, axis=0, return_inverse=True)
        self.same = same.ravel() if len(different) < len(centres) else None  # lids that meet have points in common
        centres = centres if self.same is None else different
        count = len(centres)
        system = np.ones((count + 1, count + 1))
        system[:count, :count] = distance.cdist(centres, centres)
        system[count, count] = 0
        self.factors, self.pivots, _ = lapack.dgetrf(
            system
        )  # factorised once, since one set of points is used with many sets of values
        self.basis = np.ones((len(at), count + 1), np.float32)
        self.basis[:, :count] = distance.cdist(at, centres)
        x, y = (
            torch.from_numpy(np.interp(np.arange(side), line, np.arange(len(line)))).float()
            for side, line in zip((width, height), self.lines, strict=True)
        )
        self.places = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1)  # in the coarse grid

    def __call__(self, values: Float64Array) -> Tensor:
        """The field [h, w, 2] through values [K, 2] at the centres; points that coincide take the mean of theirs."""
        if self.same is not None:
            sums = [np.bincount(self.same, values[:, k]) for k in (0, 1)]
            values = np.stack(sums, axis=1) / np.bincount(self.same)[:, None]
        weights, _ = lapack.dgetrs(self.factors, self.pivots, np.concatenate([values, np.zeros((1, 2))]))
        coarse = torch.from_numpy(self.basis @ weights.astype(np.float32))
        coarse = coarse.reshape(1, len(self.lines[1]), len(self.lines[0]), 2)
        return sample(coarse.permute(0, 3, 1, 2), self.places, "bilinear")[0].permute(1, 2, 0)


def dense(landmarks: Float64Array) -> Float64Array:
    """Landmarks [68, 2] and the points half-way between them around eyes and lips, which shut along their length."""
    loops = [landmarks[36:42], landmarks[42:48], landmarks[60:68]]
    return np.concatenate([landmarks, *((loop + np.roll(loop, -1, 0)) / 2 for loop in loops)])


def pixels(height: int, width: int) -> Tensor:
    """The coordinates (x, y) of every pixel, [h, w, 2]."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([x, y], dim=-1)


def transform(matrix: Float64Array, grid: Tensor) -> Tensor:
    """Pixels [h, w, 2] through an affine map 3x3."""
    linear, shift = torch.from_numpy(matrix[:2, :2]).float(), torch.from_numpy(matrix[:2, 2]).float()
    return grid @ linear.T + shift


def sample(planes: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Sample planes [1, C, H, W] at pixels [h, w, 2], bilinear or bicubic, with edge pixels repeated outside."""
    size = torch.tensor([planes.shape[3] - 1.0, planes.shape[2] - 1.0])
    return F.grid_sample(planes, (grid / size * 2 - 1)[None], mode=mode, padding_mode="border", align_corners=True)


def _rows(landmarks: Float64Array, height: int) -> Float64Array:
    """Rows of a picture of that height, in increasing order; narrowly spaced where lids and lips open and close."""
    step = _NARROW * inter_ocular(landmarks)
    bands = [landmarks[36:48, 1], landmarks[48:68, 1]]
    close = [np.arange(band.min() - 2 * step, band.max() + 2 * step, step) for band in bands]
    rows = np.concatenate([np.linspace(0, height - 1, _CELLS // 2), *close]).clip(0, height - 1)
    return np.unique(rows.round(2))
