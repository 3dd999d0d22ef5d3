"""What surrounds a moved face is drawn along, as by a rubber sheet: hair stays on its head, and nothing tears.

Landmarks tell a motion network of the face alone. Where the head ends for it, the background stands still, though
hair goes on there; and what a head has left would show its hair a second time.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy.linalg import solveh_banded

from latentface.arrays import BoolArray, Float64Array
from latentface.networks.motion.generator import Prediction
from latentface.networks.motion.geometry import grid, resize

_GRIP = 0.1  # how firmly the sheet holds to the network's motion, times the odds that a place moves at all
_CALM = 0.05  # and to where it was, times the share of standstill: with more, hair tears; with less, all trails along
_NAIL = 1e4  # and to what has to stay
_LEAST = 1e-3  # share of standstill below which a place moves for certain
_BRINK = 0.1  # half pictures from the picture's edge over which painting ends: nobody knows what lies beyond it


def carry_along(drawn: Prediction, still: BoolArray) -> Prediction:
    """One frame as a network draws it, with the motion of the head continued around it and nothing painted there.

    The displacements u make least, over all places and their neighbours,
    sum |u_i - u_j|^2 + grip odds_i |u_i - f_i|^2 + calm rest_i |u_i|^2, where f is the mean of the keypoints' motions,
    rest the share of standstill and odds those of f against it; u = 0 at what has to stay.

    Args:
        drawn: one frame of a network that blends. Another network's is painted as a whole, and comes back as it is.
        still: [h, w] as the field has: what has to stay; the picture's border always does.
    """
    if drawn.share is None:
        return drawn
    motion, (height, width) = drawn.motion, still.shape
    own = grid(height, width, motion.field)
    shift = (motion.field[0] - own).double().cpu().numpy()  # [h, w, 2]: (1 - rest) f
    rest = motion.mask[0, 0].double().cpu().numpy().clip(_LEAST)
    stays = np.pad(still[1:-1, 1:-1], 1, constant_values=True)
    system = _sheet(height, width).copy()
    system[-1] += np.where(stays, _NAIL, _GRIP * (1 - rest) / rest + _CALM * rest).ravel()
    pull = np.where(stays, 0, _GRIP / rest)[..., None] * shift
    along = solveh_banded(system, pull.reshape(-1, 2), overwrite_ab=True).reshape(shift.shape)
    field = (own + torch.from_numpy(along).to(own)).clamp(-1, 1)[None]
    room = (1 - motion.field.abs().amax(-1)) / _BRINK
    head = (1 - motion.mask[:, :1]) * room.clamp(0, 1)[:, None]
    share = 1 - (1 - drawn.share) * resize(head, *drawn.share.shape[2:])
    return replace(drawn, share=share, motion=replace(motion, field=field))


@cache
def _sheet(height: int, width: int) -> Float64Array:
    """sum |u_i - u_j|^2 over neighbours of a grid as a matrix: its upper diagonals [width + 1, height * width]."""
    bands = np.zeros((width + 1, height, width))
    bands[width] = 4
    bands[width - 1, :, 1:] = bands[0, 1:] = -1
    return bands.reshape(width + 1, -1)
