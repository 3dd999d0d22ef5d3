"""The rows of teeth behind the lips, in the canvas of `MouthNet`, and their encoding as input planes of the network.

The tooth widths are the usual mesio-distal ones of permanent teeth (Wheeler's Dental Anatomy), along a half ellipse for
an arch. A pixel of the canvas is about a millimetre: 64 of them are the distance between the eyes, 63 mm in adults.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from latentface.arrays import Float32Array, Float64Array
from latentface.errors import UsageError
from latentface.networks.mouth import MouthConfig

#: Widths in mm from the midline out: central and lateral incisor, canine, premolars, molars.
UPPER_WIDTHS = (8.5, 6.8, 7.6, 7.0, 6.8, 10.0, 10.0)
LOWER_WIDTHS = (5.4, 5.9, 6.8, 7.0, 7.2, 11.0, 10.5)
ARCH_HALF_WIDTH, ARCH_DEPTH = 30.0, 40.0  # mm
EYE_DISTANCE = 63.0  # mm
INCISORS_DEPTH = 8.0  # mm by which the upper incisors stand behind the base of the nose

#: Average edge of the upper incisors: .38 eye distances below the base of the nose, rising to the sides, and how much
#: it follows when the whole lip is higher or lower; medians and a regression over 860 photos of smiles.
EDGE_BASE, EDGE_BY_LIP, EDGE_CURVATURE = 0.180, 0.746, -0.72
#: How far, in eye distances, the lower teeth end below the edge of the lower lip, which hides them in most open mouths.
LOWER_HIDDEN = 0.02
#: How clearly teeth are told apart in most photos.
USUAL_LINES = 0.7
LINE_WIDTH = 0.014  # deviation of the line between two teeth, in eye distances
_NARROWEST = 0.022  # teeth that appear narrower than this, from the side, are not separated


@dataclass(frozen=True, eq=False)
class TeethRows:
    """Two rows of teeth in canvas pixels (x, y of pixel i: i + .5).

    upper_edge, lower_edge: [W], down the canvas, where the upper row ends and the lower begins in each column; NaN
    where there is no tooth. midline: between the upper central incisors. size: of the teeth, 1 is usual. yaw: of the
    head, in radians, above 0 when the nose points to the right of the picture. lines: how clearly teeth are told apart,
    0 to 1.
    """

    upper_edge: Float64Array
    lower_edge: Float64Array
    midline: float
    size: float = 1.0
    yaw: float = 0.0
    lines: float = 1.0

    def __post_init__(self) -> None:
        if self.upper_edge.ndim != 1 or self.upper_edge.shape != self.lower_edge.shape:
            raise UsageError(
                f"edges of teeth: expected two arrays [W], got {self.upper_edge.shape} and {self.lower_edge.shape}"
            )
        if not 0.5 <= self.size <= 2 or not 0 <= self.lines <= 1:
            raise UsageError(f"expected a size of 0.5 to 2 and lines of 0 to 1, got {self.size} and {self.lines}")


def tooth_borders(widths: tuple[float, ...], yaw: float) -> Float64Array:
    """Horizontal positions of the borders between teeth, in mm from the midline, sorted, for both sides.

    A yaw of the head foreshortens one side of the arch; hidden borders are left out.
    """
    angle = np.linspace(0, np.pi / 2, 1001)
    x, z = ARCH_HALF_WIDTH * np.sin(angle), ARCH_DEPTH * (1 - np.cos(angle))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    places = np.concatenate([[0.0], np.cumsum(widths)])
    places = places[places < along[-1]]
    side, depth = np.interp(places, along, x), np.interp(places, along, z)
    right = side * np.cos(yaw) - depth * np.sin(yaw)
    left = -side * np.cos(yaw) - depth * np.sin(yaw)
    narrowest = _NARROWEST * EYE_DISTANCE

    def seen(way: Float64Array) -> Float64Array:
        steps = np.diff(way)
        hidden = np.flatnonzero(steps < narrowest)
        return way[1 : 1 + (hidden[0] if len(hidden) else len(steps))]

    return np.concatenate([-seen(-left)[::-1], [0.0], seen(right)])


def teeth_planes(rows: TeethRows, config: MouthConfig) -> Float32Array:
    """The upper row, the lower row and the lines between teeth, float32 [3, H, W], each 0 to 1."""
    if rows.upper_edge.shape != (config.width,):
        raise UsageError(f"edges of teeth: expected {config.width} columns, got {len(rows.upper_edge)}")
    x = np.arange(config.width) + 0.5
    y = (np.arange(config.height) + 0.5)[:, None]
    upper = np.nan_to_num(np.clip(rows.upper_edge - y + 0.5, 0, 1))  # [H, W]
    lower = np.nan_to_num(np.clip(y - rows.lower_edge + 0.5, 0, 1))
    millimetre = config.scale / EYE_DISTANCE * rows.size
    lines = []
    for widths in (UPPER_WIDTHS, LOWER_WIDTHS):
        borders = tooth_borders(widths, rows.yaw) * millimetre + rows.midline
        distance = (x[:, None] - borders) / (LINE_WIDTH * config.scale)
        lines.append(np.exp(-0.5 * distance**2).sum(1).clip(0, 1))
    separators = rows.lines * np.maximum(lines[0] * upper, lines[1] * lower)
    return np.stack([upper, lower, separators]).astype(np.float32)


def usual_rows(
    upper_lip: float, lower_lip: float, config: MouthConfig, midline: float | None = None, yaw: float = 0.0
) -> TeethRows:
    """Average teeth of a head that is turned by `yaw`.

    Eyes appear closer together in a turned head, and everything else larger in the canvas. upper_lip, lower_lip: the
    opening's borders at the midline, down the canvas.
    """
    scale = config.scale / math.cos(yaw)
    middle = usual_midline(config, yaw) if midline is None else midline
    columns = np.arange(config.width, dtype=np.float64) + 0.5
    across = _along_arch((columns - middle) / scale * EYE_DISTANCE, yaw) / EYE_DISTANCE
    lip, bottom = ((edge - config.top) / scale for edge in (upper_lip, lower_lip))
    edge = EDGE_BASE + EDGE_BY_LIP * lip
    upper = config.top + scale * (edge + EDGE_CURVATURE * across**2)
    lower = config.top + scale * (bottom + LOWER_HIDDEN + 0.25 * EDGE_CURVATURE * across**2)
    lower = np.maximum(lower, upper + 0.01 * scale)
    return TeethRows(upper, lower, middle, 1 / math.cos(yaw), yaw, USUAL_LINES)


def usual_midline(config: MouthConfig, yaw: float) -> float:
    """The column of the canvas between the upper central incisors, which stand behind the base of the nose."""
    return config.width / 2 - INCISORS_DEPTH * math.tan(yaw) * config.scale / EYE_DISTANCE


def _along_arch(seen: Float64Array, yaw: float) -> Float64Array:
    """How far beside the midline the teeth stand that are seen so far beside it, in mm; those at the end beyond it."""
    side = np.linspace(-1, 1, 401)
    depth = ARCH_DEPTH * (1 - np.sqrt(1 - side**2))
    place = ARCH_HALF_WIDTH * side * np.cos(yaw) - depth * np.sin(yaw)
    visible = np.flatnonzero(np.diff(place) > 0)
    part = slice(visible[0], visible[-1] + 2)
    return np.asarray(np.interp(seen, place[part], ARCH_HALF_WIDTH * side[part]))
