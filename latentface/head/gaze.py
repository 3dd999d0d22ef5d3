"""Where the eyes look, from their pixels: the place of the iris on an eyeball whose own place the fit knows.

The iris is the disc, of a known size, that is darkest against what lies around it within the opening of the lids
(Daugman's integro-differential operator in spirit, 1993, on patches of a few pixels). Eyelids hide its top and its
bottom, so how far up or down is known less well than how far aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Array = NDArray[np.float64]

IRIS_RADIUS = 0.6  # centimetres: the human iris is 11.7 mm across
EYEBALL_RADIUS = 1.2  # centimetres from the eye's centre to the iris plane's edge
YAW_AT_ONE, PITCH_AT_ONE = 35.0, 30.0  # degrees at which an eyeLook shape has weight 1

_PATCH = 48  # side of the upright square that is cut out around an eye
_REACH = 2.6  # centimetres that it covers
_LARGEST = (35.0, 25.0)  # degrees of yaw and pitch that are looked at
_STEP = 1.5  # degrees


@dataclass(frozen=True)
class Gaze:
    """The eyes' own turn against the head, degrees: positive yaw to the subject's left, positive pitch down; and how
    sure that is, 0..1."""

    yaw: float
    pitch: float
    confidence: float

    def weights(self, names: tuple[str, ...]) -> Array:
        """The eyeLook weights [E] among shapes by name, 0 for the others."""
        toward, away = ("Left", "Right") if self.yaw > 0 else ("Right", "Left")
        side = min(abs(self.yaw) / YAW_AT_ONE, 1.0)
        level = min(abs(self.pitch) / PITCH_AT_ONE, 1.0)
        turn = "eyeLookDown" if self.pitch > 0 else "eyeLookUp"
        chosen = {f"eyeLookOut{toward}": side, f"eyeLookIn{away}": side, f"{turn}Left": level, f"{turn}Right": level}
        return np.array([chosen.get(name, 0.0) for name in names])

    @staticmethod
    def of(names: tuple[str, ...], weights: NDArray[np.floating], confidence: float = 1.0) -> Gaze:
        """The mean gaze of both eyes from the eyeLook weights [E] of shapes by name."""
        by = dict(zip(names, np.asarray(weights, np.float64).tolist(), strict=True))
        left = by.get("eyeLookOutLeft", 0.0) + by.get("eyeLookInRight", 0.0)
        right = by.get("eyeLookOutRight", 0.0) + by.get("eyeLookInLeft", 0.0)
        down = by.get("eyeLookDownLeft", 0.0) + by.get("eyeLookDownRight", 0.0)
        up = by.get("eyeLookUpLeft", 0.0) + by.get("eyeLookUpRight", 0.0)
        return Gaze(YAW_AT_ONE * (left - right) / 2, PITCH_AT_ONE * (down - up) / 2, confidence)


def read_gaze(photo: NDArray[np.uint8], lids: Array, centres: Array, rotation: Array, scale: float) -> Gaze:
    """The gaze of a face.

    Args:
        photo: uint8 RGB [H, W, 3].
        lids: the six lid points of both eyes, [2, 6, 2] photo pixels, the picture's left eye first.
        centres: the eyeballs' centres in photo pixels, [2, 2], in the same order.
        rotation: the head's, [3, 3] (y up).
        scale: pixels a centimetre.

    Returns:
        The gaze that explains both eyes best; its confidence falls with closed lids, tiny eyes and little contrast.
    """
    yaws = np.radians(np.arange(-_LARGEST[0], _LARGEST[0] + 1e-6, _STEP))
    pitches = np.radians(np.arange(-_LARGEST[1], _LARGEST[1] + 1e-6, _STEP))
    yaw, pitch = np.meshgrid(yaws, pitches, indexing="ij")
    ahead = np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)
    places = EYEBALL_RADIUS * 0.87 * ahead @ rotation[:2].T * (1.0, -1.0)  # iris plane, centimetres, y down
    scores, weights = [], []
    for eye, centre in zip(lids, centres, strict=True):
        opening = float(np.linalg.norm((eye[1] + eye[2] - eye[4] - eye[5]) / 2)) / scale
        score = _iris_scores(photo, eye, centre, places, scale)
        scores.append(score)
        weights.append(float(np.clip((opening - 0.15) / 0.35, 0, 1)))
    share = np.array(weights)
    if share.sum() < 0.05:
        return Gaze(0.0, 0.0, 0.0)
    # a weak pull towards looking straight ahead settles what lids hide
    pull = 0.015 * (yaw / 0.35) ** 2 + 0.025 * (pitch / 0.25) ** 2
    total = np.tensordot(share / share.sum(), np.stack(scores), 1) - pull
    i, j = np.unravel_index(int(total.argmax()), total.shape)
    sharp = float(total.max() - np.median(total))
    size = float(np.clip((IRIS_RADIUS * scale - 1.2) / 3, 0, 1))
    confidence = float(np.clip(sharp / 0.25, 0, 1) * share.max() * size)
    di, dj = _peak(total[:, j], int(i)), _peak(total[i], int(j))
    return Gaze(float(np.degrees(yaws[i])) + _STEP * di, float(np.degrees(pitches[j])) + _STEP * dj, confidence)


def _peak(line: Array, at: int) -> float:
    """Where between its neighbours the top of a parabola lies, in steps from `at`."""
    if not 0 < at < len(line) - 1:
        return 0.0
    low, top, high = line[at - 1 : at + 2]
    bend = low - 2 * top + high
    return float(np.clip((low - high) / (2 * bend), -0.5, 0.5)) if bend < -1e-9 else 0.0


def _iris_scores(photo: NDArray[np.uint8], eye: Array, centre: Array, places: Array, scale: float) -> Array:
    """How much darker the iris's disc is than the eye around it, for each place [Y, P, 2] of it in centimetres."""
    line = (np.arange(_PATCH) + 0.5) / _PATCH - 0.5
    grid = np.stack(np.meshgrid(line, line, indexing="xy"), -1) * _REACH  # centimetres about the eyeball's centre
    where = centre + grid * scale
    grey = photo @ np.array([0.4, 0.4, 0.2])
    low = np.maximum(np.floor(where.reshape(-1, 2).min(0)).astype(int) - 2, 0)
    high = np.ceil(where.reshape(-1, 2).max(0)).astype(int) + 3
    part = grey[low[1] : high[1], low[0] : high[0]]
    if part.size == 0:
        return np.zeros(places.shape[:2])
    patch = map_coordinates(part, [where[..., 1] - low[1], where[..., 0] - low[0]], order=1, mode="nearest")
    patch = gaussian_filter(patch, 1.0)
    opening = _inside(where, eye)
    opening = gaussian_filter(opening.astype(np.float64), 1.0)
    inside = patch[opening > 0.5]
    if inside.size < 20:
        return np.zeros(places.shape[:2])
    bright, dark = np.percentile(inside, [90, 5])
    tone = np.clip((patch - dark) / max(bright - dark, 4.0), 0, 1)  # 0 dark, 1 white
    flat, weight, paper = grid.reshape(-1, 2), opening.ravel(), tone.ravel()
    distance = np.linalg.norm(places.reshape(-1, 1, 2) - flat[None], axis=2)
    disc = _soft(IRIS_RADIUS * 0.95 - distance) * weight
    ring = _soft(IRIS_RADIUS * 1.9 - distance) * weight - disc
    area = disc.sum(1)
    dark_inside = (disc @ paper) / np.maximum(area, 1e-6)
    white_outside = (ring @ paper) / np.maximum(ring.sum(1), 1.0)
    # an iris that the lids hide altogether proves nothing
    shown = np.clip(area / (0.35 * np.pi * (IRIS_RADIUS / _REACH * _PATCH) ** 2), 0, 1)
    score: Array = ((white_outside - dark_inside) * shown).reshape(places.shape[:2])
    return score


def _soft(inside: Array) -> Array:
    made: Array = np.clip(inside / 0.08 + 0.5, 0, 1)
    return made


def _inside(where: Array, polygon: Array) -> NDArray[np.bool_]:
    """Which points [..., 2] lie inside a polygon [N, 2] (even-odd rule)."""
    x, y = where[..., 0], where[..., 1]
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
