"""Estimates the gaze from pixels: the position of the iris on an eyeball whose position is known from the fit.

The iris is the disc of known size that is darkest relative to its surroundings within the opening of the lids (similar
to Daugman's integro-differential operator, 1993, but on patches of a few pixels). Eyelids hide its top and bottom, so
the pitch is less certain than the yaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Array = NDArray[np.float64]

IRIS_RADIUS = 0.6  # centimetres: the human iris is 11.7 mm across
IRIS_DEPTH = 1.42  # centimetres from the centre of the model's eyeball to the plane of its iris
YAW_AT_ONE, PITCH_AT_ONE = 35.0, 30.0  # degrees at which an eyeLook shape has weight 1

_PATCH = 30  # side of the upright square that is cut out around an eye
_REACH = 3.2  # centimetres that it covers
_LARGEST = (36.0, 26.0)  # range of the search, degrees of yaw and pitch
_COARSE, _FINE = 4.0, 1.0  # steps in degrees of the two searches


@dataclass(frozen=True)
class Gaze:
    """The rotation of the eyes relative to the head, in degrees, and its confidence, 0..1.

    Positive yaw is to the subject's left, positive pitch is down.
    """

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

    def joined(self, eyes: Gaze) -> Gaze:
        """Combine this gaze of a reader with that of `read_gaze`: the mean yaw, and the pitch of the latter.

        On photographs of people who look into the camera, the mean yaw varies less than either; on renders it is about
        as exact as the reader alone. If the lids hide the eyes, the yaw is the reader's. The reader's pitch is off by
        several degrees on those photographs.
        """
        share = 0.5 * min(1.0, 2 * eyes.confidence)
        yaw = share * eyes.yaw + (1 - share) * self.yaw
        return Gaze(yaw, min(1.0, 2 * eyes.confidence) * eyes.pitch, max(self.confidence, eyes.confidence))

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
    found, weights = [], []
    for eye_lids, centre in zip(lids, centres, strict=True):
        eye = _Eye.cut(photo, eye_lids, centre, scale)
        if eye.opening > 0:
            angles, sharp = _search(eye, rotation)
            found.append(angles)
            weights.append(eye.opening * min(max(sharp, 0.0) / 0.25, 1.0))
    if sum(weights) < 0.05:
        return Gaze(0.0, 0.0, 0.0)
    # each eye by itself, then the mean: where the model puts the two eyeballs is off by some degrees, mostly sideways
    share = np.array(weights) / sum(weights)
    yaw, pitch = share @ np.array(found)
    apart = float(np.ptp(np.array(found), 0).max())
    size = float(np.clip((IRIS_RADIUS * scale - 1.2) / 2, 0, 1))
    agreed = float(np.exp(-0.5 * (max(0.0, apart - 8.0) / 12.0) ** 2))
    return Gaze(float(yaw), float(pitch), float(max(weights)) * size * agreed)


def _search(eye: _Eye, rotation: Array) -> tuple[Array, float]:
    """The angles [2] of yaw and pitch that explain an eye best, and by how much better than others."""

    def scores(yaws: Array, pitches: Array) -> Array:
        """Scores [Y, P]; a weak pull ahead settles what lids hide."""
        yaw, pitch = np.meshgrid(np.radians(yaws), np.radians(pitches), indexing="ij")
        ahead = np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)
        places = IRIS_DEPTH * (ahead @ rotation[:2].T) * (1.0, -1.0)
        made = eye.scores(places.reshape(-1, 2)).reshape(yaw.shape)
        return np.asarray(made - 0.02 * (yaw / 0.35) ** 2 - 0.15 * (pitch / 0.25) ** 2)

    yaws, pitches = (np.arange(-limit, limit + 1e-6, _COARSE) for limit in _LARGEST)
    coarse = scores(yaws, pitches)
    i, j = np.unravel_index(int(coarse.argmax()), coarse.shape)
    near = np.arange(-_COARSE, _COARSE + 1e-6, _FINE)
    fine = scores(yaws[i] + near, pitches[j] + near)
    k, n = np.unravel_index(int(fine.argmax()), fine.shape)
    return np.array([yaws[i] + near[k], pitches[j] + near[n]]), float(fine.max() - np.median(coarse))


@dataclass(frozen=True, eq=False)
class _Eye:
    """The pixels between the lids.

    Attributes:
        places: where they are, [N, 2] centimetres from the eyeball's centre, y down.
        weights: how far each belongs to the opening, [N], 0..1.
        tones: how bright each is, [N], 0..1.
        opening: how open the eye is, 0..1.
    """

    places: Array
    weights: Array
    tones: Array
    opening: float

    @staticmethod
    def cut(photo: NDArray[np.uint8], lids: Array, centre: Array, scale: float) -> _Eye:
        """The eye between six lid points [6, 2] in photo pixels."""
        line = ((np.arange(_PATCH) + 0.5) / _PATCH - 0.5) * _REACH
        grid = np.stack(np.meshgrid(line, line, indexing="xy"), -1)
        where = lids.mean(0) + grid * scale
        low = np.maximum(np.floor(where.reshape(-1, 2).min(0)).astype(int) - 2, 0)
        high = np.maximum(np.ceil(where.reshape(-1, 2).max(0)).astype(int) + 3, 0)
        part = photo[low[1] : high[1], low[0] : high[0]] @ np.array([0.5, 0.4, 0.1])  # the red tells skin from iris
        gap = float(np.linalg.norm((lids[1] + lids[2] - lids[4] - lids[5]) / 2)) / scale
        opening = float(np.clip((gap - 0.15) / 0.35, 0, 1))
        weights = gaussian_filter(_inside(where, lids).astype(np.float64), 0.7)
        kept = weights > 0.1
        if part.size == 0 or kept.sum() < 12:
            return _Eye(np.zeros((0, 2)), np.zeros(0), np.zeros(0), 0.0)
        part = gaussian_filter(part, max(0.3, 0.06 * scale))
        tones = map_coordinates(part, [where[..., 1] - low[1], where[..., 0] - low[0]], order=1, mode="nearest")
        dark, bright = np.percentile(tones[weights > 0.5], [4, 92]) if (weights > 0.5).any() else (0.0, 255.0)
        tones = np.clip((tones - dark) / max(bright - dark, 4.0), 0, 1)
        return _Eye(where[kept] / scale - centre / scale, weights[kept], tones[kept], opening)

    def scores(self, irises: Array) -> Array:
        """How much darker the disc of the iris is than the eye around it, for centres [M, 2] of it: [M]."""
        across, down = (irises[:, None, k] - self.places[None, :, k] for k in (0, 1))
        distance = np.sqrt(across**2 + down**2)
        disc = _soft(0.95 * IRIS_RADIUS - distance) * self.weights
        rest = self.weights - _soft(1.1 * IRIS_RADIUS - distance) * self.weights
        area = disc.sum(1)
        dark = (disc @ self.tones) / np.maximum(area, 1e-6)
        white = (rest @ self.tones) / np.maximum(rest.sum(1), 1e-6)
        # an iris that the lids hide altogether proves nothing
        full = 0.3 * np.pi * (IRIS_RADIUS * _PATCH / _REACH) ** 2
        made: Array = (white - dark) * np.clip(area / full, 0, 1)
        return made


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
