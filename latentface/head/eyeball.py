"""The eyeball between moving lids: the photo's own, and what its lids covered.

It stays in place while lids move over it, and turns with the iris. Covered parts are filled by its mirror image, but
are no darker than the white that the photo shows, or if its eyes are too narrow for that, than a usual one. Lengths are
inter-ocular distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentface.arrays import BoolArray, Float32Array, Float64Array, Pixels
from latentface.head.eye_contour import Eye, EyeMap
from latentface.head.geometry import ramp
from latentface.ops.raster import sample

LASHES = (0.030, 0.016)  # width of the strip inside the upper and lower margin that moves with the lid
LIMBUS = 1.2  # radii of the iris up to which the eyeball turns undistorted
#: The light of a white: levels, and so much of that of the lids; a little less than in photographs of wide eyes.
WHITE = (48.0, 0.67)
PINK = 0.4  # of the skin's hue
BRIGHT = 0.7  # quantile of what the photo shows of it that is its colour
SHOWN = (0.55, 0.85)  # light of what the photo shows of it, as a part of that: no white below, and enough above
NARROW = (0.115, 0.135)  # openings below which eyes may hide it, and above which they do not
OPENED = (1.1, 1.6)  # the opening relative to the photo's over which a white that it does not show comes in
RISEN = (0.005, 0.03)  # how far a lid has moved off parts of the eyeball that get white
ROUND, DIM = (1.3, 3.0), 0.3  # radii of the iris over which the eyeball curves away, and by how much it gets darker


@dataclass(frozen=True, eq=False)
class EyeWhite:
    """The white of an eye.

    Attributes:
        tone: its colour: that in the photo, or a usual one, [3].
        missing: how far the photo shows none, 0 to 1.
    """

    tone: Float32Array
    missing: float


def find_eye_white(photo: Pixels, eye: Eye, skin: Float32Array, shade: float) -> EyeWhite:
    """Look for the white of an eye in a photo.

    Args:
        photo: uint8 RGB [H, W, 3].
        eye: the eye.
        skin: the colour of its lids, [3].
        shade: the factor of the light that falls into its socket.
    """
    mean = max(float(skin.mean()), 1.0)
    light = np.float32((WHITE[0] + WHITE[1] * mean) * shade)
    tone = (1 + np.float32(PINK) * (skin / mean - 1)) * light
    u = eye.across(np.linspace(0.12, 0.88, 25))
    upper, lower = bare(eye, u)
    v = lower + (upper - lower) * np.linspace(0.1, 0.9, 7)[:, None]
    far = np.hypot(u - eye.iris[0], v - eye.iris[1]) > LIMBUS * eye.iris[2]
    seen = sample(photo, eye.places(np.broadcast_to(u, v.shape), v))[far & (upper > lower)]
    if not len(seen):
        return EyeWhite(tone, 1 - float(ramp(eye.opening, *NARROW)))
    own = np.quantile(seen, BRIGHT, axis=0).astype(np.float32)
    hidden = 1 - ramp(float(own.mean() / tone.mean()), *SHOWN)
    missing = np.float32(hidden * (1 - ramp(eye.opening, *NARROW)))
    return EyeWhite(own + missing * (tone - own), float(missing))


def bare(eye: Eye, u: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The heights at u between which the photo shows the eyeball without lashes."""
    return _without_lashes(eye.margins(u))


def _without_lashes(margins: tuple[Float64Array, Float64Array]) -> tuple[Float64Array, Float64Array]:
    """The upper and the lower margin of what is seen between lashes."""
    return margins[0] - 1.3 * LASHES[0], margins[1] + 1.3 * LASHES[1]


def find_eyeball(places: EyeMap, gaze: Float64Array) -> tuple[Float32Array, Float32Array, BoolArray]:
    """Where the eyeball at N places comes from after the iris has moved by `gaze`, and which of two places is seen.

    Returns:
        The source, [2, N, 2]; of covered parts one on either side of the iris. How much of the second of them, on the
        inner side, is seen, [N]. Where these are used, since lids cover the place itself, [N].
    """
    eye, u, v = places.eye, places.u, places.v
    centre, radius, far = eye.iris[:2], eye.iris[2], float(np.hypot(*gaze))
    if far > 1e-4:
        away = np.hypot(u - centre[0] - gaze[0], v - centre[1] - gaze[1])
        share = 1 - ramp(away, radius * LIMBUS, radius * LIMBUS + max(radius, 1.7 * far))
        u, v = u - share * gaze[0], v - share * gaze[1]
        places = EyeMap(eye, places.now, u, v)
    upper, lower = _without_lashes(places.margins_there)
    uncovered = (places.margins[0] > upper + 1.32 * LASHES[0]) | (places.margins[1] < lower - 1.32 * LASHES[1])
    hidden = ((v > upper) | (v < lower)) & (uncovered | (far > 1e-4))
    # covered parts of the eyeball resemble visible parts at the same distance from the centre of the iris
    distance = np.hypot(u - centre[0], v - centre[1])
    sources = []
    for side in (-1.0, 1.0):
        u_seen, v_seen = u, v
        for _ in range(3):
            upper, lower = bare(eye, u_seen)
            v_seen = np.clip(v, lower, np.maximum(upper, lower))
            across = np.sqrt(np.maximum(distance**2 - (v_seen - centre[1]) ** 2, 0))
            u_seen = eye.across(np.clip(eye.along(centre[0] + side * across), 0.1, 0.9))
        sources.append(eye.places(np.where(hidden, u_seen, u), np.where(hidden, v_seen, v)))
    return np.stack(sources).astype(np.float32), ramp((u - centre[0]) / radius, -0.5, 0.5), hidden


def shade_eyeball(places: EyeMap) -> Float32Array:
    """The shadow, [N], of a lid that opens wider moves up on the eyeball: where it is new, the eyeball is darkened."""
    upper = places.margins[0]
    rise = np.clip((upper - places.margins_there[0]) / 0.03, 0, 1)
    below = (upper - LASHES[0] - places.v) / 0.05
    return (1 - 0.35 * rise * np.exp(-np.maximum(below, 0))).astype(np.float32)


def whiten(places: EyeMap, white: EyeWhite, hidden: BoolArray) -> Float32Array:
    """The colour, [N, 3], below which the eyeball is nowhere darker; hidden: see `find_eyeball`."""
    was, margins, now = places.margins_there, places.margins, places.now
    risen = ramp(np.maximum(margins[0] - was[0], was[1] - margins[1]), *RISEN) * hidden
    opened = white.missing * float(ramp(now.opening / max(places.eye.opening, 0.02), *OPENED))
    away = np.hypot(places.u - now.iris[0], places.v - now.iris[1]) / now.iris[2]
    light = ramp(away, 1.0, LIMBUS) * (1 - np.float32(DIM) * ramp(away, *ROUND))
    made: Float32Array = (np.maximum(risen, np.float32(opened)) * light)[..., None] * white.tone
    return made
