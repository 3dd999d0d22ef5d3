"""Fills an opened mouth in a photo: painted by `MouthNet`, or taken from another photo that shows teeth.

The caller moves the lips and provides the opening; `MouthFrame` gives the position of the upper jaw. The mouth is
computed in the canvas of `MouthConfig` and composited into the photo at the photo's own resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import InputError, UsageError
from latentface.head.mouth_canvas import (
    MouthFrame,
    check_opening,
    dim_slit,
    lay_canvas,
    sample_canvas,
    shade_lips,
)
from latentface.head.own_mouth import OwnMouth, Tone, fits, lay_mouth
from latentface.head.teeth import TeethRows, teeth_planes, usual_midline, usual_rows
from latentface.networks.mouth import MouthConfig, MouthNet, surroundings

#: `--mouth`: the other photo's own mouth where it shows one, always that, or always a painted one.
MouthSource = Literal["auto", "own", "painted"]

#: Colour of the upper teeth relative to white if the photo does not show them: the median of 131 smiles, by 5 % darker.
USUAL_TEETH = np.array([1.0, 0.92, 0.865], np.float32)
#: Largest factors by which painted teeth are adapted to that brightness, and how much of its tint they adopt.
MOST_TONE, TINT = (0.75, 1.35), 0.8

#: Canvas pixels by which the network is told of a wider opening, so that what it paints reaches beneath the lips' edge.
REACH = 1.0


@dataclass(frozen=True)
class MouthStyle:
    """The deviation of a painted mouth from the average for such a face, in standard deviations, from -2 to 2.

    teeth: brightness of the teeth. inside: brightness of what is neither lip nor tooth. tongue: its redness.
    """

    teeth: float = 0.0
    inside: float = 0.0
    tongue: float = 0.0

    def __post_init__(self) -> None:
        if not all(-2 <= value <= 2 for value in (self.teeth, self.inside, self.tongue)):
            raise UsageError(f"MouthStyle: expected numbers from -2 to 2, got {self}")


def rows_in_photo(
    frame: MouthFrame, upper: Float64Array | None, lower: Float64Array | None, config: MouthConfig, lines: float = 1.0
) -> TeethRows:
    """Rows of teeth whose edges are known as polylines [n, 2] in photo pixels, left to right; None for no such row."""
    matrix = frame.to_photo(config)
    x = np.arange(config.width) + 0.5

    def in_canvas(points: Float64Array | None) -> Float64Array:
        if points is None:
            return np.full(config.width, np.nan)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
            raise UsageError(f"edge of teeth: expected two or more points [n, 2], got {list(points.shape)}")
        moved = np.linalg.solve(matrix[:, :2], points.T - matrix[:, 2:]).T
        moved = moved[np.argsort(moved[:, 0])]
        edge: Float64Array = np.interp(x, moved[:, 0], moved[:, 1], left=np.nan, right=np.nan)
        return edge

    return TeethRows(in_canvas(upper), in_canvas(lower), config.width / 2, yaw=frame.yaw, lines=lines)


def paint_mouth(
    photo: Pixels,
    opening: Float32Array,
    frame: MouthFrame,
    network: MouthNet,
    teeth: TeethRows | None = None,
    style: MouthStyle | None = None,
    tone: Tone | None = None,
) -> Pixels:
    """The photo [H, W, 3] with the opening [H, W] (0 to 1) painted; outside it, and a soft edge, not a bit changes.

    Args:
        photo: after the lips have moved; its pixels inside the opening are ignored.
        opening: where the lips are parted.
        frame: where the upper jaw is.
        network: what paints.
        teeth: the rows of teeth; by default those of an average person. For a clip, compute them once.
        style: its deviation from the average.
        tone: the brightness of its teeth; by default that of the network's output.

    Raises:
        UsageError: shapes that do not belong together, or an opening beyond 0 to 1.
    """
    check_opening(photo, opening)
    if not opening.any():
        unchanged: Pixels = photo.copy()
        return unchanged
    config = network.config
    matrix = frame.to_photo(config)
    covered = sample_canvas(opening, matrix, config)[0].numpy()
    image = sample_canvas(photo, matrix, config) / 127.5 - 1
    rows = teeth if teeth is not None else usual_teeth(covered, frame, config)
    told = torch.from_numpy(_widen(covered, REACH))
    hints = torch.from_numpy(teeth_planes(rows, config)) * told
    planes = torch.cat([surroundings(image, told[None]), told[None], hints])[None].float()
    look = style or MouthStyle()
    with torch.no_grad():
        painted = network(planes, torch.tensor([[look.teeth, look.inside, look.tongue]]))[0]
    painted = (painted.clamp(-1, 1) + 1) * 127.5
    if tone is not None:
        painted = _toned(painted, hints[0] * torch.from_numpy(covered > 0.9), tone)
    painted = shade_lips(painted, covered, 1)
    inside = dim_slit(painted, image, covered, 1)
    return lay_canvas(photo, opening, inside, matrix, 1)


def fill_mouth(
    photo: Pixels,
    opening: Float32Array,
    frame: MouthFrame,
    network: MouthNet,
    source: MouthSource = "auto",
    own: OwnMouth | None = None,
    teeth: TeethRows | None = None,
    style: MouthStyle | None = None,
    tone: Tone | None = None,
) -> Pixels:
    """`lay_mouth` or `paint_mouth`, as `is_taken` decides. Raises what that raises."""
    if is_taken(source, own, opening, frame, network.config) and own is not None:
        return lay_mouth(photo, opening, frame, own, network.config, tone)
    return paint_mouth(photo, opening, frame, network, teeth, style, tone)


def is_taken(
    source: MouthSource, own: OwnMouth | None, opening: Float32Array, frame: MouthFrame, config: MouthConfig
) -> bool:
    """Whether another's mouth fills an opening [H, W]; "auto" takes it if it fits.

    Raises:
        UsageError: an unknown source. InputError: "own" without a mouth to take, or with one that does not fit.
    """
    if source not in ("auto", "own", "painted"):
        raise UsageError(f"mouth: expected auto, own or painted, got {source!r}")
    if source == "own" and own is None:
        raise InputError("mouth own: the other photo shows no open mouth to take; use auto or painted")
    return own is not None and (source == "own" or (source == "auto" and fits(own, opening, frame, config)))


def usual_teeth(covered: Float32Array, frame: MouthFrame, config: MouthConfig) -> TeethRows:
    """Average teeth behind an opening [H, W] in the canvas (see `MouthFrame.to_photo`).

    Raises:
        UsageError: the opening is empty.
    """
    if not covered.sum() > 0:
        raise UsageError("the opening lies outside the lower face that the frame gives: do both belong to one face?")
    midline = round(usual_midline(config, frame.yaw))
    middle = covered[:, max(midline - 3, 0) : midline + 3].mean(1)
    if middle.sum() < 0.5:  # the mouth is open at one side only
        middle = covered.mean(1)
    whole = middle.cumsum() / middle.sum()
    height = np.arange(config.height) + 1.0
    upper, lower = np.interp([0.04, 0.96], whole, height)
    return usual_rows(float(upper), float(lower), config, yaw=frame.yaw)


def _toned(painted: Tensor, upper: Tensor, tone: Tone) -> Tensor:
    """Colours [3, h, w] (0 to 255) with the upper teeth, [h, w] (0 to 1), in the tone of the photo's own."""
    light = painted.mean(0)
    there = upper > 0.5
    if not bool(there.any()):
        return painted
    bright = float(light[there].quantile(0.8))
    teeth = painted[:, there & (light >= bright)].mean(1)
    aim = torch.from_numpy(USUAL_TEETH * tone.white if tone.teeth is None else tone.teeth).float()
    tint = (aim + 8) / (teeth + 8)
    gain = tint.mean().clamp(*MOST_TONE) * (tint / tint.mean()) ** TINT
    share = upper * ((light / max(bright, 1.0) - 0.5) / 0.3).clamp(0, 1)
    return painted * (1 + share * (gain[:, None, None] - 1))


def _widen(covered: Float32Array, pixels: float) -> Float32Array:
    grown: Float32Array = ndimage.grey_dilation(covered, size=(3, 3))
    wider: Float32Array = covered + (grown - covered) * np.float32(pixels)
    return wider
