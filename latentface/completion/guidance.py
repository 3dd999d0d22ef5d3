"""Faces of a generator made to fit a guide: brows, eyes and mouth move to where its regions are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from latentface import api, hub
from latentface.arrays import BoolArray, Float32Array, Float64Array
from latentface.completion.guides import region_planes
from latentface.networks.completion import FOLD, Region
from latentface.networks.generator import Generator

DIRECTIONS = ("mouth-open", "smile", "pucker", "brows-up", "brows-down", "eyes-closed")
ROUNDS = 2  # of Gauss and Newton
TRIED = 1.5  # by how much of a direction its effect is found
MOST = 2.5  # of all directions together: beyond, faces fall apart
HELD = 0.004  # crop sides that a part may miss its place for one less of a direction


def follow_guide(codes: Tensor, guide: Float32Array, hole: BoolArray, generator: Generator) -> Tensor:
    """Latents [1, num_ws, w_dim] moved along known directions, so that the generated face has its parts by the guide.

    The positions and sizes of the parts are taken from the landmarks of what is generated.

    Args:
        codes: of the face.
        guide: planes [REGIONS, S / 4, S / 4], see `networks.completion.Region`.
        hole: [S, S]; parts of which it hides nothing stay as they are generated.
        generator: to which the latents belong; it must have the built-in directions.
    """
    moves = torch.stack([api.load_direction(name, generator).values for name in DIRECTIONS])
    locate = hub.face_networks(str(codes.device)).landmarks
    amounts, wanted, asked = np.zeros(len(moves)), _places(guide), _asked(guide, hole)
    for _ in range(ROUNDS if asked.any() else 0):
        trials = amounts + TRIED * np.concatenate([np.zeros((1, len(moves))), np.eye(len(moves))])
        found = np.stack([_effect(codes, moves, trial, generator, locate) for trial in trials])
        slopes = asked[:, None] * (found[1:] - found[0]).T / TRIED
        held = HELD * np.eye(len(moves))
        left = np.concatenate([asked * (wanted - found[0]), -HELD * amounts])
        amounts += np.linalg.lstsq(np.concatenate([slopes, held]), left, rcond=None)[0]
        amounts *= MOST / max(MOST, float(np.linalg.norm(amounts)))
    return codes + _sum(moves, amounts)


def _sum(moves: Tensor, amounts: Float64Array) -> Tensor:
    return torch.einsum("k,k...->...", torch.from_numpy(amounts).to(moves), moves)


@torch.inference_mode()
def _effect(
    codes: Tensor, moves: Tensor, amounts: Float64Array, generator: Generator, locate: Callable[[Tensor], Tensor]
) -> Float64Array:
    """Where the parts of a moved face are."""
    face = generator.synthesis(codes + _sum(moves, amounts), noise_mode="const")
    side = face.shape[-1]
    points = locate(face)[0].double().cpu().numpy() * side * FOLD
    return _places(region_planes(points - 0.5, side * FOLD))  # as fine as the picture


def _asked(guide: Float32Array, hole: BoolArray) -> Float64Array:
    """1 for each of `_places` whose part the hole hides some of, 0 for the others."""
    hidden = hole.reshape(guide.shape[1], FOLD, guide.shape[2], FOLD).any(axis=(1, 3))
    brows, eyes, lips = (float((guide[part] * hidden).any()) for part in (Region.BROWS, Region.EYES, Region.LIPS))
    return np.array([brows, eyes, lips, lips, lips])


def _places(planes: Float32Array) -> Float64Array:
    """How high brows are, how far eyes and mouth are open, and how wide and thick lips are, in crop sides."""
    (height, _, _), (_, _, lids) = (_spread(planes[part]) for part in (Region.BROWS, Region.EYES))
    _, wide, thick = _spread(np.maximum(planes[Region.LIPS], planes[Region.MOUTH]))
    return np.array([height, lids, wide, thick, float(planes[Region.MOUTH].mean()) / max(wide, 1e-3)])


def _spread(plane: Float32Array) -> tuple[float, float, float]:
    """The mean row of a plane, and the deviations of its columns and rows; zero for an empty one."""
    rows, columns = np.nonzero(plane > 0.5)
    if not len(rows):
        return 0.0, 0.0, 0.0
    side = len(plane)
    return float(rows.mean() + 0.5) / side, float(columns.std()) / side, float(rows.std()) / side
