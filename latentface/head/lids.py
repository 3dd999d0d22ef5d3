"""The skin of upper lids that a photo hides: below low brows, behind lashes, in the fold of a deep eye.

A lid that closes unfolds skin. Where the photo shows skin between lashes and brow, that skin is stretched (`eyes`);
where it shows hair, or so little skin that stretching leaves streaks, the lid is painted instead: in the colours of the
skin that is nearest, which carry the light of the socket, with the pores and wrinkles of the skin below the eye.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from latentface.arrays import BoolArray, Float32Array, Pixels
from latentface.head.eye_contour import Eye
from latentface.head.geometry import Box, blur_known, ramp
from latentface.head.light import TINT
from latentface.ops.raster import sample
from latentface.ops.warp import read

BELOW = (0.05, 0.11)  # inter-ocular distances below the lower margin: skin without lashes
LIGHT = (0.7, 1.0)  # the lid's, of that of the skin below the eye
BESIDE, HIGH = ((-0.1, -0.06), (0.05, 0.08)), 0.12  # beyond the outer and inner corner, and so far above: the socket
DEEP = (0.6, 0.7)  # least shade of a painted lid, and the light of a socket, of that below the eye, that has none
FAR = (0.75, 0.9)  # relative widths of an eye below which it is the far one, and from which on it is not
NEAR = (0.1, 0.04)  # inter-ocular distances: the paint has the colour of skin as near as this, if there is any
KNOWN = 0.1  # weight from which on it is enough
FREE = 0.2  # inter-ocular distances: no brow hangs so low that it concerns the lid
BROW, LEAST, LEAST_SKIN = 0.8, 5, 0.02  # its light as a part of the lid's, which is so many levels over that of lashes
THICK = 5  # hundredths of that distance: less is a crease
HAIR = (0.22, 0.45)  # log ratio to the lid's tone from which on a pixel is hair
WHITE = (0.05, 0.2)  # log ratio up to which one that is paler than skin is the white of the eye
PALE = (0.22, 0.36)  # by how much the log ratio of its red to its blue is less
HAIRY = (0.28, 0.5)  # share of hair from which on the whole lid is painted
COARSE, DARK = (0.045, 0.075), (0.65, 0.8)  # relative detail along a strip of hair, and its light; sockets are smooth
HIDDEN = 0.85  # the light of the skin behind it, of that below the eye
FAINT = 8  # of 255: light that noise adds to hair
ENDS = (0.0, 0.1, 0.55, 0.95)  # of the strip from margin to fold: where the paint begins and where it ends
SOFT = 0.012  # over which painted parts fade
_STRIP = np.meshgrid(np.linspace(0.15, 0.85, 31), np.linspace(0, 1, 17))  # places along an eye, and across a strip
FEW = 2.5  # pixels of the width of a blur that are enough
GRAIN, MOST_GRAIN = 0.015, 15  # the size of the detail of skin in inter-ocular distances, and its most of 255
CREASE, LASHES = 0.14, 0.1  # how much darker a lid is in its fold and beside its lashes


@dataclass(frozen=True, eq=False)
class LidSkin:
    """What a photo shows of an upper lid.

    Attributes:
        tone: its colour in the photo's light, [3].
        hairy: how far its skin is hidden by hair, 0 to 1.
        shade: the factor of its brightness in a deep socket, where light does not fall.
        painted: how far hidden skin is painted at all: not on the far side of a turned head, where little is known.
    """

    tone: Float32Array
    hairy: float
    shade: float = 1.0
    painted: float = 1.0

    def unlike(self, values: Float32Array) -> Float32Array:
        """How far colours [..., 3] are hair or the white of the eye rather than skin of this lid, 0 to 1."""
        ratio = np.log(self.tone + FAINT) - np.log(np.maximum(values, 0) + FAINT)
        darker = np.log(self.tone.mean() + FAINT) - np.log(np.maximum(values.mean(axis=-1), 0) + FAINT)
        white = (1 - ramp(darker, *WHITE)) * ramp(ratio[..., 0] - ratio[..., 2], *PALE)
        other: Float32Array = np.maximum(ramp(darker, *HAIR), white)
        return other


def find_low_brow(photo: Pixels, eye: Eye) -> float:
    """How far over the upper margin of an eye the photo gets as dark as a brow, in inter-ocular distances, or `FREE`.

    Landmarks lie on the line of a brow; bushy ones hang down from it.
    """
    u, height = eye.across(np.linspace(0.25, 0.75, 11)), np.arange(0.0, FREE, 0.01)[:, None]
    light = np.median(sample(photo, eye.places(u + 0 * height, eye.margins(u)[0] + height)).mean(axis=2), axis=1)
    brightest = np.maximum.accumulate(light)  # of the lid, or of the white where lashes begin higher
    skin = np.minimum(brightest, float(_below(photo, eye).mean()))
    dark = (light < BROW * skin) & (brightest > light[0] + LEAST) & (height[:, 0] > LEAST_SKIN)
    dark = ndimage.binary_opening(np.append(dark, np.repeat(dark[-1:], THICK)), np.ones(THICK))[: len(dark)]
    return float(height[dark.argmax(), 0]) if dark.any() else FREE


def _below(photo: Pixels, eye: Eye) -> Float32Array:
    """The colour of the skin below an eye, [3]."""
    u, step = _STRIP
    lower = eye.margins(eye.across(u))[1]
    below = sample(photo, eye.places(eye.across(u), lower - BELOW[0] - step * (BELOW[1] - BELOW[0])))
    colour: Float32Array = np.median(below.reshape(-1, 3), axis=0).astype(np.float32)
    return colour


def find_lid_skin(photo: Pixels, eye: Eye, fold: float, width: float) -> LidSkin:
    """Measure the upper lid of an eye in a photo.

    Args:
        photo: uint8 RGB [H, W, 3].
        eye: the eye.
        fold: how far over the margin its skin reaches, in inter-ocular distances.
        width: its width as a part of the other eye's, which is larger on a head that is turned.
    """
    u, step = _STRIP
    upper, _ = eye.margins(eye.across(u))
    above = sample(photo, eye.places(eye.across(u), upper + (0.1 + 0.8 * step) * fold))
    around = _below(photo, eye)
    grey, whole = above.mean(axis=2), max(float(around.mean()), 1.0)
    light = float(np.quantile(grey, 0.75)) / whole
    coarse = float(np.std(grey - ndimage.gaussian_filter1d(grey, 3, axis=1)) / max(float(grey.mean()), 1.0))
    bushy = float(ramp(coarse, *COARSE) * (1 - ramp(light, *DARK)))
    skin = LidSkin(around * np.float32(max(np.clip(light, *LIGHT), bushy * HIDDEN)), 0.0)
    beside = [
        np.meshgrid(corner + np.array(off), np.linspace(0, HIGH, 6))
        for corner, off in zip(eye.corners[:, 0], BESIDE, strict=True)
    ]
    socket = np.mean([np.median(sample(photo, eye.places(*each)).mean(axis=2)) for each in beside])
    shade = float(np.clip(socket / whole / DEEP[1], DEEP[0], 1))
    hairy = max(float(ramp(skin.unlike(above).mean(), *HAIRY)), bushy)
    return LidSkin(skin.tone, hairy, shade, float(ramp(width, *FAR)))


def find_grain(photo: Pixels, places: Float32Array, unit: float) -> Float32Array:
    """The detail of skin [h, w, 3] in a photo at places [h, w, 2]: what differs from its blurred surroundings.

    unit: pixels of an inter-ocular distance.
    """
    skin = sample(photo, places)
    width = GRAIN * unit
    detail: Float32Array = np.clip(skin - ndimage.gaussian_filter(skin, (width, width, 0)), -MOST_GRAIN, MOST_GRAIN)
    return detail


def paint_lid(
    moved: Float32Array,
    source: Float32Array,
    strip: Float32Array,
    weight: Float32Array,
    smeared: Float32Array,
    bare: BoolArray,
    grain: Float32Array,
    skin: LidSkin,
    unit: float,
) -> None:
    """Paint a closing lid [h, w, 3], in place, where it would show hair, in the colours of the nearest skin.

    Args:
        moved: the photo after the motion.
        source: the photo's colours that the lid's motion brings there, [h, w, 3].
        strip: where they lie between the margin (0) and the fold (1), [h, w].
        weight: how far the skin is drawn out, and how far a pixel belongs to it, [h, w].
        smeared: how far it is painted even if it is skin, since it is drawn out too far, [h, w].
        bare: what shows skin unless it is hair: what lies over the lashes, [h, w].
        grain: the detail of skin, [h, w, 3].
        skin: the lid's.
        unit: pixels of an inter-ocular distance.
    """
    begin, sure, end, gone = ENDS
    inside = ramp(strip, begin, sure) * (1 - ramp(strip, end, gone)) * weight
    hair = np.maximum(np.maximum(skin.unlike(source), smeared), np.float32(skin.hairy))
    share = ndimage.gaussian_filter(inside * hair * np.float32(skin.painted), SOFT * unit)[..., None]
    if not share.any():
        return
    colour = np.broadcast_to(skin.tone * (1 + (skin.shade - 1) * TINT), moved.shape)
    seen = bare & (skin.unlike(moved) < 0.1)
    for width in NEAR:
        around, known = _around(moved, seen, width * unit)
        colour = colour + ramp(known, 0.0, KNOWN)[..., None] * (around - colour)
    light = 1 - CREASE * ramp(strip, 0.3, 0.9) - LASHES * (1 - ramp(strip, 0.0, 0.3))
    moved += share * (colour * (1 + (light[..., None] - 1) * TINT) + grain - moved)


def _around(picture: Float32Array, known: BoolArray, width: float) -> tuple[Float32Array, Float32Array]:
    """`blur_known`, of as few pixels as the width of the blur allows."""
    step = max(1, int(width / FEW))
    blurred, weight = blur_known(picture[::step, ::step], known[::step, ::step], width / step)
    places = Box(0, 0, picture.shape[1], len(picture)).places() / np.float32(step)
    made = read(np.dstack([blurred, weight]), places)
    return made[..., :-1], made[..., -1]
