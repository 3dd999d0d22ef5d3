"""Displaces the surroundings of a moved face smoothly along with it, so that hair stays attached to the head.

A motion network is trained on landmarks, which mark the face alone. Outside the face it predicts a still background,
although the hair continues there, and it may paint the hair a second time where the head has been. Here the head's
displacement is extended into its surroundings by a regularised least-squares problem, and painting is confined to the
head.
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

# Weights of the data terms, relative to the smoothness of the displacements.
_MOTION_WEIGHT = 0.1  # of the network's motion, times the odds of moving against standing still
_STILL_WEIGHT = 0.05  # of no displacement, times the background's share: more tears hair, less drags the surroundings
_FIXED_WEIGHT = 1e4  # of no displacement, where a pixel must not move
_LEAST_SHARE = 1e-3  # the background's share is raised to this much, because the odds divide by it
_MARGIN = 0.1  # half pictures along the border over which painting fades out: the network knows nothing beyond it


def carry_along(drawn: Prediction, still: BoolArray) -> Prediction:
    """The prediction with the head's motion extended into its surroundings, and painting confined to the head.

    The displacements u minimise, over all places i and their neighbours j,
    sum |u_i - u_j|^2 + a odds_i |u_i - f_i|^2 + b rest_i |u_i|^2, where f is the mean of the keypoints' motions, rest
    the background's share of the mask, odds = (1 - rest) / rest, and a and b are the weights of motion and of standing
    still; u = 0 where a place must not move.

    Args:
        drawn: one frame of a network that blends. The frame of any other network is painted as a whole and is returned
            unchanged.
        still: [h, w] as the field: the places that must not move. The picture's border never moves.
    """
    if drawn.share is None:
        return drawn
    motion, (height, width) = drawn.motion, still.shape
    own = grid(height, width, motion.field)
    shift = (motion.field[0] - own).double().cpu().numpy()  # [h, w, 2]: (1 - rest) f
    rest = motion.mask[0, 0].double().cpu().numpy().clip(_LEAST_SHARE)
    fixed = np.pad(still[1:-1, 1:-1], 1, constant_values=True)
    system = _smoothness(height, width).copy()
    system[-1] += np.where(fixed, _FIXED_WEIGHT, _MOTION_WEIGHT * (1 - rest) / rest + _STILL_WEIGHT * rest).ravel()
    pull = np.where(fixed, 0, _MOTION_WEIGHT / rest)[..., None] * shift
    along = solveh_banded(system, pull.reshape(-1, 2), overwrite_ab=True).reshape(shift.shape)
    field = (own + torch.from_numpy(along).to(own)).clamp(-1, 1)[None]
    inside = (1 - motion.field.abs().amax(-1)) / _MARGIN
    head = (1 - motion.mask[:, :1]) * inside.clamp(0, 1)[:, None]
    share = 1 - (1 - drawn.share) * resize(head, *drawn.share.shape[2:])
    return replace(drawn, share=share, motion=replace(motion, field=field))


@cache
def _smoothness(height: int, width: int) -> Float64Array:
    """The matrix of sum |u_i - u_j|^2 over neighbours of a grid: its upper diagonals [width + 1, height * width]."""
    bands = np.zeros((width + 1, height, width))
    bands[width] = 4
    bands[width - 1, :, 1:] = bands[0, 1:] = -1
    return bands.reshape(width + 1, -1)
