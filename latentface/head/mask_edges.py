"""The upper and the lower edge of a mask of a mouth, column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latentface.arrays import BoolArray, Int64Array


def usual_height(mask: BoolArray) -> float:
    """How high a mask [H, W] is in the middle half of its columns, in pixels."""
    heights = mask.sum(axis=0)
    heights = heights[heights > 0]
    return usual_value(heights) if len(heights) else 0.0


def usual_value(heights: npt.NDArray[Any]) -> float:
    """The median of the middle half of some columns' heights, [N], N > 0."""
    quarter = len(heights) // 4
    return float(np.median(heights[quarter : len(heights) - quarter]))


def column_edges(mask: BoolArray, columns: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The first row of a mask [H, W] in each of some columns, none of which is empty, and the one after the last."""
    return mask[:, columns].argmax(axis=0), len(mask) - mask[::-1, columns].argmax(axis=0)


def smooth_edges(mask: BoolArray, width: float) -> BoolArray:
    """Fill each column between its top and bottom, both smoothed along the row, so that edges are not ragged."""
    columns = np.flatnonzero(mask.any(axis=0))
    made = np.zeros_like(mask)
    if not len(columns):
        return made
    every = np.arange(columns[0], columns[-1] + 1)
    edges = column_edges(mask, columns)
    top, end = (smooth_edge(np.interp(every, columns, edge), max(width, 0.8)) for edge in edges)
    rows = np.arange(len(mask))[:, None] + 0.5
    made[:, every] = (rows > top) & (rows < end)
    return made


def smooth_edge(edge: npt.NDArray[Any], width: float) -> npt.NDArray[Any]:
    """An edge, a row for each column, smoothed along it over a width in pixels, outliers left out."""
    wide = 2 * max(1, round(width)) + 1
    made: npt.NDArray[Any] = ndimage.gaussian_filter1d(
        ndimage.median_filter(edge, wide, mode="nearest"), width, mode="nearest"
    )
    return made
